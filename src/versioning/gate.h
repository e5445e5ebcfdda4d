#pragma once
// The one door for every move of a branch head (decision D6).
#include <memory>
#include <string>
#include <vector>

#include "base/context.h"
#include "kv/store.h"
#include "versioning/types.h"

namespace tarn::versioning {

enum class LandingKind {
  kCommit,
  kMerge,
  kRevert,
  kCherryPick,
  kImport,
  kHardReset,
  kDeleteBranch,
  kRestoreRef,
  kMesh
};
std::string_view name_of(LandingKind kind);

/// The steps of every head move, in order: the names that kill points ("versioning.<name>"), logs and failure tests
/// use. Before kMoveHead nothing is visible; kMoveHead is one batch.
enum class Stage { kReadHead, kSnapshotStaging, kBuildTree, kWritePack, kRunGate, kMoveHead, kAfter };
std::string_view name_of(Stage stage);

/// A staging row that is in the candidate; the landing removes it if it is still this version.
struct SealedRow {
  std::string key;
  kv::Sequence version = 0;
};

/// An immutable commit made against `base_head`, not yet any branch's head. Its pack is durable.
struct Candidate {
  LandingKind kind = LandingKind::kCommit;
  std::string branch;
  CommitId base_head;                  ///< the head it was made (and is tested) against
  Commit commit;                       ///< for kHardReset an existing commit; unused for kDeleteBranch
  kv::Sequence committed_through = 0;  ///< kCommit: staging rows up to here are in it; 0 leaves the branch's value
  bool requires_clean = false;         ///< the branch must have no staged change when it lands
  kv::Sequence branch_version = 0;     ///< kCommit: the branch's record must still be this one; 0: only its head counts
  std::vector<SealedRow> sealed;       ///< kCommit: a first few of its rows; the rest is cleaned up in the background
};

/// What the mesh proves when it lands a tested candidate. Only a reviewer makes one.
struct Pass {
  std::string reviewer;  ///< "mesh"
  std::string record;    ///< id of the gate record
};

/// A room above plugs this in (server/wiring): the say of hooks and the mesh. Called without any lock, while
/// other landings of that branch wait: it must not land on the branch itself. Of a train, candidates are reviewed in
/// order, each made on the one before, which is not landed yet.
class LandingPolicy {
 public:
  virtual ~LandingPolicy() = default;
  /// @param pass  nullptr for landings that nobody reviewed. Errors: kRefused, kForbidden: nothing moves.
  virtual Result<void> review(const Context& ctx, const Repository& repository, const Candidate& candidate,
                              const Pass* pass) = 0;
  /// Whether review() would look at a candidate for this branch at all. Asked at the moment at which review() would be,
  /// and read from the same records: false is its approval of what lands now, and saves making the candidate readable.
  /// Errors: kUnavailable, kCorrupt: nothing moves.
  virtual Result<bool> concerns(const Context&, const Repository&, std::string_view /*branch*/) { return true; }
  /// Whether writes may be staged on the branch at all. Errors: kForbidden.
  virtual Result<void> admit_write(const Context& ctx, const Repository& repository, std::string_view branch) = 0;
};

struct Landing {
  Candidate candidate;
  kv::Batch also;  ///< the caller's preconditions and records, in the same batch as the head move
  const Pass* pass = nullptr;
};

}  // namespace tarn::versioning
