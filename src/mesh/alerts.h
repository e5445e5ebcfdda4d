#pragma once
// Delivery of incidents to the channels of the user's choice: one firing and one resolved notification each.
#include <string>

#include "mesh/incidents.h"
#include "mesh/world.h"

namespace tarn::mesh {

/// A delivery is a state machine per (incident, channel): pending -> delivered, kept in `mesh/delivery/…`, driven by
/// durable tasks. A re-send bears the same delivery id, so that a receiver can count once.
class Alerts {
 public:
  Alerts(World& world, Incidents& incidents) : world_(world), incidents_(incidents) {}
  /// @param body  {"name", "kind": "webhook" | "alertmanager", "url"}. Errors: kInvalid.
  Result<Json> add_channel(const Context& ctx, const Json& body);
  Result<Json> channels(const Context& ctx);
  /// Runner of the task kind "mesh-deliver". An Alertmanager gets a firing alert again until it is resolved, since it
  /// forgets alerts that nobody repeats.
  Result<tasks::Step> deliver(const Context& ctx, const tasks::Task& task);

 private:
  Result<void> send(const Context& ctx, const Json& channel, const Json& incident, std::string_view phase,
                    const std::string& delivery_id);
  World& world_;
  Incidents& incidents_;
};

}  // namespace tarn::mesh
