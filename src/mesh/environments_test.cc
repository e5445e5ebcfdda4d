#include "mesh/environments.h"

#include "mesh/testing/house.h"

namespace tarn::mesh {
namespace {

using testing::must;

class Environment : public ::testing::Test {
 protected:
  Environment() {
    house_.found();
    house_.start();
    house_.publish("2013-10-24");
    house_.settle();
  }
  Json make() { return must(house_.mesh->environments.create(house_.ctx, house_.ben, "analytics", Json::object())); }
  Json listed() { return must(house_.mesh->environments.list(house_.ctx, "analytics")).items().front(); }
  Json experiment(const std::string& name, const std::string& from = "") {
    Json body = Json::object({{"name", name}});
    if (!from.empty()) body.set("from", from);
    return must(house_.mesh->environments.create_experiment(house_.ctx, house_.ben, "analytics", body));
  }
  testing::House house_;
};

TEST_F(Environment, IsABranchThatCostsNothingAndIsMadeOnce) {
  const auto stored = must(house_.catalog->stored_bytes(house_.ctx));
  const Json made = make();
  EXPECT_EQ(made["branch"].as_string(), "dev-environment");
  EXPECT_EQ(must(house_.catalog->stored_bytes(house_.ctx)).objects, stored.objects);
  EXPECT_EQ(listed()["unique_bytes"].as_int(), 0);
  EXPECT_EQ(house_.content("analytics", "dev-environment"), house_.content("analytics"));
  EXPECT_EQ(make()["created_at"], made["created_at"]);
  EXPECT_EQ(house_.mesh->environments.create(house_.ctx, house_.stranger, "analytics", Json::object()).error().code(),
            Code::kForbidden);
}

TEST_F(Environment, FollowsTheTrunkByItself) {
  make();
  house_.publish("2013-10-25");
  house_.settle();
  EXPECT_EQ(listed()["state"].as_string(), "synced");
  EXPECT_FALSE(listed()["behind"].as_bool());
  EXPECT_EQ(house_.content("analytics", "dev-environment").count("inputs/weather/date=2013-10-25/_a.txt"), 1u);
}

TEST_F(Environment, AConflictIsNamedAndStopsNeitherTrunkNorOthers) {
  make();
  house_.commit("analytics", "dev-environment", {{"inputs/weather/date=2013-10-24/_a.txt", "an idea"}});
  house_.publish("2013-10-24", "corrected");
  house_.settle();
  EXPECT_EQ(house_.read("analytics", "inputs/weather/date=2013-10-24/_a.txt"), "corrected");
  EXPECT_EQ(listed()["state"].as_string(), "conflict");
  EXPECT_EQ(listed()["conflicts"].dump(), R"(["inputs/weather/date=2013-10-24/_a.txt"])");
  EXPECT_TRUE(listed()["behind"].as_bool());
  EXPECT_EQ(house_.events("mesh.env.synced"), 1);
}

TEST_F(Environment, AnExperimentLeavesFromAnyPublicationAndIsResetToItsStart) {
  house_.work_all("2013-10-24");
  house_.propose("analytics", {{"out/delays/date=2013-10-24/_a.txt", "second"}}, house_.ben);
  make();
  const Json first = experiment("old", "delays@v1");
  EXPECT_EQ(first["start"], must(house_.mesh->publications.get(house_.ctx, "analytics", "delays", 1, 1))["commit"]);
  const std::string branch = first["branch"].as_string();
  const auto before = house_.content("analytics", branch);
  house_.commit("analytics", branch, {{"out/delays/date=2013-10-24/_a.txt", "an idea"}});
  house_.stage("analytics", branch, {{"notes.txt", "not committed"}});
  const Json reset = must(house_.mesh->environments.reset_experiment(house_.ctx, house_.ben, "analytics", "old"));
  EXPECT_TRUE(reset["equals_start"].as_bool());
  EXPECT_EQ(house_.content("analytics", branch), before);
  EXPECT_FALSE(must(house_.engine->is_dirty(house_.ctx, house_.repository("analytics"), branch)));
}

TEST_F(Environment, ADiscardedExperimentLeavesNothingBehind) {
  make();
  const std::string main = house_.head("analytics");
  const std::string branch = experiment("idea")["branch"].as_string();
  EXPECT_EQ(branch, "exp--dev--idea");
  EXPECT_EQ(
      house_.mesh->environments.create_experiment(house_.ctx, house_.ben, "analytics", Json::object({{"name", "idea"}}))
          .error()
          .code(),
      Code::kAlreadyExists);
  house_.commit("analytics", branch, {{"notes.txt", "an idea"}});
  must(house_.mesh->environments.discard_experiment(house_.ctx, house_.ben, "analytics", "idea"));
  EXPECT_FALSE(house_.engine->get_branch(house_.ctx, house_.repository("analytics"), branch));
  EXPECT_EQ(must(house_.mesh->environments.experiments(house_.ctx, "analytics")).size(), 0u);
  EXPECT_EQ(house_.head("analytics"), main);
  experiment("idea");  // the name is free again
}

TEST_F(Environment, ComparesTwoRefsObjectByObject) {
  make();
  const std::string branch = experiment("idea")["branch"].as_string();
  house_.commit(
      "analytics", branch,
      {{"inputs/weather/date=2013-10-24/_a.txt", "changed"}, {"inputs/weather/date=2013-10-25/_a.txt", "new"}});
  const Json compared =
      must(house_.mesh->environments.compare(house_.ctx, "analytics", "main", branch, "inputs/weather/"));
  EXPECT_EQ(compared["objects"].dump(), R"({"added":1,"removed":0,"changed":1})");
}

}  // namespace
}  // namespace tarn::mesh
