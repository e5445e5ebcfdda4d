#include <gtest/gtest.h>

#include "base/testing/scratch.h"
#include "catalog/catalog.h"
#include "mesh/mesh.h"
#include "versioning/testing/world.h"

namespace tarn::mesh {
namespace {

using versioning::testing::must;

constexpr std::string_view kProduct =
    "apiVersion: v1.0.0\nkind: DataProduct\nid: p\nname: hourly\noutputPorts:\n  - {name: hourly, version: 1.0.0}\n";
constexpr std::string_view kContract =
    "apiVersion: v3.1.0\nkind: DataContract\nid: weather\nversion: 1.0.0\nstatus: active\nschema:\n"
    "  - name: hourly\n    physicalName: weather/\n    properties:\n      - {name: origin, logicalType: string}\n";

class NoNetwork final : public http::Client {
 public:
  Result<http::ClientResponse> send(const Context&, const http::ClientRequest&) override {
    return Error(Code::kUnavailable, "network", "there is none in this test");
  }
};

/// A mesh without the check library: what it must hold even then.
class Gate : public ::testing::Test {
 protected:
  Gate() : world_(versioning::testing::Backend::kMemory) {
    tasks_ = std::make_unique<tasks::Tasks>(*world_.kv, world_.clock, world_.random, 2);
    catalog_ = must(catalog::Catalog::open(*world_.kv, *world_.blocks, base::system_disk(), *world_.engine, *tasks_,
                                           world_.clock, world_.random, {}));
    auth_ =
        must(auth::Auth::open(*world_.kv, base::system_disk(), folder_.path() + "/key", world_.clock, world_.random));
    mesh_ = std::make_unique<Mesh>(Doors{*world_.kv, *catalog_, *world_.engine, *tasks_, *auth_, nullptr, network_,
                                         base::system_disk(), world_.clock, world_.random, folder_.path()});
    world_.engine->set_policy(&mesh_->policy);
    must(mesh_->products.create_domain(ctx_, admin_, Json::object({{"name", "weather"}, {"owner", "weather"}})));
    must(mesh_->products.create(ctx_, owner_, product()));
    repository_ = must(world_.engine->get_repository(ctx_, "weather"));
  }
  ~Gate() override { world_.engine->set_policy(nullptr); }

  static Json product() {
    return Json::object(
        {{"domain", "weather"},
         {"name", "hourly"},
         {"repository", "weather"},
         {"files", Json::object({{"product.odps.yaml", kProduct}, {"contracts/hourly.odcs.yaml", kContract}})}});
  }
  /// Commits one edit on a branch of its own and decides its proposal.
  Json propose(const std::string& branch, const std::string& path, std::optional<std::string> content, Proposer by) {
    must(world_.engine->create_branch(ctx_, repository_, branch, "main"));
    if (content)
      world_.put(repository_, branch, path, *content);
    else
      must(world_.engine->stage_removal(ctx_, repository_, branch, path));
    world_.commit(repository_, branch);
    ProposalSpec spec;
    spec.repository = "weather";
    spec.source = branch;
    spec.proposer = std::move(by);
    const Json opened = must(mesh_->proposals.open(ctx_, spec));
    return must(mesh_->proposals.decide(ctx_, opened["id"].as_string()));
  }
  std::string head() { return must(world_.engine->get_branch(ctx_, repository_, "main")).head.hex(); }
  static bool has_failed(const Json& proposal, std::string_view check) {
    for (const Json& f : proposal["report"]["findings"].items())
      if (f["check"].as_string() == check && f["result"].as_string() != "passed") return true;
    return false;
  }

  Context ctx_;
  base::testing::ScratchFolder folder_;
  versioning::testing::World world_;
  NoNetwork network_;
  std::unique_ptr<tasks::Tasks> tasks_;
  std::unique_ptr<catalog::Catalog> catalog_;
  std::unique_ptr<auth::Auth> auth_;
  std::unique_ptr<Mesh> mesh_;
  versioning::Repository repository_;
  const Actor admin_{"admin", true}, owner_{"weather", false}, stranger_{"somebody", false};
};

TEST_F(Gate, MakingAProductTwiceGivesTheSameOne) {
  const std::string before = head();
  EXPECT_EQ(must(mesh_->products.create(ctx_, owner_, product()))["repository"].as_string(), "weather");
  EXPECT_EQ(head(), before);
}

TEST_F(Gate, ATrunkTakesNoWriteNoMergeAndNoResetPastTheMesh) {
  const std::string before = head();
  EXPECT_EQ(world_.engine->stage(ctx_, repository_, "main", "x", versioning::testing::entry_of("x")).error().code(),
            Code::kForbidden);
  must(world_.engine->create_branch(ctx_, repository_, "mine", "main"));
  world_.put(repository_, "mine", "x", "x");
  world_.commit(repository_, "mine");
  EXPECT_EQ(world_.engine->merge(ctx_, repository_, "mine", "main", {}).error().code(), Code::kForbidden);
  EXPECT_FALSE(world_.engine->hard_reset(ctx_, repository_, "main", "mine"));
  EXPECT_EQ(head(), before);
}

TEST_F(Gate, APassedProposalLandsWithItsGateRecord) {
  const Json landed = propose("notes", "notes.txt", "hello", {stranger_});
  ASSERT_EQ(landed["state"].as_string(), "landed") << landed.dump();
  EXPECT_EQ(landed["landed_commit"].as_string(), head());
  EXPECT_EQ(must(mesh_->proposals.gate_record(ctx_, "weather", head()))["proposal"], landed["id"]);
}

// Goal: what cannot be tested does not pass. Method: no check library, so the data contract stays undecided.
TEST_F(Gate, AnUndecidedCheckRefusesAndLeavesTheTrunkAlone) {
  const std::string before = head();
  const Json refused = propose("load", "weather/a.parquet", "not even parquet", {owner_});
  EXPECT_EQ(refused["state"].as_string(), "failed");
  EXPECT_TRUE(has_failed(refused, "engine")) << refused.dump();
  EXPECT_EQ(head(), before);
  const Json incident = must(mesh_->incidents.get(ctx_, refused["incident"].as_int()));
  EXPECT_EQ(incident["state"].as_string(), "open");
  // The snapshot can be read for ever, under a tag of its own.
  EXPECT_EQ(must(world_.engine->get_tag(ctx_, repository_, incident["snapshot"].as_string())).commit.hex(),
            refused["candidate"].as_string());
}

TEST_F(Gate, ARemovedContractIsRefusedEvenToItsOwner) {
  const Json refused = propose("bare", "_mesh/contracts/hourly.odcs.yaml", std::nullopt, {owner_});
  EXPECT_EQ(refused["state"].as_string(), "failed");
  EXPECT_TRUE(has_failed(refused, "checks-required")) << refused.dump();
}

TEST_F(Gate, DefinitionsNeedTheOwnerAndLockFilesTheServer) {
  EXPECT_TRUE(
      has_failed(propose("a", "_mesh/environments.yaml", "environments: {}\n", {stranger_}), "definitions-owner"));
  EXPECT_TRUE(has_failed(propose("b", "_mesh/lock/x.yaml", "lock: {}\n", {owner_}), "lock-files"));
}

TEST_F(Gate, AJobWritesOnlyBelowItsScopes) {
  Proposer job{owner_};
  job.write_scopes = {"stage/a/"};
  EXPECT_TRUE(has_failed(propose("a", "stage/b/x", "x", job), "write-scope"));
  EXPECT_EQ(propose("b", "stage/a/x", "x", job)["state"].as_string(), "landed");
}

TEST_F(Gate, WhatNoRuleCanReadIsRefused) {
  const Json refused = propose("notes", "weather/date=2013-10-25/notes.json", "{}", {owner_});
  EXPECT_EQ(refused["state"].as_string(), "failed") << refused.dump();
  EXPECT_TRUE(has_failed(refused, "files-readable"));
  const Json marker = propose("marker", "weather/date=2013-10-25/_SUCCESS", "", {owner_});
  EXPECT_EQ(marker["state"].as_string(), "landed") << "a marker is no data";
  EXPECT_EQ(propose("elsewhere", "readme.md", "hello", {owner_})["state"].as_string(), "landed");
}

TEST_F(Gate, ADecidedProposalIsNotDecidedAgain) {
  const Json landed = propose("notes", "notes.txt", "hello", {owner_});
  const std::string before = head();
  EXPECT_EQ(must(mesh_->proposals.decide(ctx_, landed["id"].as_string()))["state"].as_string(), "landed");
  EXPECT_EQ(head(), before);
  EXPECT_EQ(mesh_->proposals.retry(ctx_, owner_, landed["id"].as_string()).error().code(), Code::kConflict);
}

TEST_F(Gate, OnlyTheOwnerWaivesAndOnlyWhatFailed) {
  const Json refused = propose("load", "weather/a.parquet", "x", {owner_});
  const Json body = Json::object({{"checks", Json::array({"day-size"})},
                                  {"owner", "weather"},
                                  {"reason", "known"},
                                  {"expires", "2999-01-01T00:00:00Z"}});
  EXPECT_EQ(mesh_->proposals.waive(ctx_, stranger_, refused["id"].as_string(), body).error().code(), Code::kForbidden);
  EXPECT_EQ(mesh_->proposals.waive(ctx_, owner_, refused["id"].as_string(), body).error().code(), Code::kInvalid);
}

TEST(BusinessClock, StandsWhereItIsSet) {
  versioning::testing::World w(versioning::testing::Backend::kMemory);
  const Records records(*w.kv);
  kv::Batch batch;
  put(batch, std::string(keys::kClock), Json::object({{"at_ms", 5}}));
  must(w.kv->apply({}, batch));
  EXPECT_EQ(must(records.get({}, keys::kClock, "clock", "clock")).json["at_ms"].as_int(), 5);
}

}  // namespace
}  // namespace tarn::mesh
