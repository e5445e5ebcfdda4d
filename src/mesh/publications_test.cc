#include "mesh/publications.h"

#include "mesh/testing/house.h"

namespace tarn::mesh {
namespace {

using testing::must;

class Publication : public ::testing::Test {
 protected:
  Publication() { house_.found(); }
  std::vector<Json> all() { return must(house_.mesh->publications.list(house_.ctx, "weather", "hourly", 1)); }
  Json get(int64_t number) { return must(house_.mesh->publications.get(house_.ctx, "weather", "hourly", 1, number)); }
  Result<Json> withdraw(const Actor& by, int64_t number, const std::string& reason = "wrong") {
    return house_.mesh->withdrawals.withdraw(house_.ctx, by, "weather", "hourly", 1, number,
                                             Json::object({{"reason", reason}}));
  }
  testing::House house_;
};

TEST_F(Publication, NumbersFollowTheOrderOfLandingAndNameTheirDays) {
  std::vector<std::string> commits;
  for (const char* day : {"2013-10-02", "2013-10-01", "2013-10-03"})
    commits.push_back(house_.publish(day)["landed_commit"].as_string());
  const auto list = all();
  ASSERT_EQ(list.size(), 3u);
  for (size_t i = 0; i < list.size(); ++i) {
    EXPECT_EQ(list[i]["number"].as_int(), static_cast<int64_t>(i) + 1);
    EXPECT_EQ(list[i]["commit"].as_string(), commits[i]);
    EXPECT_EQ(
        must(house_.engine->get_tag(house_.ctx, house_.repository("weather"), list[i]["tag"].as_string())).commit.hex(),
        commits[i]);
  }
  EXPECT_EQ(list[1]["days"].dump(), R"(["2013-10-01"])");
  EXPECT_EQ(list[2]["holds"].dump(), R"({"first":"2013-10-01","last":"2013-10-03","count":3})");
  EXPECT_EQ(house_.events("mesh.publication.created"), 3);
}

TEST_F(Publication, OneLandingWithTwoDaysIsOneNumber) {
  house_.propose("weather", {{"weather/date=2013-10-01/_a.txt", "a"}, {"weather/date=2013-10-02/_a.txt", "b"}},
                 house_.ann);
  ASSERT_EQ(all().size(), 1u);
  EXPECT_EQ(get(1)["days"].dump(), R"(["2013-10-01","2013-10-02"])");
}

TEST_F(Publication, IsMadeOnlyWhenThePortsDataDiffers) {
  house_.publish("2013-10-01");
  EXPECT_EQ(house_.propose("weather", {{"notes.txt", "hello"}}, house_.ann)["state"].as_string(), "landed");
  EXPECT_EQ(house_.publish_bad("2013-10-02")["state"].as_string(), "failed");
  EXPECT_EQ(all().size(), 1u);
  house_.publish("2013-10-01", "corrected");
  EXPECT_EQ(get(2)["days"].dump(), R"(["2013-10-01"])");
}

TEST_F(Publication, StaysWhatItWas) {
  house_.publish("2013-10-01");
  const Json before = get(1);
  const auto content = house_.content("weather", before["tag"].as_string(), "weather/");
  house_.publish("2013-10-01", "other");
  house_.propose("weather", {{"weather/date=2013-10-01/_a.txt", std::nullopt}, {"weather/date=2013-10-09/_a.txt", "n"}},
                 house_.ann);
  EXPECT_EQ(get(1).dump(), before.dump());
  EXPECT_EQ(house_.content("weather", before["tag"].as_string(), "weather/"), content);
  // And a number is taken once: not even a batch of the mesh's own writes over it.
  kv::Batch again;
  put_if(again, keys::publication("weather", "hourly", 1, 1), before, 0);
  EXPECT_EQ(house_.kv->apply(house_.ctx, again).error().code(), Code::kConflict);
}

TEST_F(Publication, AWithdrawnOneKeepsItsNumberAndItsData) {
  for (const char* day : {"2013-10-01", "2013-10-02"}) house_.publish(day);
  const Json before = get(2);
  const Json answer = must(withdraw(house_.ann, 2, "half the stations"));
  EXPECT_EQ(answer["publication"]["withdrawn"]["by"].as_string(), "ann");
  Json after = get(2);
  EXPECT_EQ(after["withdrawn"]["reason"].as_string(), "half the stations");
  EXPECT_EQ(after.set("withdrawn", Json()).dump(), before.dump());
  EXPECT_EQ(house_.content("weather", before["tag"].as_string()).count("weather/date=2013-10-02/_a.txt"), 1u);
  EXPECT_EQ((*must(house_.mesh->publications.latest(house_.ctx, "weather", "hourly", 1)))["number"].as_int(), 1);
  house_.publish("2013-10-02", "whole");
  EXPECT_EQ(all().back()["number"].as_int(), 3);
}

TEST_F(Publication, IsWithdrawnByItsOwnerWithAReasonAndNewestFirst) {
  for (const char* day : {"2013-10-01", "2013-10-02"}) house_.publish(day);
  EXPECT_EQ(withdraw(house_.ben, 2).error().code(), Code::kForbidden);
  EXPECT_EQ(withdraw(house_.ann, 2, "").error().code(), Code::kInvalid);
  EXPECT_EQ(withdraw(house_.ann, 1).error().code(), Code::kConflict);
  EXPECT_EQ(withdraw(house_.ann, 7).error().code(), Code::kNotFound);
  EXPECT_TRUE(withdraw(house_.ann, 2));
  EXPECT_TRUE(withdraw(house_.ann, 2));  // again is the same
  EXPECT_EQ(house_.events("mesh.publication.withdrawn"), 1);
}

// Goal: no gap and no double number when many land at once. Method: threads propose days side by side.
TEST_F(Publication, NumbersHaveNoGapsWhenManyLandAtOnce) {
  std::vector<std::string> sources;
  for (int day = 1; day <= 6; ++day)
    sources.push_back(house_.commit("weather", "d" + std::to_string(day),
                                    {{"weather/date=2013-10-0" + std::to_string(day) + "/_a.txt", "x"}}));
  std::vector<base::Thread> threads;
  for (const std::string& source : sources)
    threads.emplace_back([&, source] { house_.decide(house_.spec("weather", source, house_.ann)); });
  threads.clear();
  const auto list = all();
  ASSERT_EQ(list.size(), 6u);
  for (size_t i = 0; i < list.size(); ++i) EXPECT_EQ(list[i]["holds"]["count"].as_int(), static_cast<int64_t>(i) + 1);
}

}  // namespace
}  // namespace tarn::mesh
