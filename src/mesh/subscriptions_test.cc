#include "mesh/subscriptions.h"

#include "mesh/testing/checked.h"
#include "mesh/testing/house.h"

namespace tarn::mesh {
namespace {

using testing::must;

class Subscription : public ::testing::Test {
 protected:
  /// Three publications stand before the consumer looks for the first time.
  void three(const std::string& mode) {
    house_.found({.mode = mode});
    for (const char* day : {"2013-10-01", "2013-10-02", "2013-10-03"}) house_.publish(day);
    house_.start();
    house_.settle();
  }
  std::vector<Json> onboardings() {
    std::vector<Json> out;
    const Json all = must(house_.mesh->proposals.list(house_.ctx, "analytics", ""));
    for (const Json& p : all.items())
      if (p["kind"].as_string() == "onboard") out.push_back(p);
    std::sort(out.begin(), out.end(), [](const Json& a, const Json& b) {
      return a["context"]["publication"]["number"].as_int() < b["context"]["publication"]["number"].as_int();
    });
    return out;
  }
  Json lock(const std::string& ref) {
    const auto r = house_.repository("analytics");
    return must(house_.mesh->publications.locks(house_.ctx, r,
                                                must(house_.engine->resolve(house_.ctx, r, ref)).commit))["weather"];
  }
  testing::House house_;
};

TEST_F(Subscription, EveryBringsEachPublicationAsACommitOfItsOwn) {
  three("every");
  const auto proposals = onboardings();
  ASSERT_EQ(proposals.size(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(proposals[i]["state"].as_string(), "landed");
    EXPECT_EQ(lock(proposals[i]["landed_commit"].as_string())["publication"].as_int(), static_cast<int64_t>(i) + 1);
    EXPECT_EQ(house_.content("analytics", proposals[i]["landed_commit"].as_string(), "inputs/").size(), i + 1);
  }
}

TEST_F(Subscription, AutoBringsTheNewestAndWithItWhatLiesBetween) {
  three("auto");
  ASSERT_EQ(onboardings().size(), 1u);
  EXPECT_EQ(lock("main")["publication"].as_int(), 3);
  EXPECT_EQ(house_.content("analytics", "main", "inputs/weather/").size(), 3u);
}

TEST_F(Subscription, ManualAndPinnedBringNothingByThemselves) {
  three("manual");
  EXPECT_TRUE(onboardings().empty());
  EXPECT_TRUE(lock("main").is_null());
}

TEST_F(Subscription, PinAndLockNameThePublicationThatIsHeld) {
  three("every");
  const Json third = must(house_.mesh->publications.get(house_.ctx, "weather", "hourly", 1, 3));
  const Json pin = house_.subscription()["pin"], locked = lock("main");
  EXPECT_EQ(pin["number"].as_int(), 3);
  EXPECT_EQ(pin["commit"], third["commit"]);
  EXPECT_EQ(pin["landed_commit"].as_string(), house_.head("analytics"));
  EXPECT_EQ(locked["port"].as_string(), "weather/hourly:hourly@1");
  EXPECT_EQ(locked["commit"], third["commit"]);
  EXPECT_EQ(locked["scopeDigest"], third["scope_digest"]);
  EXPECT_EQ(locked["contract"].as_string(), "1.0.0");
  EXPECT_EQ(locked["report"], third["report"]);
}

TEST_F(Subscription, AnOnboardedDayIsByteForByteThePublishedOneAndCostsNoCopy) {
  three("every");
  EXPECT_EQ(house_.read("analytics", "inputs/weather/date=2013-10-02/_a.txt"), "20 C");
  const auto theirs = house_.content("weather", "main", "weather/");
  for (const auto& [path, checksum] : house_.content("analytics", "main", "inputs/weather/"))
    EXPECT_EQ(theirs.at(path.substr(7)), checksum);
}

TEST_F(Subscription, WorkingItOffTwiceRepeatsNothing) {
  three("every");
  const std::string before = house_.head("analytics");
  EXPECT_EQ(must(house_.mesh->subscriptions.onboard(house_.ctx, "analytics", "weather"))["proposals"].size(), 0u);
  EXPECT_EQ(house_.head("analytics"), before);
  EXPECT_EQ(onboardings().size(), 3u);
}

// Goal: dying between the opening of a proposal and the cursor's step leaves nothing stuck. Method: the cursor as such
// a death leaves it, after the proposal has landed by itself.
TEST_F(Subscription, AnOnboardingThatLandedBeforeTheCursorMovedIsNotStagedAgain) {
  three("every");
  const std::string key = keys::subscription("analytics", "weather"), before = house_.head("analytics");
  Record record = must(house_.mesh->world.records.get(house_.ctx, key, "subscription", key));
  kv::Batch back;
  const Json second = must(house_.mesh->publications.get(house_.ctx, "weather", "hourly", 1, 2));
  put_if(back, key, record.json.set("cursor", 2).set("cursor_commit", second["commit"]), record.version);
  must(house_.kv->apply(house_.ctx, back));
  must(house_.mesh->subscriptions.onboard(house_.ctx, "analytics", "weather"));
  EXPECT_EQ(house_.subscription()["cursor"].as_int(), 3);
  EXPECT_EQ(house_.head("analytics"), before);
  EXPECT_EQ(onboardings().size(), 3u);
}

TEST_F(Subscription, ALandingWakesItsFollowers) {
  three("every");
  house_.publish("2013-10-04");
  house_.settle();
  EXPECT_EQ(house_.subscription()["pin"]["number"].as_int(), 4);
}

TEST_F(Subscription, WaitsForTheProducersConsent) {
  house_.found();
  house_.create(
      house_.ben, "operations", "other", "other",
      Json::object({{"product.odps.yaml", testing::product_file("other", "o")},
                    {"contracts/o.odcs.yaml", testing::contract("o", "o/")},
                    {"inputs.yaml",
                     "inputs:\n  w: {from: 'weather/hourly:hourly@1', path: in/w/, partition: date, mode: every}\n"}}));
  const Json body = Json::object({{"consumer", "other"}, {"input", "w"}});
  EXPECT_EQ(house_.mesh->subscriptions.subscribe(house_.ctx, house_.stranger, body).error().code(), Code::kForbidden);
  EXPECT_EQ(must(house_.mesh->subscriptions.subscribe(house_.ctx, house_.ben, body))["state"].as_string(), "requested");
  house_.start();
  house_.publish("2013-10-01");
  house_.settle();
  EXPECT_TRUE(house_.content("other", "main", "in/").empty());
  EXPECT_EQ(house_.mesh->subscriptions.approve(house_.ctx, house_.ben, "other", "w").error().code(), Code::kForbidden);
  must(house_.mesh->subscriptions.approve(house_.ctx, house_.ann, "other", "w"));
  house_.settle();
  EXPECT_EQ(house_.content("other", "main", "in/").size(), 1u);
}

/// The consumer expects more than the producer promises.
class Expectation : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!testing::checks()) GTEST_SKIP() << "no DuckDB library: set TARN_DUCKDB_LIBRARY";
  }
  void bring(const std::string& on_fail) {
    house_.emplace("", testing::checks());
    house_->found({.input = "onWithdraw: rollback, onFail: " + on_fail,
                   .expectation = "    quality:\n      - {id: warm, type: sql, query: \"SELECT count(*) FROM ${object} "
                                  "WHERE a < 10\", mustBe: 0, unit: rows}\n"});
    publish("2013-10-23", "20");
    publish("2013-10-24", "5");
    publish("2013-10-25", "21");
    house_->start();
    house_->settle();
  }
  void publish(const std::string& day, const std::string& degrees) {
    EXPECT_EQ(
        house_
            ->propose("weather", {{"weather/date=" + day + "/a.parquet", testing::rows(degrees)}}, house_->ann)["state"]
            .as_string(),
        "landed");
  }
  std::optional<testing::House> house_;
};

TEST_F(Expectation, QueueGoesOnWithoutWhatWasRefusedAndTheLockNamesWhatIsMissing) {
  bring("queue");
  EXPECT_EQ(house_->content("analytics", "main", "inputs/").size(), 2u);
  Json s = house_->subscription();
  EXPECT_EQ(s["pin"]["number"].as_int(), 3);
  EXPECT_EQ(s["missing"].dump(), "[2]");
  EXPECT_NE(house_->read("analytics", "_mesh/lock/weather.yaml").find("missing"), std::string::npos);
  ASSERT_EQ(house_->incidents("open").size(), 1u);
  EXPECT_EQ(house_->incidents("open").front()["repository"].as_string(), "analytics");
  // The right load of the day ends it all.
  publish("2013-10-24", "15");
  house_->settle();
  EXPECT_EQ(house_->subscription()["missing"].dump(), "[]");
  EXPECT_EQ(house_->subscription()["pin"]["number"].as_int(), 4);
  EXPECT_TRUE(house_->incidents("open").empty());
  EXPECT_EQ(house_->content("analytics", "main", "inputs/").size(), 3u);
}

TEST_F(Expectation, HoldBringsNothingMoreUntilTheRefusedOneLands) {
  bring("hold");
  EXPECT_EQ(house_->content("analytics", "main", "inputs/").size(), 1u);
  EXPECT_EQ(house_->subscription()["pin"]["number"].as_int(), 1);
  const Json refused = house_->incidents("open").front();
  must(house_->mesh->proposals.waive(
      house_->ctx, house_->ben, refused["proposal"].as_string(),
      Json::object(
          {{"checks", Json::array({"warm"})}, {"owner", "ben"}, {"reason", "frost"}, {"expires", "2013-12-01"}})));
  must(house_->mesh->retry(house_->ctx, house_->ben, refused["proposal"].as_string()));
  house_->settle();
  must(house_->mesh->subscriptions.onboard(house_->ctx, "analytics", "weather"));
  EXPECT_EQ(house_->subscription()["missing"].dump(), "[]");
  EXPECT_EQ(house_->subscription()["pin"]["number"].as_int(), 3);
  EXPECT_EQ(house_->content("analytics", "main", "inputs/").size(), 3u);
}

// What the producer's gate refuses is tried against the consumers' expectations, too: whom would it have hurt?
TEST_F(Expectation, ARefusalAtTheProducerSaysWhatItCostsDownstream) {
  bring("queue");
  const Json refused =
      house_->propose("weather", {{"weather/date=2013-10-26/a.parquet", testing::rows("3), (NULL")}}, house_->ann);
  ASSERT_EQ(refused["state"].as_string(), "failed");
  const Json incident = must(house_->mesh->incidents.get(house_->ctx, refused["incident"].as_int()));
  ASSERT_EQ(incident["downstream"].size(), 1u) << incident.dump();
  EXPECT_EQ(incident["downstream"].items().front()["consumer"].as_string(), "analytics");
  EXPECT_NE(incident["downstream"].dump().find("\"warm\""), std::string::npos) << incident["downstream"].dump();
}

}  // namespace
}  // namespace tarn::mesh
