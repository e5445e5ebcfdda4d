#pragma once
// A repository in a scratch folder: RocksDB and the local store, synced, as the server has them.
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "engine/harness.h"
#include "versioning/engine.h"

namespace tarn::bench {

/// The i-th key of the benchmark trees; ascending with i, 84 bytes mean. @param i  below 10^8.
std::string key_of(uint64_t i);
/// Its record as an upload gives it. @param version  another one, another content.
tree::Entry own_entry(uint64_t i, uint64_t version = 0);
/// Its record as an import of a folder gives it: linked by URI, pinned by size and mtime.
tree::Entry linked_entry(uint64_t i);
/// `count` different numbers below n, ascending, scattered evenly with a random shift.
std::vector<uint64_t> scattered(uint64_t n, uint64_t count, base::Random& random);
/// Changes of those keys.
std::vector<tree::Edit> edits_of(const std::vector<uint64_t>& numbers, uint64_t version);

inline constexpr const char* kRepository = "bench";  ///< of every place

class Place {
 public:
  /// Opens or makes the stores and the repository in the folder. @param cache_bytes  of nodes.
  explicit Place(const std::string& folder, size_t cache_bytes = 1ULL << 30);
  /// Commits keys first..last-1 onto a branch, half a million a commit.
  void fill(const std::string& branch, uint64_t first, uint64_t last);
  versioning::Resolved at(std::string_view ref) { return must(engine->resolve(ctx, repository, ref)); }
  versioning::Commit commit(std::string_view branch) { return must(engine->commit(ctx, repository, branch, spec)); }
  /// A new branch from main.
  void branch(std::string_view name) { must(engine->create_branch(ctx, repository, name, "main")); }
  /// Edits landed on the branch's head as one commit, without staging rows.
  versioning::Commit land(std::string_view branch, const std::vector<tree::Edit>& edits);
  /// The packs as the engine has them, with a cache of their own.
  std::shared_ptr<tree::Packs> packs(size_t cache_bytes);

  Context ctx;
  std::string folder;
  std::unique_ptr<kv::Store> kv;
  std::unique_ptr<block::Store> blocks;
  std::unique_ptr<versioning::Engine> engine;
  versioning::Repository repository;
  versioning::CommitSpec spec;
};

inline std::string big_folder(const Options& o) { return o.folder + "/big"; }
inline std::string middle_folder(const Options& o) { return o.folder + "/middle"; }
/// Makes a repository of n entries on main, if it is not there.
void prepare(const std::string& folder, uint64_t n);
/// Bytes in its object store when it was made: packs and little else.
uint64_t stored_when_made(const std::string& folder);

}  // namespace tarn::bench
