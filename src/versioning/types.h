#pragma once
// The nouns of version control: repository, branch, tag, commit, ref.
#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/hash.h"
#include "base/result.h"
#include "kv/store.h"
#include "tree/tree.h"

namespace tarn::versioning {

/// A commit's name: SHA-256 over its canonical record. 64 hex digits on the wire.
class CommitId {
 public:
  CommitId() = default;
  explicit CommitId(base::Digest digest) : digest_(digest) {}
  static std::optional<CommitId> from_hex(std::string_view text);
  const base::Digest& digest() const { return digest_; }
  std::string hex() const { return digest_.hex(); }
  bool is_zero() const { return digest_.is_zero(); }
  auto operator<=>(const CommitId&) const = default;

 private:
  base::Digest digest_;
};

using Metadata = std::map<std::string, std::string>;

struct Repository {
  std::string name;               ///< [a-z0-9][a-z0-9-]{2,62}
  std::string id;                 ///< drawn at creation: a new repository of the same name never meets old records
  std::string storage_namespace;  ///< as the user gave it: "local://flights"
  std::string default_branch;
  base::WallMs created_ms = 0;
  bool read_only = false;
  tree::Parameters parameters;
  Metadata metadata;
  kv::Sequence version = 0;  ///< of the stored record
};

struct Branch {
  std::string name;
  std::string id;  ///< drawn at creation; names the staging rows
  CommitId head;
  kv::Sequence committed_through = 0;  ///< staging rows up to here are in the head
  bool hidden = false;
  base::WallMs created_ms = 0;
  kv::Sequence version = 0;
};

struct Tag {
  std::string name;
  CommitId commit;
};

struct Commit {
  CommitId id;
  std::vector<CommitId> parents;
  std::string committer, message;
  base::WallMs date_ms = 0;  ///< seconds on the wire
  Metadata metadata;
  tree::Root root;          ///< the map; its id is what REST calls meta_range_id
  uint64_t generation = 0;  ///< 1 + the greatest of the parents

  // Stored beside the record; the id does not say them.
  std::string pack;    ///< that holds its record and change-set; empty: not known (written by an older version)
  std::string filter;  ///< tree/change_filter.h over what it changed; empty: unknown, or too big to lie here
};

/// What a ref expression stands for.
struct Resolved {
  Commit commit;
  std::optional<Branch> branch;  ///< set for a plain branch name or "branch$": reads then see staged changes too
};

// Validators. Errors: kInvalid with the rule in words.
Result<void> check_repository_name(std::string_view name);
Result<void> check_branch_name(std::string_view name);
Result<void> check_tag_name(std::string_view name);
/// 1..1024 bytes of UTF-8 without NUL and without a "." or ".." segment.
Result<void> check_path(std::string_view path);
Result<void> check_storage_namespace(std::string_view text);

struct PageQuery {
  std::string prefix, after;  ///< `after` is exclusive
  size_t amount = 100;        ///< clamped to 1..1000 by the doors
};

template <class T>
struct Page {
  std::vector<T> items;
  bool has_more = false;
  std::string next_after;  ///< the last item's name
};

}  // namespace tarn::versioning
