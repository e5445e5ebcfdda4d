// Goal: the ref journal says what the refs are, whatever happens between a head move and its object; its bytes are
// final.
#include <gtest/gtest.h>

#include <cstdlib>

#include "base/testing/victim.h"
#include "kv/testing/faulty_store.h"
#include "versioning/journal.h"
#include "versioning/keys.h"
#include "versioning/records.h"
#include "versioning/testing/world.h"

namespace tarn::versioning {
namespace {

using testing::Backend;
using testing::must;
using testing::World;

CommitId id_of(char byte) { return CommitId(base::Digest(std::string(32, byte))); }

journal::Object golden() {
  Branch branch;
  branch.id = "8899aabbccddeeff";
  branch.head = id_of('\x01');
  branch.hidden = true;
  branch.created_ms = 1'382'680'800'000;
  journal::Object object;
  object.repository_id = "00112233aabbccdd";
  object.number = 300;
  object.written_ms = 1'382'680'800'000;
  object.entries = {{journal::Entry::Kind::kBranch, "main", journal::encode_branch_value(branch)},
                    {journal::Entry::Kind::kBranch, "old", std::nullopt},
                    {journal::Entry::Kind::kTag, "v1", journal::encode_tag_value(id_of('\x02'))},
                    {journal::Entry::Kind::kProtection, "", R"({"rules":[]})"}};
  return object;
}

// docs/formats/ref-journal.md shows the same bytes.
TEST(RefJournalBytes, AreThoseOfThePage) {
  EXPECT_EQ(base::to_hex(journal::encode(golden())),
            "5441524e52454653"
            "01"
            "01"
            "1030303131323233336161626263636464"
            "ac02"
            "80ac95e3bd50"
            "04"
            "03046d61696e38"
            "0101010101010101010101010101010101010101010101010101010101010101"
            "1038383939616162626363646465656666"
            "01"
            "80ac95e3bd50"
            "83036f6c64"
            "04027631"
            "20"
            "0202020202020202020202020202020202020202020202020202020202020202"
            "02000c"
            "7b2272756c6573223a5b5d7d"
            "0cb2c7ba20b2e50b911b5dd1ad0a8c8b");
}

TEST(RefJournalBytes, ComeBackWhole) {
  const journal::Object back = must(journal::decode(journal::encode(golden())));
  EXPECT_EQ(back.number, 300u);
  EXPECT_EQ(back.repository_id, golden().repository_id);
  EXPECT_EQ(back.entries, golden().entries);
  const Branch branch = must(journal::decode_branch_value("main", *back.entries[0].value));
  EXPECT_EQ(branch.head, id_of('\x01'));
  EXPECT_TRUE(branch.hidden);
}

TEST(RefJournalBytes, AnyDamageIsSeen) {
  const std::string whole = journal::encode(golden());
  for (size_t cut = 0; cut < whole.size(); ++cut) EXPECT_FALSE(journal::decode(whole.substr(0, cut))) << cut;
  for (size_t bit = 0; bit < whole.size() * 8; ++bit) {
    std::string other = whole;
    other[bit / 8] = static_cast<char>(other[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_FALSE(journal::decode(other)) << bit;
  }
  std::string newer = whole;
  newer[8] = 2;
  EXPECT_EQ(journal::decode(newer).error().code(), Code::kUnsupported);
}

// Whatever a check that fits covers: an error, never a crash or a loop.
TEST(RefJournalBytes, NonsenseUnderAGoodCheckIsRefusedOrRead) {
  const std::string whole = journal::encode(golden());
  base::SeededRandom random(7);
  for (int i = 0; i < 20'000; ++i) {
    std::string other = whole.substr(0, whole.size() - 16);
    for (uint64_t changes = 1 + random.u64() % 4; changes > 0; --changes)
      other[random.u64() % other.size()] = static_cast<char>(random.u64());
    if (random.u64() % 3 == 0) other.resize(random.u64() % other.size());
    other += base::xxh3_128(other);
    const auto read = journal::decode(other);
    EXPECT_TRUE(!read || read->entries.size() <= other.size());
  }
}

/// What the repository's journal says now.
journal::State state_of(block::Store& blocks, const Repository& repository) {
  const std::string folder = journal::folder_of(block_prefix(repository.storage_namespace), repository.id);
  const auto numbers = must(journal::numbers_of({}, blocks, folder));
  return must(journal::read({}, blocks, folder, repository.id, numbers));
}

/// Refs and repository are those of the engine, and nothing is left to write.
void expect_same(Engine& engine, kv::Store& kv, block::Store& blocks, const Repository& repository) {
  const Context ctx;
  const journal::State state = state_of(blocks, repository);
  EXPECT_EQ(state.damage, std::vector<std::string>{});
  std::map<std::string, CommitId> branches, heads, tags;
  PageQuery all;
  all.amount = 100'000;
  for (const Branch& branch : must(engine.list_branches(ctx, repository, all, true)).items)
    branches[branch.name] = branch.head;
  for (const auto& [name, branch] : state.branches) heads[name] = branch.head;
  EXPECT_EQ(heads, branches);
  for (const Tag& tag : must(engine.list_tags(ctx, repository, all)).items) tags[tag.name] = tag.commit;
  EXPECT_EQ(state.tags, tags);
  ASSERT_TRUE(state.repository);
  EXPECT_EQ(state.repository->metadata, must(engine.get_repository(ctx, repository.name)).metadata);
  EXPECT_EQ(etag_of(state.protection), must(engine.protection_etag(ctx, repository)));
  EXPECT_FALSE(must(kv.scan(ctx, keys::kNoted)->next())) << "something is still noted";
}

class RefJournalStory : public ::testing::Test {
 protected:
  RefJournalStory() : world(Backend::kMemory), repo(world.repository()) {}
  void flush() { must(world.engine->flush_ref_journal(ctx)); }
  void expect_whole() { expect_same(*world.engine, *world.kv, *world.blocks, repo); }
  World world;
  Repository repo;
  Context ctx;
};

TEST_F(RefJournalStory, SaysEveryKindOfMove) {
  flush();
  expect_whole();
  world.put(repo, "main", "a", "1");
  world.commit(repo, "main");
  must(world.engine->create_branch(ctx, repo, "dev", "main", true));
  must(world.engine->create_branch(ctx, repo, "gone", "main"));
  must(world.engine->create_tag(ctx, repo, "v1", "main"));
  must(world.engine->create_tag(ctx, repo, "v2", "main"));
  flush();
  expect_whole();
  world.put(repo, "dev", "b", "1");
  world.commit(repo, "dev");
  must(world.engine->merge(ctx, repo, "dev", "main", {}));
  must(world.engine->delete_branch(ctx, repo, "gone"));
  must(world.engine->delete_tag(ctx, repo, "v2"));
  must(world.engine->create_tag(ctx, repo, "v1", "main", true));
  must(world.engine->set_protection(ctx, repo, {{"rel-*"}}));
  must(world.engine->set_repository_metadata(ctx, repo.name, {{"owner", "ana"}}));
  must(world.engine->hard_reset(ctx, repo, "dev", "main~1"));
  kv::Batch batch;
  must(world.engine->add_tag(batch, repo, "pub--1", must(world.engine->resolve(ctx, repo, "main")).commit.id));
  must(world.kv->apply(ctx, batch));
  flush();
  expect_whole();
  EXPECT_EQ(state_of(*world.blocks, repo).objects, 3u) << "one object a pass";
  flush();
  EXPECT_EQ(state_of(*world.blocks, repo).objects, 3u) << "nothing moved, nothing written";
}

TEST_F(RefJournalStory, IsFoldedIntoSnapshots) {
  uint64_t most = 0, snapshots = 0, before = 0;
  for (int i = 0; i < 300; ++i) {
    must(world.engine->create_tag(ctx, repo, "t" + std::to_string(i), "main"));
    flush();
    const journal::State state = state_of(*world.blocks, repo);
    most = std::max(most, state.objects);
    snapshots += state.snapshot != before ? 1 : 0;
    before = state.snapshot;
  }
  expect_whole();
  EXPECT_LE(most, 66u);
  EXPECT_GE(snapshots, 3u);
}

TEST_F(RefJournalStory, ADeletedRepositoryIsGoneAndItsPlaceCanBeTaken) {
  flush();
  must(world.engine->delete_repository(ctx, repo.name));
  const Repository next = world.repository();
  ASSERT_NE(next.id, repo.id);
  flush();
  EXPECT_TRUE(state_of(*world.blocks, repo).gone);
  EXPECT_EQ(state_of(*world.blocks, repo).objects, 1u);
  EXPECT_FALSE(must(world.kv->get(ctx, keys::journal_end(repo.id))));
  expect_same(*world.engine, *world.kv, *world.blocks, next);
}

// A folder from before there was a journal, an object that was lost, a key-value store put back from an older copy.
TEST_F(RefJournalStory, AnEndThatIsNotWhatItShouldBeBeginsAnew) {
  kv::Batch forget;
  forget.erase(keys::journal_end(repo.id));
  forget.erase_range(keys::noted(repo.id), kv::prefix_end(keys::noted(repo.id)));
  must(world.kv->apply(ctx, forget));
  flush();
  expect_whole();
  const auto end = must(world.kv->get(ctx, keys::journal_end(repo.id)));
  for (const char* tag : {"a", "b", "c"}) {
    must(world.engine->create_tag(ctx, repo, tag, "main"));
    flush();
  }
  must(world.blocks->remove(
      ctx, must(journal::name_of(journal::folder_of("data/", repo.id), state_of(*world.blocks, repo).last))));
  flush();
  expect_whole();
  for (const char* tag : {"d", "e"}) {
    must(world.engine->create_tag(ctx, repo, tag, "main"));
    flush();
  }
  kv::Batch older;
  older.put(keys::journal_end(repo.id), must(world.kv->get(ctx, keys::journal_end(repo.id)))->value);
  must(world.engine->create_tag(ctx, repo, "f", "main"));
  flush();
  older.erase(keys::tag(repo.id, "f"));
  must(world.kv->apply(ctx, older));
  flush();
  expect_whole();
}

TEST_F(RefJournalStory, AFailedWriteIsMadeUpFor) {
  kv::testing::FaultyStore kv(*world.kv);
  const auto engine = must(Engine::open(kv, *world.blocks, world.clock, world.random, {}));
  for (const auto fault :
       {kv::testing::FaultyStore::ApplyFault::kNotApplied, kv::testing::FaultyStore::ApplyFault::kUnknownApplied,
        kv::testing::FaultyStore::ApplyFault::kUnknownLost}) {
    for (int n = 1; n < 4; ++n) {
      must(engine->create_tag(ctx, repo, "t" + std::to_string(static_cast<int>(fault)) + std::to_string(n), "main"));
      kv.fail_apply(n, fault);
      (void)engine->flush_ref_journal(ctx);
      kv.fail_apply(0, fault);
      must(engine->flush_ref_journal(ctx));
      expect_whole();
    }
  }
}

TEST_F(RefJournalStory, TheWriterWritesByItselfAndAtTheEnd) {
  const auto wait_until_written = [&] {
    for (int i = 0; i < 500 && must(world.kv->scan(ctx, keys::kNoted)->next()); ++i) base::system_clock().sleep_ms(10);
  };
  {
    Engine::Options options;
    options.ref_journal_ms = 50;
    const auto engine = must(Engine::open(*world.kv, *world.blocks, world.clock, world.random, options));
    must(engine->create_tag(ctx, repo, "a", "main"));
    wait_until_written();
    expect_whole();
    must(engine->create_tag(ctx, repo, "b", "main"));
    wait_until_written();
    expect_whole();
    must(engine->create_tag(ctx, repo, "c", "main"));
  }
  expect_whole();
}

/// The stores of a folder, as a process of its own opens them.
struct Opened {
  explicit Opened(const std::string& folder)
      : kv(must(kv::open_rocks_store(folder + "/kv"))),
        blocks(must(block::open_local_store(base::system_disk(), folder + "/blocks"))),
        engine(must(Engine::open(*kv, *blocks, base::system_clock(), base::system_random(), {}))) {}
  std::unique_ptr<kv::Store> kv;
  std::unique_ptr<block::Store> blocks;
  std::unique_ptr<Engine> engine;
};

// What the killed process runs: enough moves for a fold.
TEST(RefJournalKills, DISABLED_Victim) {
  const char* folder = std::getenv("TARN_TEST_FOLDER");
  if (!folder) GTEST_SKIP() << "started by ADeathAtAnyPlaceLosesNothing";
  const Context ctx;
  Opened house(folder);
  const Repository repo = must(house.engine->get_repository(ctx, "data"));
  for (int i = 0; i < 70; ++i) {
    must(house.engine->create_tag(ctx, repo, "t" + std::to_string(i), "main"));
    must(house.engine->flush_ref_journal(ctx));
  }
}

TEST(RefJournalKills, ADeathAtAnyPlaceLosesNothing) {
  const Context ctx;
  for (const char* place :
       {"versioning.journal.before_put:1", "versioning.journal.after_put:1", "versioning.journal.after_batch:2",
        "versioning.journal.before_put:30", "versioning.journal.after_put:65", "versioning.journal.after_snapshot:1",
        "versioning.journal.before_remove:1", "versioning.journal.before_remove:40"}) {
    SCOPED_TRACE(place);
    base::testing::ScratchFolder folder;
    must(base::system_disk().make_directories(folder.path() + "/blocks"));
    {
      Opened house(folder.path());
      RepositoryCreation creation;
      creation.name = "data";
      creation.storage_namespace = "local://data";
      must(house.engine->create_repository(ctx, creation));
    }
    ASSERT_EQ(
        base::testing::run_victim("RefJournalKills.DISABLED_Victim", place, {{"TARN_TEST_FOLDER", folder.path()}}),
        base::testing::kKilled)
        << "the place was not reached";
    Opened house(folder.path());
    const Repository repo = must(house.engine->get_repository(ctx, "data"));
    must(house.engine->flush_ref_journal(ctx));
    expect_same(*house.engine, *house.kv, *house.blocks, repo);
    must(house.engine->create_tag(ctx, repo, "after", "main"));
    must(house.engine->flush_ref_journal(ctx));
    expect_same(*house.engine, *house.kv, *house.blocks, repo);
  }
}

}  // namespace
}  // namespace tarn::versioning
