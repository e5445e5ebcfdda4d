// Goal: promises that only show when several write at once (G1, G5, G6).
#include <gtest/gtest.h>

#include <atomic>

#include "base/mutex.h"
#include "versioning/testing/world.h"

namespace tarn::versioning {
namespace {

using testing::Backend;
using testing::entry_of;
using testing::must;
using testing::World;

class EngineConcurrency : public ::testing::TestWithParam<Backend> {
 protected:
  EngineConcurrency() : world(GetParam()), engine(*world.engine), repo(world.repository()) {}
  static CommitSpec spec() {
    CommitSpec s;
    s.message = "m";
    return s;
  }
  World world;
  Engine& engine;
  Repository repo;
  Context ctx;
};
INSTANTIATE_TEST_SUITE_P(Stores, EngineConcurrency, ::testing::Values(Backend::kMemory, Backend::kDisk),
                         [](const auto& test) { return test.param == Backend::kMemory ? "Memory" : "Disk"; });

// Each writer writes unique paths and overwrites one of its own; commits run all the time. At the end every
// acknowledged write is in the head exactly as it was written last, and each write is in one commit only.
TEST_P(EngineConcurrency, EveryAcknowledgedWriteEndsInOnePlace) {
  constexpr int kWriters = 8, kWrites = 60;
  std::atomic<bool> stop{false};
  std::atomic<int> commits{0};
  std::vector<base::Thread> threads;
  base::Thread committer([&] {
    while (!stop) {
      CommitSpec each = spec();
      each.allow_empty = true;
      const auto done = engine.commit(ctx, repo, "main", each);
      if (done)
        ++commits;
      else
        EXPECT_EQ(done.error().subject(), "commit") << done.error().text();
    }
  });
  for (int w = 0; w < kWriters; ++w)
    threads.emplace_back([&, w] {
      for (int i = 0; i < kWrites; ++i) {
        while (commits < i / 10) base::system_clock().sleep_ms(1);  // a commit falls between any ten writes
        const std::string unique = std::to_string(w) + "/" + std::to_string(i);
        must(engine.stage(ctx, repo, "main", unique, entry_of(unique)));
        must(engine.stage(ctx, repo, "main", std::to_string(w) + "/last", entry_of(std::to_string(i))));
        const auto seen = must(engine.find(ctx, repo, must(engine.resolve(ctx, repo, "main")), unique));
        EXPECT_TRUE(seen.has_value()) << "own write vanished: " << unique;
      }
    });
  threads.clear();
  stop = true;
  committer.join();
  const auto on_branch = world.content(repo, "main");
  (void)engine.commit(ctx, repo, "main", spec());
  EXPECT_EQ(world.content(repo, "main@"), on_branch);
  EXPECT_EQ(on_branch.size(), static_cast<size_t>(kWriters * (kWrites + 1)));
  for (int w = 0; w < kWriters; ++w)
    EXPECT_EQ(on_branch.at(std::to_string(w) + "/last"), entry_of(std::to_string(kWrites - 1)).etag.text());
  std::map<std::string, int> added;
  for (const Commit& commit : must(engine.log(ctx, repo, "main", {.amount = 10'000})).items) {
    if (commit.parents.empty()) continue;
    const Commit parent = must(engine.get_commit(ctx, repo, commit.parents[0]));
    for (const auto& change : must(engine.changes(ctx, repo, parent, repo, commit, "")))
      if (change.type == tree::ChangeType::kAdded) ++added[change.key];
  }
  EXPECT_EQ(added.size(), on_branch.size());
  for (const auto& [path, times] : added) EXPECT_EQ(times, 1) << path;
  EXPECT_GT(commits, 1);
}

TEST_P(EngineConcurrency, OfManyConditionalWritersOneWins) {
  std::atomic<bool> stop{false};
  base::Thread committer([&] {
    while (!stop) (void)engine.commit(ctx, repo, "main", spec());
  });
  for (int round = 0; round < 3; ++round) {
    const std::string path = "k" + std::to_string(round);
    std::atomic<int> wins{0}, winner{-1};
    std::vector<base::Thread> threads;
    for (int t = 0; t < 64; ++t)
      threads.emplace_back([&, t] {
        const auto put =
            engine.stage(ctx, repo, "main", path, entry_of(std::to_string(t)), {Expect::Kind::kAbsent, ""});
        if (put) {
          ++wins;
          winner = t;
        } else {
          EXPECT_EQ(put.error().subject(), "precondition") << put.error().text();
        }
      });
    threads.clear();
    EXPECT_EQ(wins, 1);
    EXPECT_EQ(world.content(repo, "main").at(path), entry_of(std::to_string(winner)).etag.text());
  }
  stop = true;
}

TEST_P(EngineConcurrency, ManyMergesIntoOneHeadAllLand) {
  constexpr int kMerges = 16;
  for (int i = 0; i < kMerges; ++i) {
    const std::string name = "b" + std::to_string(i);
    must(engine.create_branch(ctx, repo, name, "main"));
    world.put(repo, name, name, "x");
    world.commit(repo, name);
  }
  std::vector<base::Thread> threads;
  for (int i = 0; i < kMerges; ++i)
    threads.emplace_back([&, i] {
      const auto merged = engine.merge(ctx, repo, "b" + std::to_string(i), "main", {});
      EXPECT_TRUE(merged) << merged.error().text();
    });
  threads.clear();
  EXPECT_EQ(world.content(repo, "main").size(), static_cast<size_t>(kMerges));
  EXPECT_EQ(must(engine.get_branch(ctx, repo, "main")).head,
            must(engine.log(ctx, repo, "main", {.amount = 1})).items[0].id);
}

// A reset that was acknowledged is final: no later commit holds what it dropped.
TEST_P(EngineConcurrency, WhatWasResetIsInNoLaterCommit) {
  std::atomic<bool> stop{false};
  base::Thread committer([&] {
    while (!stop) {
      CommitSpec s = spec();
      s.allow_empty = true;
      (void)engine.commit(ctx, repo, "main", s);
    }
  });
  for (int i = 0; i < 30; ++i) {
    const std::string path = "p" + std::to_string(i);
    must(engine.stage(ctx, repo, "main", path, entry_of("x")));
    must(engine.reset(ctx, repo, "main", path, false));
    const bool committed = world.content(repo, "main@").contains(path);
    EXPECT_EQ(world.content(repo, "main").contains(path), committed);
    const auto later = must(engine.find(ctx, repo, must(engine.resolve(ctx, repo, "main")), path));
    EXPECT_EQ(later.has_value(), committed);
  }
  stop = true;
}

}  // namespace
}  // namespace tarn::versioning
