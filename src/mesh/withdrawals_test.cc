#include "mesh/withdrawals.h"

#include "mesh/testing/house.h"

namespace tarn::mesh {
namespace {

using testing::must;

constexpr const char *kFirst = "2013-10-23", *kSecond = "2013-10-24";

class Withdrawal : public ::testing::Test {
 protected:
  void two_days(const std::string& policy = "onFail: queue, onWithdraw: rollback") {
    house_.found({.input = policy});
    house_.start();
    house_.publish(kFirst);
    house_.settle();
    house_.work_all(kFirst);
    before_ = house_.content("analytics");
    house_.publish(kSecond, "wrong");
    house_.settle();
    house_.work_all(kSecond);
    ASSERT_EQ(house_.run_state(kSecond), "landed");
    used_ = house_.head("analytics");
  }
  Json withdraw() {
    const Json answer = must(house_.mesh->withdrawals.withdraw(house_.ctx, house_.ann, "weather", "hourly", 1, 2,
                                                               Json::object({{"reason", "frozen sensors"}})));
    house_.settle();
    return answer;
  }
  Json delays(int64_t number) {
    return must(house_.mesh->publications.get(house_.ctx, "analytics", "delays", 1, number));
  }
  testing::House house_;
  std::map<std::string, std::string> before_;
  std::string used_;
};

TEST_F(Withdrawal, TakesTheConsumerBackInOneCommitToTheStateBefore) {
  two_days();
  const Json answer = withdraw();
  EXPECT_EQ(house_.content("analytics"), before_);
  const auto r = house_.repository("analytics");
  const auto commit = must(house_.engine->resolve(house_.ctx, r, "main")).commit;
  ASSERT_EQ(commit.parents.size(), 1u);
  EXPECT_EQ(commit.parents.front().hex(), used_);
  const Json consumer = answer["consumers"].items().front();
  EXPECT_EQ(consumer["commit"].as_string(), commit.id.hex());
  for (const auto& [scope, digests] : consumer["digests"].members()) EXPECT_TRUE(digests["equal"].as_bool()) << scope;
  EXPECT_EQ(house_.subscription()["pin"]["number"].as_int(), 1);
}

TEST_F(Withdrawal, TakesTheDerivedPublicationBackToo) {
  two_days();
  const Json answer = withdraw();
  EXPECT_TRUE(delays(1)["withdrawn"].is_null());
  EXPECT_NE(delays(2)["withdrawn"]["reason"].as_string().find("weather v2"), std::string::npos);
  EXPECT_EQ(answer["consumers"].items().front()["withdrawn_publications"].dump(),
            R"([{"port":"delays","major":1,"number":2,"day":"2013-10-24"}])");
  EXPECT_EQ(house_.run_state(kSecond), "waiting");
  EXPECT_EQ(house_.run_state(kFirst), "landed");
}

TEST_F(Withdrawal, TheRightLoadGoesTheWholeWayAgain) {
  two_days();
  withdraw();
  house_.publish(kSecond, "right");
  house_.settle();
  EXPECT_EQ(house_.read("analytics", "inputs/weather/date=2013-10-24/_a.txt"), "right");
  EXPECT_EQ(house_.run_state(kSecond), "ready");
  house_.work_all(kSecond, " again");
  EXPECT_EQ(house_.run_state(kSecond), "landed");
  EXPECT_TRUE(delays(3)["withdrawn"].is_null());
  EXPECT_EQ(house_.subscription()["pin"]["number"].as_int(), 3);
}

TEST_F(Withdrawal, TwiceIsOnce) {
  two_days();
  withdraw();
  const std::string head = house_.head("analytics");
  withdraw();
  EXPECT_EQ(house_.head("analytics"), head);
  EXPECT_EQ(house_.content("analytics"), before_);
  EXPECT_EQ(house_.events("mesh.publication.withdrawn"), 2) << "weather v2 and delays v2";
}

// A repetition after the repair used to find the repaired run and to withdraw what it had published.
TEST_F(Withdrawal, RepeatedAfterTheRepairLeavesTheRepairAlone) {
  two_days();
  withdraw();
  house_.publish(kSecond, "right");
  house_.settle();
  house_.work_all(kSecond, " again");
  const std::string head = house_.head("analytics");
  const Json subscription = house_.subscription();
  withdraw();
  EXPECT_EQ(house_.head("analytics"), head);
  EXPECT_EQ(house_.subscription().dump(), subscription.dump());
  EXPECT_EQ(house_.run_state(kSecond), "landed");
  EXPECT_TRUE(delays(3)["withdrawn"].is_null());
}

TEST_F(Withdrawal, OfSeveralGoesBackOneByOneAndTheirDaysComeAgain) {
  two_days();
  house_.publish("2013-10-25", "wrong, too");
  house_.settle();
  house_.work_all("2013-10-25");
  must(house_.mesh->withdrawals.withdraw(house_.ctx, house_.ann, "weather", "hourly", 1, 3,
                                         Json::object({{"reason", "frozen sensors"}})));
  house_.settle();
  EXPECT_EQ(house_.subscription()["pin"]["number"].as_int(), 2);
  withdraw();
  EXPECT_EQ(house_.content("analytics"), before_);
  EXPECT_EQ(house_.subscription()["pin"]["number"].as_int(), 1);
  house_.propose("weather",
                 {{"weather/date=2013-10-24/_a.txt", "right"}, {"weather/date=2013-10-25/_a.txt", "right, too"}},
                 house_.ann);
  house_.settle();
  EXPECT_EQ(house_.read("analytics", "inputs/weather/date=2013-10-24/_a.txt"), "right");
  EXPECT_EQ(house_.read("analytics", "inputs/weather/date=2013-10-25/_a.txt"), "right, too");
  EXPECT_EQ(house_.content("analytics", "main", "inputs/").size(), 3u);
}

// What comes next is the difference to what stands, not to what was taken back.
TEST_F(Withdrawal, TheNextDayComesWithoutTheDayThatWentBack) {
  two_days();
  withdraw();
  house_.publish("2013-10-25");
  house_.settle();
  EXPECT_EQ(house_.read("analytics", "inputs/weather/date=2013-10-25/_a.txt"), "20 C");
  EXPECT_EQ(house_.subscription()["pin"]["number"].as_int(), 3);
}

TEST_F(Withdrawal, MovesNoConsumerWhosePolicyIsToFreeze) {
  two_days("onFail: queue");
  const Json answer = withdraw();
  EXPECT_EQ(house_.head("analytics"), used_);
  EXPECT_EQ(answer["consumers"].items().front()["policy"].as_string(), "freeze");
  EXPECT_TRUE(delays(2)["withdrawn"].is_null());
}

TEST_F(Withdrawal, SwitchesTheExportBackToThePublicationThatStands) {
  two_days();
  const auto exported = [&] {
    return must(house_.mesh->exports.list(house_.ctx, "analytics"))["serving"]["publication"].as_int();
  };
  EXPECT_EQ(exported(), 2);
  withdraw();
  EXPECT_EQ(exported(), 1);
}

}  // namespace
}  // namespace tarn::mesh
