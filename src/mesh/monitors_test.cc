#include "mesh/monitors.h"

#include "mesh/testing/house.h"

namespace tarn::mesh {
namespace {

using testing::must;

class Monitor : public ::testing::Test {
 protected:
  Monitor() {
    house_.found();
    house_.add_channel("one");
    house_.start();
  }
  void at(const std::string& time) { must(house_.mesh->world.set_clock(house_.ctx, base::parse_rfc3339(time))); }
  Json look(const std::string& repository = "weather") {
    const Json all = must(house_.mesh->monitors.evaluate(house_.ctx));
    house_.settle();
    for (const Json& one : all.items())
      if (one["repository"].as_string() == repository) return one;
    return Json();
  }
  std::string state() { return look()["state"].as_string(); }
  std::vector<Json> of_weather(const std::string& kind) {
    std::vector<Json> out;
    for (const Json& i : house_.incidents())
      if (i["repository"].as_string() == "weather" && i["kind"].as_string() == kind) out.push_back(i);
    return out;
  }
  testing::House house_;
};

// The limit is 48 hours after the end of the newest day.
TEST_F(Monitor, CountsFromTheEndOfTheNewestDayByTheBusinessClock) {
  at("2013-10-25T06:00:00Z");
  house_.publish("2013-10-24");
  house_.fake.advance(1000 * 3600 * 1000LL);  // the wall clock is not asked
  EXPECT_EQ(state(), "fresh");
  at("2013-10-27T00:00:00Z");
  EXPECT_EQ(state(), "fresh");
  EXPECT_DOUBLE_EQ(look()["age_hours"].as_double(), 48);
  at("2013-10-27T00:01:00Z");
  EXPECT_EQ(state(), "breached");
  EXPECT_EQ(look()["incident"], of_weather("freshness").at(0)["id"]);
  EXPECT_EQ(of_weather("freshness").size(), 1u) << "one incident, however often it is seen";
  house_.publish("2013-10-26");
  EXPECT_EQ(state(), "fresh");
  EXPECT_EQ(of_weather("freshness").at(0)["state"].as_string(), "resolved");
}

TEST_F(Monitor, TellsItsReceiversOnceEach) {
  at("2013-10-25T06:00:00Z");
  house_.publish("2013-10-24");
  look();
  const size_t before = house_.receiver.got().size();
  at("2013-10-28T00:00:00Z");
  for (int i = 0; i < 3; ++i) look();
  house_.publish("2013-10-27");
  for (int i = 0; i < 3; ++i) look();
  size_t mine = 0;
  const auto got = house_.receiver.got();
  for (size_t i = before; i < got.size(); ++i) mine += got[i].body.find("hourly is ") != std::string::npos;
  EXPECT_EQ(mine, 2u);
}

TEST_F(Monitor, IsSilentWhileAnOpenGateIncidentExplainsIt) {
  at("2013-10-25T06:00:00Z");
  house_.publish("2013-10-24");
  const Json refused = house_.publish_bad("2013-10-26");
  at("2013-10-28T00:00:00Z");
  EXPECT_EQ(state(), "held");
  EXPECT_TRUE(of_weather("freshness").empty());
  must(house_.mesh->proposals.cancel(house_.ctx, house_.ann, refused["id"].as_string(), "cancelled", "given up"));
  EXPECT_EQ(state(), "breached");
  EXPECT_EQ(of_weather("freshness").size(), 1u);
}

TEST_F(Monitor, ListsAPortThatNeverPublishedAndMissesItWhenTheLimitHasPassed) {
  at("2013-10-25T06:00:00Z");
  Json one = look();
  EXPECT_EQ(one["state"].as_string(), "unpublished");
  EXPECT_TRUE(one["newest"].is_null());
  EXPECT_EQ(one["awaited_since"].as_string(), "2013-10-25T06:00:00Z");
  at("2013-10-27T06:00:00Z");
  EXPECT_EQ(state(), "unpublished");
  at("2013-10-27T07:00:00Z");
  EXPECT_EQ(state(), "overdue");
  ASSERT_EQ(of_weather("freshness").size(), 1u);
  EXPECT_NE(of_weather("freshness")[0]["title"].as_string().find("has published nothing for 49 hours"),
            std::string::npos);
  house_.publish("2013-10-26");
  EXPECT_EQ(state(), "fresh");
  EXPECT_EQ(of_weather("freshness")[0]["state"].as_string(), "resolved");
  EXPECT_FALSE(must(house_.mesh->world.records.find(house_.ctx, keys::monitor("weather", "hourly", 1))));
}

TEST_F(Monitor, AClockThatIsSetBackStartsTheWaitAnew) {
  at("2020-01-01");
  look();
  at("2013-10-25");
  EXPECT_EQ(look()["awaited_since"].as_string(), "2013-10-25T00:00:00Z");
  at("2013-10-26");
  EXPECT_EQ(state(), "unpublished");
}

TEST_F(Monitor, ComesAgainByItself) {
  at("2013-10-25T06:00:00Z");
  house_.publish("2013-10-24");
  house_.settle();
  must(house_.mesh->start(house_.ctx));
  house_.settle();
  at("2013-10-28T00:00:00Z");
  house_.later(30'000);
  EXPECT_EQ(of_weather("freshness").size(), 1u);
}

}  // namespace
}  // namespace tarn::mesh
