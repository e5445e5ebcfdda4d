#include "tasks/tasks.h"

#include <gtest/gtest.h>

#include <atomic>

#include "base/mutex.h"
#include "base/testing/scratch.h"
#include "kv/memory.h"
#include "kv/rocks.h"
#include "kv/testing/faulty_store.h"
#include "tasks/record.h"

namespace tarn::tasks {
namespace {

using kv::testing::FaultyStore;

class TasksTest : public ::testing::Test {
 protected:
  /// A new server over the same store.
  Tasks& open(size_t threads = 2) {
    tasks_.reset();
    tasks_ = std::make_unique<Tasks>(store_, clock_, random_, threads);
    return *tasks_;
  }
  /// Moves the clock until the task is over.
  Task finish(const std::string& id, int64_t step_ms = 1000) {
    for (int i = 0; i < 500; ++i) {
      auto task = tasks_->wait(ctx_, id, 40);
      if (task) return *task;
      clock_.advance(step_ms);
      tasks_->wake();
    }
    ADD_FAILURE() << "task " << id << " does not end";
    return {};
  }

  std::unique_ptr<kv::Store> memory_ = kv::make_memory_store();
  FaultyStore store_{*memory_};
  base::FakeClock clock_;
  base::SeededRandom random_{7};
  Context ctx_;
  std::unique_ptr<Tasks> tasks_;
};

Tasks::Runner counting(std::atomic<int>& runs) {
  return [&runs](const Context&, const Task&) -> Result<Step> {
    ++runs;
    return Step{};
  };
}

TEST_F(TasksTest, ASubmittedTaskRunsOnceAndIsDone) {
  std::atomic<int> runs{0};
  open().register_kind("k", counting(runs));
  ASSERT_TRUE(tasks_->start(ctx_));
  const Task task = *tasks_->submit(ctx_, "k", Json::object({{"n", 1}}));
  EXPECT_EQ(task.id.size(), 36u);
  const Task done = *tasks_->wait(ctx_, task.id, 5000);
  EXPECT_EQ(done.state, State::kDone);
  EXPECT_EQ(done.input["n"].as_int(), 1);
  EXPECT_EQ(runs, 1);
  EXPECT_EQ(tasks_->list(ctx_, "k")->size(), 1u);
  EXPECT_EQ(tasks_->list(ctx_, "other")->size(), 0u);
}

TEST_F(TasksTest, WhatIsOverForLongIsForgottenAndWhatIsOpenIsNot) {
  std::atomic<int> runs{0};
  open().register_kind("k", counting(runs));
  tasks_->register_kind("long", [](const Context&, const Task&) -> Result<Step> {
    return Step{.next = Step::Next::kAgain, .after_ms = int64_t{30} * 24 * 3600 * 1000};
  });
  ASSERT_TRUE(tasks_->start(ctx_));
  const std::string old = tasks_->submit(ctx_, "k", {})->id, open_one = tasks_->submit(ctx_, "long", {})->id;
  ASSERT_TRUE(tasks_->wait(ctx_, old, 5000));
  EXPECT_EQ(*tasks_->prune(ctx_), 0u);
  clock_.advance(int64_t{8} * 24 * 3600 * 1000);
  const std::string young = tasks_->submit(ctx_, "k", {})->id;
  ASSERT_TRUE(tasks_->wait(ctx_, young, 5000));
  ASSERT_TRUE(tasks_->prune(ctx_));
  EXPECT_EQ(tasks_->get(ctx_, old).error().code(), Code::kNotFound);
  EXPECT_TRUE(tasks_->get(ctx_, young));
  EXPECT_TRUE(tasks_->get(ctx_, open_one));
}

TEST_F(TasksTest, OnlySoManyAreKeptAfterTheFirstHour) {
  std::atomic<int> runs{0};
  tasks_ = std::make_unique<Tasks>(store_, clock_, random_, 2, Kept{.count = 3});
  tasks_->register_kind("k", counting(runs));
  ASSERT_TRUE(tasks_->start(ctx_));
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(tasks_->wait(ctx_, tasks_->submit(ctx_, "k", Json::object({{"n", i}}))->id, 5000));
    clock_.advance(1000);
  }
  EXPECT_EQ(*tasks_->prune(ctx_), 0u);
  clock_.advance(2 * 3600 * 1000);
  ASSERT_TRUE(tasks_->prune(ctx_));
  const auto left = *tasks_->list(ctx_, "k");
  ASSERT_EQ(left.size(), 3u);
  for (const Task& task : left) EXPECT_GE(task.input["n"].as_int(), 2);
}

// Goal: it happens without being asked. Method: the clock passes the window, nobody calls.
TEST_F(TasksTest, ForgettingHappensByItself) {
  std::atomic<int> runs{0};
  open().register_kind("k", counting(runs));
  ASSERT_TRUE(tasks_->start(ctx_));
  const std::string id = tasks_->submit(ctx_, "k", {})->id;
  ASSERT_TRUE(tasks_->wait(ctx_, id, 5000));
  clock_.advance(int64_t{8} * 24 * 3600 * 1000);
  tasks_->wake();
  for (int i = 0; i < 500 && tasks_->get(ctx_, id); ++i) base::system_clock().sleep_ms(10);
  EXPECT_FALSE(tasks_->get(ctx_, id));
}

TEST_F(TasksTest, ATaskExistsIfAndOnlyIfItsBatchLands) {
  std::atomic<int> runs{0};
  open().register_kind("k", counting(runs));
  ASSERT_TRUE(tasks_->start(ctx_));
  kv::Batch lost, landed;
  lost.require_present("no such row");
  const std::string never = tasks_->add(lost, "k", {});
  const std::string id = tasks_->add(landed, "k", {});
  EXPECT_FALSE(store_.apply(ctx_, lost));
  EXPECT_TRUE(store_.apply(ctx_, landed));
  tasks_->wake();
  EXPECT_EQ(tasks_->wait(ctx_, id, 5000)->state, State::kDone);
  EXPECT_EQ(tasks_->get(ctx_, never).error().code(), Code::kNotFound);
  EXPECT_EQ(runs, 1);
}

TEST_F(TasksTest, SubmittingTheSameIdTwiceGivesTheSameTask) {
  std::atomic<int> runs{0};
  open().register_kind("k", counting(runs));
  ASSERT_TRUE(tasks_->start(ctx_));
  ASSERT_TRUE(tasks_->submit(ctx_, "k", Json::object({{"n", 1}}), 0, "mine"));
  ASSERT_TRUE(tasks_->wait(ctx_, "mine", 5000));
  const Task again = *tasks_->submit(ctx_, "k", Json::object({{"n", 2}}), 0, "mine");
  EXPECT_EQ(again.state, State::kDone);
  EXPECT_EQ(again.input["n"].as_int(), 1);
  EXPECT_EQ(runs, 1);
}

TEST_F(TasksTest, ATimerRunsNotBeforeItsTime) {
  std::atomic<int> runs{0};
  open().register_kind("k", counting(runs));
  ASSERT_TRUE(tasks_->start(ctx_));
  ASSERT_TRUE(tasks_->submit(ctx_, "k", {}, clock_.wall_ms() + 60'000, "later"));
  clock_.advance(59'999);
  tasks_->wake();
  EXPECT_EQ(tasks_->wait(ctx_, "later", 100).error().code(), Code::kDeadline);
  EXPECT_EQ(runs, 0);
  clock_.advance(1);
  tasks_->wake();
  EXPECT_EQ(tasks_->wait(ctx_, "later", 5000)->state, State::kDone);
}

TEST_F(TasksTest, StepsCarryTheirCursorAndWriteAlongInOneBatch) {
  open().register_kind("k", [](const Context&, const Task& task) -> Result<Step> {
    const int64_t n = task.cursor["n"].as_int() + 1;
    Step step;
    step.next = n < 3 ? Step::Next::kAgain : Step::Next::kDone;
    step.cursor = Json::object({{"n", n}});
    step.progress = Json::object({{"steps", n}});
    step.also.require_absent("row/" + std::to_string(n)).put("row/" + std::to_string(n), "x");
    return step;
  });
  ASSERT_TRUE(tasks_->start(ctx_));
  const Task task = *tasks_->submit(ctx_, "k", {});
  EXPECT_EQ(tasks_->wait(ctx_, task.id, 5000)->progress["steps"].as_int(), 3);
  EXPECT_TRUE(*store_.get(ctx_, "row/3"));
  EXPECT_FALSE(*store_.get(ctx_, "row/4"));
}

TEST_F(TasksTest, AnErrorIsRetriedWithAGrowingPause) {
  std::vector<base::WallMs> at;
  base::Mutex mutex;
  open().register_kind("k", [&](const Context&, const Task&) -> Result<Step> {
    base::Lock lock(mutex);
    at.push_back(clock_.wall_ms());
    if (at.size() < 9) return Error(Code::kUnavailable, "peer", "does not answer");
    return Step{};
  });
  ASSERT_TRUE(tasks_->start(ctx_));
  const Task task = *tasks_->submit(ctx_, "k", {});
  EXPECT_EQ(finish(task.id, 4000).state, State::kDone);
  ASSERT_EQ(at.size(), 9u);
  const std::vector<int64_t> least = {1000, 2000, 4000, 8000, 16'000, 32'000, 60'000, 60'000};
  for (size_t i = 0; i < least.size(); ++i) {
    EXPECT_GE(at[i + 1] - at[i], least[i]);
    EXPECT_LE(at[i + 1] - at[i], least[i] + 15'000);
  }
}

TEST_F(TasksTest, OnlyTheRunnerEndsATaskAsFailed) {
  open().register_kind("k", [](const Context&, const Task&) -> Result<Step> {
    Step step;
    step.next = Step::Next::kFailed;
    step.error = "no such file";
    return step;
  });
  ASSERT_TRUE(tasks_->start(ctx_));
  const Task task = *tasks_->submit(ctx_, "k", {});
  const Task failed = *tasks_->wait(ctx_, task.id, 5000);
  EXPECT_EQ(failed.state, State::kFailed);
  EXPECT_EQ(failed.error, "no such file");
}

TEST_F(TasksTest, CancelStopsAWaitingTaskAtOnceAndARunningOneAtItsNextStep) {
  std::atomic<bool> inside{false}, go_on{false};
  std::atomic<int> runs{0};
  open().register_kind("k", [&](const Context&, const Task&) -> Result<Step> {
    ++runs;
    inside = true;
    while (!go_on) base::system_clock().sleep_ms(1);
    Step step;
    step.next = Step::Next::kAgain;
    step.cursor = Json::object({{"kept", true}});
    return step;
  });
  ASSERT_TRUE(tasks_->start(ctx_));
  ASSERT_TRUE(tasks_->submit(ctx_, "k", {}, clock_.wall_ms() + 1'000'000, "waiting"));
  ASSERT_TRUE(tasks_->cancel(ctx_, "waiting"));
  EXPECT_EQ(tasks_->wait(ctx_, "waiting", 5000)->state, State::kCancelled);
  ASSERT_TRUE(tasks_->submit(ctx_, "k", {}, 0, "running"));
  while (!inside) base::system_clock().sleep_ms(1);
  EXPECT_EQ(tasks_->get(ctx_, "running")->state, State::kRunning);
  ASSERT_TRUE(tasks_->cancel(ctx_, "running"));
  go_on = true;
  const Task cancelled = *tasks_->wait(ctx_, "running", 5000);
  EXPECT_EQ(cancelled.state, State::kCancelled);
  EXPECT_TRUE(cancelled.cursor["kept"].as_bool()) << "the step that was under way is not lost";
  EXPECT_EQ(runs, 1);
  EXPECT_EQ(tasks_->cancel(ctx_, "running").error().code(), Code::kConflict);
  EXPECT_EQ(tasks_->cancel(ctx_, "none").error().code(), Code::kNotFound);
}

TEST_F(TasksTest, AnUnfinishedTaskResumesAfterARestartFromItsCursor) {
  std::atomic<int> first_runs{0};
  open().register_kind("k", [&](const Context&, const Task&) -> Result<Step> {
    ++first_runs;
    Step step;
    step.next = Step::Next::kAgain;
    step.after_ms = 1'000'000;
    step.cursor = Json::object({{"half", true}});
    return step;
  });
  ASSERT_TRUE(tasks_->start(ctx_));
  ASSERT_TRUE(tasks_->submit(ctx_, "k", {}, 0, "job"));
  while (!tasks_->get(ctx_, "job")->cursor["half"].as_bool()) base::system_clock().sleep_ms(1);
  std::atomic<bool> saw_cursor{false};
  open().register_kind("k", [&](const Context&, const Task& task) -> Result<Step> {
    saw_cursor = task.cursor["half"].as_bool();
    return Step{};
  });
  ASSERT_TRUE(tasks_->start(ctx_));
  EXPECT_FALSE(tasks_->wait(ctx_, "job", 60)) << "its time has not come";
  clock_.advance(1'000'000);
  tasks_->wake();
  EXPECT_EQ(tasks_->wait(ctx_, "job", 5000)->state, State::kDone);
  EXPECT_TRUE(saw_cursor);
  EXPECT_EQ(first_runs, 1);
}

TEST_F(TasksTest, AStepWhoseResultCouldNotBeStoredIsRepeated) {
  for (const auto fault : {FaultyStore::ApplyFault::kNotApplied, FaultyStore::ApplyFault::kUnknownLost,
                           FaultyStore::ApplyFault::kUnknownApplied}) {
    std::atomic<int> runs{0};
    open().register_kind("k", counting(runs));
    ASSERT_TRUE(tasks_->start(ctx_));
    store_.fail_apply(2, fault);
    const Task task = *tasks_->submit(ctx_, "k", {});
    EXPECT_EQ(finish(task.id).state, State::kDone);
    EXPECT_EQ(runs, fault == FaultyStore::ApplyFault::kUnknownApplied ? 1 : 2);
  }
}

TEST_F(TasksTest, AFailedPreconditionOfTheRunnerRepeatsTheStep) {
  std::atomic<int> runs{0};
  open().register_kind("k", [&](const Context&, const Task&) -> Result<Step> {
    Step step;
    if (++runs == 1) step.also.require_present("missing");
    step.also.put("done", "x");
    return step;
  });
  ASSERT_TRUE(tasks_->start(ctx_));
  const Task task = *tasks_->submit(ctx_, "k", {});
  EXPECT_EQ(finish(task.id).state, State::kDone);
  EXPECT_EQ(runs, 2);
}

TEST_F(TasksTest, AStartThatCannotReadEveryTaskFails) {
  std::atomic<int> runs{0};
  open();
  ASSERT_TRUE(tasks_->submit(ctx_, "k", {}, 0, "a"));
  ASSERT_TRUE(tasks_->submit(ctx_, "k", {}, 0, "b"));
  store_.fail_row(2);
  EXPECT_FALSE(tasks_->start(ctx_));
  open().register_kind("k", counting(runs));
  EXPECT_TRUE(tasks_->start(ctx_));
  EXPECT_TRUE(tasks_->wait(ctx_, "a", 5000));
  EXPECT_TRUE(tasks_->wait(ctx_, "b", 5000));
}

TEST_F(TasksTest, SlowWorkOfOneKindLeavesAThreadForOthers) {
  std::atomic<bool> go_on{false};
  std::atomic<int> runs{0};
  open(2).register_kind("slow", [&](const Context&, const Task&) -> Result<Step> {
    while (!go_on) base::system_clock().sleep_ms(1);
    return Step{};
  });
  tasks_->register_kind("quick", counting(runs));
  ASSERT_TRUE(tasks_->start(ctx_));
  for (const char* id : {"s1", "s2", "s3"}) ASSERT_TRUE(tasks_->submit(ctx_, "slow", {}, 0, id));
  ASSERT_TRUE(tasks_->submit(ctx_, "quick", {}, 0, "q"));
  EXPECT_EQ(tasks_->wait(ctx_, "q", 5000)->state, State::kDone);
  go_on = true;
  for (const char* id : {"s1", "s2", "s3"}) EXPECT_EQ(tasks_->wait(ctx_, id, 5000)->state, State::kDone);
}

TEST_F(TasksTest, ManyTasksAllRunExactlyOnce) {
  base::Mutex mutex;
  std::map<std::string, int> runs;
  open(4).register_kind("k", [&](const Context&, const Task& task) -> Result<Step> {
    base::Lock lock(mutex);
    ++runs[task.id];
    return Step{};
  });
  ASSERT_TRUE(tasks_->start(ctx_));
  std::vector<std::string> ids;
  for (int i = 0; i < 200; ++i) ids.push_back(tasks_->submit(ctx_, "k", {})->id);
  for (const auto& id : ids) ASSERT_EQ(tasks_->wait(ctx_, id, 5000)->state, State::kDone);
  EXPECT_EQ(runs.size(), 200u);
  for (const auto& [id, count] : runs) EXPECT_EQ(count, 1) << id;
}

TEST(TasksOnDisk, SurviveTheServer) {
  base::testing::ScratchFolder folder;
  base::SeededRandom random(1);
  {
    auto store = std::move(*kv::open_rocks_store(folder.path("kv"), {.reserve_bytes = 0}));
    Tasks tasks(*store, base::system_clock(), random, 2);
    ASSERT_TRUE(tasks.submit({}, "k", Json::object({{"n", 5}}), 0, "job"));
  }
  auto store = std::move(*kv::open_rocks_store(folder.path("kv"), {.reserve_bytes = 0}));
  Tasks tasks(*store, base::system_clock(), random, 2);
  std::atomic<int64_t> seen{0};
  tasks.register_kind("k", [&](const Context&, const Task& task) -> Result<Step> {
    seen = task.input["n"].as_int();
    return Step{};
  });
  ASSERT_TRUE(tasks.start({}));
  EXPECT_EQ(tasks.wait({}, "job", 5000)->state, State::kDone);
  EXPECT_EQ(seen, 5);
}

}  // namespace
}  // namespace tarn::tasks
