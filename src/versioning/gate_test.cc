// Goal: nothing moves a head or stages around the gate (promise G22).
#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <set>

#include "versioning/testing/world.h"

namespace tarn::versioning {
namespace {

using testing::Backend;
using testing::entry_of;
using testing::must;
using testing::World;

struct Operation {
  std::string name;
  std::function<Result<void>(Engine&, const Repository&)> run;
  bool allowed = false;  ///< on a protected branch, without a pass
  bool reviewed = true;  ///< asks the policy's review(); else admit_write()
};

template <class T>
Result<void> drop(const Result<T>& result) {
  if (!result) return result.error();
  return {};
}

std::vector<Operation> operations() {
  static const Context ctx;
  const auto spec = [] {
    CommitSpec s;
    s.message = "m";
    return s;
  };
  const auto land_edits = [=](LandingKind kind) {
    return [=](Engine& e, const Repository& r) -> Result<void> {
      const tree::Edit edit{"imported", entry_of("i")};
      TRY_LET(Candidate candidate, e.prepare_edits(ctx, r, "target", {&edit, 1}, spec(), kind));
      return drop(e.land(ctx, r, {std::move(candidate), {}, nullptr}));
    };
  };
  return {
      {"stage", [](Engine& e, const Repository& r) { return e.stage(ctx, r, "target", "p", entry_of("1")); }, false,
       false},
      {"conditional stage",
       [](Engine& e, const Repository& r) {
         return e.stage(ctx, r, "target", "q", entry_of("1"), {Expect::Kind::kAbsent, ""});
       },
       false, false},
      {"removal", [](Engine& e, const Repository& r) { return e.stage_removal(ctx, r, "target", "base"); }, false,
       false},
      {"many",
       [](Engine& e, const Repository& r) {
         const tree::Edit edit{"m", entry_of("1")};
         return e.stage_many(ctx, r, "target", {&edit, 1});
       },
       false, false},
      {"reset", [](Engine& e, const Repository& r) { return e.reset(ctx, r, "target", "", true); }, false, false},
      {"commit",
       [=](Engine& e, const Repository& r) {
         CommitSpec s = spec();
         s.allow_empty = true;
         return drop(e.commit(ctx, r, "target", s));
       }},
      {"revert", [](Engine& e, const Repository& r) { return drop(e.revert(ctx, r, "target", "target", 0, {})); }},
      {"cherry-pick",
       [](Engine& e, const Repository& r) { return drop(e.cherry_pick(ctx, r, "target", "source", 0, {})); }},
      {"import", land_edits(LandingKind::kImport)},
      {"mesh without a pass", land_edits(LandingKind::kMesh)},
      {"hard reset", [](Engine& e, const Repository& r) { return e.hard_reset(ctx, r, "target", "source"); }},
      {"delete branch", [](Engine& e, const Repository& r) { return e.delete_branch(ctx, r, "target"); }},
      {"merge", [](Engine& e, const Repository& r) { return drop(e.merge(ctx, r, "source", "target", {})); }, true},
  };
}

class Gate : public ::testing::Test {
 protected:
  Gate() : world(Backend::kMemory), repo(world.repository()) {
    must(world.engine->create_branch(ctx, repo, "target", "main"));
    world.put(repo, "target", "base", "1");
    world.commit(repo, "target");
    must(world.engine->create_branch(ctx, repo, "source", "target"));
    world.put(repo, "source", "new", "1");
    world.commit(repo, "source");
  }
  CommitId head() { return must(world.engine->get_branch(ctx, repo, "target")).head; }
  World world;
  Repository repo;
  Context ctx;
};

TEST_F(Gate, ProtectionHoldsForEveryOperation) {
  must(world.engine->set_protection(ctx, repo, {{"tar*"}}));
  for (const Operation& operation : operations()) {
    const CommitId before = head();
    const auto content = world.content(repo, "target");
    const auto done = operation.run(*world.engine, repo);
    if (operation.allowed) {
      EXPECT_TRUE(done) << operation.name << (done ? "" : done.error().text());
      continue;
    }
    ASSERT_FALSE(done) << operation.name;
    EXPECT_EQ(done.error().code(), Code::kForbidden) << operation.name;
    EXPECT_EQ(head(), before) << operation.name;
    EXPECT_EQ(world.content(repo, "target"), content) << operation.name;
  }
}

TEST_F(Gate, ARuleSetAfterAWriteBeganStopsTheNextOne) {
  world.put(repo, "target", "before", "1");
  must(world.engine->set_protection(ctx, repo, {{"target"}}));
  EXPECT_FALSE(world.engine->stage(ctx, repo, "target", "after", entry_of("1")));
  must(world.engine->set_protection(ctx, repo, {}));
  EXPECT_TRUE(world.engine->stage(ctx, repo, "target", "after", entry_of("1")));
}

TEST_F(Gate, APassOpensAProtectedBranch) {
  must(world.engine->set_protection(ctx, repo, {{"target"}}));
  CommitSpec spec;
  spec.message = "onboarded";
  const tree::Edit edit{"in", entry_of("i")};
  const Candidate candidate =
      must(world.engine->prepare_edits(ctx, repo, "target", {&edit, 1}, spec, LandingKind::kMesh, {}));
  const Pass pass{"mesh", "record-1"};
  const Commit landed = must(world.engine->land(ctx, repo, {candidate, {}, &pass}));
  EXPECT_EQ(landed.id, head());
}

class Refuses final : public LandingPolicy {
 public:
  Result<void> review(const Context&, const Repository&, const Candidate&, const Pass*) override {
    ++reviews;
    return Error(Code::kRefused, "gate", "no");
  }
  Result<void> admit_write(const Context&, const Repository&, std::string_view) override {
    ++writes;
    return Error(Code::kForbidden, "branch", "no");
  }
  int reviews = 0, writes = 0;
};

TEST_F(Gate, ThePolicyIsAskedForEveryOperation) {
  Refuses policy;
  world.engine->set_policy(&policy);
  for (const Operation& operation : operations()) {
    policy.reviews = policy.writes = 0;
    const CommitId before = head();
    EXPECT_FALSE(operation.run(*world.engine, repo)) << operation.name;
    EXPECT_EQ(policy.reviews, operation.reviewed ? 1 : 0) << operation.name;
    EXPECT_EQ(policy.writes, operation.reviewed ? 0 : 1) << operation.name;
    EXPECT_EQ(head(), before) << operation.name;
  }
  world.engine->set_policy(nullptr);
}

TEST_F(Gate, AReadOnlyRepositoryTakesNothing) {
  Repository closed = repo;
  closed.read_only = true;
  for (const Operation& operation : operations()) {
    const auto done = operation.run(*world.engine, closed);
    ASSERT_FALSE(done) << operation.name;
    EXPECT_EQ(done.error().code(), Code::kForbidden) << operation.name;
  }
}

// The source itself: a branch's record is written where a branch is made, where its staged changes are reset (the head
// stays) and where it lands; its head is assigned in land.cc only.
TEST_F(Gate, TheSourceHasOneDoor) {
  std::filesystem::path room = std::filesystem::path(__FILE__).parent_path();
  if (!std::filesystem::exists(room)) room = "src/versioning";
  if (!std::filesystem::exists(room)) GTEST_SKIP() << "the sources are not here";
  // recovery.cc fills an empty store that no server has opened yet: it moves no head, it says where they were.
  const std::set<std::string> may_encode{"land.cc",    "refs.cc",    "repositories.cc",
                                         "staging.cc", "records.cc", "recovery.cc"};
  int files = 0;
  for (const auto& item : std::filesystem::directory_iterator(room)) {
    const std::string name = item.path().filename();
    if (!name.ends_with(".cc") || name.ends_with("_test.cc")) continue;
    ++files;
    const std::string text = must(base::system_disk().read_all(item.path()));
    if (text.find("encode_branch(") != std::string::npos) {
      EXPECT_TRUE(may_encode.contains(name)) << name;
    }
    if (text.find("moved.head =") != std::string::npos) {
      EXPECT_EQ(name, "land.cc");
    }
    if (name == "staging.cc") {
      EXPECT_EQ(text.find(".head ="), std::string::npos) << "a reset must not move a head";
    }
  }
  EXPECT_GT(files, 10);
}

}  // namespace
}  // namespace tarn::versioning
