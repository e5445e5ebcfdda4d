#include "engine/place.h"

#include <fmt/core.h>

#include "base/disk.h"
#include "base/hash.h"
#include "block/local.h"
#include "kv/rocks.h"
#include "versioning/records.h"

namespace tarn::bench {
namespace {

uint64_t mixed(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

/// Log-normal in shape: most files some kilobytes, few some megabytes.
uint64_t size_of(uint64_t i) {
  const uint64_t r = mixed(i + 1);
  return (r & 0xfff) << (r >> 12) % 14;
}

std::string sixteen(uint64_t a, uint64_t b) {
  const uint64_t words[2] = {mixed(a * 2 + 1), mixed(b * 2 + 0x9e3779b9)};
  return {reinterpret_cast<const char*>(words), sizeof words};
}

}  // namespace

std::string key_of(uint64_t i) {
  const uint64_t in_region = i % 1'000'000;
  return fmt::format("datasets/events/region={:02}/date=2013-{:02}-{:02}/hour={:02}/part-{:08}.snappy.parquet",
                     i / 1'000'000, in_region / 84'000 + 1, in_region / 3'000 % 28 + 1, in_region / 125 % 24, i);
}

tree::Entry own_entry(uint64_t i, uint64_t version) {
  tree::Entry e;
  e.size = size_of(i);
  e.etag = tree::Etag::md5(sixteen(i, version));
  e.mtime_ms = 1'380'585'600'000 + static_cast<int64_t>(i * 3 + mixed(i) % 60'000 + version);
  e.address.partition = 0x1234567890abcdef;
  e.address.sequence = i + version * 100'000'000;
  e.content_type = "application/octet-stream";
  return e;
}

tree::Entry linked_entry(uint64_t i) {
  tree::Entry e;
  e.size = size_of(i);
  const uint64_t mtime_ns = 1'380'585'600'000'000'000 + mixed(i) % 86'400'000'000'000;
  e.mtime_ms = static_cast<int64_t>(mtime_ns / 1'000'000);
  e.content_type = "application/octet-stream";
  e.address.kind = tree::AddressKind::kForeign;
  e.address.uri = "local:///srv/lake/" + key_of(i);
  e.address.pin = fmt::format("{}:{}", e.size, mtime_ns);
  e.etag = {tree::EtagKind::kWeak, base::md5(e.address.pin), 0};
  return e;
}

std::vector<uint64_t> scattered(uint64_t n, uint64_t count, base::Random& random) {
  const uint64_t step = std::max<uint64_t>(1, n / count);
  std::vector<uint64_t> numbers;
  for (uint64_t i = 0; i < count && i * step < n; ++i)
    numbers.push_back(std::min(n - 1, i * step + random.u64() % step));
  return numbers;
}

std::vector<tree::Edit> edits_of(const std::vector<uint64_t>& numbers, uint64_t version) {
  std::vector<tree::Edit> edits;
  for (const uint64_t i : numbers) edits.push_back({key_of(i), own_entry(i, version)});
  return edits;
}

Place::Place(const std::string& where, size_t cache_bytes) : folder(where) {
  must(base::system_disk().make_directories(folder + "/blocks"));
  kv = must(kv::open_rocks_store(folder + "/kv"));
  blocks = must(block::open_local_store(base::system_disk(), folder + "/blocks"));
  engine = must(versioning::Engine::open(*kv, *blocks, base::system_clock(), base::system_random(),
                                         {.node_cache_bytes = cache_bytes}));
  spec.message = "bench";
  spec.committer = "bench";
  auto present = engine->get_repository(ctx, kRepository);
  if (present) {
    repository = *present;
    return;
  }
  versioning::RepositoryCreation creation;
  creation.name = kRepository;
  creation.storage_namespace = std::string("local://") + kRepository;
  repository = must(engine->create_repository(ctx, creation));
}

versioning::Commit Place::land(std::string_view branch, const std::vector<tree::Edit>& edits) {
  auto candidate = must(engine->prepare_edits(ctx, repository, branch, edits, spec, versioning::LandingKind::kImport));
  return must(engine->land(ctx, repository, {std::move(candidate), {}, nullptr}));
}

void Place::fill(const std::string& branch, uint64_t first, uint64_t last) {
  constexpr uint64_t kChunk = 500'000;
  while (first < last) {
    const uint64_t end = std::min(last, first + kChunk);
    std::vector<tree::Edit> edits;
    edits.reserve(end - first);
    for (; first < end; ++first) edits.push_back({key_of(first), own_entry(first)});
    land(branch, edits);
  }
}

std::shared_ptr<tree::Packs> Place::packs(size_t cache_bytes) {
  return tree::Packs::open(*blocks, versioning::block_prefix(repository.storage_namespace),
                           tree::make_node_cache(cache_bytes), base::system_clock(), base::system_random());
}

void prepare(const std::string& folder, uint64_t n) {
  const auto ready = base::system_disk().stat(folder + "/ready");
  if (ready) return;
  uint64_t stored = 0;
  const double spent = seconds([&] {
    Place place(folder);
    place.fill("main", 0, n);
    stored = must(place.blocks->stored_bytes(place.ctx));
  });
  must(base::system_disk().write_atomic(folder + "/ready", std::to_string(stored)));
  std::fprintf(stderr, "  a repository of %s entries made in %.1f s\n", power(n).c_str(), spent);
}

uint64_t stored_when_made(const std::string& folder) {
  return std::strtoull(must(base::system_disk().read_all(folder + "/ready")).c_str(), nullptr, 10);
}

}  // namespace tarn::bench
