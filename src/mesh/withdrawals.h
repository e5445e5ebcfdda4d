#pragma once
// Withdrawing a publication, and what that does to its consumers.
#include <string>

#include "mesh/proposals.h"
#include "mesh/publications.h"
#include "mesh/runs.h"
#include "mesh/subscriptions.h"
#include "mesh/world.h"

namespace tarn::mesh {

/// Participant of the kind "rollback": in the batch that lands it the subscription's cursor and pin go back, and the
/// publications that were derived are withdrawn.
class Withdrawals final : public Participant {
 public:
  Withdrawals(World& world, DefinitionReader& definitions, Proposals& proposals, Publications& publications, Runs& runs)
      : world_(world), definitions_(definitions), proposals_(proposals), publications_(publications), runs_(runs) {}

  /// Marks a publication as withdrawn (it stays readable) and rolls every consumer back whose policy says so: one
  /// commit whose input, outputs and lock of the affected partitions equal the state before it came. Repeating it
  /// finishes what was interrupted, and leaves alone what has come since a finished one. Errors: kForbidden
  /// (not the owner), kNotFound, kInvalid (no reason), kConflict (not the latest: withdraw newer ones first).
  Result<Json> withdraw(const Context& ctx, const Actor& actor, const std::string& repository, const std::string& port,
                        int64_t major, int64_t number, const Json& body);

  Result<void> on_landing(const Context& ctx, kv::Batch& batch, const Json& proposal, const versioning::Commit& landed,
                          const std::vector<Json>& publications) override;
  Result<void> on_refusal(const Context&, kv::Batch&, const Json&, int64_t) override { return {}; }

 private:
  /// Marks a publication in the batch, unless it is marked already. @return it.
  Result<Json> add_mark(const Context& ctx, kv::Batch& batch, const Json& which, const std::string& reason,
                        const std::string& by);
  /// Cursor and pin as they were before the publication came.
  Result<void> take_back(const Context& ctx, kv::Batch& batch, const Json& about);
  Result<Json> roll_back(const Context& ctx, const Json& subscription, const Json& publication,
                         const std::string& reason);
  World& world_;
  DefinitionReader& definitions_;
  Proposals& proposals_;
  Publications& publications_;
  Runs& runs_;
};

}  // namespace tarn::mesh
