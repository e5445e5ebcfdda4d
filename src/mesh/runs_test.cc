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

constexpr int64_t kMinuteMs = 60'000;

class Silence : public Run {
 protected:
  Result<Json> beat(const Json& attempt) {
    return house_.mesh->runs.heartbeat(house_.ctx, attempt["attempt_id"].as_string(), attempt["fence"].as_string());
  }
  int64_t look() { return must(house_.mesh->runs.fail_silent(house_.ctx)); }
  void pass(int64_t minutes) { house_.fake.advance(minutes * kMinuteMs); }
};

TEST_F(Silence, OfAnAttemptThatWasHeardOnceFailsItAfterTheLimit) {
  const Json attempt = house_.begin(kDay, "first");
  must(beat(attempt));
  pass(9);
  EXPECT_EQ(look(), 0);
  pass(2);
  EXPECT_EQ(look(), 1);
  EXPECT_EQ(look(), 0);
  EXPECT_EQ(house_.run_state(kDay), "stopped");
  EXPECT_EQ(job_state("first"), "failed");
  EXPECT_NE(run()["jobs"]["first"]["reason"].as_string().find("no heartbeat since 2013-10-25T06:00:00Z (limit 600 s)"),
            std::string::npos)
      << run().dump();
  EXPECT_EQ(house_.events("mesh.job.failed"), 1);
}

TEST_F(Silence, MakesTheOldTokenWorthlessAndTheJobFree) {
  const Json old = house_.begin(kDay, "first");
  must(beat(old));
  pass(11);
  ASSERT_EQ(look(), 1);
  EXPECT_FALSE(house_.auth->find_secret(house_.ctx, old["access_key_id"].as_string()));
  EXPECT_EQ(beat(old).error().code(), Code::kConflict);
  EXPECT_EQ(house_.complete(old).error().code(), Code::kConflict);
  EXPECT_EQ(house_.mesh->runs.fail(house_.ctx, old["attempt_id"].as_string(), old["fence"].as_string(), "late")
                .error()
                .code(),
            Code::kConflict);
  EXPECT_EQ(house_.work(kDay, "first")["state"].as_string(), "landed");
  EXPECT_EQ(run()["jobs"]["first"]["attempt"].as_int(), 2);
  EXPECT_EQ(house_.run_state(kDay), "running");
  for (const char* job : {"left", "right", "last"}) house_.work(kDay, job);
  house_.settle();
  EXPECT_EQ(house_.run_state(kDay), "landed");
}

TEST_F(Silence, IsNoneWhileHeartbeatsComeOrWhenNoneEverCame) {
  const Json never = house_.begin(kDay, "first");
  pass(60);
  EXPECT_EQ(look(), 0);
  must(house_.complete(never));
  const Json left = house_.begin(kDay, "left");
  for (int i = 0; i < 10; ++i) {
    must(beat(left));
    pass(5);
    EXPECT_EQ(look(), 0);
  }
  EXPECT_EQ(must(house_.complete(left))["state"].as_string(), "landed");
  pass(60);
  EXPECT_EQ(look(), 0) << "what has landed is not under way";
  EXPECT_EQ(house_.run_state(kDay), "running");
}

TEST_F(Silence, OfOneThatWasReplacedConcernsNobody) {
  must(beat(house_.begin(kDay, "first")));
  const Json now = house_.begin(kDay, "first");
  pass(11);
  EXPECT_EQ(look(), 0);
  EXPECT_EQ(must(house_.complete(now))["state"].as_string(), "landed");
}

TEST_F(Silence, AfterAStartEveryoneHasTheWholeLimitOnceMore) {
  must(beat(house_.begin(kDay, "first")));
  pass(60);
  Mesh& mesh = *house_.mesh;
  Runs anew(mesh.world, mesh.definitions, mesh.proposals, mesh.incidents);
  EXPECT_EQ(must(anew.fail_silent(house_.ctx)), 0);
  pass(11);
  EXPECT_EQ(must(anew.fail_silent(house_.ctx)), 1);
}

class Branches : public ::testing::Test {
 protected:
  Branches() : house_("", nullptr, {.landed_runs_kept = 2}) {
    house_.found();
    house_.start();
  }
  void day(const std::string& day) {
    house_.publish(day);
    house_.settle();
    house_.work_all(day);
    EXPECT_EQ(house_.run_state(day), "landed");
  }
  size_t of(const std::string& day) {
    size_t count = 0;
    const auto all =
        must(house_.engine->list_branches(house_.ctx, house_.repository("analytics"), {.amount = 1000}, true));
    for (const auto& branch : all.items) count += branch.name.find("--" + day) != std::string::npos;
    return count;
  }
  testing::House house_;
};

TEST_F(Branches, OfTheNewestLandedRunsStayAndOlderOnesGo) {
  for (const char* d : {"2013-10-21", "2013-10-22"}) day(d);
  EXPECT_EQ(of("2013-10-21"), 5u) << "the run's and its four jobs'";
  day("2013-10-23");
  house_.settle();
  EXPECT_EQ(of("2013-10-21"), 0u);
  EXPECT_EQ(of("2013-10-22"), 5u);
  EXPECT_EQ(of("2013-10-23"), 5u);
  // Nothing of the run is lost with them.
  EXPECT_EQ(house_.run_state("2013-10-21"), "landed");
  const Json first = must(house_.mesh->publications.get(house_.ctx, "analytics", "delays", 1, 1));
  EXPECT_EQ(house_.content("analytics", first["commit"].as_string(), "out/").size(), 1u);
  house_.publish("2013-10-21", "corrected");
  house_.settle();
  house_.work_all("2013-10-21", "anew");
  EXPECT_EQ(house_.run_state("2013-10-21"), "landed");
}

TEST_F(Branches, OfRunsUnderWayStayHoweverManyLand) {
  house_.publish("2013-10-20");
  house_.settle();
  house_.work("2013-10-20", "first");
  for (const char* d : {"2013-10-21", "2013-10-22", "2013-10-23", "2013-10-24"}) day(d);
  EXPECT_EQ(of("2013-10-20"), 2u);
  for (const char* job : {"left", "right", "last"}) house_.work("2013-10-20", job);
  house_.settle();
  EXPECT_EQ(house_.run_state("2013-10-20"), "landed");
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
