#pragma once
// Checks everything that version control stores: hashes, pointers, counts, and that what is named is there (G14).
#include <functional>
#include <string>
#include <vector>

#include "base/random.h"
#include "block/store.h"
#include "kv/store.h"
#include "tree/entry.h"
#include "versioning/recovery.h"
#include "versioning/types.h"

namespace tarn::versioning {

/// Something stored that is not true, or something named that is not there.
struct Lie {
  std::string repository;  ///< empty: of the whole store
  std::string what;        ///< "pack", "commit", "tree", "object", "branch", "tag", "staged change", "ref journal", …
  std::string subject;     ///< which one: an id, a name, a path
  std::string message;
};

struct CheckedRepository {
  std::string name;
  uint64_t packs = 0, commits = 0, branches = 0, tags = 0, nodes = 0, entries = 0, staged = 0;
  uint64_t unreferenced = 0;  ///< commits in packs that the key-value store does not know: candidates, no lie
  uint64_t lies = 0;
};

struct FsckOptions {
  std::string repository;  ///< only this one; empty: all
  /// Looks at the bytes of one object. Its error, kDeadline and kCancelled excepted, becomes a lie.
  std::function<Result<void>(const Context&, const Repository&, const tree::Entry&)> object;
  Progress progress;
};

struct FsckReport {
  std::vector<CheckedRepository> repositories;
  uint64_t rows = 0;  ///< of the key-value store
  std::vector<Lie> lies;
};

/// Reads every row, every pack whole, every commit, every tree (nodes that commits share once), and asks for every
/// object that a tree or a staged change names. Writes nothing.
///
/// Errors: kNotFound (no such repository); kUnavailable, kDeadline, kCancelled. Damage is no error: it is a lie.
/// Cost:   linear in packs, nodes and entries. Memory: about 300 bytes a commit and a node, of one repository.
Result<FsckReport> fsck(const Context& ctx, kv::Store& kv, block::Store& blocks, base::Clock& clock,
                        base::Random& random, const FsckOptions& options);

}  // namespace tarn::versioning
