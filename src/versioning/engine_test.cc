// Goal: the engine's promises, on memory and on RocksDB with the local store.
#include <gtest/gtest.h>

#include "versioning/testing/world.h"

namespace tarn::versioning {
namespace {

using testing::Backend;
using testing::entry_of;
using testing::must;
using testing::World;
using Paths = std::vector<std::string>;

class EngineContract : public ::testing::TestWithParam<Backend> {
 protected:
  EngineContract() : world(GetParam()), engine(*world.engine), repo(world.repository()) {}
  Paths names(const Page<Listed>& page) {
    Paths out;
    for (const Listed& item : page.items) out.push_back(item.path);
    return out;
  }
  Page<Listed> list(std::string_view ref, ListQuery query) {
    return must(engine.list(ctx, repo, must(engine.resolve(ctx, repo, ref)), query));
  }
  template <class T>
  static Code code(const Result<T>& result) {
    return result ? Code::kInternal : result.error().code();
  }
  MergeSpec spec() { return {}; }

  World world;
  Engine& engine;
  Repository repo;
  Context ctx;
};

INSTANTIATE_TEST_SUITE_P(Stores, EngineContract, ::testing::Values(Backend::kMemory, Backend::kDisk),
                         [](const auto& test) { return test.param == Backend::kMemory ? "Memory" : "Disk"; });

TEST_P(EngineContract, ANewRepositoryHasItsFirstCommit) {
  const Resolved at = must(engine.resolve(ctx, repo, "main"));
  EXPECT_EQ(at.commit.message, "Repository created");
  EXPECT_EQ(at.commit.generation, 1u);
  EXPECT_TRUE(at.commit.parents.empty());
  EXPECT_TRUE(must(world.blocks->read(ctx, *block::make_name("data/tarn/repository.json"), 0, {})).find(repo.id) !=
              std::string::npos);
  EXPECT_EQ(code(engine.get_repository(ctx, "none")), Code::kNotFound);
}

TEST_P(EngineContract, NamespacesDoNotOverlap) {
  for (const char* place : {"local://data", "local://data/", "local://data/below"}) {
    RepositoryCreation creation;
    creation.name = "other";
    creation.storage_namespace = place;
    const auto made = engine.create_repository(ctx, creation);
    ASSERT_EQ(code(made), Code::kAlreadyExists) << place;
    EXPECT_EQ(made.error().subject(), "storage_namespace");
  }
  RepositoryCreation creation;
  creation.name = "data";
  creation.storage_namespace = "local://elsewhere";
  const auto made = engine.create_repository(ctx, creation);
  ASSERT_EQ(code(made), Code::kAlreadyExists);
  EXPECT_EQ(made.error().subject(), "repository");
}

TEST_P(EngineContract, StagedChangesAreSeenOnTheBranchAndCommitted) {
  world.put(repo, "main", "a/1", "one");
  world.put(repo, "main", "b", "two");
  EXPECT_EQ(world.content(repo, "main").size(), 2u);
  EXPECT_EQ(world.content(repo, "main@").size(), 0u);
  EXPECT_TRUE(must(engine.is_dirty(ctx, repo, "main")));
  EXPECT_EQ(must(engine.uncommitted(ctx, repo, "main", {})).items.size(), 2u);
  const Commit commit = world.commit(repo, "main");
  EXPECT_FALSE(must(engine.is_dirty(ctx, repo, "main")));
  EXPECT_EQ(world.content(repo, commit.id.hex()).size(), 2u);
  must(engine.stage_removal(ctx, repo, "main", "b"));
  EXPECT_EQ(world.content(repo, "main").size(), 1u);
  EXPECT_EQ(world.content(repo, commit.id.hex()).size(), 2u);
  world.commit(repo, "main");
  EXPECT_EQ(must(engine.find(ctx, repo, must(engine.resolve(ctx, repo, "main")), "b")), std::nullopt);
  CommitSpec empty;
  empty.message = "nothing";
  EXPECT_EQ(code(engine.commit(ctx, repo, "main", empty)), Code::kInvalid);
  empty.allow_empty = true;
  EXPECT_TRUE(engine.commit(ctx, repo, "main", empty));
}

TEST_P(EngineContract, ListingCollapsesAtTheDelimiterAndPages) {
  for (const char* path : {"a", "b/1", "b/2", "b/c/3", "d/x", "e"}) world.put(repo, "main", path, path);
  world.commit(repo, "main");
  world.put(repo, "main", "c/staged", "s");
  must(engine.stage_removal(ctx, repo, "main", "d/x"));
  ListQuery query;
  query.delimiter = "/";
  EXPECT_EQ(names(list("main", query)), (Paths{"a", "b/", "c/", "e"}));
  query.amount = 2;
  auto page = list("main", query);
  EXPECT_TRUE(page.has_more);
  EXPECT_EQ(page.next_after, "b/");
  query.after = page.next_after;
  page = list("main", query);
  EXPECT_EQ(names(page), (Paths{"c/", "e"}));
  EXPECT_FALSE(page.has_more);
  ListQuery below;
  below.prefix = "b/";
  below.delimiter = "/";
  EXPECT_EQ(names(list("main", below)), (Paths{"b/1", "b/2", "b/c/"}));
}

TEST_P(EngineContract, RefExpressionsResolve) {
  world.put(repo, "main", "x", "1");
  const Commit first = world.commit(repo, "main");
  world.put(repo, "main", "x", "2");
  const Commit second = world.commit(repo, "main");
  must(engine.create_tag(ctx, repo, "v1", "main~1", false));
  EXPECT_EQ(must(engine.resolve(ctx, repo, "main~")).commit.id, first.id);
  EXPECT_EQ(must(engine.resolve(ctx, repo, "main^1")).commit.id, first.id);
  EXPECT_EQ(must(engine.resolve(ctx, repo, "main^0")).commit.id, second.id);
  EXPECT_EQ(must(engine.resolve(ctx, repo, "v1")).commit.id, first.id);
  EXPECT_EQ(must(engine.resolve(ctx, repo, second.id.hex().substr(0, 12))).commit.id, second.id);
  EXPECT_TRUE(must(engine.resolve(ctx, repo, "main$")).branch.has_value());
  EXPECT_FALSE(must(engine.resolve(ctx, repo, "main@")).branch.has_value());
  EXPECT_EQ(code(engine.resolve(ctx, repo, "main~3")), Code::kNotFound);
  EXPECT_EQ(code(engine.resolve(ctx, repo, "main~999999999999999999999")), Code::kNotFound);
  EXPECT_EQ(code(engine.resolve(ctx, repo, "main^2")), Code::kInvalid);
  EXPECT_EQ(code(engine.resolve(ctx, repo, "main@~1")), Code::kInvalid);
  EXPECT_EQ(code(engine.resolve(ctx, repo, "nowhere")), Code::kNotFound);
  EXPECT_EQ(code(engine.create_branch(ctx, repo, "v1", "main")), Code::kAlreadyExists);
  EXPECT_EQ(code(engine.create_tag(ctx, repo, "main", "main", false)), Code::kAlreadyExists);
}

TEST_P(EngineContract, MergeTakesTheSourceAndTellsAllConflicts) {
  for (const char* path : {"a", "b", "c"}) world.put(repo, "main", path, "base");
  world.commit(repo, "main");
  must(engine.create_branch(ctx, repo, "dev", "main"));
  world.put(repo, "dev", "a", "dev");
  world.put(repo, "dev", "new", "dev");
  world.commit(repo, "dev");
  world.put(repo, "main", "b", "main");
  const Commit main_head = world.commit(repo, "main");

  const PreparedMerge prepared = must(engine.prepare_merge(ctx, repo, "dev", "main", spec()));
  ASSERT_TRUE(prepared.candidate);
  EXPECT_EQ(prepared.changes.size(), 2u);
  EXPECT_EQ(world.content(repo, prepared.candidate->commit.id.hex()).size(), 4u) << "readable before it lands";
  EXPECT_EQ(must(engine.get_branch(ctx, repo, "main")).head, main_head.id);

  const auto merged = must(engine.merge(ctx, repo, "dev", "main", spec()));
  ASSERT_TRUE(merged.landed);
  EXPECT_EQ(merged.landed->message, "Merge 'dev' into 'main'");
  EXPECT_EQ(merged.landed->parents.size(), 2u);
  EXPECT_EQ(merged.landed->metadata.at(".lakefs.merge.strategy"), "default");
  EXPECT_EQ(code(engine.merge(ctx, repo, "dev", "main", spec())), Code::kInvalid) << "nothing to merge";
  EXPECT_EQ(code(engine.land(ctx, repo, {*prepared.candidate, {}, nullptr})), Code::kConflict) << "the head moved";

  for (const char* path : {"a", "b"}) {
    world.put(repo, "dev", path, "theirs");
    world.put(repo, "main", path, "ours");
  }
  world.commit(repo, "dev");
  world.commit(repo, "main");
  const auto refused = must(engine.merge(ctx, repo, "dev", "main", spec()));
  EXPECT_FALSE(refused.landed);
  ASSERT_EQ(refused.conflicts.size(), 2u);
  EXPECT_EQ(refused.conflicts[0].key, "a");
  const auto shown = must(engine.diff(ctx, repo, "main", "dev", DiffType::kThreeDot, {}));
  ASSERT_EQ(shown.items.size(), 2u);
  EXPECT_EQ(shown.items[0].type, DiffItem::Type::kConflict);
  MergeSpec wins;
  wins.strategy = tree::Strategy::kSourceWins;
  ASSERT_TRUE(must(engine.merge(ctx, repo, "dev", "main", wins)).landed);
  EXPECT_EQ(must(engine.diff(ctx, repo, "main", "dev", DiffType::kThreeDot, {})).items.size(), 0u);
}

TEST_P(EngineContract, ConflictsComeInPages) {
  std::vector<tree::Edit> ours, theirs;
  for (int i = 100; i < 150; ++i) {
    ours.push_back({"p/" + std::to_string(i), entry_of("ours")});
    theirs.push_back({"p/" + std::to_string(i), entry_of(i % 2 == 0 ? "theirs" : "ours")});
  }
  must(engine.create_branch(ctx, repo, "dev", "main"));
  must(engine.stage_many(ctx, repo, "dev", theirs));
  world.put(repo, "dev", "only/theirs", "x");
  world.commit(repo, "dev");
  must(engine.stage_many(ctx, repo, "main", ours));
  world.commit(repo, "main");
  std::vector<std::string> paths;
  PageQuery query;
  query.amount = 7;
  while (true) {
    const auto page = must(engine.conflicts(ctx, repo, "dev", "main", query));
    for (const tree::Conflict& conflict : page.items) {
      paths.push_back(conflict.key);
      EXPECT_FALSE(conflict.base);
      EXPECT_EQ(conflict.source->etag.text(), entry_of("theirs").etag.text());
      EXPECT_EQ(conflict.destination->etag.text(), entry_of("ours").etag.text());
    }
    if (!page.has_more) break;
    query.after = page.next_after;
  }
  const auto all = must(engine.merge(ctx, repo, "dev", "main", spec())).conflicts;
  ASSERT_EQ(paths.size(), 25u);
  ASSERT_EQ(all.size(), 25u);
  for (size_t i = 0; i < paths.size(); ++i) EXPECT_EQ(paths[i], all[i].key);
  query = {.prefix = "p/10", .after = ""};
  EXPECT_EQ(must(engine.conflicts(ctx, repo, "dev", "main", query)).items.size(), 5u);
}

TEST_P(EngineContract, AMergeDecidesByTheClassOfAPath) {
  const std::vector<std::string> paths = {"lock", "raw/a", "raw/b.csv", "reports/a"};
  for (const std::string& path : paths) world.put(repo, "main", path, "base");
  world.commit(repo, "main");
  must(engine.create_branch(ctx, repo, "dev", "main"));
  for (const std::string& path : paths) {
    world.put(repo, "dev", path, "theirs");
    world.put(repo, "main", path, "ours");
  }
  world.commit(repo, "dev");
  world.commit(repo, "main");
  MergeSpec classes;
  classes.path_strategies = {{"*.csv", tree::Strategy::kDestinationWins},
                             {"raw/", tree::Strategy::kSourceWins},
                             {"reports/*", tree::Strategy::kDestinationWins}};
  const auto refused = must(engine.merge(ctx, repo, "dev", "main", classes));
  ASSERT_EQ(refused.conflicts.size(), 1u) << "no class decides it";
  EXPECT_EQ(refused.conflicts[0].key, "lock");
  classes.path_strategies.push_back({"lo?k", tree::Strategy::kSourceWins});
  const auto merged = must(engine.merge(ctx, repo, "dev", "main", classes));
  ASSERT_TRUE(merged.landed);
  EXPECT_EQ(merged.landed->metadata.at("tarn.merge.strategy.1"), "source-wins raw/");
  const auto content = world.content(repo, "main");
  EXPECT_EQ(content.at("lock"), entry_of("theirs").etag.text());
  EXPECT_EQ(content.at("raw/a"), entry_of("theirs").etag.text());
  EXPECT_EQ(content.at("raw/b.csv"), entry_of("ours").etag.text());
  EXPECT_EQ(content.at("reports/a"), entry_of("ours").etag.text());
}

TEST_P(EngineContract, AMergeIntoADirtyBranchIsRefused) {
  must(engine.create_branch(ctx, repo, "dev", "main"));
  world.put(repo, "dev", "x", "1");
  world.commit(repo, "dev");
  world.put(repo, "main", "y", "1");
  const auto merged = engine.merge(ctx, repo, "dev", "main", spec());
  ASSERT_EQ(code(merged), Code::kInvalid);
  EXPECT_EQ(merged.error().subject(), "branch");
  EXPECT_EQ(code(engine.hard_reset(ctx, repo, "main", "dev")), Code::kInvalid);
  must(engine.reset(ctx, repo, "main", "", true));
  EXPECT_TRUE(must(engine.merge(ctx, repo, "dev", "main", spec())).landed);
}

TEST_P(EngineContract, ARemovalOfNothingDoesNotHideWhatAMergeBrings) {
  must(engine.create_branch(ctx, repo, "dev", "main"));
  world.put(repo, "dev", "x", "1");
  world.commit(repo, "dev");
  must(engine.stage_removal(ctx, repo, "main", "x"));
  EXPECT_FALSE(must(engine.is_dirty(ctx, repo, "main"))) << "there was nothing to remove";
  ASSERT_TRUE(must(engine.merge(ctx, repo, "dev", "main", spec())).landed);
  EXPECT_EQ(world.content(repo, "main").size(), 1u);
  EXPECT_FALSE(must(engine.is_dirty(ctx, repo, "main")));
}

TEST_P(EngineContract, RevertAndCherryPick) {
  world.put(repo, "main", "x", "1");
  const Commit first = world.commit(repo, "main", "first");
  world.put(repo, "main", "x", "2");
  const Commit second = world.commit(repo, "main", "second");
  must(engine.create_branch(ctx, repo, "side", first.id.hex()));
  const auto picked = must(engine.cherry_pick(ctx, repo, "side", "main", 0, {}));
  ASSERT_TRUE(picked.landed);
  EXPECT_EQ(picked.landed->message, "second");
  EXPECT_EQ(picked.landed->metadata.at("cherry-pick-origin"), second.id.hex());
  EXPECT_EQ(world.content(repo, "side"), world.content(repo, "main"));
  const auto reverted = must(engine.revert(ctx, repo, "main", "main", 0, {}));
  ASSERT_TRUE(reverted.landed);
  EXPECT_EQ(reverted.landed->message, "Revert main");
  EXPECT_EQ(world.content(repo, "main"), world.content(repo, first.id.hex()));
  EXPECT_EQ(code(engine.revert(ctx, repo, "main", "main", 3, {})), Code::kInvalid);
}

TEST_P(EngineContract, LogIsNewestFirstAndFilters) {
  std::vector<CommitId> ids;
  for (int i = 0; i < 5; ++i) {
    world.put(repo, "main", i % 2 ? "odd/x" : "even/x", std::to_string(i));
    ids.push_back(world.commit(repo, "main", std::to_string(i)).id);
  }
  LogQuery query;
  query.amount = 2;
  auto page = must(engine.log(ctx, repo, "main", query));
  ASSERT_EQ(page.items.size(), 2u);
  EXPECT_EQ(page.items[0].id, ids[4]);
  EXPECT_TRUE(page.has_more);
  query.after = page.next_after;
  EXPECT_EQ(must(engine.log(ctx, repo, "main", query)).items[0].id, ids[2]);
  LogQuery odd;
  odd.prefixes = {"odd/"};
  EXPECT_EQ(must(engine.log(ctx, repo, "main", odd)).items.size(), 2u);
  LogQuery object;
  object.objects = {"even/x"};
  EXPECT_EQ(must(engine.log(ctx, repo, "main", object)).items.size(), 3u);
  LogQuery stop;
  stop.stop_at = ids[3].hex();
  EXPECT_EQ(must(engine.log(ctx, repo, "main", stop)).items.size(), 2u);
}

TEST_P(EngineContract, DiffCollapsesAndSeesStagedChangesOfTheRight) {
  for (const char* path : {"d/1", "d/2", "x"}) world.put(repo, "main", path, "base");
  world.commit(repo, "main");
  must(engine.create_branch(ctx, repo, "dev", "main"));
  world.put(repo, "dev", "d/1", "new");
  must(engine.stage_removal(ctx, repo, "dev", "d/2"));
  world.commit(repo, "dev");
  world.put(repo, "dev", "staged", "s");
  EXPECT_EQ(must(engine.diff(ctx, repo, "main", "dev", DiffType::kTwoDot, {})).items.size(), 2u);
  const auto with = must(engine.diff(ctx, repo, "main", "dev$", DiffType::kTwoDot, {}));
  ASSERT_EQ(with.items.size(), 3u);
  EXPECT_EQ(with.items[1].type, DiffItem::Type::kRemoved);
  ListQuery query;
  query.delimiter = "/";
  const auto collapsed = must(engine.diff(ctx, repo, "main", "dev", DiffType::kTwoDot, query));
  ASSERT_EQ(collapsed.items.size(), 1u);
  EXPECT_EQ(collapsed.items[0].type, DiffItem::Type::kPrefixChanged);
}

TEST_P(EngineContract, ConditionalWritesAreExact) {
  Expect absent{Expect::Kind::kAbsent, ""};
  must(engine.stage(ctx, repo, "main", "k", entry_of("1"), absent));
  const auto second = engine.stage(ctx, repo, "main", "k", entry_of("2"), absent);
  ASSERT_EQ(code(second), Code::kConflict);
  EXPECT_EQ(second.error().subject(), "precondition");
  world.commit(repo, "main");
  EXPECT_EQ(code(engine.stage(ctx, repo, "main", "k", entry_of("2"), absent)), Code::kConflict) << "in the base";
  must(engine.stage(ctx, repo, "main", "k", entry_of("2"), {Expect::Kind::kEtag, entry_of("1").etag.text()}));
  EXPECT_EQ(code(engine.stage_removal(ctx, repo, "main", "k", {Expect::Kind::kEtag, entry_of("1").etag.text()})),
            Code::kConflict);
  must(engine.stage_removal(ctx, repo, "main", "k", {Expect::Kind::kEtag, entry_of("2").etag.text()}));
  must(engine.stage(ctx, repo, "main", "k", entry_of("3"), absent));
}

TEST_P(EngineContract, ResetDropsStagedChanges) {
  for (const char* path : {"a", "d/1", "d/2", "e"}) world.put(repo, "main", path, path);
  must(engine.reset(ctx, repo, "main", "a", false));
  EXPECT_EQ(world.content(repo, "main").size(), 3u);
  must(engine.reset(ctx, repo, "main", "d/", true));
  EXPECT_EQ(world.content(repo, "main").size(), 1u);
  must(engine.reset(ctx, repo, "main", "", true));
  EXPECT_EQ(world.content(repo, "main").size(), 0u);
  world.put(repo, "main", "e", "again");
  EXPECT_EQ(world.content(repo, "main").size(), 1u);
}

TEST_P(EngineContract, ANewBranchOrRepositoryOfAnOldNameIsEmptyOfOldRows) {
  must(engine.create_branch(ctx, repo, "dev", "main"));
  world.put(repo, "dev", "old", "1");
  must(engine.delete_branch(ctx, repo, "dev"));
  EXPECT_EQ(code(engine.stage(ctx, repo, "dev", "late", entry_of("x"))), Code::kNotFound);
  must(engine.create_branch(ctx, repo, "dev", "main"));
  EXPECT_EQ(world.content(repo, "dev").size(), 0u);
  EXPECT_EQ(code(engine.delete_branch(ctx, repo, "main")), Code::kForbidden);

  world.put(repo, "main", "old", "1");
  const Commit old = world.commit(repo, "main");
  must(engine.delete_repository(ctx, "data"));
  EXPECT_EQ(code(engine.stage(ctx, repo, "main", "late", entry_of("x"))), Code::kNotFound);
  EXPECT_EQ(code(engine.resolve(ctx, repo, "main")), Code::kNotFound);
  const Repository again = world.repository();
  EXPECT_NE(again.id, repo.id);
  EXPECT_EQ(world.content(again, "main").size(), 0u);
  EXPECT_EQ(code(engine.resolve(ctx, again, old.id.hex())), Code::kNotFound);
}

TEST_P(EngineContract, EverythingIsThereAfterAReopen) {
  world.put(repo, "main", "a", "1");
  const Commit commit = world.commit(repo, "main");
  world.put(repo, "main", "b", "2");
  const auto before = world.content(repo, "main");
  world.open();
  EXPECT_EQ(world.content(must(world.engine->get_repository(ctx, "data")), "main"), before);
  EXPECT_EQ(must(world.engine->get_branch(ctx, repo, "main")).head, commit.id);
}

TEST_P(EngineContract, TheCallersRowsLandWithTheHeadOrNotAtAll) {
  world.put(repo, "main", "a", "1");
  CommitSpec spec;
  spec.message = "m";
  const Candidate candidate = must(engine.prepare_commit(ctx, repo, "main", spec));
  kv::Batch wrong;
  wrong.require_present("test/none").put("test/row", "\x01");
  const auto refused = engine.land(ctx, repo, {candidate, wrong, nullptr});
  ASSERT_EQ(code(refused), Code::kConflict);
  EXPECT_EQ(refused.error().subject(), "key");
  EXPECT_TRUE(must(engine.is_dirty(ctx, repo, "main")));
  kv::Batch right;
  right.require_absent("test/row").put("test/row", "\x01");
  must(engine.land(ctx, repo, {candidate, right, nullptr}));
  EXPECT_TRUE(must(world.kv->get(ctx, "test/row")).has_value());
  EXPECT_FALSE(must(engine.is_dirty(ctx, repo, "main")));
}

TEST_P(EngineContract, DigestAndTotalsSeeContentOnly) {
  world.put(repo, "main", "p/a", "1");
  world.put(repo, "main", "q", "22");
  const Commit one = world.commit(repo, "main");
  const auto digest = must(engine.scope_digest(ctx, repo, one, "p/"));
  world.put(repo, "main", "q", "333");
  const Commit two = world.commit(repo, "main");
  EXPECT_EQ(must(engine.scope_digest(ctx, repo, two, "p/")), digest);
  EXPECT_NE(must(engine.scope_digest(ctx, repo, two, "")), must(engine.scope_digest(ctx, repo, one, "")));
  EXPECT_EQ(must(engine.totals(ctx, repo, two, "")).bytes, 4u);
}

}  // namespace
}  // namespace tarn::versioning
