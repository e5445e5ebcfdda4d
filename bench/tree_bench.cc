// The tree beside its limits: bulk build, point get, one edit, diff. Keys as a Spark job names its files (84 bytes
// mean).
#include <benchmark/benchmark.h>

#include <map>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/hash.h"
#include "base/random.h"
#include "block/memory.h"
#include "tree/tree.h"

namespace tarn::tree {
namespace {

std::string key_of(uint64_t i) {
  char text[160];
  const int size = std::snprintf(text, sizeof text,
                                 "datasets/events/region=%02u/date=2013-%02u-%02u/hour=%02u/part-%07u.snappy.parquet",
                                 static_cast<unsigned>(i / 1'000'000 % 100), static_cast<unsigned>(i / 83'333 % 12 + 1),
                                 static_cast<unsigned>(i / 2'976 % 28 + 1), static_cast<unsigned>(i / 124 % 24),
                                 static_cast<unsigned>(i % 10'000'000));
  return {text, static_cast<size_t>(size)};
}

Entry entry_of(uint64_t i, uint64_t version = 0) {
  uint64_t words[2] = {i * 0x9e3779b97f4a7c15u + version, (i + 1) * 0xc2b2ae3d27d4eb4fu};
  words[0] ^= words[0] >> 29;
  words[1] ^= words[1] >> 31;
  Entry e;
  e.size = 1'000 + words[0] % 1'000'000;
  e.etag = Etag::md5(std::string(reinterpret_cast<const char*>(words), sizeof words));
  e.mtime_ms = 1'380'585'600'000 + static_cast<int64_t>(i * 3);
  e.address.partition = 0x1234567890abcdef;
  e.address.sequence = i;
  e.content_type = "application/octet-stream";
  return e;
}

struct Repository {
  Context ctx;
  std::unique_ptr<block::Store> store = block::make_memory_store();
  base::SeededRandom random{1};
  std::shared_ptr<Packs> packs =
      Packs::open(*store, "bench/", make_node_cache(256 << 20), base::system_clock(), random);
  std::vector<std::string> keys;
  Root root;

  explicit Repository(uint64_t n) {
    for (uint64_t i = 0; i < n; ++i) keys.push_back(key_of(i));
    std::sort(keys.begin(), keys.end());
    root = built();
  }
  Root built() {
    const auto builder = packs->begin();
    uint64_t i = 0;
    auto r = build(
        ctx, {},
        [&]() -> Result<std::optional<Item>> {
          if (i == keys.size()) return std::optional<Item>{};
          Item item{keys[i], entry_of(i)};
          ++i;
          return std::optional(std::move(item));
        },
        *builder);
    if (!r || !builder->finish(ctx)) std::abort();
    return *r;
  }
};

Repository& repository(int64_t n) {
  static std::map<int64_t, std::unique_ptr<Repository>> all;
  auto& one = all[n];
  if (!one) one = std::make_unique<Repository>(static_cast<uint64_t>(n));
  return *one;
}

void BM_Build(benchmark::State& state) {
  Repository& r = repository(state.range(0));
  for (auto _ : state) benchmark::DoNotOptimize(r.built());
  state.SetItemsProcessed(state.iterations() * state.range(0));
  Repository fresh(static_cast<uint64_t>(state.range(0)));
  state.counters["stored_bytes_per_entry"] =
      static_cast<double>(*fresh.store->stored_bytes(fresh.ctx)) / static_cast<double>(state.range(0));
}
BENCHMARK(BM_Build)->Arg(1'000'000)->Unit(benchmark::kMillisecond);

void BM_PointGet(benchmark::State& state) {
  Repository& r = repository(state.range(0));
  uint64_t i = 0;
  for (auto _ : state) {
    i = (i + 7'919 * 101) % r.keys.size();
    const auto entry = get(r.ctx, *r.packs, r.root, r.keys[i]);
    if (!entry || !*entry) state.SkipWithError("a key is missing");
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_PointGet)->Arg(100'000)->Arg(1'000'000);

void BM_ApplyEdits(benchmark::State& state) {
  Repository& r = repository(state.range(0));
  const auto count = static_cast<uint64_t>(state.range(1));
  uint64_t i = 0, version = 1;
  const auto before = *r.store->stored_bytes(r.ctx);
  for (auto _ : state) {
    std::map<std::string, std::optional<Entry>> chosen;
    while (chosen.size() < count) {
      i = (i + 7'919 * 101) % r.keys.size();
      chosen.emplace(r.keys[i], entry_of(i, version++));
    }
    std::vector<Edit> edits;
    for (auto& [key, entry] : chosen) edits.push_back({key, std::move(entry)});
    const auto builder = r.packs->begin();
    const auto root = apply(r.ctx, r.packs, r.root, edits, *builder);
    builder->add_commit(std::string(32, 'c'), "record");
    if (!root || !builder->finish(r.ctx)) state.SkipWithError("apply failed");
  }
  state.counters["bytes_per_commit"] =
      static_cast<double>(*r.store->stored_bytes(r.ctx) - before) / static_cast<double>(state.iterations());
}
BENCHMARK(BM_ApplyEdits)
    ->Args({100'000, 1})
    ->Args({1'000'000, 1})
    ->Args({1'000'000, 1'000})
    ->Args({10'000'000, 1})
    ->Args({10'000'000, 1'000})
    ->Unit(benchmark::kMicrosecond);

/// 10^6 keys behind 10^6 others, from a source.
void BM_Append(benchmark::State& state) {
  Repository& r = repository(state.range(0));
  for (auto _ : state) {
    uint64_t i = 0;
    const auto builder = r.packs->begin();
    const auto root = apply(
        r.ctx, r.packs, r.root,
        [&]() -> Result<std::optional<Edit>> {
          if (i == static_cast<uint64_t>(state.range(1))) return std::optional<Edit>{};
          const uint64_t at = i++;
          return std::optional(Edit{"e" + r.keys[at], entry_of(at)});
        },
        *builder);
    if (!root || !builder->finish(r.ctx)) state.SkipWithError("apply failed");
  }
  state.SetItemsProcessed(state.iterations() * state.range(1));
}
BENCHMARK(BM_Append)->Args({1'000'000, 1'000'000})->Unit(benchmark::kMillisecond);

void BM_Diff(benchmark::State& state) {
  Repository& r = repository(state.range(0));
  std::vector<Edit> edits;
  const auto step = r.keys.size() / static_cast<size_t>(state.range(1));
  for (size_t i = 0; i < r.keys.size(); i += step) edits.push_back({r.keys[i], entry_of(i, 99)});
  const auto builder = r.packs->begin();
  const Root right = *apply(r.ctx, r.packs, r.root, edits, *builder);
  if (!builder->finish(r.ctx)) state.SkipWithError("apply failed");
  for (auto _ : state) {
    const auto changes = diff(r.packs, r.root, right);
    size_t n = 0;
    for (auto c = changes->next(r.ctx); c && *c; c = changes->next(r.ctx)) ++n;
    if (n != edits.size()) state.SkipWithError("a change is missing");
  }
}
BENCHMARK(BM_Diff)->Args({1'000'000, 100})->Args({1'000'000, 1'000})->Unit(benchmark::kMicrosecond);

void BM_Scan(benchmark::State& state) {
  Repository& r = repository(state.range(0));
  for (auto _ : state) {
    const auto c = cursor(r.packs, r.root);
    for (auto item = c->next(r.ctx); item && *item; item = c->next(r.ctx)) benchmark::DoNotOptimize(item);
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_Scan)->Arg(1'000'000)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace tarn::tree

BENCHMARK_MAIN();
