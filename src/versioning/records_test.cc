// Goal: stored forms never change by accident; names follow their rules.
#include <gtest/gtest.h>

#include "tree/change_filter.h"
#include "versioning/records.h"
#include "versioning/testing/world.h"

namespace tarn::versioning {
namespace {

using testing::must;

Commit golden() {
  Commit commit;
  commit.parents = {*CommitId::from_hex("0101010101010101010101010101010101010101010101010101010101010101")};
  commit.generation = 2;
  commit.root = tree::empty_root({});
  commit.root.id = *base::Digest::from_hex("0202020202020202020202020202020202020202020202020202020202020202");
  commit.committer = "ana";
  commit.message = "first load";
  commit.date_ms = 1'382'680'800'000;
  commit.metadata = {{"b", "2"}, {"a", "1"}};
  return commit;
}

// docs/formats/commit.md shows the same bytes.
TEST(CommitRecord, HasItsGoldenBytes) {
  const std::string bytes = canonical_commit(golden(), "00112233aabbccdd", "main");
  EXPECT_EQ(base::to_hex(bytes),
            "7461726e2e636f6d6d69740001"
            "1030303131323233336161626263636464"
            "046d61696e"
            "010101010101010101010101010101010101010101010101010101010101010101"
            "02"
            "0202020202020202020202020202020202020202020202020202020202020202"
            "03616e61"
            "0a6669727374206c6f6164"
            "80ac95e3bd50"
            "02016101310162"
            "0132");
  EXPECT_EQ(commit_id(bytes).hex(), base::sha256_hex(bytes));
}

// The same for the stored form: pack and filter follow the canonical record and the root.
TEST(CommitRecord, HasItsGoldenStoredForm) {
  Commit commit = golden();
  commit.root = tree::empty_root({});
  commit.pack = "01902a3b-4c5d-7e6f-8a9b-0c1d2e3f4a5b";
  const tree::Change change{"a", tree::ChangeType::kRemoved, testing::entry_of("x"), {}};
  commit.filter = tree::encode_change_filter({&change, 1}, kFilterBesideMax);
  const std::string canonical = canonical_commit(commit, "00112233aabbccdd", "main");
  const std::string root = commit.root.encode();
  const std::string before = "\x02" + std::string(1, static_cast<char>((canonical.size() & 0x7f) | 0x80)) +
                             std::string(1, static_cast<char>(canonical.size() >> 7)) + canonical +
                             std::string(1, static_cast<char>(root.size())) + root;
  ASSERT_LT(root.size(), 128u);
  const std::string stored = encode_commit(commit, "00112233aabbccdd", "main");
  ASSERT_TRUE(stored.starts_with(before));
  EXPECT_EQ(base::to_hex(stored.substr(before.size())),
            "01"
            "01902a3b4c5d7e6f8a9b0c1d2e3f4a5b"
            "09"
            "01"
            "1f4e961eb632c6e6");
  const StoredCommit back = must(decode_commit(stored));
  EXPECT_EQ(back.commit.pack, commit.pack);
  EXPECT_EQ(back.commit.filter, commit.filter);
  const CommitLinks links = must(decode_links(stored));
  EXPECT_EQ(links.parents, commit.parents[0].digest().bytes());
  EXPECT_EQ(links.generation, 2u);
  EXPECT_EQ(links.date_ms, commit.date_ms);
  EXPECT_EQ(links.filter, commit.filter);

  // What the version before wrote: neither pack nor filter.
  std::string old = before;
  old[0] = 1;
  const StoredCommit former = must(decode_commit(old, back.commit.id));
  EXPECT_EQ(former.commit.pack, "");
  EXPECT_EQ(former.commit.filter, "");
  EXPECT_EQ(must(decode_links(old)).generation, 2u);

  commit.pack = "of-another-form";
  EXPECT_EQ(must(decode_commit(encode_commit(commit, "r", "main"))).commit.pack, commit.pack);
}

TEST(CommitRecord, ComesBackWhole) {
  Commit commit = golden();
  commit.root = tree::empty_root({});
  const std::string stored = encode_commit(commit, "r", "main");
  const StoredCommit back = must(decode_commit(stored));
  EXPECT_EQ(back.commit.message, commit.message);
  EXPECT_EQ(back.commit.metadata, commit.metadata);
  EXPECT_EQ(back.commit.parents, commit.parents);
  EXPECT_EQ(back.commit.root.id, commit.root.id);
  EXPECT_EQ(back.repository_id, "r");
  EXPECT_EQ(back.branch, "main");
  EXPECT_EQ(decode_commit(stored, CommitId()).error().code(), Code::kCorrupt) << "another id";
}

TEST(CommitRecord, AnyCutOrUnknownVersionIsCorrupt) {
  Commit commit = golden();
  commit.root = tree::empty_root({});
  const std::string stored = encode_commit(commit, "r", "main");
  const CommitId id = decode_commit(stored)->commit.id;
  for (size_t cut = 0; cut < stored.size(); ++cut) EXPECT_FALSE(decode_commit(stored.substr(0, cut), id)) << cut;
  std::string other = stored;
  other[0] = 9;
  EXPECT_EQ(decode_commit(other).error().code(), Code::kCorrupt);
  EXPECT_FALSE(decode_branch("b", "\x09rest", 1));
  EXPECT_FALSE(decode_staged("\x01\x07"));
}

TEST(Names, FollowTheirRules) {
  for (const char* good : {"abc", "a-b-9", "000"}) EXPECT_TRUE(check_repository_name(good)) << good;
  for (const char* bad : {"", "ab", "-ab", "Abc", "a_b", "a/b", ".."}) EXPECT_FALSE(check_repository_name(bad)) << bad;
  for (const char* good : {"main", "_x", "dag--daily--2013-10-25", "9"}) EXPECT_TRUE(check_branch_name(good)) << good;
  for (const char* bad : {"", "-x", "a/b", "a b", "a~", "a.b", "\xc3\xa4"}) EXPECT_FALSE(check_branch_name(bad)) << bad;
  for (const char* good : {"v1.0", "a~b", "pub--x"}) EXPECT_TRUE(check_tag_name(good)) << good;
  for (const char* bad : {"", "@", "a..b", "a/b", "a@{b", "a b", "a:", "a.", "a.lock"})
    EXPECT_FALSE(check_tag_name(bad)) << bad;
  for (const char* good : {"a", "a/b", "/a", "a//b", "...", "\xc3\xa4"}) EXPECT_TRUE(check_path(good)) << good;
  for (const char* bad : {"", "a/../b", "..", ".", "a/.", "\xff"}) EXPECT_FALSE(check_path(bad)) << bad;
  EXPECT_FALSE(check_path(std::string_view("a\0b", 3)));
  EXPECT_FALSE(check_path(std::string(1025, 'a')));
  for (const char* good : {"local://flights", "s3://bucket/a/b/", "mem://x"})
    EXPECT_TRUE(check_storage_namespace(good)) << good;
  for (const char* bad : {"", "flights", "local://", "local:///", "ftp://x", "local://a/../b"})
    EXPECT_FALSE(check_storage_namespace(bad)) << bad;
  EXPECT_EQ(block_prefix("local://flights"), "flights/");
  EXPECT_EQ(block_prefix("s3://bucket/a/"), "s3/bucket/a/");
}

TEST(Names, GlobsMatch) {
  EXPECT_TRUE(glob_matches("main", "main"));
  EXPECT_TRUE(glob_matches("*", "anything"));
  EXPECT_TRUE(glob_matches("rel-*-x?", "rel-1-2-xy"));
  EXPECT_TRUE(glob_matches("[a-c]x", "bx"));
  EXPECT_FALSE(glob_matches("[!a-c]x", "bx"));
  EXPECT_FALSE(glob_matches("main", "main2"));
  EXPECT_FALSE(glob_matches("", "x"));
  EXPECT_FALSE(glob_matches("**********b", std::string(255, 'a')));
}

}  // namespace
}  // namespace tarn::versioning
