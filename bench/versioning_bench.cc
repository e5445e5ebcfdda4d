// What issue A asks of the engine: one-object commit and branch create on a repository of 10^5 committed objects, on
// RocksDB and the local store, synced.   ninja -C build versioning_bench && build/bench/versioning_bench [objects]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "base/testing/scratch.h"
#include "block/local.h"
#include "kv/rocks.h"
#include "versioning/engine.h"

namespace {

using namespace tarn;  // NOLINT(google-build-using-namespace)

template <class T>
T must(Result<T> result) {
  if (!result) {
    std::fprintf(stderr, "%s\n", result.error().text().c_str());
    std::exit(1);
  }
  return std::move(result).value();
}
void must(const Result<void>& result) {
  if (!result) {
    std::fprintf(stderr, "%s\n", result.error().text().c_str());
    std::exit(1);
  }
}

tree::Entry entry(uint64_t n) {
  tree::Entry e;
  e.size = 1000 + n % 1000;
  e.etag = tree::Etag::md5(base::md5(std::to_string(n)));
  e.mtime_ms = 1'700'000'000'000 + static_cast<int64_t>(n);
  e.address.partition = 1;
  e.address.sequence = n;
  e.content_type = "application/octet-stream";
  return e;
}

int64_t now_us() {
  return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

bool report(const char* name, int rounds, double bar_ms, const std::function<void(int)>& run) {
  std::vector<double> ms;
  for (int i = 0; i < rounds; ++i) {
    const int64_t start = now_us();
    run(i);
    ms.push_back(static_cast<double>(now_us() - start) / 1000);
  }
  std::sort(ms.begin(), ms.end());
  const double p50 = ms[ms.size() / 2], p95 = ms[ms.size() * 95 / 100];
  const bool pass = bar_ms == 0 || p50 <= bar_ms;
  std::printf("%-44s p50 %8.3f ms  p95 %8.3f ms", name, p50, p95);
  if (bar_ms > 0) std::printf("  bar %5.1f ms  %s", bar_ms, pass ? "pass" : "MISSED");
  std::printf("\n");
  return pass;
}

}  // namespace

int main(int argc, char** argv) {
  const uint64_t objects = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 100'000;
  base::testing::ScratchFolder folder;
  const Context ctx;
  const auto kv = must(kv::open_rocks_store(folder.path("kv")));
  must(base::system_disk().make_directories(folder.path("blocks")));
  const auto blocks = must(block::open_local_store(base::system_disk(), folder.path("blocks")));
  const auto engine =
      must(versioning::Engine::open(*kv, *blocks, base::system_clock(), base::system_random(), {.fold_from = 0}));
  versioning::RepositoryCreation creation;
  creation.name = "bench";
  creation.storage_namespace = "local://bench";
  const auto repo = must(engine->create_repository(ctx, creation));
  versioning::CommitSpec spec;
  spec.message = "bench";

  std::vector<tree::Edit> edits;
  const auto path = [](uint64_t n) {
    char text[64];
    std::snprintf(text, sizeof text, "year=2013/month=%02d/part-%08llu.parquet", static_cast<int>(n % 12 + 1),
                  static_cast<unsigned long long>(n));
    return std::string(text);
  };
  for (uint64_t n = 0; n < objects; ++n) edits.push_back({path(n), entry(n)});
  std::sort(edits.begin(), edits.end(), [](const auto& a, const auto& b) { return a.key < b.key; });
  int64_t start = now_us();
  auto candidate =
      must(engine->prepare_edits(ctx, repo, "main", edits, spec, versioning::LandingKind::kImport, std::nullopt));
  must(engine->land(ctx, repo, {std::move(candidate), {}, nullptr}));
  std::printf("%llu objects committed at once in %.0f ms\n", static_cast<unsigned long long>(objects),
              static_cast<double>(now_us() - start) / 1000);

  // What the machine allows in this minute: every bar below contains at least one synced write.
  bool pass = true;
  const auto probe = must(base::system_disk().open(folder.path("probe"), base::OpenMode::kCreate));
  report("limit: append 200 bytes to a file and sync", 300, 0, [&](int) {
    must(probe->append(std::string(200, 'x')));
    must(probe->sync());
  });
  report("limit: one row in the key-value store", 300, 0, [&](int i) {
    kv::Batch batch;
    batch.put("probe/" + std::to_string(i), std::string(100, '\x01'));
    must(kv->apply(ctx, batch));
  });
  int staged = 0;
  pass &= report("stage one object", 500, 0, [&](int i) {
    must(engine->stage(ctx, repo, "main", path(static_cast<uint64_t>(i) * 37 % objects), entry(1'000'000 + ++staged)));
  });
  must(engine->commit(ctx, repo, "main", spec));
  int64_t stage_us = 0;
  pass &= report("stage and commit one object", 300, 10, [&](int i) {
    const int64_t before = now_us();
    must(engine->stage(ctx, repo, "main", path(static_cast<uint64_t>(i) * 7919 % objects), entry(2'000'000 + i)));
    stage_us += now_us() - before;
    must(engine->commit(ctx, repo, "main", spec));
  });
  std::printf("  (of which staging %.3f ms on average)\n", static_cast<double>(stage_us) / 300'000);
  pass &= report("branch create", 500, 2,
                 [&](int i) { must(engine->create_branch(ctx, repo, "b" + std::to_string(i), "main")); });
  pass &= report("merge of a one-object branch", 200, 0, [&](int i) {
    const std::string name = "b" + std::to_string(i);
    must(engine->stage(ctx, repo, name, path(static_cast<uint64_t>(i) * 101 % objects), entry(3'000'000 + i)));
    must(engine->commit(ctx, repo, name, spec));
    must(engine->merge(ctx, repo, name, "main", {}));
  });
  const auto at = must(engine->resolve(ctx, repo, "main"));
  report("find on a branch", 2000, 0,
         [&](int i) { must(engine->find(ctx, repo, at, path(static_cast<uint64_t>(i) * 7919 % objects))); });
  versioning::ListQuery top;
  top.delimiter = "/";
  top.prefix = "year=2013/";
  report("list of 12 prefixes", 200, 0, [&](int) { must(engine->list(ctx, repo, at, top)); });
  report("diff to the parent", 200, 0,
         [&](int) { must(engine->diff(ctx, repo, "main~1", "main", versioning::DiffType::kTwoDot, {})); });
  start = now_us();
  const auto folded = must(engine->fold_packs(ctx, repo));
  std::printf("folding: %zu packs of %.2f MB -> %zu of %.2f MB in %.0f ms\n", folded.packs_before,
              static_cast<double>(folded.bytes_before) / 1e6, folded.packs_after,
              static_cast<double>(folded.bytes_after) / 1e6, static_cast<double>(now_us() - start) / 1000);
  const auto cold = must(versioning::Engine::open(*kv, *blocks, base::system_clock(), base::system_random(),
                                                  {.node_cache_bytes = 0, .fold_from = 0}));
  report("find at an old commit, folded, no node cache", 200, 0, [&](int i) {
    const auto old = must(cold->resolve(ctx, repo, "main~" + std::to_string(i)));
    must(cold->find(ctx, repo, old, path(static_cast<uint64_t>(i) * 7919 % objects)));
  });
  return pass ? 0 : 1;
}
