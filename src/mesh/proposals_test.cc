#include "mesh/proposals.h"

#include "mesh/testing/house.h"

namespace tarn::mesh {
namespace {

using testing::must;

class Proposal : public ::testing::Test {
 protected:
  Proposal() { house_.found(); }
  Json merge(const std::string& source, const Actor& by) {
    const Json opened = must(house_.mesh->proposals.open_or_join(house_.ctx, house_.spec("weather", source, by)));
    return must(house_.mesh->proposals.decide(house_.ctx, opened["id"].as_string()));
  }
  size_t count() { return must(house_.mesh->proposals.list(house_.ctx, "weather", "")).size(); }
  testing::House house_;
};

// A plain merge after a refused proposal of the same commit used to make a second proposal and a second incident.
TEST_F(Proposal, AMergeJoinsTheRefusedOneOfTheSameCommit) {
  const std::string commit = house_.commit("weather", "load", {{"weather/date=2013-10-25/a.parquet", "no parquet"}});
  const Json refused = house_.decide(house_.spec("weather", "load", house_.ann));
  ASSERT_EQ(refused["state"].as_string(), "failed");
  for (const std::string& source : {std::string("load"), commit}) {
    const Json joined = merge(source, house_.ann);
    EXPECT_EQ(joined["id"], refused["id"]);
    EXPECT_EQ(joined["state"].as_string(), "failed");
  }
  EXPECT_EQ(count(), 1u);
  EXPECT_EQ(house_.incidents().size(), 1u);
}

TEST_F(Proposal, AMergeOfANewCommitOrAfterACancellationIsANewOne) {
  house_.commit("weather", "load", {{"weather/date=2013-10-25/a.parquet", "no parquet"}});
  const Json first = merge("load", house_.ann);
  must(house_.mesh->proposals.cancel(house_.ctx, house_.ann, first["id"].as_string(), "cancelled", "not now"));
  const Json second = merge("load", house_.ann);
  EXPECT_NE(second["id"], first["id"]);
  EXPECT_EQ(second["state"].as_string(), "failed");
  house_.commit("weather", "load", {{"weather/date=2013-10-25/a.parquet", std::nullopt}, {"notes.txt", "n"}});
  const Json third = merge("load", house_.ann);
  EXPECT_EQ(third["state"].as_string(), "landed") << third.dump();
  EXPECT_EQ(merge("load", house_.ann)["landed_commit"], third["landed_commit"]);
  EXPECT_EQ(count(), 3u);
}

// Rules ask who proposes, so another user's question is another one; the fault in the data is the same incident.
TEST_F(Proposal, AnothersMergeOfTheCommitIsItsOwnAndTheSameIncident) {
  house_.commit("weather", "load", {{"weather/date=2013-10-25/a.parquet", "no parquet"}});
  const Json first = merge("load", house_.ann), second = merge("load", house_.ben);
  EXPECT_NE(second["id"], first["id"]);
  ASSERT_EQ(house_.incidents().size(), 1u);
  EXPECT_EQ(house_.incidents().front()["times_seen"].as_int(), 2);
}

TEST_F(Proposal, AConflictNamesThePathsAndLeavesTheTrunkAlone) {
  house_.commit("weather", "one", {{"notes.txt", "1"}});
  house_.commit("weather", "two", {{"notes.txt", "2"}});
  ASSERT_EQ(merge("one", house_.ann)["state"].as_string(), "landed");
  const std::string before = house_.head("weather");
  const Json conflict = merge("two", house_.ann);
  EXPECT_EQ(conflict["state"].as_string(), "conflict");
  EXPECT_EQ(conflict["conflicts"].dump(), R"(["notes.txt"])");
  EXPECT_EQ(house_.head("weather"), before);
  EXPECT_TRUE(house_.incidents().empty());
}

TEST_F(Proposal, WhatComesLaterToTheSameDayOvertakesARefusal) {
  const Json refused = house_.publish_bad("2013-10-25");
  const Json landed = house_.publish("2013-10-25");
  const Json after = must(house_.mesh->proposals.get(house_.ctx, refused["id"].as_string()));
  EXPECT_EQ(after["state"].as_string(), "superseded");
  EXPECT_EQ(after["superseded_by"], landed["id"]);
  EXPECT_TRUE(house_.incidents("open").empty());
  EXPECT_EQ(landed["state"].as_string(), "landed");
}

}  // namespace
}  // namespace tarn::mesh
