#pragma once
// The stored forms of version control's nouns. docs/formats/kv-keys.md and docs/formats/commit.md give the bytes.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tree/entry.h"
#include "versioning/engine.h"
#include "versioning/types.h"

namespace tarn::versioning {

/// The bytes whose SHA-256 is the commit's id: domain-separated, length-prefixed, in one order only.
/// @param branch  where it was made for; part of the record so that a pack alone tells it.
std::string canonical_commit(const Commit& commit, std::string_view repository_id, std::string_view branch);
CommitId commit_id(std::string_view canonical);

/// A commit's filter lies beside its record up to this size.
inline constexpr size_t kFilterBesideMax = 256;

/// What packs and the key-value store hold: the canonical bytes, where the root and the record lie, the filter.
std::string encode_commit(const Commit& commit, std::string_view repository_id, std::string_view branch);
struct StoredCommit {
  Commit commit;
  std::string repository_id, branch;
};
/// Errors: kCorrupt, also when the bytes do not hash to `expected`.
Result<StoredCommit> decode_commit(std::string_view bytes, const std::optional<CommitId>& expected = {});

/// What the commit graph needs of a stored commit, as views of its bytes.
struct CommitLinks {
  std::string_view parents;  ///< 32 bytes each
  uint64_t generation = 0;
  base::WallMs date_ms = 0;
  std::string_view filter;
};
/// The same record read in part, its hash not computed. Errors: kCorrupt.
Result<CommitLinks> decode_links(std::string_view bytes);

std::string encode_repository(const Repository& repository);
Result<Repository> decode_repository(std::string_view bytes, kv::Sequence version);

std::string encode_branch(const Branch& branch);
Result<Branch> decode_branch(std::string_view name, std::string_view bytes, kv::Sequence version);

std::string encode_tag(const CommitId& commit);
Result<CommitId> decode_tag(std::string_view bytes);

std::string encode_protection(const std::vector<ProtectionRule>& rules);
Result<std::vector<ProtectionRule>> decode_protection(std::string_view bytes);
/// Empty when there is no rule.
std::string etag_of(const std::vector<ProtectionRule>& rules);
/// Whether a glob of `*`, `?` and `[...]` matches the whole name.
bool glob_matches(std::string_view pattern, std::string_view name);
bool protects(const std::vector<ProtectionRule>& rules, std::string_view branch);

/// A staging row: an entry, or nullopt for a removal.
std::string encode_staged(const std::optional<tree::Entry>& entry);
Result<std::optional<tree::Entry>> decode_staged(std::string_view bytes);

/// "local://flights" -> "flights/", "s3://bucket/a/" -> "s3/bucket/a/": where a repository's objects and packs lie in
/// the configured object store.
std::string block_prefix(std::string_view storage_namespace);

}  // namespace tarn::versioning
