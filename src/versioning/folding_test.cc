// Folding packs while people work: fewer bytes, the same answers, whatever dies in between.
#include <gtest/gtest.h>

#include <cstdlib>
#include <thread>

#include "base/testing/victim.h"
#include "versioning/testing/world.h"

namespace tarn::versioning {
namespace {

using testing::Backend;
using testing::entry_of;
using testing::must;
using testing::World;

/// Commits on two branches and merges; what each commit shows is remembered.
struct History {
  explicit History(Backend backend, int commits = 40) : world(backend), repo(world.repository()) {
    must(world.engine->create_branch(world.ctx, repo, "dev", "main"));
    for (int i = 0; i < commits; ++i) {
      const std::string branch = i % 3 == 2 ? "main" : "dev";
      world.put(repo, branch, branch + "/day=" + std::to_string(i), std::to_string(i));
      remember(world.commit(repo, branch));
      if (i % 5 == 4) {
        MergeSpec spec;
        spec.commit.committer = "tester";
        const auto merged = must(world.engine->merge(world.ctx, repo, "dev", "main", spec));
        if (merged.landed) remember(*merged.landed);
      }
    }
  }
  void remember(const Commit& commit) { shown[commit.id.hex()] = world.content(repo, commit.id.hex()); }
  void expect_same() {
    for (const auto& [id, content] : shown) ASSERT_TRUE(world.content(repo, id) == content) << id;
    LogQuery query;
    query.amount = 1000;
    EXPECT_GE(must(world.engine->log(world.ctx, repo, "main", query)).items.size(), 10u);
  }
  uint64_t packs() {
    uint64_t count = 0;
    must(world.blocks->list(world.ctx, "data/packs/", [&](const block::Name&, const block::Info&) -> Result<void> {
      ++count;
      return {};
    }));
    return count;
  }
  World world;
  Repository repo;
  std::map<std::string, std::map<std::string, std::string>> shown;
};

TEST(FoldingPacks, ChangesNoAnswer) {
  for (const Backend backend : {Backend::kMemory, Backend::kDisk}) {
    History h(backend);
    const uint64_t before = h.packs();
    const FoldReport report = must(h.world.engine->fold_packs(h.world.ctx, h.repo));
    EXPECT_EQ(report.packs_before, before);
    EXPECT_EQ(report.packs_after, 1u);
    EXPECT_EQ(h.packs(), 1u);
    EXPECT_LT(report.bytes_after, report.bytes_before / 4);
    h.expect_same();
    h.world.open();  // without what the engine remembers
    h.expect_same();
    h.world.put(h.repo, "dev", "later", "1");
    h.remember(h.world.commit(h.repo, "dev"));
    EXPECT_EQ(must(h.world.engine->fold_packs(h.world.ctx, h.repo)).packs_after, 1u) << "with what was folded before";
    EXPECT_EQ(must(h.world.engine->fold_packs(h.world.ctx, h.repo)).packs_before, 1u);
    h.expect_same();
  }
}

TEST(FoldingPacks, HappensByItself) {
  World world(Backend::kMemory);
  base::InlineExecutor at_once;
  Engine::Options options;
  options.background = &at_once;
  options.fold_from = 16;
  world.engine.reset();
  world.engine = must(Engine::open(*world.kv, *world.blocks, world.clock, world.random, options));
  const Repository repo = world.repository();
  for (int i = 0; i < 40; ++i) {
    world.put(repo, "main", std::to_string(i), "1");
    world.commit(repo, "main");
  }
  uint64_t packs = 0;
  must(world.blocks->list(world.ctx, "data/packs/", [&](const block::Name&, const block::Info&) -> Result<void> {
    ++packs;
    return {};
  }));
  EXPECT_LT(packs, 20u);
  world.open();
  EXPECT_EQ(world.content(repo, "main").size(), 40u);
}

TEST(FoldingPacks, GoesOnBesideCommitsAndReads) {
  History h(Backend::kMemory, 20);
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    for (int i = 0; i < 60; ++i) {
      must(h.world.engine->stage(h.world.ctx, h.repo, "dev", "w/" + std::to_string(i), entry_of("x")));
      CommitSpec spec;
      spec.committer = spec.message = "w";
      must(h.world.engine->commit(h.world.ctx, h.repo, "dev", spec));
    }
    stop = true;
  });
  std::thread reader([&] {
    while (!stop)
      for (const auto& [id, content] : h.shown) ASSERT_TRUE(h.world.content(h.repo, id) == content);
  });
  while (!stop) must(h.world.engine->fold_packs(h.world.ctx, h.repo));
  writer.join();
  reader.join();
  must(h.world.engine->fold_packs(h.world.ctx, h.repo));
  EXPECT_EQ(must(h.world.engine->list(h.world.ctx, h.repo, must(h.world.engine->resolve(h.world.ctx, h.repo, "dev")),
                                      {.prefix = "w/"}))
                .items.size(),
            60u);
  h.expect_same();
}

TEST(FoldingPacks, LeavesNothingOfADeletedRepository) {
  History h(Backend::kMemory, 10);
  must(h.world.engine->fold_packs(h.world.ctx, h.repo));
  must(h.world.engine->delete_repository(h.world.ctx, "data"));
  EXPECT_EQ(h.world.engine->fold_packs(h.world.ctx, h.repo).error().code(), Code::kNotFound);
  const auto rows = h.world.kv->scan(h.world.ctx, "v/f/");
  EXPECT_FALSE(must(rows->next()));
}

// What the killed process runs; kill points are read once a process.
TEST(FoldingKills, DISABLED_Victim) {
  const char* folder = std::getenv("TARN_TEST_FOLDER");
  if (folder == nullptr) GTEST_SKIP() << "started by EveryDeathIsFinishedByTheNext";
  const auto kv = must(kv::open_rocks_store(std::string(folder) + "/kv"));
  const auto blocks = must(block::open_local_store(base::system_disk(), std::string(folder) + "/blocks"));
  base::SeededRandom random(5);
  const auto engine = must(Engine::open(*kv, *blocks, base::system_clock(), random, {}));
  (void)engine->fold_packs({}, must(engine->get_repository({}, "data")));
}

TEST(FoldingKills, EveryDeathIsFinishedByTheNext) {
  for (const char* point :
       {"tree.fold.before_write", "tree.fold.after_write", "versioning.fold.relocated", "versioning.fold.removed"}) {
    SCOPED_TRACE(point);
    History h(Backend::kDisk, 12);
    h.world.engine.reset();
    h.world.kv.reset();
    h.world.blocks.reset();
    const std::string folder = h.world.folder->path();
    ASSERT_EQ(base::testing::run_victim("FoldingKills.DISABLED_Victim", point, {{"TARN_TEST_FOLDER", folder}}),
              base::testing::kKilled)
        << "the point was not reached";
    h.world.kv = must(kv::open_rocks_store(folder + "/kv"));
    h.world.blocks = must(block::open_local_store(base::system_disk(), folder + "/blocks"));
    h.world.open();
    h.expect_same();
    must(h.world.engine->fold_packs(h.world.ctx, h.repo));
    EXPECT_EQ(h.packs(), 1u) << "nothing is folded twice";
    h.expect_same();
  }
}

}  // namespace
}  // namespace tarn::versioning
