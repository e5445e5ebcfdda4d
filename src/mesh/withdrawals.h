#pragma once
// Withdrawing a publication, and what that does to its consumers.
#include <string>

#include "mesh/proposals.h"
#include "mesh/publications.h"
#include "mesh/runs.h"
#include "mesh/subscriptions.h"
#include "mesh/world.h"

namespace tarn::mesh {

class Withdrawals {
 public:
  Withdrawals(World& world, DefinitionReader& definitions, Proposals& proposals, Publications& publications,
              Subscriptions& subscriptions, Runs& runs)
      : world_(world),
        definitions_(definitions),
        proposals_(proposals),
        publications_(publications),
        subscriptions_(subscriptions),
        runs_(runs) {}

  /// Marks a publication as withdrawn (it stays readable) and rolls every consumer back whose policy says so: one
  /// commit whose input, outputs and lock of the affected partitions equal the state before it came. Errors: kForbidden
  /// (not the owner), kNotFound, kInvalid (no reason), kConflict (not the latest: withdraw newer ones first).
  Result<Json> withdraw(const Context& ctx, const Actor& actor, const std::string& repository, const std::string& port,
                        int64_t major, int64_t number, const Json& body);

 private:
  Result<Json> mark(const Context& ctx, const std::string& repository, const std::string& port, int64_t major,
                    int64_t number, const std::string& reason, const std::string& by);
  Result<Json> roll_back(const Context& ctx, const Json& subscription, const Json& publication,
                         const std::string& reason);
  World& world_;
  DefinitionReader& definitions_;
  Proposals& proposals_;
  Publications& publications_;
  Subscriptions& subscriptions_;
  Runs& runs_;
};

}  // namespace tarn::mesh
