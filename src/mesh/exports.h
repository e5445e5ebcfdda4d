#pragma once
// Exports: a folder that always holds exactly one publication of a port, switched atomically.
#include <string>

#include "mesh/definitions.h"
#include "mesh/publications.h"
#include "mesh/world.h"

namespace tarn::mesh {

/// Below the export root: `<path>/versions/<tag>/…` (hard links where a file did not change), `manifest.json` in it,
/// and
/// `<path>/current`, a link that is replaced by rename. The two newest versions are kept.
class Exports {
 public:
  Exports(World& world, DefinitionReader& definitions, Publications& publications)
      : world_(world), definitions_(definitions), publications_(publications) {}
  /// Brings every export of a product in line with the publication it follows. Level-triggered.
  Result<void> follow(const Context& ctx, const std::string& repository);
  Result<Json> list(const Context& ctx, const std::string& repository);
  /// Runner of the task kind "mesh-export".
  Result<tasks::Step> run_task(const Context& ctx, const tasks::Task& task);

 private:
  Result<void> bring(const Context& ctx, const versioning::Repository& repository, const std::string& name,
                     const Json& spec);
  World& world_;
  DefinitionReader& definitions_;
  Publications& publications_;
};

}  // namespace tarn::mesh
