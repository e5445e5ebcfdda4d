#pragma once
// Development environments and experiments: branches that follow or leave the trunk, and their comparison.
#include <string>

#include "mesh/definitions.h"
#include "mesh/publications.h"
#include "mesh/world.h"

namespace tarn::mesh {

class Environments {
 public:
  Environments(World& world, DefinitionReader& definitions, Publications& publications)
      : world_(world), definitions_(definitions), publications_(publications) {}
  /// A branch off the trunk that follows it. No byte is copied. Repeating it gives the same one.
  Result<Json> create(const Context& ctx, const Actor& actor, const std::string& repository, const Json& body);
  /// With unique bytes, lag and the commit it was synced to.
  Result<Json> list(const Context& ctx, const std::string& repository);
  /// Merges the trunk into one environment, or all (empty). A conflict is recorded and stops nobody.
  Result<Json> sync(const Context& ctx, const std::string& repository, const std::string& name);
  /// @param body {"name", "env"?, "from"?: ref or "port@vN"}.
  Result<Json> create_experiment(const Context& ctx, const Actor& actor, const std::string& repository,
                                 const Json& body);
  Result<Json> reset_experiment(const Context& ctx, const Actor& actor, const std::string& repository,
                                const std::string& name);
  Result<Json> discard_experiment(const Context& ctx, const Actor& actor, const std::string& repository,
                                  const std::string& name);
  Result<Json> experiments(const Context& ctx, const std::string& repository);
  /// Objects and per-column profiles of a table on two refs, side by side.
  Result<Json> compare(const Context& ctx, const std::string& repository, const std::string& left,
                       const std::string& right, const std::string& prefix);

 private:
  Result<Json> profile(const Context& ctx, const versioning::Repository& repository, const versioning::Commit& at,
                       const std::string& prefix);
  World& world_;
  DefinitionReader& definitions_;
  Publications& publications_;
};

}  // namespace tarn::mesh
