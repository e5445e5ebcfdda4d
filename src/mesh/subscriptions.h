#pragma once
// Subscriptions and onboarding: a consumer's input follows a producer's publications, one tested commit each.
#include <string>
#include <vector>

#include "mesh/definitions.h"
#include "mesh/proposals.h"
#include "mesh/publications.h"
#include "mesh/world.h"

namespace tarn::mesh {

/// A subscription's record keeps `cursor` (the publication worked off last, landed or refused), `pin` (the newest that
/// landed) and `missing` (refused ones whose data the consumer does not have). What it declares lies in
/// `_mesh/inputs.yaml`; sync() brings the record in line with that file.
class Subscriptions final : public Participant {
 public:
  Subscriptions(World& world, DefinitionReader& definitions, Checks& checks, Proposals& proposals,
                Publications& publications)
      : world_(world), definitions_(definitions), checks_(checks), proposals_(proposals), publications_(publications) {}

  /// @param body {"consumer", "input"}. Active at once when the actor owns the producer too, else "requested".
  Result<Json> subscribe(const Context& ctx, const Actor& actor, const Json& body);
  Result<Json> approve(const Context& ctx, const Actor& actor, const std::string& consumer, const std::string& input);
  Result<Json> list(const Context& ctx, std::string_view consumer);
  /// The consumer's expectation of `input` on the latest publication of another line.
  Result<Json> dry_run(const Context& ctx, const std::string& consumer, const std::string& input,
                       const std::string& from);
  /// Works off everything due for one input. Level-triggered: may be called at any time.
  Result<Json> onboard(const Context& ctx, const std::string& consumer, const std::string& input);
  /// Runner of the task kind "mesh-onboard".
  Result<tasks::Step> run_task(const Context& ctx, const tasks::Task& task);
  /// Starts onboarding wherever a producer's line is followed. For landings.
  Result<void> wake_followers(const Context& ctx, kv::Batch& batch, const std::string& producer,
                              const std::string& cause);
  /// Brings records in line with the consumer's inputs.yaml (an upgrade moves the line).
  Result<void> sync(const Context& ctx, const std::string& consumer, kv::Batch& batch, const std::string& cause);
  /// Makes the source commit of a refused onboarding again, on today's trunk. @return its hex id.
  Result<std::string> restage(const Context& ctx, const Json& proposal);

  Result<void> on_landing(const Context& ctx, kv::Batch& batch, const Json& proposal, const versioning::Commit& landed,
                          const std::vector<Json>& publications) override;
  Result<void> on_refusal(const Context& ctx, kv::Batch& batch, const Json& proposal, int64_t incident) override;

 private:
  struct Staged {
    versioning::Commit commit;
    size_t changes = 0;
    Json partitions;
  };
  Result<Staged> stage(const Context& ctx, const Json& subscription, const Input& input, const Json& publication,
                       const std::string& base_commit);
  /// Says in the record that a publication is under way, unless somebody else has moved the cursor since `seen`.
  Result<void> move_cursor(const Context& ctx, const std::string& key, const Json& seen, int64_t number,
                           const std::string& commit);
  Result<bool> onboard_next(const Context& ctx, const std::string& consumer, const std::string& input, Json& proposals);

  World& world_;
  DefinitionReader& definitions_;
  Checks& checks_;
  Proposals& proposals_;
  Publications& publications_;
};

}  // namespace tarn::mesh
