// Goal: whatever fails, wherever: a definite failure has no effect, an unknown one is all or nothing, and no error is
// read as the end of data (promises G5, G7, G19).
// Method: every operation with the n-th kv read, row, write or object write failing, n = 1, 2, 3 … until it succeeds;
// and a process killed at every named stage.
#include <gtest/gtest.h>

#include <cstdlib>
#include <functional>
#include <utility>

#include "base/testing/victim.h"
#include "kv/testing/faulty_store.h"
#include "versioning/testing/faulty_blocks.h"
#include "versioning/testing/world.h"

namespace tarn::versioning {
namespace {

using kv::testing::FaultyStore;
using testing::Backend;
using testing::entry_of;
using testing::FaultyBlocks;
using testing::must;
using testing::World;
using Content = std::map<std::string, std::string>;

/// A repository with a branch to merge and something staged, behind stores that fail.
struct Broken {
  Broken() : world(Backend::kMemory), kv(*world.kv), blocks(*world.blocks), repo(world.repository()) {
    for (int i = 0; i < 5; ++i) world.put(repo, "main", "base/" + std::to_string(i), "1");
    world.commit(repo, "main");
    must(world.engine->create_branch(ctx, repo, "dev", "main"));
    world.put(repo, "dev", "merged", "1");
    world.commit(repo, "dev");
    must(world.engine->create_branch(ctx, repo, "work", "main"));
    for (int i = 0; i < 3; ++i) world.put(repo, "work", "staged/" + std::to_string(i), "1");
    Engine::Options options;
    options.fold_from = 0;  // a fold in the background would meet the faults that are meant for the operation
    engine = must(Engine::open(kv, blocks, world.clock, world.random, options));
  }
  World world;
  FaultyStore kv;
  FaultyBlocks blocks;
  Repository repo;
  std::unique_ptr<Engine> engine;
  Context ctx;
};

struct Operation {
  std::string name, branch;
  std::function<Result<void>(Broken&)> run;
};

std::vector<Operation> operations() {
  const auto drop = [](const auto& r) -> Result<void> {
    if (!r) return r.error();
    return {};
  };
  const auto spec = [] {
    CommitSpec s;
    s.message = "m";
    return s;
  };
  return {
      {"commit", "work", [=](Broken& b) { return drop(b.engine->commit(b.ctx, b.repo, "work", spec())); }},
      {"merge", "main", [=](Broken& b) { return drop(b.engine->merge(b.ctx, b.repo, "dev", "main", {})); }},
      {"revert", "main", [=](Broken& b) { return drop(b.engine->revert(b.ctx, b.repo, "main", "main", 0, {})); }},
      {"hard reset", "main", [](Broken& b) { return b.engine->hard_reset(b.ctx, b.repo, "main", "dev"); }},
      {"stage", "work", [](Broken& b) { return b.engine->stage(b.ctx, b.repo, "work", "x", entry_of("1")); }},
      {"conditional stage", "work",
       [](Broken& b) {
         return b.engine->stage(b.ctx, b.repo, "work", "x", entry_of("1"), {Expect::Kind::kAbsent, ""});
       }},
      {"reset prefix", "work", [](Broken& b) { return b.engine->reset(b.ctx, b.repo, "work", "staged/", true); }},
      {"reset all", "work", [](Broken& b) { return b.engine->reset(b.ctx, b.repo, "work", "", true); }},
  };
}

/// Runs the operation with the n-th thing failing until it passes; what a reader sees is the state before or after.
void fail_each(const Operation& operation, const std::function<void(Broken&, int)>& arm, bool unknown) {
  Content after, head_after;
  {
    Broken whole;
    must(operation.run(whole));
    after = whole.world.content(whole.repo, operation.branch);
    head_after = whole.world.content(whole.repo, operation.branch + "@");
  }
  for (int n = 1; n < 200; ++n) {
    SCOPED_TRACE(operation.name + ", failure " + std::to_string(n));
    Broken broken;
    const Content before = broken.world.content(broken.repo, operation.branch);
    const Content head_before = broken.world.content(broken.repo, operation.branch + "@");
    arm(broken, n);
    const auto done = operation.run(broken);
    const Content now = broken.world.content(broken.repo, operation.branch);
    const Content head_now = broken.world.content(broken.repo, operation.branch + "@");
    if (done) {
      EXPECT_EQ(now, after);
      EXPECT_EQ(head_now, head_after);
      return;
    }
    if (done.error().outcome() == base::Outcome::kNotApplied) {
      EXPECT_EQ(now, before) << done.error().text();
      EXPECT_EQ(head_now, head_before) << done.error().text();
    } else {
      EXPECT_TRUE(unknown);
      EXPECT_TRUE((now == before && head_now == head_before) || (now == after && head_now == head_after));
    }
    // Nothing leaks: the same operation works afterwards, or was done already.
    arm(broken, 0);
    if (now == before && head_now == head_before) {
      must(operation.run(broken));
      EXPECT_EQ(broken.world.content(broken.repo, operation.branch), after);
    }
    if (::testing::Test::HasFailure()) return;
  }
  FAIL() << operation.name << " never passed";
}

TEST(EngineFailures, AFailedReadHasNoEffect) {
  for (const Operation& o : operations())
    fail_each(
        o, [](Broken& b, int n) { b.kv.fail_get(n); }, false);
}
TEST(EngineFailures, AFailedRowIsNeverTheEndOfTheRows) {
  for (const Operation& o : operations())
    fail_each(
        o, [](Broken& b, int n) { b.kv.fail_row(n); }, false);
}
TEST(EngineFailures, AFailedWriteHasNoEffect) {
  for (const Operation& o : operations())
    fail_each(
        o, [](Broken& b, int n) { b.kv.fail_apply(n, FaultyStore::ApplyFault::kNotApplied); }, false);
}
TEST(EngineFailures, AnUnknownWriteIsAllOrNothing) {
  for (const auto fault : {FaultyStore::ApplyFault::kUnknownApplied, FaultyStore::ApplyFault::kUnknownLost})
    for (const Operation& o : operations())
      fail_each(
          o, [=](Broken& b, int n) { b.kv.fail_apply(n, fault); }, true);
}
TEST(EngineFailures, AFailedPackHasNoEffect) {
  for (const bool lost : {true, false})
    for (const Operation& o : operations())
      fail_each(
          o,
          [=](Broken& b, int n) {
            b.blocks.fail_put = n;
            b.blocks.lost = lost;
          },
          true);
}

TEST(EngineFailures, AListingIsCompleteOrAnError) {
  Broken broken;
  const Content whole = broken.world.content(broken.repo, "work");
  for (int n = 1;; ++n) {
    ASSERT_LT(n, 50);
    broken.kv.fail_row(n);
    const Resolved at = must(broken.world.engine->resolve(broken.ctx, broken.repo, "work"));
    const auto page = broken.engine->list(broken.ctx, broken.repo, at, {});
    broken.kv.fail_row(0);
    if (!page) continue;
    EXPECT_EQ(page->items.size(), whole.size());
    EXPECT_GT(n, 3);
    return;
  }
}

TEST(EngineFailures, AThousandFailedCommitsLeaveNoResidue) {
  Broken broken;
  const auto rows = [&] {
    int count = 0;
    const auto scan = broken.world.kv->scan(broken.ctx, "v/");
    while (must(scan->next())) ++count;
    return count;
  };
  const int before = rows();
  for (int i = 0; i < 1000; ++i) {
    broken.kv.fail_apply(1, FaultyStore::ApplyFault::kNotApplied);
    CommitSpec spec;
    spec.message = "m";
    ASSERT_FALSE(broken.engine->commit(broken.ctx, broken.repo, "work", spec));
  }
  EXPECT_EQ(rows(), before);
}

/// The stores of a folder, as a process of its own opens them.
void with_engine(const std::string& folder, const std::function<void(Engine&)>& use) {
  const auto kv = must(kv::open_rocks_store(folder + "/kv"));
  const auto blocks = must(block::open_local_store(base::system_disk(), folder + "/blocks"));
  const auto engine = must(Engine::open(*kv, *blocks, base::system_clock(), base::system_random(), {}));
  use(*engine);
}

Result<void> act(Engine& engine, const std::string& operation) {
  const Context ctx;
  TRY_LET(const Repository repo, engine.get_repository(ctx, "data"));
  if (operation == "merge") {
    TRY_LET(const auto merged, engine.merge(ctx, repo, "dev", "main", {}));
    return merged.landed ? Result<void>() : Result<void>(Error(Code::kMergeConflict, "merge", "conflicts"));
  }
  CommitSpec spec;
  spec.message = "m";
  TRY(engine.commit(ctx, repo, "main", spec));
  return {};
}

/// Lets something happen right before the next apply.
class Interrupted final : public kv::Store {
 public:
  explicit Interrupted(kv::Store& inner) : inner_(inner) {}
  std::function<void()> before;

  Result<std::optional<kv::Row>> get(const Context& ctx, std::string_view key) override { return inner_.get(ctx, key); }
  std::unique_ptr<kv::Iterator> scan(const Context& ctx, std::string_view prefix, std::string_view from) override {
    return inner_.scan(ctx, prefix, from);
  }
  Result<std::unique_ptr<kv::View>> view(const Context& ctx) override { return inner_.view(ctx); }
  Result<kv::Sequence> apply(const Context& ctx, const kv::Batch& batch) override {
    if (const auto act = std::exchange(before, nullptr)) act();
    return inner_.apply(ctx, batch);
  }

 private:
  kv::Store& inner_;
};

// Goal: a reset is one moment. What a list showed before the reset took effect is gone with it, the newest write, too.
TEST(EngineReset, TakesWhatIsWrittenWhileItIsUnderWay) {
  for (const std::string prefix : {"", "p/"}) {
    World world(Backend::kMemory);
    const Repository repo = world.repository();
    Interrupted kv(*world.kv);
    auto engine = must(Engine::open(kv, *world.blocks, world.clock, world.random, {}));
    world.put(repo, "main", "p/a", "1");
    kv.before = [&] {
      world.put(repo, "main", "p/b", "2");
      EXPECT_EQ(world.content(repo, "main").size(), 2u);
    };
    must(engine->reset(world.ctx, repo, "main", prefix, true));
    EXPECT_TRUE(world.content(repo, "main").empty());
  }
}

// What the killed process runs; the test below starts it, since kill points are read once a process.
TEST(EngineKills, DISABLED_Victim) {
  const char* folder = std::getenv("TARN_TEST_FOLDER");
  const char* operation = std::getenv("TARN_TEST_OPERATION");
  if (!folder || !operation) GTEST_SKIP() << "started by EveryStageLeavesBeforeOrAfter";
  with_engine(folder, [&](Engine& engine) { (void)act(engine, operation); });
}

int run_victim(const std::string& folder, const std::string& operation, Stage stage) {
  return base::testing::run_victim("EngineKills.DISABLED_Victim", "versioning." + std::string(name_of(stage)),
                                   {{"TARN_TEST_FOLDER", folder}, {"TARN_TEST_OPERATION", operation}});
}

// After a death at any stage everything is as before or as after, and the operation works.
TEST(EngineKills, EveryStageLeavesBeforeOrAfter) {
  const Context ctx;
  for (const std::string operation : {"commit", "merge"}) {
    for (const Stage stage : {Stage::kReadHead, Stage::kSnapshotStaging, Stage::kBuildTree, Stage::kWritePack,
                              Stage::kRunGate, Stage::kMoveHead, Stage::kAfter}) {
      if (operation == "merge" && stage == Stage::kSnapshotStaging) continue;
      SCOPED_TRACE(operation + " killed at " + std::string(name_of(stage)));
      base::testing::ScratchFolder folder;
      must(base::system_disk().make_directories(folder.path() + "/blocks"));
      const auto count = [&](Engine& engine) {
        const Repository repo = must(engine.get_repository(ctx, "data"));
        return must(engine.list(ctx, repo, must(engine.resolve(ctx, repo, "main@")), {})).items.size();
      };
      with_engine(folder.path(), [&](Engine& engine) {
        RepositoryCreation creation;
        creation.name = "data";
        creation.storage_namespace = "local://data";
        const Repository repo = must(engine.create_repository(ctx, creation));
        const std::string branch = operation == "merge" ? "dev" : "main";
        if (branch == "dev") must(engine.create_branch(ctx, repo, "dev", "main"));
        must(engine.stage(ctx, repo, branch, "x", entry_of("1")));
        CommitSpec spec;
        spec.message = "first";
        if (branch == "dev") must(engine.commit(ctx, repo, branch, spec));
        EXPECT_EQ(count(engine), 0u);
      });
      EXPECT_EQ(run_victim(folder.path(), operation, stage), 137) << "the stage was not reached";
      with_engine(folder.path(), [&](Engine& engine) {
        EXPECT_EQ(count(engine), stage == Stage::kAfter ? 1u : 0u);
        if (count(engine) == 0) must(act(engine, operation));
        EXPECT_EQ(count(engine), 1u);
        EXPECT_FALSE(must(engine.is_dirty(ctx, must(engine.get_repository(ctx, "data")), "main")));
      });
    }
  }
}

}  // namespace
}  // namespace tarn::versioning
