#pragma once
// Rebuilds the key-value store's part of version control from what lies in the object store (docs/recovery.md).
#include <functional>
#include <string>
#include <vector>

#include "base/random.h"
#include "block/store.h"
#include "kv/store.h"
#include "versioning/types.h"

namespace tarn::versioning {

/// A commit that no recovered ref reaches: a refused or forgotten candidate, the past of a deleted branch, or a landing
/// that the ref journal had not written yet. Which of them, only a person can say.
struct UnreachedCommit {
  CommitId id;
  std::string branch;  ///< that it was made for
  uint64_t generation = 0;
  base::WallMs date_ms = 0;
  std::string committer, message;
  bool tip = false;           ///< no other commit builds on it
  bool follows_head = false;  ///< its past leads to the recovered head of `branch`
};

struct RecoveredRepository {
  std::string name, id, storage_namespace, default_branch;
  uint64_t packs = 0, commits = 0, branches = 0, tags = 0;
  uint64_t journal_objects = 0;
  base::WallMs refs_written_ms = 0;        ///< when the newest journal object that could be read was written
  std::vector<UnreachedCommit> unreached;  ///< the tips first, then by generation, the newest first
  std::vector<std::string> losses;         ///< what should be there and could not be brought back, in words
};

struct RecoveryReport {
  std::vector<RecoveredRepository> repositories;  ///< by name
  std::vector<std::string> deleted;               ///< namespaces whose repository was deleted: nothing to bring back
  std::vector<std::string> losses;                ///< that belong to no repository
  bool whole() const;
};

/// Told now and then how far a long work is.
using Progress = std::function<void(const std::string& what, uint64_t done, uint64_t of)>;

/// Repositories from their records and journals, commits from packs, branches, tags and protection rules from the ref
/// journals alone. A commit that no ref reaches is in the store, listed, and nobody's head.
///
/// @param into  an empty store.
/// Errors: kInvalid (it is not empty); kUnavailable, kNoSpace, kDeadline. Damage is no error: it is a loss that is
/// said. Cost:   reads the commit records of all packs; one listing of the object store. Memory: about 150 bytes a
/// commit, and what is told of those that no ref reaches.
Result<RecoveryReport> recover(const Context& ctx, kv::Store& into, block::Store& blocks, base::Clock& clock,
                               base::Random& random, const Progress& progress = {});

}  // namespace tarn::versioning
