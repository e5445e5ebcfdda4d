#pragma once
// Histories of a million commits for tests and measures: written by the pack writer and the ref journal's encoder, to
// be opened by recover(). Nothing is put into memory or into a key-value store.
#include <string>
#include <vector>

#include "tree/change_filter.h"
#include "versioning/journal.h"
#include "versioning/records.h"

namespace tarn::versioning::testing {

inline constexpr const char* kRareFile = "rare/hit.parquet";

struct LongHistory {
  uint64_t commits = 1'000'000;
  /// No: `main` is one line. Yes: from the first commit on `main` and `other` get a commit in turn.
  bool forked = false;
  /// The commit that adds kRareFile, counted from 1, the first; 0: none.
  uint64_t hit = 0;
  uint64_t commits_a_pack = 10'000;
  std::string name = "long";
};

struct WrittenHistory {
  Repository repository;
  CommitId first, main, other, hit;
};

/// Every commit is what it says: its change-set and filter are the difference of its map and its first parent's, which
/// differ by one of 64 files (the first adds all 64). Cost: about 10 s and 1 GB of packs for 10^6 commits.
/// @param blocks  holds no repository of this name yet.
inline Result<WrittenHistory> write_long_history(const Context& ctx, block::Store& blocks, base::Clock& clock,
                                                 base::Random& random, const LongHistory& how) {
  constexpr size_t kFiles = 64;
  WrittenHistory out;
  Repository& repository = out.repository;
  repository.name = how.name;
  repository.id = random.hex(8);
  repository.storage_namespace = "local://" + how.name;
  repository.default_branch = "main";
  repository.created_ms = clock.wall_ms();
  repository.parameters.seed = random.u64();
  const std::string prefix = block_prefix(repository.storage_namespace);
  const auto packs = tree::Packs::open(blocks, prefix, tree::make_node_cache(8 << 20), clock, random);

  const auto path = [](size_t file) {
    return "day=" + std::to_string(10 + file / 8) + "/hour=" + std::to_string(10 + file % 8) + "/part.parquet";
  };
  const auto entry = [](size_t file, size_t version) {
    tree::Entry e;
    e.size = 1000 + file;
    e.etag = tree::Etag::md5(base::md5(std::to_string(file * 2 + version)));
    e.mtime_ms = 1'700'000'000'000;
    e.address.partition = 1;
    e.address.sequence = file * 2 + version;
    e.content_type = "application/octet-stream";
    return e;
  };
  // The files change one after another to their other version and one after another back: 128 maps in a ring, and the
  // same with the rare file.
  std::vector<tree::Root> ring[2];
  std::vector<tree::Change> steps, first;
  const std::string rare = kRareFile;
  {
    const auto builder = packs->begin();
    std::vector<tree::Edit> all;
    for (size_t file = 0; file < kFiles; ++file) {
      all.push_back({path(file), entry(file, 0)});
      first.push_back({path(file), tree::ChangeType::kAdded, {}, entry(file, 0)});
    }
    TRY_LET(tree::Root root, tree::apply(ctx, packs, tree::empty_root(repository.parameters), all, *builder));
    const std::vector<tree::Edit> hit = {{rare, entry(kFiles, 0)}};
    for (size_t step = 0; step < 2 * kFiles; ++step) {
      ring[0].push_back(root);
      TRY_LET(tree::Root with_rare, tree::apply(ctx, packs, root, hit, *builder));
      ring[1].push_back(with_rare);
      const size_t file = step % kFiles, before = step / kFiles;
      steps.push_back({path(file), tree::ChangeType::kChanged, entry(file, before), entry(file, 1 - before)});
      const std::vector<tree::Edit> edit = {{path(file), entry(file, 1 - before)}};
      TRY_LET(root, tree::apply(ctx, packs, root, edit, *builder));
    }
    TRY(builder->finish(ctx));
  }
  const tree::Change found{rare, tree::ChangeType::kAdded, {}, entry(kFiles, 0)};

  struct Line {
    CommitId head;
    uint64_t generation = 0;
    size_t at = 0;
    bool rare = false;
  };
  Line lines[2];
  std::unique_ptr<tree::PackBuilder> builder;
  for (uint64_t i = 1; i <= how.commits; ++i) {
    const bool other = how.forked && i % 2 == 1;
    if (i == 2) lines[1] = lines[0];
    Line& line = lines[i > 1 && other ? 1 : 0];
    Commit commit;
    commit.committer = "loader";
    commit.message = "load " + std::to_string(i);
    commit.date_ms = 1'700'000'000'000 + static_cast<int64_t>(i) * 1000;
    commit.generation = ++line.generation;
    std::span<const tree::Change> changes = first;
    if (i > 1) {
      commit.parents = {line.head};
      if (i == how.hit) {
        line.rare = true;
        changes = {&found, 1};
      } else {
        changes = {&steps[line.at], 1};
        line.at = (line.at + 1) % (2 * kFiles);
      }
    }
    commit.root = ring[line.rare ? 1 : 0][line.at];
    if (!builder) builder = packs->begin(tree::Codec::kLz4);
    const std::string_view branch = other && i > 1 ? "other" : "main";
    commit.id = commit_id(canonical_commit(commit, repository.id, branch));
    commit.pack = builder->pack_id();
    commit.filter = tree::encode_change_filter(changes, kFilterBesideMax);
    const std::string id(commit.id.digest().bytes());
    builder->add_commit(id, encode_commit(commit, repository.id, branch));
    builder->add_change_set(id, changes);
    line.head = commit.id;
    if (i == 1) out.first = commit.id;
    if (i == how.hit) out.hit = commit.id;
    if (i % how.commits_a_pack != 0 && i != how.commits) continue;
    TRY(builder->finish(ctx));
    builder.reset();
  }
  out.main = lines[0].head;
  out.other = how.forked ? lines[1].head : CommitId();

  const std::string record = encode_repository(repository).substr(1);
  TRY_LET(const block::Name record_name, block::make_name(prefix + "tarn/repository.json"));
  TRY(blocks.put(ctx, record_name, record));
  journal::Object refs;
  refs.form = journal::Form::kSnapshot;
  refs.repository_id = repository.id;
  refs.number = 1;
  refs.written_ms = clock.wall_ms();
  const auto note = [&](const std::string& name, const CommitId& head) {
    Branch b;
    b.id = random.hex(8);
    b.head = head;
    b.created_ms = repository.created_ms;
    refs.entries.push_back({journal::Entry::Kind::kBranch, name, journal::encode_branch_value(b)});
  };
  refs.entries.push_back({journal::Entry::Kind::kRepository, "", record});
  note("main", out.main);
  if (how.forked) note("other", out.other);
  TRY_LET(const block::Name journal_name, journal::name_of(journal::folder_of(prefix, repository.id), 1));
  TRY(blocks.put(ctx, journal_name, journal::encode(refs)));
  return out;
}

}  // namespace tarn::versioning::testing
