#pragma once
// Pipeline runs: a branch a run, a branch a job attempt, one landing on the trunk when all jobs have passed.
#include <string>
#include <vector>

#include "mesh/definitions.h"
#include "mesh/incidents.h"
#include "mesh/proposals.h"
#include "mesh/world.h"

namespace tarn::mesh {

/// States of a run: waiting (an input is not there yet) -> ready -> running -> landing -> landed; stopped (a job or the
/// release was refused); stale becomes ready again with the next generation. Of a job: pending -> runnable -> running
/// -> landed | failed.
class Runs final : public Participant {
 public:
  Runs(World& world, DefinitionReader& definitions, Proposals& proposals, Incidents& incidents)
      : world_(world),
        definitions_(definitions),
        proposals_(proposals),
        incidents_(incidents),
        began_ms_(world.doors.clock.wall_ms()) {}

  /// Looks at the partitions that a landing on the trunk changed: makes runs ready, or says what they wait for.
  Result<void> trigger(const Context& ctx, const std::string& repository, const std::vector<tree::Change>& changes);
  /// A run by hand. Errors: kNotFound (pipeline). Repeating it gives the same run.
  Result<Json> start(const Context& ctx, const Actor& actor, const std::string& repository, const std::string& pipeline,
                     const std::string& key);
  Result<Json> list(const Context& ctx, const std::string& repository, const std::string& pipeline,
                    std::string_view state);
  Result<Json> get(const Context& ctx, const std::string& repository, const std::string& pipeline,
                   const std::string& key);
  Result<Json> wait(const Context& ctx, const std::string& repository, const std::string& pipeline,
                    const std::string& key, const std::vector<std::string>& states, int64_t timeout_ms);
  /// A new attempt with a branch, a fence and a credential of its own; the attempt before it can write no more.
  /// Errors: kConflict (the run or the job is not ready for it), kNotFound.
  Result<Json> begin(const Context& ctx, const Actor& actor, const std::string& repository, const std::string& pipeline,
                     const std::string& key, const std::string& job);
  /// Seals the attempt, commits, proposes into the DAG branch and decides. Errors: kConflict (an old fence).
  Result<Json> complete(const Context& ctx, const std::string& attempt, const std::string& fence);
  /// Whether the attempt is still the current one. @return {"state"} of its job. Errors: kNotFound, kConflict (an old
  /// fence, or given up for its silence: stop). Cost: one read more than its record; a write now and then.
  Result<Json> heartbeat(const Context& ctx, const std::string& attempt, const std::string& fence);
  Result<Json> fail(const Context& ctx, const std::string& attempt, const std::string& fence,
                    const std::string& reason);
  /// Fails the attempts that have sent a heartbeat and then none for longer than the limit: the key dies, the fence is
  /// worth nothing any more, and the job may be begun again at once. Nobody is silent before the limit has passed since
  /// this object was made: while the server was down no heartbeat could arrive. @return how many.
  Result<int64_t> fail_silent(const Context& ctx);
  /// Deletes the branches of runs that are over, but those of the newest `landed_runs_kept`.
  Result<void> tidy(const Context& ctx, const std::string& repository);
  /// Failed jobs become runnable again.
  Result<Json> resume(const Context& ctx, const Actor& actor, const std::string& repository,
                      const std::string& pipeline, const std::string& key);
  /// Runner of the task kind "mesh-release": lands the finished run on the trunk.
  Result<tasks::Step> release(const Context& ctx, const tasks::Task& task);
  /// Runs whose inputs include a partition go back to waiting: after a roll-back. @return their keys.
  Result<std::vector<std::string>> reopen(const Context& ctx, const std::string& repository,
                                          const std::set<std::string>& partitions);

  Result<void> on_landing(const Context& ctx, kv::Batch& batch, const Json& proposal, const versioning::Commit& landed,
                          const std::vector<Json>& publications) override;
  Result<void> on_refusal(const Context& ctx, kv::Batch& batch, const Json& proposal, int64_t incident) override;

 private:
  struct Place {
    versioning::Repository repository;
    versioning::Commit trunk;
    std::shared_ptr<const Definitions> definitions;
    const Pipeline* pipeline = nullptr;
  };
  Result<Place> place(const Context& ctx, const std::string& repository, const std::string& pipeline);
  Result<Json> begin_once(const Context& ctx, const Actor& actor, const std::string& repository,
                          const std::string& pipeline, const std::string& key, const std::string& job_name);
  Result<Json> complete_once(const Context& ctx, const std::string& attempt_id, const std::string& fence);
  Json fresh(const Place& place, const std::string& key, int64_t generation) const;
  Result<Json> waiting_for(const Context& ctx, const Place& place, const std::string& key);
  /// The digests of everything the run reads that no job of it writes.
  Result<Json> read_set(const Context& ctx, const Place& place, const versioning::Commit& at, const std::string& key);
  Result<bool> fail_if_silent(const Context& ctx, const std::string& attempt, const Record& beat);
  /// Notes in the batch that this generation's branches serve nobody any more.
  void retire_branches(kv::Batch& batch, const Json& run) const;
  Result<void> ensure_branch(const Context& ctx, const Place& place, Json& run);

  World& world_;
  DefinitionReader& definitions_;
  Proposals& proposals_;
  Incidents& incidents_;
  const base::WallMs began_ms_;
};

}  // namespace tarn::mesh
