#include "mesh/runs.h"

#include "mesh/testing/house.h"

namespace tarn::mesh {
namespace {

using testing::must;

constexpr const char* kDay = "2013-10-24";

class Run : public ::testing::Test {
 protected:
  Run() {
    house_.found();
    house_.start();
    house_.publish(kDay);
    house_.settle();
  }
  Json run() { return house_.run(kDay); }
  std::string job_state(const std::string& job) { return run()["jobs"][job]["state"].as_string(); }
  testing::House house_;
};

TEST_F(Run, IsReadyWhenItsInputHasArrived) {
  EXPECT_EQ(house_.run_state(kDay), "ready");
  EXPECT_EQ(house_.run_state("2013-10-25"), "none");
  EXPECT_EQ(job_state("first"), "runnable");
  for (const char* job : {"left", "right", "last"}) EXPECT_EQ(job_state(job), "pending");
  EXPECT_EQ(house_.mesh->runs.begin(house_.ctx, house_.ben, "analytics", "daily", kDay, "last").error().code(),
            Code::kConflict);
}

TEST_F(Run, SaysWhatItWaitsForAndWhichIncidentExplainsIt) {
  must(house_.mesh->withdrawals.withdraw(house_.ctx, house_.ann, "weather", "hourly", 1, 1,
                                         Json::object({{"reason", "wrong"}})));
  house_.settle();
  EXPECT_EQ(house_.run_state(kDay), "waiting");
  const auto reason = [&] {
    return must(house_.mesh->runs.list(house_.ctx, "analytics", "daily", "waiting"))
        .items()
        .front()["waiting_for"]
        .items()
        .front();
  };
  EXPECT_EQ(reason()["input"].as_string(), "weather");
  EXPECT_EQ(reason()["reason"].as_string(), "has not arrived");
  house_.publish_bad(kDay);
  EXPECT_EQ(reason()["incident"].as_string(), "INC-1");
  EXPECT_NE(reason()["reason"].as_string().find("refused at weather"), std::string::npos);
  house_.publish(kDay, "right");
  house_.settle();
  EXPECT_EQ(house_.run_state(kDay), "ready");
}

TEST_F(Run, StartedByHandTwiceIsOne) {
  must(house_.mesh->runs.start(house_.ctx, house_.ben, "analytics", "daily", "by-hand"));
  const Json again = must(house_.mesh->runs.start(house_.ctx, house_.ben, "analytics", "daily", "by-hand"));
  EXPECT_EQ(again["generation"].as_int(), 1);
  EXPECT_EQ(house_.mesh->runs.start(house_.ctx, house_.stranger, "analytics", "daily", "x").error().code(),
            Code::kForbidden);
  EXPECT_EQ(house_.mesh->runs.start(house_.ctx, house_.ben, "analytics", "daily", "a/b").error().code(),
            Code::kInvalid);
}

TEST_F(Run, ANewAttemptMakesTheOldOneWorthless) {
  const Json old = house_.begin(kDay, "first"), now = house_.begin(kDay, "first");
  EXPECT_EQ(now["attempt"].as_int(), 2);
  EXPECT_NE(now["branch"], old["branch"]);
  EXPECT_FALSE(house_.auth->find_secret(house_.ctx, old["access_key_id"].as_string()));
  EXPECT_TRUE(house_.auth->find_secret(house_.ctx, now["access_key_id"].as_string()));
  EXPECT_EQ(house_.complete(old).error().code(), Code::kConflict);
  EXPECT_EQ(
      house_.mesh->runs.fail(house_.ctx, old["attempt_id"].as_string(), old["fence"].as_string(), "x").error().code(),
      Code::kConflict);
  EXPECT_EQ(must(house_.complete(now))["state"].as_string(), "landed");
}

// A zombie's files lie on its own branch: they never reach the run.
TEST_F(Run, TakesNothingThatAnOldAttemptWrote) {
  const Json old = house_.begin(kDay, "first");
  house_.stage("analytics", old["branch"].as_string(), {{"stage/first/date=2013-10-24/zombie.txt", "z"}});
  house_.work(kDay, "first");
  EXPECT_EQ(house_.content("analytics", run()["branch"].as_string(), "stage/").size(), 1u);
}

TEST_F(Run, SealsAnAttemptAndAnswersARepetitionAlike) {
  const Json attempt = house_.begin(kDay, "first");
  house_.stage("analytics", attempt["branch"].as_string(), {{"stage/first/date=2013-10-24/a.txt", "x"}});
  const Json first = must(house_.complete(attempt));
  EXPECT_FALSE(house_.auth->find_secret(house_.ctx, attempt["access_key_id"].as_string()));
  const Json second = must(house_.complete(attempt));
  EXPECT_EQ(first["state"].as_string(), "landed");
  EXPECT_EQ(second["proposal"]["landed_commit"], first["proposal"]["landed_commit"]);
  EXPECT_EQ(house_.events("mesh.job.passed"), 1);
}

TEST_F(Run, AJobSeesItsForerunnersAndNotItsSiblings) {
  house_.work(kDay, "first");
  const Json left = house_.begin(kDay, "left"), right = house_.begin(kDay, "right");
  house_.stage("analytics", left["branch"].as_string(), {{"stage/left/date=2013-10-24/a.txt", "l"}});
  must(house_.complete(left));
  EXPECT_EQ(house_.content("analytics", right["branch"].as_string(), "stage/first/").size(), 1u);
  EXPECT_TRUE(house_.content("analytics", right["branch"].as_string(), "stage/left/").empty());
  house_.stage("analytics", right["branch"].as_string(), {{"stage/right/date=2013-10-24/a.txt", "r"}});
  must(house_.complete(right));
  const Json last = house_.begin(kDay, "last");
  EXPECT_EQ(house_.content("analytics", last["branch"].as_string(), "stage/").size(), 3u);
}

TEST_F(Run, LandsInOneStepWithItsPublication) {
  const std::string before = house_.head("analytics");
  for (const char* job : {"first", "left", "right"}) house_.work(kDay, job);
  EXPECT_EQ(house_.head("analytics"), before);
  EXPECT_TRUE(house_.content("analytics", "main", "stage/").empty());
  house_.work(kDay, "last");
  house_.settle();
  const Json landed = run();
  ASSERT_EQ(landed["state"].as_string(), "landed") << landed.dump();
  EXPECT_EQ(landed["landed_commit"].as_string(), house_.head("analytics"));
  const auto r = house_.repository("analytics");
  const auto commit = must(house_.engine->resolve(house_.ctx, r, "main")).commit;
  EXPECT_EQ(commit.parents.front().hex(), before);
  EXPECT_EQ(house_.content("analytics", "main", "stage/").size(), 3u);
  const Json published = must(house_.mesh->publications.get(house_.ctx, "analytics", "delays", 1, 1));
  EXPECT_EQ(published["commit"].as_string(), house_.head("analytics"));
  EXPECT_EQ(published["run"]["key"].as_string(), kDay);
  EXPECT_EQ(published["inputs"]["weather"]["publication"].as_int(), 1);
  EXPECT_EQ(landed["publications"].items().front()["number"].as_int(), 1);
}

TEST_F(Run, StopsAtARefusedJobAndGoesOnAfterItsResumption) {
  house_.work(kDay, "first");
  house_.work(kDay, "left");
  house_.work(kDay, "right");
  const std::string before = house_.head("analytics");
  Json attempt = house_.begin(kDay, "last");
  house_.stage("analytics", attempt["branch"].as_string(), {{"out/delays/date=2013-10-24/a.parquet", "no parquet"}});
  const Json refused = must(house_.complete(attempt));
  EXPECT_EQ(refused["state"].as_string(), "failed");
  EXPECT_EQ(house_.run_state(kDay), "stopped");
  EXPECT_EQ(job_state("last"), "failed");
  ASSERT_EQ(house_.incidents("open").size(), 1u);
  EXPECT_EQ(house_.incidents("open").front()["run"]["job"].as_string(), "last");
  EXPECT_EQ(house_.mesh->runs.begin(house_.ctx, house_.ben, "analytics", "daily", kDay, "last").error().code(),
            Code::kConflict);
  EXPECT_EQ(house_.head("analytics"), before);

  must(house_.mesh->runs.resume(house_.ctx, house_.ben, "analytics", "daily", kDay));
  EXPECT_EQ(house_.work(kDay, "last")["state"].as_string(), "landed");
  house_.settle();
  EXPECT_EQ(house_.run_state(kDay), "landed");
  EXPECT_EQ(run()["jobs"]["last"]["attempt"].as_int(), 2);
  EXPECT_TRUE(house_.incidents("open").empty()) << "the right output of the day ends the incident";
}

TEST_F(Run, RefusesWhatAJobWritesOutsideItsFolders) {
  const Json attempt = house_.begin(kDay, "first");
  house_.stage("analytics", attempt["branch"].as_string(), {{"stage/left/date=2013-10-24/a.txt", "x"}});
  const Json refused = must(house_.complete(attempt));
  EXPECT_EQ(refused["state"].as_string(), "failed");
  EXPECT_NE(refused.dump().find("write-scope"), std::string::npos);
}

TEST_F(Run, AFailedCommandStopsItAndItsKeyIsDead) {
  const Json attempt = house_.begin(kDay, "first");
  must(house_.mesh->runs.fail(house_.ctx, attempt["attempt_id"].as_string(), attempt["fence"].as_string(), "exit 7"));
  EXPECT_EQ(house_.run_state(kDay), "stopped");
  EXPECT_EQ(run()["jobs"]["first"]["reason"].as_string(), "exit 7");
  EXPECT_FALSE(house_.auth->find_secret(house_.ctx, attempt["access_key_id"].as_string()));
  EXPECT_EQ(house_.complete(attempt).error().code(), Code::kConflict);
}

// What it read has changed on the trunk while it ran: its result is not what main's inputs give.
TEST_F(Run, StartsAgainWhenAnInputChangedUnderIt) {
  for (const char* job : {"first", "left", "right"}) house_.work(kDay, job);
  house_.publish(kDay, "corrected");
  house_.settle();
  house_.work(kDay, "last");
  house_.settle();
  EXPECT_EQ(house_.run_state(kDay), "ready");
  EXPECT_EQ(run()["generation"].as_int(), 2);
  EXPECT_EQ(run()["stale_generations"].as_int(), 1);
  EXPECT_TRUE(house_.content("analytics", "main", "out/").empty());
  house_.work_all(kDay);
  EXPECT_EQ(house_.run_state(kDay), "landed");
  EXPECT_EQ(must(house_.mesh->publications.list(house_.ctx, "analytics", "delays", 1)).size(), 1u);
}

TEST_F(Run, ComesAgainWhenALandedDaysInputIsReplaced) {
  house_.work_all(kDay);
  ASSERT_EQ(house_.run_state(kDay), "landed");
  house_.publish(kDay, "corrected");
  house_.settle();
  EXPECT_EQ(house_.run_state(kDay), "ready");
  EXPECT_EQ(run()["generation"].as_int(), 2);
  house_.publish("2013-10-25");
  house_.settle();
  EXPECT_EQ(run()["generation"].as_int(), 2) << "another day is no reason";
}

TEST_F(Run, AHeartbeatKnowsTheCurrentAttemptFromAnOldOne) {
  const auto beat = [&](const Json& attempt, const std::string& fence) {
    return house_.mesh->runs.heartbeat(house_.ctx, attempt["attempt_id"].as_string(), fence);
  };
  const Json old = house_.begin(kDay, "first");
  EXPECT_EQ(must(beat(old, old["fence"].as_string()))["state"].as_string(), "running");
  const Json now = house_.begin(kDay, "first");
  EXPECT_EQ(beat(old, old["fence"].as_string()).error().code(), Code::kConflict);
  EXPECT_EQ(must(beat(now, now["fence"].as_string()))["state"].as_string(), "running");
  EXPECT_EQ(beat(now, "another").error().code(), Code::kConflict);
}

}  // namespace
}  // namespace tarn::mesh
