#pragma once
// Monitors: what a merge gate cannot notice, since it fires when nothing happens.
#include <string>

#include "mesh/definitions.h"
#include "mesh/incidents.h"
#include "mesh/publications.h"
#include "mesh/world.h"

namespace tarn::mesh {

/// Freshness: the business clock minus the end of the newest partition in a port's latest publication, against the
/// contract's slaProperties latency. An open gate incident on the product holds the alert back: its cause is known.
/// A port without a publication that stands is "unpublished", and "overdue" (an incident like a breach) when the limit
/// has passed since a monitor first missed it; a business clock that is set back begins anew.
class Monitors {
 public:
  Monitors(World& world, DefinitionReader& definitions, Publications& publications, Incidents& incidents)
      : world_(world), definitions_(definitions), publications_(publications), incidents_(incidents) {}
  /// Looks at every port with a limit; opens and resolves incidents. @return the state of each.
  Result<Json> evaluate(const Context& ctx);
  /// Runner of the task kind "mesh-monitor": evaluates and comes again.
  Result<tasks::Step> run_task(const Context& ctx, const tasks::Task& task);

 private:
  Result<base::WallMs> awaited_since(const Context& ctx, kv::Batch& batch, const std::string& key, base::WallMs now);
  World& world_;
  DefinitionReader& definitions_;
  Publications& publications_;
  Incidents& incidents_;
};

}  // namespace tarn::mesh
