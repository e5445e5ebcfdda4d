// What a death at any kill point leaves: nothing lost, nothing twice. The process that dies is this program started
// anew, since kill points are read once a process; the stores lie in a folder.

#include <cstdlib>
#include <filesystem>

#include <fmt/core.h>

#include "base/testing/victim.h"
#include "mesh/testing/house.h"

namespace tarn::mesh {
namespace {

using testing::House;
using testing::must;

constexpr const char* kDay = "2013-10-24";

/// The stories that a process tells until it dies. Each can be told again from its beginning by a client that heard no
/// answer, and its tasks go on by themselves.
Result<void> tell(House& house, const std::string& story) {
  const Context& ctx = house.ctx;
  if (story == "land" || story == "refuse") {
    ProposalSpec spec = house.spec("weather", story, house.ann);
    spec.key = "client/" + story;
    TRY_LET(const Json opened, house.mesh->proposals.open(ctx, spec));
    TRY(house.mesh->proposals.decide(ctx, opened["id"].as_string()));
    return {};
  }
  if (story == "onboard") {
    TRY(house.mesh->subscriptions.onboard(ctx, "analytics", "weather"));
    return {};
  }
  if (story == "job") {
    const Json run = house.run(kDay);
    const Json& job = run["jobs"]["first"];
    TRY(house.mesh->runs.complete(ctx, job["attempt_id"].as_string(), job["fence"].as_string()));
    return {};
  }
  if (story == "withdraw") {
    TRY(house.mesh->withdrawals.withdraw(ctx, house.ann, "weather", "hourly", 1, 1,
                                         Json::object({{"reason", "wrong"}})));
    return {};
  }
  return Error(Code::kInvalid, "story", story);
}

/// What is there before the story begins. Tasks stand still meanwhile.
void prepare(House& house, const std::string& story) {
  house.found();
  house.add_channel("one");
  if (story == "land") house.commit("weather", story, {{std::string("weather/date=") + kDay + "/_a.txt", "20 C"}});
  if (story == "refuse") house.commit("weather", story, {{std::string("weather/date=") + kDay + "/a.parquet", "?"}});
  if (story == "onboard" || story == "job" || story == "withdraw") house.publish(kDay);
  if (story != "job" && story != "withdraw") return;
  house.start();
  house.settle();
  if (story == "withdraw") return house.work_all(kDay);
  const Json attempt = house.begin(kDay, "first");
  house.stage("analytics", attempt["branch"].as_string(), {{std::string("stage/first/date=") + kDay + "/a.txt", "x"}});
}

/// A process's death keeps what the kernel holds, so a folder in memory shows the same and costs no disk.
const bool in_memory = [] {
  if (std::filesystem::is_directory("/dev/shm")) ::setenv("TMPDIR", "/dev/shm", /*overwrite=*/0);
  return true;
}();

TEST(MeshKills, DISABLED_Victim) {
  const char* folder = std::getenv("TARN_TEST_FOLDER");
  const char* story = std::getenv("TARN_TEST_STORY");
  if (!folder || !story) GTEST_SKIP() << "started by the tests below";
  House house(folder);
  if (std::getenv("TARN_TEST_TASKS")) {
    house.start();
    house.settle();
  } else {
    (void)tell(house, story);
  }
}

/// @return kKilled when the kill point was reached.
int run_victim(const std::string& folder, const std::string& story, const std::string& point, bool tasks) {
  std::map<std::string, std::string> environment = {{"TARN_TEST_FOLDER", folder}, {"TARN_TEST_STORY", story}};
  if (tasks) environment["TARN_TEST_TASKS"] = "1";
  return base::testing::run_victim("MeshKills.DISABLED_Victim", point, environment);
}

/// Whether the client tells its story again, or the tasks alone must come to the end.
enum class Client { kReturns, kStaysAway };

/// Prepares, kills at the point, opens the stores again, and hands the house that has come to rest to `look`.
void survive(const std::string& story, const std::string& point, Client client,
             const std::function<void(House&)>& look) {
  SCOPED_TRACE(story + " killed at " + point + (client == Client::kReturns ? ", the client returns" : ", alone"));
  base::testing::ScratchFolder folder;
  {
    House house(folder.path());
    prepare(house, story);
  }
  ASSERT_EQ(run_victim(folder.path(), story, point, /*tasks=*/false), 137) << "the point was not reached";
  House house(folder.path());
  house.start();
  if (client == Client::kReturns) {
    const auto told = tell(house, story);
    EXPECT_TRUE(told) << told.error().text();
  }
  house.settle();
  look(house);
}

int64_t kept(House& house, const std::string& kind, const std::string& state) {
  int64_t count = 0;
  for (const auto& [id, p] : must(house.mesh->world.records.list(house.ctx, keys::kProposals)))
    count += p.json["kind"].as_string() == kind && p.json["state"].as_string() == state;
  return count;
}

TEST(MeshKills, ALandingPublishesOnce) {
  for (const Client client : {Client::kReturns, Client::kStaysAway})
    for (const char* point : {"proposal-prepared", "proposal-tested", "proposal-landing", "proposal-landed"})
      survive("land", point, client, [](House& house) {
        const auto list = must(house.mesh->publications.list(house.ctx, "weather", "hourly", 1));
        ASSERT_EQ(list.size(), 1u);
        EXPECT_EQ(list[0]["commit"].as_string(), house.head("weather"));
        EXPECT_EQ(kept(house, "merge", "landed"), 1);
        EXPECT_EQ(house.events("mesh.publication.created"), 1);
        EXPECT_EQ(must(house.mesh->proposals.gate_record(house.ctx, "weather", house.head("weather")))["decision"]
                      .as_string(),
                  "passed");
        // What follows from it has happened, once.
        EXPECT_EQ(house.content("analytics", "main", "inputs/").size(), 1u);
        EXPECT_EQ(kept(house, "onboard", "landed"), 1);
        EXPECT_EQ(house.run_state(kDay), "ready");
      });
}

TEST(MeshKills, ARefusalIsOneIncidentAndOneAlert) {
  for (const Client client : {Client::kReturns, Client::kStaysAway})
    for (const char* point : {"proposal-prepared", "proposal-tested", "proposal-refusing"})
      survive("refuse", point, client, [](House& house) {
        const auto all = house.incidents();
        ASSERT_EQ(all.size(), 1u);
        EXPECT_EQ(all[0]["times_seen"].as_int(), 1);
        EXPECT_EQ(kept(house, "merge", "failed"), 1);
        EXPECT_EQ(house.receiver.got().size(), 1u);
        EXPECT_EQ(house.events("mesh.incident.opened"), 1);
        EXPECT_TRUE(must(house.mesh->publications.list(house.ctx, "weather", "hourly", 1)).empty());
      });
}

TEST(MeshKills, AnOnboardingBringsItsPublicationOnce) {
  for (const char* point : {"onboard-opened", "proposal-prepared", "proposal-landing", "proposal-landed"})
    for (const Client client : {Client::kReturns, Client::kStaysAway})
      survive("onboard", point, client, [](House& house) {
        EXPECT_EQ(house.content("analytics", "main", "inputs/").size(), 1u);
        EXPECT_EQ(kept(house, "onboard", "landed"), 1);
        EXPECT_EQ(house.subscription()["pin"]["number"].as_int(), 1);
        EXPECT_EQ(house.subscription()["cursor"].as_int(), 1);
        EXPECT_EQ(house.run_state(kDay), "ready");
        house.publish("2013-10-25");  // and the input goes on
        house.settle();
        EXPECT_EQ(house.subscription()["pin"]["number"].as_int(), 2);
      });
}

TEST(MeshKills, AnAttemptIsSealedAndLandsOnce) {
  for (const char* point : {"attempt-sealed", "proposal-prepared", "proposal-landing", "proposal-landed"})
    survive("job", point, Client::kReturns, [](House& house) {
      const Json job = house.run(kDay)["jobs"]["first"];
      EXPECT_EQ(job["state"].as_string(), "landed");
      EXPECT_EQ(job["attempt"].as_int(), 1);
      EXPECT_EQ(kept(house, "job", "landed"), 1);
      EXPECT_EQ(house.events("mesh.job.passed"), 1);
      EXPECT_FALSE(house.auth->find_secret(house.ctx, job["access_key_id"].as_string()));
      for (const char* next : {"left", "right", "last"}) house.work(kDay, next);
      house.settle();
      EXPECT_EQ(house.run_state(kDay), "landed");
      EXPECT_EQ(must(house.mesh->publications.list(house.ctx, "analytics", "delays", 1)).size(), 1u);
    });
}

TEST(MeshKills, AWithdrawalIsFinishedByItsRepetition) {
  for (const char* point : {"proposal-prepared", "proposal-tested", "proposal-landing", "proposal-landed"})
    survive("withdraw", point, Client::kReturns, [](House& house) {
      EXPECT_TRUE(house.content("analytics", "main", "inputs/").empty());
      EXPECT_TRUE(house.content("analytics", "main", "out/").empty());
      EXPECT_EQ(kept(house, "rollback", "landed"), 1);
      EXPECT_EQ(house.events("mesh.publication.withdrawn"), 2) << "weather v1 and delays v1";
      EXPECT_EQ(house.run_state(kDay), "waiting");
      house.publish(kDay, "right");
      house.settle();
      EXPECT_EQ(house.run_state(kDay), "ready");
    });
}

// Tasks die before, after and behind a step, the first to the fifth: what follows from a landing (onboarding, run) and
// what tells the receivers comes to its end, and no step has a second effect.
TEST(MeshKills, TasksAreRepeatedWithoutASecondEffect) {
  for (const char* step : {"tasks.before_step", "tasks.after_step", "tasks.after_save"})
    for (int passage = 1; passage <= 5; ++passage) {
      SCOPED_TRACE(fmt::format("{}:{}", step, passage));
      base::testing::ScratchFolder folder;
      {
        House house(folder.path());
        house.found();
        house.add_channel("one");
        house.publish(kDay);
        house.publish_bad("2013-10-25");
      }
      ASSERT_EQ(run_victim(folder.path(), "tasks", fmt::format("{}:{}", step, passage), /*tasks=*/true), 137);
      House house(folder.path());
      house.start();
      house.settle();
      EXPECT_EQ(kept(house, "onboard", "landed"), 1);
      EXPECT_EQ(house.content("analytics", "main", "inputs/").size(), 1u);
      EXPECT_EQ(house.run_state(kDay), "ready");
      EXPECT_EQ(house.run(kDay)["generation"].as_int(), 1);
      ASSERT_EQ(house.incidents().size(), 1u);
      EXPECT_EQ(house.incidents()[0]["deliveries"]["one"]["firing"]["id"].as_string(), "INC-1/one/firing");
      EXPECT_LE(house.receiver.got().size(), 1u) << "at most this one, if the dead process had not stored its own";
      for (const char* kind : {"mesh-proposal", "mesh-landed", "mesh-onboard", "mesh-deliver"})
        for (const tasks::Task& task : must(house.tasks->list(house.ctx, kind)))
          EXPECT_EQ(task.state, tasks::State::kDone) << task.id << ": " << task.error;
    }
}

}  // namespace
}  // namespace tarn::mesh
