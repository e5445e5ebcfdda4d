// Waivers: a named fault in named data, accepted by its owner for a time.
#include <cstring>

#include "mesh/testing/checked.h"
#include "mesh/testing/house.h"
#include "quality/worker.h"

namespace tarn::mesh {
namespace {

using testing::must;

class Waiver : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!testing::checks()) GTEST_SKIP() << "no DuckDB library: set TARN_DUCKDB_LIBRARY";
    house_.emplace("", testing::checks());
    house_->found();
  }
  Json load(const std::string& values, const std::string& file = "a") {
    return house_->propose("weather", {{"weather/date=2013-10-25/" + file + ".parquet", testing::rows(values)}},
                           house_->ann);
  }
  Result<Json> waive(const Json& proposal, const std::string& expires = "2013-10-26") {
    return house_->mesh->proposals.waive(house_->ctx, house_->ann, proposal["id"].as_string(),
                                         Json::object({{"checks", Json::array({"schema.a.required"})},
                                                       {"owner", "ann"},
                                                       {"reason", "one sensor was off"},
                                                       {"expires", expires}}));
  }
  Json again(const Json& proposal) {
    must(house_->mesh->proposals.retry(house_->ctx, house_->ann, proposal["id"].as_string()));
    return must(house_->mesh->proposals.decide(house_->ctx, proposal["id"].as_string()));
  }
  std::optional<testing::House> house_;
};

TEST_F(Waiver, LetsTheFaultPassAndStandsInTheGateRecord) {
  const Json refused = load("1), (NULL");
  ASSERT_EQ(refused["state"].as_string(), "failed") << refused.dump();
  const Json waiver = must(waive(refused))["waivers"].items().front();
  EXPECT_EQ(waiver["observed"].as_string().empty(), false);
  const Json landed = again(refused);
  ASSERT_EQ(landed["state"].as_string(), "landed") << landed.dump();
  EXPECT_EQ(landed["publications"].size(), 1u);
  const Json gate =
      must(house_->mesh->proposals.gate_record(house_->ctx, "weather", landed["landed_commit"].as_string()));
  EXPECT_EQ(gate["waivers"].items().front(), waiver["id"]);
  EXPECT_TRUE(house_->incidents("open").empty());
}

TEST_F(Waiver, HoldsForTheSameBytesInAnotherProposal) {
  const Json refused = load("1), (NULL");
  must(waive(refused));
  EXPECT_EQ(load("1), (NULL")["state"].as_string(), "landed");
}

TEST_F(Waiver, DoesNotHoldForOtherDataWithTheSameFault) {
  must(waive(load("1), (NULL")));
  EXPECT_EQ(load("2), (NULL")["state"].as_string(), "failed");
  EXPECT_EQ(load("1), (NULL", "b")["state"].as_string(), "failed");
}

TEST_F(Waiver, EndsByTheBusinessClock) {
  const Json refused = load("1), (NULL");
  must(waive(refused));
  must(house_->mesh->world.set_clock(house_->ctx, base::parse_rfc3339("2013-10-26")));
  EXPECT_EQ(again(refused)["state"].as_string(), "failed");
  EXPECT_EQ(waive(refused, "2013-10-26").error().code(), Code::kInvalid) << "it lies in the past";
  must(waive(refused, "2013-10-27"));
  EXPECT_EQ(again(refused)["state"].as_string(), "landed");
}

TEST_F(Waiver, IsForFaultsInDataAndNotForRulesOfTheMesh) {
  const Json refused = house_->propose("weather", {{"_mesh/contracts/hourly.odcs.yaml", std::nullopt}}, house_->ann);
  const auto waived = house_->mesh->proposals.waive(
      house_->ctx, house_->ann, refused["id"].as_string(),
      Json::object(
          {{"checks", Json::array({"checks-required"})}, {"owner", "a"}, {"reason", "r"}, {"expires", "2013-12-01"}}));
  EXPECT_EQ(waived.error().code(), Code::kInvalid);
}

}  // namespace
}  // namespace tarn::mesh

/// The test program is its own check worker.
int main(int argc, char** argv) {
  if (argc > 1 && std::strcmp(argv[1], "--check-worker") == 0)
    return tarn::quality::check_worker_main(tarn::quality::kWorkerChannel);
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
