#pragma once
// The gate of the mesh: a proposal pins a commit, tests the prospective merge result, and lands it or refuses it.
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "mesh/checks.h"
#include "mesh/incidents.h"
#include "mesh/publications.h"
#include "mesh/world.h"

namespace tarn::mesh {

struct ProposalSpec {
  std::string repository, source, destination = "main", title;
  std::string kind = "merge";  ///< merge, history, onboard, job, release, rollback, sync
  std::string key;             ///< idempotency: the same key gives the same proposal
  Proposer proposer;
  bool direct = false;  ///< land the source commit itself when its parent is the head
  Json context;         ///< what the kind's participant needs
};

/// A kind's say in the batches of its proposals (runs, subscriptions). Must be idempotent: a batch may be made again.
class Participant {
 public:
  virtual ~Participant() = default;
  virtual Result<void> on_landing(const Context& ctx, kv::Batch& batch, const Json& proposal,
                                  const versioning::Commit& landed, const std::vector<Json>& publications) = 0;
  virtual Result<void> on_refusal(const Context& ctx, kv::Batch& batch, const Json& proposal, int64_t incident) = 0;
};

/// States: opened -> checking -> landed | failed | conflict | error; then cancelled, superseded.
/// Threads: any; proposals on one branch stand in line, no lock on anything else while checks run.
class Proposals {
 public:
  Proposals(World& world, DefinitionReader& definitions, Checks& checks, Publications& publications,
            Incidents& incidents)
      : world_(world), definitions_(definitions), checks_(checks), publications_(publications), incidents_(incidents) {}

  void add_participant(const std::string& kind, Participant* participant) { participants_[kind] = participant; }

  /// Opens a proposal and starts its task. Errors: kNotFound (repository, source, destination), kForbidden.
  Result<Json> open(const Context& ctx, const ProposalSpec& spec);
  /// The proposal that this user made of the same commit into the same branch, unless it was cancelled, superseded or
  /// in conflict; else opens one. How a plain merge asks: repeating it, also after a refusal, is one question.
  Result<Json> open_or_join(const Context& ctx, const ProposalSpec& spec);
  Result<Json> get(const Context& ctx, std::string_view id);
  /// What open() made of a key before; without its report.
  Result<std::optional<Json>> find_by_key(const Context& ctx, std::string_view repository, std::string_view key);
  Result<Json> list(const Context& ctx, std::string_view repository, std::string_view state);
  /// Waits until it is decided or the time is over; either way gives it as it stands.
  Result<Json> wait(const Context& ctx, std::string_view id, int64_t timeout_ms);
  /// Tests the pinned source again. Errors: kConflict (already landed or cancelled).
  Result<Json> retry(const Context& ctx, const Actor& actor, std::string_view id);
  /// Records that named findings are accepted. Errors: kForbidden (not the owner), kInvalid (no such failing check).
  Result<Json> waive(const Context& ctx, const Actor& actor, std::string_view id, const Json& body);
  Result<Json> cancel(const Context& ctx, const Actor& actor, std::string_view id, std::string_view state,
                      std::string_view reason);
  /// The record of a landing, by commit. Errors: kNotFound.
  Result<Json> gate_record(const Context& ctx, std::string_view repository, std::string_view commit);
  /// Tests and lands or refuses it on the caller's thread; what is decided already stays. Stands in the branch's line.
  Result<Json> decide(const Context& ctx, const std::string& id);
  /// Runner of the task kind "mesh-proposal".
  Result<tasks::Step> conduct(const Context& ctx, const tasks::Task& task);

 private:
  struct Prepared {
    versioning::Candidate candidate;
    std::vector<tree::Change> changes;
    versioning::Commit head;
  };
  enum class Outcome { kDecided, kAgain };
  Result<Outcome> attempt(const Context& ctx, const std::string& id);
  Result<std::optional<Prepared>> prepare(const Context& ctx, const versioning::Repository& repository, Json& proposal,
                                          kv::Batch& decided);
  Result<Outcome> land(const Context& ctx, const versioning::Repository& repository, const Record& record,
                       const Prepared& prepared, const Tested& tested, int64_t prepare_us);
  Result<void> refuse(const Context& ctx, const versioning::Repository& repository, const Record& record,
                      const Prepared& prepared, const Tested& tested, int64_t prepare_us);
  Result<void> end_overtaken(const Context& ctx, kv::Batch& batch, const Json& proposal, const Tested& tested);
  Json downstream_cost(const Context& ctx, const versioning::Repository& repository, const Prepared& prepared,
                       const Tested& tested);
  Result<void> submit(const Context& ctx, kv::Batch& batch, const Json& proposal);

  Result<Json> open_as(const Context& ctx, const ProposalSpec& spec, std::optional<kv::Sequence> index_version);

  World& world_;
  DefinitionReader& definitions_;
  Checks& checks_;
  Publications& publications_;
  Incidents& incidents_;
  std::map<std::string, Participant*> participants_;
};

}  // namespace tarn::mesh
