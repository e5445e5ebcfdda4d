// Goal: what lands together is what would have landed one after the other; who fails harms nobody (promises G1, G5,
// G22). Method: the first landing is held inside its pack's write until all the others wait, so that they ride
// together.
#include <gtest/gtest.h>

#include <atomic>

#include "base/metrics.h"
#include "base/mutex.h"
#include "versioning/detail/engine_impl.h"
#include "versioning/testing/gated_blocks.h"
#include "versioning/testing/world.h"

namespace tarn::versioning {
namespace {

using testing::Backend;
using testing::entry_of;
using testing::GatedBlocks;
using testing::must;
using testing::World;
using Content = std::map<std::string, std::string>;

class Trains : public ::testing::Test {
 protected:
  Trains() : world(Backend::kMemory), blocks(*world.blocks), repo(world.repository()) {
    engine = must(Engine::open(*world.kv, blocks, world.clock, world.random, {}));
    world.put(repo, "main", "base", "1");
    world.commit(repo, "main");
  }
  /// A branch off main's head with one object.
  void branch(const std::string& name, const std::string& path, std::string_view content) {
    must(engine->create_branch(ctx, repo, name, "main"));
    world.put(repo, name, path, content);
    world.commit(repo, name);
  }
  /// Runs the first landing up to its pack's write, then starts the others in their order; lets all go when they wait.
  void together(std::vector<std::function<void()>> landings) {
    blocks.close();
    std::vector<base::Thread> threads;
    threads.emplace_back(landings[0]);
    blocks.wait_for_arrival();
    for (size_t i = 1; i < landings.size(); ++i) {
      threads.emplace_back(landings[i]);
      while (waiting() < i + 1) base::system_clock().sleep_ms(1);
    }
    blocks.open_gate();
  }
  size_t waiting() { return static_cast<detail::EngineImpl&>(*engine).waiting_to_land(repo, "main"); }
  CommitId head() { return must(engine->get_branch(ctx, repo, "main")).head; }
  /// Messages by first parents, newest first, down to the repository's first commit.
  std::vector<std::string> messages() {
    std::vector<std::string> out;
    LogQuery query;
    query.amount = 1000;
    query.first_parent = true;
    for (const Commit& commit : must(engine->log(ctx, repo, "main", query)).items) out.push_back(commit.message);
    return out;
  }
  static MergeSpec named(std::string message) {
    MergeSpec spec;
    spec.commit.message = std::move(message);
    return spec;
  }
  static int64_t trains() { return base::metrics().counter("tarn_landing_trains_total").value(); }

  World world;
  GatedBlocks blocks;
  Repository repo;
  std::unique_ptr<Engine> engine;
  Context ctx;
};

TEST_F(Trains, AChainIsWhatOneAfterTheOtherWouldBe) {
  constexpr int kBranches = 12;
  for (int i = 0; i < kBranches; ++i) branch("b" + std::to_string(i), "p" + std::to_string(i), "x");
  const int64_t before = trains();
  std::vector<std::function<void()>> landings;
  std::vector<Commit> landed(kBranches);
  for (int i = 0; i < kBranches; ++i)
    landings.emplace_back([&, i] {
      const std::string name = "b" + std::to_string(i);
      landed[static_cast<size_t>(i)] = *must(engine->merge(ctx, repo, name, "main", named(name))).landed;
    });
  together(landings);
  EXPECT_EQ(trains() - before, 2) << "one alone, eleven together";
  CommitId below = must(engine->resolve(ctx, repo, "b0~1")).commit.id;
  std::vector<tree::Edit> all;
  for (int i = 0; i < kBranches; ++i) {
    const Commit commit = must(engine->get_commit(ctx, repo, landed[static_cast<size_t>(i)].id));
    EXPECT_EQ(commit.parents[0], below) << i;
    EXPECT_EQ(commit.parents[1], must(engine->resolve(ctx, repo, "b" + std::to_string(i))).commit.id);
    const Commit parent = must(engine->get_commit(ctx, repo, below));
    const auto changes = must(engine->changes(ctx, repo, parent, repo, commit, ""));
    ASSERT_EQ(changes.size(), 1u);
    EXPECT_EQ(changes[0].key, "p" + std::to_string(i));
    EXPECT_EQ(must(engine->merge_base(ctx, repo, commit.parents[1], commit.id)), commit.parents[1]);
    below = commit.id;
    all.push_back({"p" + std::to_string(i), entry_of("x")});
  }
  EXPECT_EQ(head(), below);
  // The same root as one commit of all of it.
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.key < b.key; });
  must(engine->create_branch(ctx, repo, "at-once", "b0~1"));
  must(engine->stage_many(ctx, repo, "at-once", all));
  CommitSpec spec;
  spec.message = "at once";
  EXPECT_EQ(must(engine->commit(ctx, repo, "at-once", spec)).root.id,
            must(engine->resolve(ctx, repo, "main")).commit.root.id);
  // A second engine reads everything from the stores.
  world.open();
  EXPECT_EQ(world.content(repo, "main").size(), static_cast<size_t>(kBranches + 1));
}

TEST_F(Trains, WhoFailsInTheMiddleHarmsNobody) {
  branch("first", "f", "1");
  branch("left", "same", "1");
  branch("right", "same", "2");
  branch("last", "l", "1");
  must(engine->create_branch(ctx, repo, "nothing", "main"));
  std::atomic<int> conflicts{0}, nothing{0}, landed{0};
  const auto merge = [&](const std::string& name) {
    return [&, name] {
      const auto merged = engine->merge(ctx, repo, name, "main", named(name));
      if (!merged) {
        EXPECT_EQ(merged.error().subject(), "commit") << merged.error().text();
        ++nothing;
      } else if (!merged->landed) {
        EXPECT_EQ(merged->conflicts.size(), 1u);
        EXPECT_EQ(merged->conflicts[0].key, "same");
        ++conflicts;
      } else {
        ++landed;
      }
    };
  };
  const auto revert = [&] {
    CommitSpec spec;
    spec.message = "undo left";
    const auto reverted = engine->revert(ctx, repo, "main", "left", 0, spec);
    ASSERT_TRUE(reverted) << reverted.error().text();
    ++landed;
  };
  together({merge("first"), merge("left"), merge("right"), merge("nothing"), merge("left"), revert, merge("last")});
  EXPECT_EQ(conflicts, 1);
  EXPECT_EQ(nothing, 2) << "a branch without changes, and one that its predecessor in the train has merged";
  EXPECT_EQ(landed, 4);
  EXPECT_EQ(messages(),
            (std::vector<std::string>{"last", "undo left", "left", "first", "change", "Repository created"}));
  const Content content = world.content(repo, "main");
  EXPECT_FALSE(content.contains("same"));
  EXPECT_TRUE(content.contains("f") && content.contains("l") && content.contains("base"));
}

// A branch of a branch: what its predecessor in the train brings in is the base, so only its own change is merged.
TEST_F(Trains, TheBaseIsLookedForInTheTrainToo) {
  branch("first", "f", "1");
  branch("outer", "shared", "1");
  must(engine->create_branch(ctx, repo, "inner", "outer"));
  world.put(repo, "inner", "shared", "2");
  world.commit(repo, "inner");
  std::vector<tree::Conflict> conflicts;
  together({[&] { must(engine->merge(ctx, repo, "first", "main", named("first"))); },
            [&] { must(engine->merge(ctx, repo, "outer", "main", named("outer"))); },
            [&] { conflicts = must(engine->merge(ctx, repo, "inner", "main", named("inner"))).conflicts; }});
  EXPECT_TRUE(conflicts.empty());
  EXPECT_EQ(world.content(repo, "main").at("shared"), entry_of("2").etag.text());
}

/// Refuses one commit by its message; what it reviews must be readable and come in order.
class Reviews final : public LandingPolicy {
 public:
  Reviews(Engine& engine, std::string refused) : engine_(engine), refused_(std::move(refused)) {}
  Result<void> review(const Context& ctx, const Repository& repository, const Candidate& candidate,
                      const Pass*) override {
    ++reviews;
    TRY(engine_.get_commit(ctx, repository, candidate.commit.id));
    TRY(engine_.get_commit(ctx, repository, candidate.base_head));
    if (candidate.commit.message == refused_) return Error(Code::kRefused, "gate", "no");
    if (clock) clock->advance(slow_ms);
    return {};
  }
  Result<bool> concerns(const Context&, const Repository&, std::string_view branch) override {
    ++asked;
    return branch == "main" && concerned;
  }
  Result<void> admit_write(const Context&, const Repository&, std::string_view) override { return {}; }
  std::atomic<int> reviews{0}, asked{0};
  std::atomic<bool> concerned{true};
  base::FakeClock* clock = nullptr;
  int64_t slow_ms = 0;

 private:
  Engine& engine_;
  const std::string refused_;
};

TEST_F(Trains, WhoIsRefusedIsLeftOut) {
  for (int i = 0; i < 5; ++i) branch("b" + std::to_string(i), "p" + std::to_string(i), "x");
  Reviews policy(*engine, "b2");
  engine->set_policy(&policy);
  std::vector<std::function<void()>> landings;
  for (int i = 0; i < 5; ++i)
    landings.emplace_back([&, i] {
      const std::string name = "b" + std::to_string(i);
      const auto merged = engine->merge(ctx, repo, name, "main", named(name));
      EXPECT_EQ(merged.ok(), i != 2);
      if (!merged) {
        EXPECT_EQ(merged.error().code(), Code::kRefused);
      }
    });
  together(landings);
  engine->set_policy(nullptr);
  EXPECT_EQ(messages(), (std::vector<std::string>{"b4", "b3", "b1", "b0", "change", "Repository created"}));
  EXPECT_FALSE(world.content(repo, "main").contains("p2"));
  EXPECT_EQ(policy.reviews, 5) << "nobody is reviewed twice: who was behind the refused one was not reviewed yet";
}

TEST_F(Trains, SlowReviewsHoldNobodyThatIsApproved) {
  for (int i = 0; i < 6; ++i) branch("b" + std::to_string(i), "p" + std::to_string(i), "x");
  Reviews policy(*engine, "");
  policy.clock = &world.clock;
  policy.slow_ms = 40;
  engine->set_policy(&policy);
  const int64_t before = trains();
  std::vector<std::function<void()>> landings;
  for (int i = 0; i < 6; ++i)
    landings.emplace_back([&, i] { must(engine->merge(ctx, repo, "b" + std::to_string(i), "main", {})); });
  together(landings);
  engine->set_policy(nullptr);
  EXPECT_GE(trains() - before, 3);
  EXPECT_EQ(policy.reviews, 6);
  EXPECT_EQ(world.content(repo, "main").size(), 7u);
}

TEST_F(Trains, ABranchThatConcernsNobodyIsNotReviewed) {
  branch("dev", "p", "x");
  Reviews policy(*engine, "");
  policy.concerned = false;
  engine->set_policy(&policy);
  const int writes = blocks.puts();
  must(engine->merge(ctx, repo, "dev", "main", {}));
  EXPECT_EQ(policy.reviews, 0);
  EXPECT_EQ(policy.asked, 1);
  EXPECT_EQ(blocks.puts() - writes, 1);
  engine->set_policy(nullptr);
}

// Somebody lands around the queue while a train writes its pack: everybody is made again on the new head.
TEST_F(Trains, ALostHeadIsMadeAgain) {
  for (int i = 0; i < 3; ++i) branch("b" + std::to_string(i), "p" + std::to_string(i), "x");
  CommitSpec spec;
  spec.message = "import";
  const tree::Edit edit{"imported", entry_of("i")};
  Candidate import = must(engine->prepare_edits(ctx, repo, "main", {&edit, 1}, spec, LandingKind::kImport));
  std::vector<std::function<void()>> landings;
  for (int i = 0; i < 3; ++i)
    landings.emplace_back([&, i] {
      const std::string name = "b" + std::to_string(i);
      must(engine->merge(ctx, repo, name, "main", named(name)));
    });
  blocks.before_opening = [&] { must(engine->land(ctx, repo, {import, {}, nullptr})); };
  together(landings);
  const auto all = messages();
  ASSERT_GE(all.size(), 6u);
  EXPECT_EQ(all[all.size() - 3], "import") << "it landed first";
  EXPECT_EQ(world.content(repo, "main").size(), 5u);
}

TEST_F(Trains, WhoseTimeEndsInTheQueueHasNotLanded) {
  for (int i = 0; i < 3; ++i) branch("b" + std::to_string(i), "p" + std::to_string(i), "x");
  const Context impatient;
  std::atomic<bool> left{false};
  blocks.before_opening = [&] {
    impatient.cancel();
    while (!left) base::system_clock().sleep_ms(1);
  };
  together({[&] { must(engine->merge(ctx, repo, "b0", "main", {})); },
            [&] {
              const auto merged = engine->merge(impatient, repo, "b1", "main", {});
              ASSERT_FALSE(merged);
              EXPECT_EQ(merged.error().code(), Code::kCancelled);
              left = true;
            },
            [&] { must(engine->merge(ctx, repo, "b2", "main", {})); }});
  EXPECT_FALSE(world.content(repo, "main").contains("p1"));
  EXPECT_TRUE(world.content(repo, "main").contains("p2"));
}

// Commits of one branch: the first takes all rows, the others have nothing; what is staged meanwhile stays.
TEST_F(Trains, CommitsShareTheirRowsOnce) {
  world.put(repo, "main", "a", "1");
  std::atomic<int> landed{0}, empty{0};
  const auto commit = [&] {
    CommitSpec spec;
    spec.message = "c";
    const auto done = engine->commit(ctx, repo, "main", spec);
    if (done)
      ++landed;
    else {
      EXPECT_EQ(done.error().subject(), "commit") << done.error().text();
      ++empty;
    }
  };
  blocks.before_opening = [&] {
    world.put(repo, "main", "b", "1");
    world.put(repo, "main", "c", "1");
  };
  together({commit, commit, commit, commit});
  EXPECT_EQ(landed, 2);
  EXPECT_EQ(empty, 2);
  EXPECT_FALSE(must(engine->is_dirty(ctx, repo, "main")));
  EXPECT_EQ(world.content(repo, "main@").size(), 4u);
}

// Commits and merges alternate: each sees what its predecessors left, as one after the other.
TEST_F(Trains, CommitsAndMergesDoNotShareATrain) {
  for (int i = 0; i < 3; ++i) branch("b" + std::to_string(i), "p" + std::to_string(i), "x");
  std::atomic<int> dirty{0}, merged{0};
  const auto merge = [&](const std::string& name) {
    return [&, name] {
      const auto done = engine->merge(ctx, repo, name, "main", named(name));
      if (done)
        ++merged;
      else {
        EXPECT_EQ(done.error().subject(), "branch");
        ++dirty;
      }
    };
  };
  const auto commit = [&] {
    CommitSpec spec;
    spec.message = "rows";
    must(engine->commit(ctx, repo, "main", spec));
  };
  blocks.before_opening = [&] { world.put(repo, "main", "row", "1"); };
  together({merge("b0"), merge("b1"), commit, merge("b2")});
  // b0 was under way when the row came: it lost to it, and is refused like b1.
  EXPECT_EQ(dirty, 2);
  EXPECT_EQ(merged, 1);
  EXPECT_EQ(messages(), (std::vector<std::string>{"b2", "rows", "change", "Repository created"}));
}

TEST(TrainStorm, EveryAcknowledgedMergeIsInTheChainOnceAndNobodyStarves) {
  constexpr size_t kWriters = 16, kMerges = 100;
  World world(Backend::kMemory);
  const Context ctx;
  const Repository repo = world.repository();
  world.put(repo, "main", "base", "1");
  world.commit(repo, "main");
  const auto own = must(Engine::open(*world.kv, *world.blocks, world.clock, base::system_random(), {}));  // for threads
  Engine& engine = *own;
  std::vector<std::vector<CommitId>> acknowledged(kWriters);
  std::vector<size_t> half(kWriters);
  {
    std::vector<base::Thread> threads;
    for (size_t w = 0; w < kWriters; ++w)
      threads.emplace_back([&, w] {
        for (size_t i = 0; i < kMerges; ++i) {
          const std::string name = "w" + std::to_string(w) + "-" + std::to_string(i);
          must(engine.create_branch(ctx, repo, name, "main"));
          must(engine.stage(ctx, repo, name, name, entry_of(name)));
          CommitSpec spec;
          spec.message = name;
          must(engine.commit(ctx, repo, name, spec));
          const auto merged = engine.merge(ctx, repo, name, "main", {});
          ASSERT_TRUE(merged) << merged.error().text();
          ASSERT_TRUE(merged->landed);
          acknowledged[w].push_back(merged->landed->id);
        }
      });
  }
  std::map<CommitId, size_t> chain;
  LogQuery query;
  query.amount = kWriters * kMerges + 10;
  query.first_parent = true;
  const auto log = must(engine.log(ctx, repo, "main", query)).items;
  for (size_t i = 0; i < log.size(); ++i) EXPECT_TRUE(chain.emplace(log[i].id, log.size() - i).second);
  EXPECT_EQ(chain.size(), kWriters * kMerges + 2);
  for (size_t w = 0; w < kWriters; ++w) {
    size_t last = 0;
    for (const CommitId& id : acknowledged[w]) {
      ASSERT_TRUE(chain.contains(id));
      EXPECT_GT(chain[id], last) << "a writer's merges are in its own order";
      last = chain[id];
      if (chain[id] < kWriters * kMerges / 2) ++half[w];
    }
  }
  EXPECT_EQ(world.content(repo, "main").size(), kWriters * kMerges + 1);
  // When half of all had landed, each writer had a fair part of them.
  for (size_t w = 0; w < kWriters; ++w) EXPECT_GT(half[w], kMerges / 8) << w;
}

}  // namespace
}  // namespace tarn::versioning
