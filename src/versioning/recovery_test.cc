// Goal: losing the key-value store loses no landed commit, branch or tag; damage is named; nothing is promoted.
// Method: a history of every kind of move, then a fresh key-value store from the object store alone, compared with what
// was; objects removed and bits flipped in between.
#include <gtest/gtest.h>

#include "versioning/fsck.h"
#include "versioning/journal.h"
#include "versioning/keys.h"
#include "versioning/records.h"
#include "versioning/recovery.h"
#include "versioning/testing/world.h"

namespace tarn::versioning {
namespace {

using testing::Backend;
using testing::entry_of;
using testing::must;
using testing::World;

/// All that a reader can see of a repository's committed state.
std::map<std::string, std::string> picture(Engine& engine, const Repository& repository) {
  const Context ctx;
  std::map<std::string, std::string> out;
  PageQuery all;
  all.amount = 10'000;
  const auto look = [&](const std::string& ref) {
    LogQuery log;
    log.amount = 10'000;
    for (const Commit& commit : must(engine.log(ctx, repository, ref, log)).items) {
      std::string text = commit.message + " " + commit.committer + " " + std::to_string(commit.date_ms);
      for (const CommitId& parent : commit.parents) text += " " + parent.hex();
      out["commit " + commit.id.hex()] = text;
      must(engine.walk(ctx, repository, commit, "", [&](const std::string& path, const tree::Entry& entry) {
        out["object " + commit.id.hex() + " " + path] = entry.etag.text();
        return Result<void>();
      }));
    }
  };
  for (const Branch& branch : must(engine.list_branches(ctx, repository, all, true)).items) {
    out["branch " + branch.name] = branch.head.hex() + (branch.hidden ? " hidden" : "");
    look(branch.name);
  }
  for (const Tag& tag : must(engine.list_tags(ctx, repository, all)).items) {
    out["tag " + tag.name] = tag.commit.hex();
    look(tag.name);
  }
  const Repository now = must(engine.get_repository(ctx, repository.name));
  out["repository"] = now.id + " " + now.storage_namespace + " " + now.default_branch + " " +
                      std::to_string(now.created_ms) + " " + std::to_string(now.parameters.seed);
  for (const auto& [key, value] : now.metadata) out["metadata " + key] = value;
  out["protection"] = must(engine.protection_etag(ctx, repository));
  return out;
}

class RecoveryStory : public ::testing::Test {
 protected:
  RecoveryStory() : world(Backend::kMemory), repo(world.repository()) {
    for (int i = 0; i < 4; ++i) {
      world.put(repo, "main", "base/" + std::to_string(i), "1");
      world.commit(repo, "main", "base " + std::to_string(i));
    }
    must(world.engine->create_branch(ctx, repo, "dev", "main", true));
    world.put(repo, "dev", "merged", "1");
    world.commit(repo, "dev");
    world.clock.advance(1000);  // so that its pack is the last
    must(world.engine->merge(ctx, repo, "dev", "main", {}));
    must(world.engine->create_tag(ctx, repo, "v1", "main~1"));
    must(world.engine->set_protection(ctx, repo, {{"rel-*"}}));
    must(world.engine->set_repository_metadata(ctx, repo.name, {{"owner", "ana"}}));
    must(world.engine->flush_ref_journal(ctx));
  }
  RecoveryReport recover_now() {
    kv = kv::make_memory_store();
    engine.reset();
    auto report = must(recover(ctx, *kv, *world.blocks, world.clock, world.random));
    engine = must(Engine::open(*kv, *world.blocks, world.clock, world.random, {}));
    return report;
  }
  FsckReport check(kv::Store& store, const std::set<uint64_t>& missing = {}) {
    FsckOptions options;
    options.object = [&](const Context&, const Repository&, const tree::Entry& entry) -> Result<void> {
      if (missing.contains(entry.address.sequence)) return Error(Code::kGone, "object", "its bytes are missing");
      return {};
    };
    return must(fsck(ctx, store, *world.blocks, world.clock, world.random, options));
  }
  std::vector<std::string> packs() {
    std::vector<std::string> names;
    must(world.blocks->list(ctx, "data/packs/", [&](const block::Name& name, const block::Info&) -> Result<void> {
      names.push_back(name.str());
      return {};
    }));
    std::sort(names.begin(), names.end());
    return names;
  }
  void rewrite(const std::string& name, const std::string& bytes) {
    const block::Name at = must(block::make_name(name));
    must(world.blocks->remove(ctx, at));
    must(world.blocks->put(ctx, at, bytes));
  }
  static std::string text(const std::vector<Lie>& lies) {
    std::string out;
    for (const Lie& lie : lies) out += lie.what + " " + lie.subject + ": " + lie.message + "\n";
    return out;
  }

  World world;
  Repository repo;
  Context ctx;
  std::unique_ptr<kv::Store> kv;
  std::unique_ptr<Engine> engine;
};

TEST_F(RecoveryStory, BringsEverythingBackButStagedChanges) {
  world.put(repo, "main", "staged", "1");
  const auto before = picture(*world.engine, repo);
  const RecoveryReport report = recover_now();
  EXPECT_TRUE(report.whole());
  ASSERT_EQ(report.repositories.size(), 1u);
  EXPECT_EQ(report.repositories[0].commits, 7u);
  EXPECT_EQ(report.repositories[0].branches, 2u);
  EXPECT_TRUE(report.repositories[0].unreached.empty());
  EXPECT_EQ(picture(*engine, repo), before);
  EXPECT_FALSE(must(engine->is_dirty(ctx, repo, "main")));
  EXPECT_EQ(text(check(*kv).lies), "");
  // And it goes on, also through a second loss.
  must(engine->stage(ctx, repo, "main", "later", entry_of("2")));
  CommitSpec spec;
  spec.message = "later";
  must(engine->commit(ctx, repo, "main", spec));
  must(engine->flush_ref_journal(ctx));
  const auto later = picture(*engine, repo);
  EXPECT_NE(later, before);
  EXPECT_EQ(text(check(*kv).lies), "");
  EXPECT_TRUE(recover_now().whole());
  EXPECT_EQ(picture(*engine, repo), later);
}

TEST_F(RecoveryStory, IsTheSameAfterTheJournalWasFolded) {
  for (int i = 0; i < 150; ++i) {
    must(world.engine->create_tag(ctx, repo, "t" + std::to_string(i), "main"));
    if (i % 3 == 0) must(world.engine->delete_tag(ctx, repo, "t" + std::to_string(i)));
    must(world.engine->flush_ref_journal(ctx));
  }
  const auto before = picture(*world.engine, repo);
  EXPECT_TRUE(recover_now().whole());
  EXPECT_EQ(picture(*engine, repo), before);
}

TEST_F(RecoveryStory, IsTheSameAfterPacksWereFolded) {
  const auto before = picture(*world.engine, repo);
  const auto store = tree::Packs::open(*world.blocks, "data/", tree::make_node_cache(0), world.clock, world.random);
  std::vector<std::string> ids;
  for (const tree::PackInfo& pack : must(store->list(ctx))) ids.push_back(pack.id);
  const tree::Folded folded = must(store->fold(ctx, ids));
  ASSERT_GT(folded.replaced.size(), 2u);
  EXPECT_EQ(text(check(*world.kv).lies), "") << "both the old packs and the new one are there";
  kv::Batch moved;
  for (const std::string& id : folded.replaced) {
    moved.put(keys::relocation(repo.id, id), "\x01" + folded.pack);
    must(store->remove(ctx, id));
  }
  must(world.kv->apply(ctx, moved));
  EXPECT_EQ(text(check(*world.kv).lies), "");
  const RecoveryReport report = recover_now();
  EXPECT_TRUE(report.whole());
  EXPECT_EQ(report.repositories.at(0).commits, 7u);
  EXPECT_EQ(picture(*engine, repo), before);
  EXPECT_EQ(text(check(*kv).lies), "");
  for (const std::string& id : folded.replaced)
    EXPECT_EQ(must(kv->get(ctx, keys::relocation(repo.id, id)))->value, "\x01" + folded.pack);
  must(world.blocks->remove(ctx, must(block::make_name("data/packs/" + folded.pack))));
  EXPECT_NE(text(check(*kv).lies).find("pack " + folded.pack), std::string::npos);
}

TEST_F(RecoveryStory, ACommitThatTheJournalDoesNotKnowIsListedAndNobodysHead) {
  const auto before = picture(*world.engine, repo);
  world.put(repo, "main", "late", "1");
  const Commit late = world.commit(repo, "main", "late");
  world.put(repo, "main", "later", "1");
  const Commit later = world.commit(repo, "main", "later");
  const RecoveryReport report = recover_now();
  EXPECT_TRUE(report.whole());
  EXPECT_EQ(picture(*engine, repo), before);
  const auto& unreached = report.repositories.at(0).unreached;
  ASSERT_EQ(unreached.size(), 2u);
  EXPECT_EQ(unreached[0].id, later.id);
  EXPECT_TRUE(unreached[0].tip && unreached[0].follows_head);
  EXPECT_EQ(unreached[1].id, late.id);
  EXPECT_FALSE(unreached[1].tip);
  EXPECT_TRUE(unreached[1].follows_head);
  EXPECT_EQ(unreached[1].branch, "main");
  must(engine->create_branch(ctx, repo, "rescued", later.id.hex()));  // a person may
}

TEST_F(RecoveryStory, ARefusedCandidateIsListedToo) {
  world.put(repo, "dev", "x", "1");
  world.commit(repo, "dev");
  must(world.engine->flush_ref_journal(ctx));
  must(world.engine->prepare_merge(ctx, repo, "dev", "main", {}));
  const auto before = picture(*world.engine, repo);
  const RecoveryReport report = recover_now();
  EXPECT_EQ(picture(*engine, repo), before);
  ASSERT_EQ(report.repositories.at(0).unreached.size(), 1u);
  EXPECT_TRUE(report.repositories[0].unreached[0].follows_head);
}

TEST_F(RecoveryStory, ADeletedRepositoryStaysDeletedAndItsPlacesNextHolderComes) {
  must(world.engine->delete_repository(ctx, repo.name));
  const Repository next = world.repository();
  world.put(next, "main", "mine", "1");
  world.commit(next, "main");
  const Repository other = world.repository("other");
  must(world.engine->flush_ref_journal(ctx));
  must(world.engine->delete_repository(ctx, other.name));
  must(world.engine->flush_ref_journal(ctx));
  const auto before = picture(*world.engine, next);
  const RecoveryReport report = recover_now();
  EXPECT_TRUE(report.whole()) << (report.losses.empty() ? "" : report.losses[0]);
  ASSERT_EQ(report.repositories.size(), 1u);
  EXPECT_EQ(report.repositories[0].commits, 2u);
  EXPECT_EQ(report.deleted.size(), 2u);
  EXPECT_EQ(picture(*engine, next), before);
}

TEST_F(RecoveryStory, TheRecordInTheNamespaceMayBeLostToo) {
  const auto before = picture(*world.engine, repo);
  must(world.blocks->remove(ctx, must(block::make_name("data/tarn/repository.json"))));
  EXPECT_TRUE(recover_now().whole());
  EXPECT_EQ(picture(*engine, repo), before);
}

TEST_F(RecoveryStory, WhatIsDamagedIsSaidAndTheRestComes) {
  const auto whole = packs();
  const std::string victim = whole.back();
  must(world.blocks->remove(ctx, must(block::make_name(victim))));
  RecoveryReport report = recover_now();
  EXPECT_FALSE(report.whole());
  ASSERT_EQ(report.repositories.at(0).losses.size(), 1u);
  EXPECT_NE(report.repositories[0].losses[0].find("branch 'main': its commit"), std::string::npos);
  EXPECT_EQ(report.repositories[0].branches, 1u);

  const std::string folder = journal::folder_of("data/", repo.id);
  const auto last = must(journal::name_of(folder, must(journal::numbers_of(ctx, *world.blocks, folder)).back()));
  std::string bytes = must(world.blocks->read(ctx, last, 0, {}));
  bytes[bytes.size() / 2] ^= 1;
  rewrite(last.str(), bytes);
  report = recover_now();
  ASSERT_GE(report.repositories.at(0).losses.size(), 1u);
  EXPECT_NE(report.repositories[0].losses[0].find(last.str()), std::string::npos);
}

TEST_F(RecoveryStory, AStoreThatIsNotEmptyIsRefused) {
  const auto refused = recover(ctx, *world.kv, *world.blocks, world.clock, world.random);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Code::kInvalid);
}

TEST_F(RecoveryStory, FsckFindsNothingInAHealthyStore) {
  world.put(repo, "main", "staged", "1");
  const FsckReport report = check(*world.kv);
  EXPECT_EQ(text(report.lies), "");
  ASSERT_EQ(report.repositories.size(), 1u);
  EXPECT_EQ(report.repositories[0].commits, 7u);
  EXPECT_EQ(report.repositories[0].branches, 2u);
  EXPECT_EQ(report.repositories[0].staged, 1u);
  EXPECT_GT(report.repositories[0].entries, 4u);
}

TEST_F(RecoveryStory, FsckNamesEveryFlippedBitOfAPack) {
  base::SeededRandom random(3);
  for (const std::string& name : packs()) {
    const std::string whole = must(world.blocks->read(ctx, must(block::make_name(name)), 0, {}));
    for (int i = 0; i < 12; ++i) {
      std::string bytes = whole;
      const size_t at = random.u64() % bytes.size();
      bytes[at] = static_cast<char>(bytes[at] ^ (1 << (random.u64() % 8)));
      rewrite(name, bytes);
      const FsckReport report = check(*world.kv);
      const bool named = std::any_of(report.lies.begin(), report.lies.end(),
                                     [&](const Lie& lie) { return lie.what == "pack" && name.ends_with(lie.subject); });
      EXPECT_TRUE(named) << name << " byte " << at << "\n" << text(report.lies);
    }
    rewrite(name, whole);
  }
  EXPECT_EQ(text(check(*world.kv).lies), "");
}

TEST_F(RecoveryStory, FsckNamesWhatIsMissing) {
  const auto finds = [&](const std::string& what, const std::string& subject, const FsckReport& report) {
    const bool found = std::any_of(report.lies.begin(), report.lies.end(), [&](const Lie& lie) {
      return lie.what == what && lie.subject.find(subject) != std::string::npos;
    });
    EXPECT_TRUE(found) << what << " " << subject << "\n" << text(report.lies);
  };
  const Commit head = must(world.engine->resolve(ctx, repo, "main")).commit;
  finds("object", "merged", check(*world.kv, {entry_of("1").address.sequence}));
  world.put(repo, "dev", "staged", "9");
  finds("object", "staged", check(*world.kv, {entry_of("9").address.sequence}));

  for (const std::string& name : packs()) {
    const std::string bytes = must(world.blocks->read(ctx, must(block::make_name(name)), 0, {}));
    must(world.blocks->remove(ctx, must(block::make_name(name))));
    const FsckReport report = check(*world.kv);
    finds("commit", "", report);
    must(world.blocks->put(ctx, must(block::make_name(name)), bytes));
  }
  const auto without = [&](const std::string& key, const std::string& what, const std::string& subject) {
    const kv::Row row = *must(world.kv->get(ctx, key));
    must(world.kv->apply(ctx, kv::Batch().erase(key)));
    finds(what, subject, check(*world.kv));
    must(world.kv->apply(ctx, kv::Batch().put(key, row.value)));
  };
  without(keys::commit(repo.id, head.id), "branch", "main");
  without(keys::commit(repo.id, head.parents[0]), "commit", head.id.hex());
  without(keys::branch(repo.id, "main"), "branch", "main");
  without(keys::tag(repo.id, "v1"), "ref journal", "data/refs/");
  without(keys::epoch(repo.id, must(world.engine->get_branch(ctx, repo, "main")).id), "branch", "main");
  without(keys::alive(repo.id), "repository", "data");
  without(keys::namespace_claim("data/"), "repository", "data");

  kv::Row row = *must(world.kv->get(ctx, keys::commit(repo.id, head.id)));
  std::string flipped = row.value;
  flipped[flipped.size() / 2] ^= 4;
  must(world.kv->apply(ctx, kv::Batch().put(keys::commit(repo.id, head.id), flipped)));
  finds("commit", head.id.hex(), check(*world.kv));
}

}  // namespace
}  // namespace tarn::versioning
