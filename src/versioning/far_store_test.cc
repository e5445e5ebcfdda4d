// Goal: a repository whose objects are far away is read from the disk cache alone, after a restart, too.
// Method: a store that takes 20 ms an answer and counts them, beneath a cache in a real folder; the engine, its memory
// and the cache go and come again over the same folder.
#include <algorithm>
#include <chrono>
#include <filesystem>

#include <fmt/format.h>

#include "block/disk_cache.h"
#include "block/testing/far_store.h"
#include "versioning/testing/world.h"

namespace tarn::versioning::testing {
namespace {

class FarWorld : public World {
 public:
  FarWorld() : World(Backend::kMemory), far(*blocks, 20) { restart(); }
  ~FarWorld() { engine.reset(); }

  /// What a new process has: the disks' content, and nothing in memory.
  void restart(bool with_empty_cache = false) {
    engine.reset();
    cache.reset();
    if (with_empty_cache) must(base::system_disk().remove_all(scratch.path("cache")));
    block::DiskCacheOptions options;
    options.store = "far";
    cache = must(block::DiskCache::open(base::system_disk(), scratch.path("cache"), far, options));
    engine = must(Engine::open(*kv, *cache, clock, random, {}));
  }

  /// All that a reader of history asks: content of both commits, lookups, log, diff.
  void read_everything(const Repository& r, const std::string& first, const std::string& second) {
    EXPECT_EQ(content(r, first).size(), kEntries);
    EXPECT_EQ(content(r, second).size(), kEntries + 3u);
    const Resolved at = must(engine->resolve(ctx, r, "main"));
    for (size_t i = 0; i < kEntries; i += 1'000) EXPECT_TRUE(must(engine->find(ctx, r, at, path_of(i)))) << path_of(i);
    EXPECT_EQ(must(engine->log(ctx, r, "main", {})).items.size(), 3u);
    ListQuery all;
    all.amount = 1'000;
    EXPECT_EQ(must(engine->diff(ctx, r, first, second, DiffType::kTwoDot, all)).items.size(), 4u);
  }
  /// One commit of kEntries. @return its id
  std::string import_all(const Repository& r) {
    std::vector<tree::Edit> edits;
    for (size_t i = 0; i < kEntries; ++i) edits.push_back({path_of(i), entry_of(std::to_string(i))});
    std::sort(edits.begin(), edits.end(), [](const auto& a, const auto& b) { return a.key < b.key; });
    clock.advance(1000);
    auto candidate = must(engine->prepare_edits(ctx, r, "main", edits, {}, LandingKind::kImport));
    return must(engine->land(ctx, r, {std::move(candidate), {}, nullptr})).id.hex();
  }
  static constexpr size_t kEntries = 50'000;
  static std::string path_of(size_t i) { return fmt::format("year={}/part-{:05}", i % 7, i); }

  base::testing::ScratchFolder scratch;
  block::testing::FarStore far;
  std::unique_ptr<block::DiskCache> cache;
};

int64_t ms_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - start).count();
}

TEST(FarStore, AWarmRestartReadsARepositoryWithoutAskingIt) {
  FarWorld world;
  const Repository r = world.repository();
  const std::string first = world.import_all(r);
  for (const char* path : {"a", "m", "z"}) world.put(r, "main", path, "new");
  world.put(r, "main", FarWorld::path_of(5), "changed");
  const std::string second = world.commit(r, "main").id.hex();
  const auto stored = static_cast<int64_t>(*world.blocks->stored_bytes(world.ctx));
  ASSERT_GT(stored, 5 * (256 << 10)) << "the import's pack has many blocks";

  // With an empty folder every block is fetched once, in few requests.
  world.restart(true);
  int64_t asked = world.far.reads();
  const int64_t bytes = world.far.bytes;
  auto start = std::chrono::steady_clock::now();
  world.read_everything(r, first, second);
  const int64_t cold_ms = ms_since(start), cold_reads = world.far.reads() - asked;
  EXPECT_GT(cold_reads, 1);
  EXPECT_LE(cold_reads, 4 + stored / (256 << 10)) << "a stat and two requests a pack, and at worst one a block";
  EXPECT_LE(world.far.bytes - bytes, stored);

  // After a restart nothing of it is asked for again. Opening looks whether the repository's record is there, since a
  // record is no immutable object.
  asked = world.far.reads();
  world.restart();
  EXPECT_EQ(world.far.reads() - asked, 1) << "opening";
  asked = world.far.reads();
  start = std::chrono::steady_clock::now();
  world.read_everything(r, first, second);
  const int64_t warm_ms = ms_since(start);
  EXPECT_EQ(world.far.reads() - asked, 0) << "warm";
  EXPECT_EQ(world.cache->stats().misses, 0);
  RecordProperty("cold_reads", static_cast<int>(cold_reads));
  RecordProperty("cold_ms", static_cast<int>(cold_ms));
  RecordProperty("warm_ms", static_cast<int>(warm_ms));

  // A small commit's pack is kept when it is written: what was committed since is here, too.
  world.put(r, "main", "later", "x");
  const std::string third = world.commit(r, "main").id.hex();
  world.restart();
  asked = world.far.reads();
  EXPECT_EQ(world.content(r, third).size(), FarWorld::kEntries + 4u);
  EXPECT_EQ(world.far.reads() - asked, 0);
}

TEST(FarStore, ADamagedCacheCostsTimeOnly) {
  FarWorld world;
  const Repository r = world.repository();
  for (size_t i = 0; i < 500; ++i) world.put(r, "main", FarWorld::path_of(i), std::to_string(i));
  world.commit(r, "main");
  const auto before = world.content(r, "main");
  for (const auto& entry : std::filesystem::recursive_directory_iterator(world.scratch.path("cache/blocks"))) {
    if (!entry.is_regular_file()) continue;
    std::filesystem::resize_file(entry.path(), entry.file_size() / 2);
  }
  world.restart();
  const int64_t asked = world.far.reads();
  EXPECT_EQ(world.content(r, "main"), before);
  EXPECT_GT(world.far.reads(), asked);
  EXPECT_GT(world.cache->stats().damaged, 0);
}

}  // namespace
}  // namespace tarn::versioning::testing
