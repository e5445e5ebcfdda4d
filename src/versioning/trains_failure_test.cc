// Goal: whatever fails in a train of several: who is told so has landed, who is told no has not, and each landed commit
// is in the first-parent chain once; a death at any stage leaves nothing or all of the train.
#include <gtest/gtest.h>

#include <cstdlib>

#include "base/testing/victim.h"
#include "kv/testing/faulty_store.h"
#include "versioning/detail/engine_impl.h"
#include "versioning/testing/gated_blocks.h"
#include "versioning/testing/world.h"

namespace tarn::versioning {
namespace {

using kv::testing::FaultyStore;
using testing::entry_of;
using testing::GatedBlocks;
using testing::must;

constexpr int kRiders = 5;  // the first lands alone, the others behind it together

std::string branch_of(int i) { return "b" + std::to_string(i); }
std::string path_of(int i) { return "p" + std::to_string(i); }

class Approves final : public LandingPolicy {
 public:
  Result<void> review(const Context&, const Repository&, const Candidate&, const Pass*) override { return {}; }
  Result<void> admit_write(const Context&, const Repository&, std::string_view) override { return {}; }
};

void prepare(Engine& engine) {
  const Context ctx;
  RepositoryCreation creation;
  creation.name = "data";
  creation.storage_namespace = "local://data";
  const Repository repo = must(engine.create_repository(ctx, creation));
  for (int i = 0; i < kRiders; ++i) {
    must(engine.create_branch(ctx, repo, branch_of(i), "main"));
    must(engine.stage(ctx, repo, branch_of(i), path_of(i), entry_of("x")));
    CommitSpec spec;
    spec.message = branch_of(i);
    must(engine.commit(ctx, repo, branch_of(i), spec));
  }
}

/// Merges all branches, the second to the last in one train. @param arm  runs when all wait.
std::vector<Result<Engine::MergeResult>> merge_together(Engine& engine, GatedBlocks& blocks,
                                                        std::function<void()> arm) {
  const Context ctx;
  const Repository repo = must(engine.get_repository(ctx, "data"));
  auto& impl = static_cast<detail::EngineImpl&>(engine);
  std::vector<Result<Engine::MergeResult>> results(kRiders, Engine::MergeResult{});
  const auto merge = [&](int i) {
    return [&, i] { results[static_cast<size_t>(i)] = engine.merge(ctx, repo, branch_of(i), "main", {}); };
  };
  blocks.before_opening = std::move(arm);
  blocks.close();
  {
    std::vector<base::Thread> threads;
    threads.emplace_back(merge(0));
    blocks.wait_for_arrival();
    for (int i = 1; i < kRiders; ++i) {
      threads.emplace_back(merge(i));
      while (impl.waiting_to_land(repo, "main") < static_cast<size_t>(i) + 1) base::system_clock().sleep_ms(1);
    }
    blocks.open_gate();
  }
  return results;
}

/// What a fresh engine sees: one object a landed merge, each merge once in the chain.
std::set<std::string> landed_in(kv::Store& kv, block::Store& blocks) {
  const Context ctx;
  const auto engine = must(Engine::open(kv, blocks, base::system_clock(), base::system_random(), {.fold_from = 0}));
  const Repository repo = must(engine->get_repository(ctx, "data"));
  std::set<std::string> paths;
  for (const Listed& item : must(engine->list(ctx, repo, must(engine->resolve(ctx, repo, "main")), {})).items)
    paths.insert(item.path);
  LogQuery query;
  query.first_parent = true;
  const auto chain = must(engine->log(ctx, repo, "main", query)).items;
  EXPECT_EQ(chain.size(), paths.size() + 1);
  std::set<std::string> added;
  for (size_t i = 0; i + 1 < chain.size(); ++i) {
    const auto changes = must(engine->changes(ctx, repo, chain[i + 1], repo, chain[i], ""));
    EXPECT_EQ(changes.size(), 1u);
    for (const auto& change : changes) EXPECT_TRUE(added.insert(change.key).second) << change.key;
  }
  EXPECT_EQ(added, paths);
  return paths;
}

void fail_each(const std::function<void(FaultyStore&, GatedBlocks&, int)>& arm, bool unknown, bool reviewed) {
  for (int n = 1; n < 200; ++n) {
    SCOPED_TRACE("failure " + std::to_string(n) + (reviewed ? ", reviewed" : ""));
    const auto kv = kv::make_memory_store();
    const auto memory = block::make_memory_store();
    FaultyStore faulty(*kv);
    GatedBlocks blocks(*memory);
    Approves policy;
    const auto engine =
        must(Engine::open(faulty, blocks, base::system_clock(), base::system_random(), {.fold_from = 0}));
    prepare(*engine);
    if (reviewed) engine->set_policy(&policy);
    const auto results = merge_together(*engine, blocks, [&] { arm(faulty, blocks, n); });
    arm(faulty, blocks, 0);
    const auto landed = landed_in(*kv, *memory);
    bool all = true;
    std::set<std::string> unknowns;
    for (int i = 0; i < kRiders; ++i) {
      const auto& result = results[static_cast<size_t>(i)];
      if (result) {
        EXPECT_TRUE(result->landed.has_value());
        EXPECT_TRUE(landed.contains(path_of(i))) << "acknowledged and not there: " << i;
        continue;
      }
      all = false;
      if (result.error().code() == Code::kUnknownOutcome) {
        EXPECT_TRUE(unknown) << result.error().text();
        continue;
      }
      EXPECT_FALSE(landed.contains(path_of(i))) << "refused and there: " << i << " " << result.error().text();
    }
    engine->set_policy(nullptr);
    if (all) {
      EXPECT_GT(n, 1) << "nothing was made to fail";
      return;
    }
    // Whoever did not land can be landed now, by the same engine.
    const Context ctx;
    const Repository repo = must(engine->get_repository(ctx, "data"));
    for (int i = 0; i < kRiders; ++i)
      if (!landed.contains(path_of(i))) must(engine->merge(ctx, repo, branch_of(i), "main", {}));
    EXPECT_EQ(landed_in(*kv, *memory).size(), static_cast<size_t>(kRiders));
    if (::testing::Test::HasFailure()) return;
  }
  FAIL() << "it never passed";
}

TEST(TrainFailures, AFailedReadTellsTheTruth) {
  for (const bool reviewed : {false, true}) {
    fail_each([](FaultyStore& kv, GatedBlocks&, int n) { kv.fail_get(n); }, false, reviewed);
  }
}
TEST(TrainFailures, AFailedWriteTellsTheTruth) {
  for (const bool reviewed : {false, true})
    fail_each([](FaultyStore& kv, GatedBlocks&, int n) { kv.fail_apply(n, FaultyStore::ApplyFault::kNotApplied); },
              false, reviewed);
}
TEST(TrainFailures, AnUnknownWriteIsAllOrNothing) {
  for (const auto fault : {FaultyStore::ApplyFault::kUnknownApplied, FaultyStore::ApplyFault::kUnknownLost})
    for (const bool reviewed : {false, true})
      fail_each([fault](FaultyStore& kv, GatedBlocks&, int n) { kv.fail_apply(n, fault); }, true, reviewed);
}
TEST(TrainFailures, AFailedPackLandsNobody) {
  for (const bool lost : {true, false})
    fail_each(
        [lost](FaultyStore&, GatedBlocks& blocks, int n) {
          blocks.lost = lost;
          blocks.fail_put = n;
        },
        true, false);
}

void with_engine(const std::string& folder, const std::function<void(Engine&, GatedBlocks&)>& use) {
  const auto kv = must(kv::open_rocks_store(folder + "/kv"));
  const auto local = must(block::open_local_store(base::system_disk(), folder + "/blocks"));
  GatedBlocks blocks(*local);
  const auto engine = must(Engine::open(*kv, blocks, base::system_clock(), base::system_random(), {.fold_from = 0}));
  use(*engine, blocks);
}

// What the killed process runs; the test below starts it.
TEST(TrainKills, DISABLED_Victim) {
  const char* folder = std::getenv("TARN_TEST_FOLDER");
  if (!folder) GTEST_SKIP() << "started by ADeathLeavesNothingOrAllOfATrain";
  Approves policy;
  with_engine(folder, [&](Engine& engine, GatedBlocks& blocks) {
    if (std::getenv("TARN_TEST_REVIEWED")) engine.set_policy(&policy);
    (void)merge_together(engine, blocks, [] {});
    engine.set_policy(nullptr);
  });
}

TEST(TrainKills, ADeathLeavesNothingOrAllOfATrain) {
  struct Death {
    std::string point;
    size_t objects;
    bool reviewed = false;
  };
  for (const Death& death : std::vector<Death>{{"versioning.read_head:2", 1},
                                               {"versioning.build_tree:3", 1},
                                               {"versioning.build_tree:5", 1},
                                               {"versioning.write_pack:2", 1},
                                               {"tree.pack.after_write:2", 1},
                                               {"versioning.run_gate:2", 1},
                                               {"versioning.run_gate:2", 1, true},
                                               {"versioning.move_head:2", 1},
                                               {"versioning.move_head:2", 1, true},
                                               {"kv.before_write:2", 1},
                                               {"kv.after_write:2", kRiders},
                                               {"versioning.after:2", kRiders}}) {
    SCOPED_TRACE(death.point);
    base::testing::ScratchFolder folder;
    must(base::system_disk().make_directories(folder.path() + "/blocks"));
    with_engine(folder.path(), [](Engine& engine, GatedBlocks&) { prepare(engine); });
    std::map<std::string, std::string> more{{"TARN_TEST_FOLDER", folder.path()}};
    if (death.reviewed) more["TARN_TEST_REVIEWED"] = "1";
    EXPECT_EQ(base::testing::run_victim("TrainKills.DISABLED_Victim", death.point, more), 137) << "not reached";
    const auto kv = must(kv::open_rocks_store(folder.path() + "/kv"));
    const auto blocks = must(block::open_local_store(base::system_disk(), folder.path() + "/blocks"));
    EXPECT_EQ(landed_in(*kv, *blocks).size(), death.objects);
    const auto engine = must(Engine::open(*kv, *blocks, base::system_clock(), base::system_random(), {.fold_from = 0}));
    const Context ctx;
    const Repository repo = must(engine->get_repository(ctx, "data"));
    for (int i = static_cast<int>(death.objects); i < kRiders; ++i)
      must(engine->merge(ctx, repo, branch_of(i), "main", {}));
    EXPECT_EQ(landed_in(*kv, *blocks).size(), static_cast<size_t>(kRiders));
  }
}

}  // namespace
}  // namespace tarn::versioning
