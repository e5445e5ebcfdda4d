#pragma once
// Who waits to land on a branch, and what a candidate is made on: docs/notes/0003-landing-trains.md.
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <set>

#include "base/mutex.h"
#include "versioning/engine.h"

namespace tarn::versioning::detail {

/// What a candidate is made on: the branch's head, or the candidate before it in the same train.
struct Footing {
  std::unique_ptr<kv::View> view;
  Branch branch;                       ///< as the view has it
  Commit head;                         ///< becomes the branch's head with or before the candidate
  kv::Sequence committed_through = 0;  ///< of the branch when `head` is its head
  std::set<CommitId> brought;          ///< ancestors of `head`, itself included, that branch.head does not have
  bool last = false;                   ///< `brought` is not all: nothing more can be made on `head` before it landed
};

/// Somebody who waits for a landing. Lives on its caller's stack; all but ctx, kind, make and alone is guarded by the
/// engine's lock, or is the leader's while it rides.
struct Rider {
  using Make = std::function<Result<PreparedMerge>(const Context&, Footing&, tree::PackBuilder&)>;
  enum class Place { kWaits, kLeads, kRides, kArrived };

  const Context& ctx;
  LandingKind kind = LandingKind::kCommit;
  Make make;                                             ///< builds the candidate; writes nothing
  std::function<Result<Engine::MergeResult>()> alone{};  ///< instead of make: does all by itself, when it leads

  Place place = Place::kWaits;
  base::Condition woken{};
  std::optional<Result<Engine::MergeResult>> arrived{};
  std::optional<Candidate> candidate{};
  int lost = 0;  ///< trains whose head moved away

  bool takes_rows() const { return kind == LandingKind::kCommit; }
};

/// Of one branch; gone when nobody waits.
struct LandingQueue {
  std::deque<Rider*> waiting;  ///< the leader is the first
  size_t longest;              ///< riders that the next train takes at most
};

}  // namespace tarn::versioning::detail
