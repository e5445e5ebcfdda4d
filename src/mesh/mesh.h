#pragma once
// The mesh: every part of it, wired to each other and to the tasks that keep it going.
#include <memory>
#include <string>

#include "mesh/alerts.h"
#include "mesh/environments.h"
#include "mesh/exports.h"
#include "mesh/monitors.h"
#include "mesh/policy.h"
#include "mesh/products.h"
#include "mesh/runs.h"
#include "mesh/subscriptions.h"
#include "mesh/withdrawals.h"

namespace tarn::mesh {

/// Owner: wiring. Construct before tasks start (it registers their runners), after the engine; the doors outlive it.
/// Threads: any.
class Mesh {
 public:
  explicit Mesh(Doors doors);

  /// After tasks have started: makes sure that the monitor task exists.
  Result<void> start(const Context& ctx);
  /// Whether a branch moves only by proposals.
  Result<bool> gates(const Context& ctx, const std::string& repository, const std::string& branch);
  /// Tests a refused proposal again; an onboarding is staged anew on today's trunk first.
  Result<Json> retry(const Context& ctx, const Actor& actor, const std::string& proposal);
  Result<Json> lint(const Json& body);
  Result<Json> diff(const Context& ctx, const Json& body);
  Result<Json> stats(const Context& ctx);
  Result<Json> events(const Context& ctx, const std::string& after, size_t amount);

  World world;
  DefinitionReader definitions{world};
  Checks checks{world, definitions};
  Publications publications{world, definitions};
  Incidents incidents{world};
  Alerts alerts{world, incidents};
  Proposals proposals{world, definitions, checks, publications, incidents};
  Products products{world, definitions, proposals, publications, incidents};
  Subscriptions subscriptions{world, definitions, checks, proposals, publications};
  Runs runs{world, definitions, proposals, incidents};
  Withdrawals withdrawals{world, definitions, proposals, publications, runs};
  Exports exports{world, definitions, publications};
  Environments environments{world, definitions, publications};
  Monitors monitors{world, definitions, publications, incidents};
  MeshPolicy policy;

 private:
  /// Runner of the task kind "mesh-landed": what follows from a landing, each step level-triggered.
  Result<tasks::Step> after_landing(const Context& ctx, const tasks::Task& task);
};

}  // namespace tarn::mesh
