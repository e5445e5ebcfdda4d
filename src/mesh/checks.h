#pragma once
// Tests a prospective merge result: data checks of the contracts it touches, and the mesh's own rules about
// definitions.
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "mesh/definitions.h"
#include "mesh/world.h"

namespace tarn::mesh {

/// Who proposes, and what the change may touch.
struct Proposer {
  Actor actor;
  bool is_server = false;                 ///< onboarding and roll-backs: may write lock files
  std::vector<std::string> write_scopes;  ///< a job's; empty: anywhere
  bool reports_only = false;              ///< history and roll-backs: data findings do not refuse
};

struct Tested {
  Json report;  ///< docs/formats/report.md: findings in definition order; its "digest" covers all but timings
  std::string digest;
  bool passed = false;  ///< nothing refuses
  bool clean = false;   ///< no data finding of severity error, waived ones left out
  int64_t checks_us = 0;
  std::map<std::string, std::set<std::string>>
      touched;  ///< contract prefix -> partitions that H..M changes ("" = whole)
};

/// The partitions of a contract's table that a list of changes touches.
std::set<std::string> touched_partitions(const ContractFile& file, const std::vector<tree::Change>& changes);

class Checks {
 public:
  Checks(World& world, DefinitionReader& definitions) : world_(world), definitions_(definitions) {}

  /// Runs every contract that H..M touches (definitions from H, lines that only M has besides) and the definition
  /// rules. A check that cannot decide has the result "error" and refuses. Errors: only when nothing could be tested at
  /// all. Cost: reads the touched partitions and up to 28 before them.
  Result<Tested> test(const Context& ctx, const versioning::Repository& repository, const versioning::Commit& head,
                      const versioning::Commit& candidate, const std::vector<tree::Change>& changes,
                      const Proposer& proposer);

  /// A consumer's expectation run on a producer's tree: for upgrades, and for what a refusal costs downstream.
  /// @param partitions  empty: the whole table. References come from the consumer's `consumer_at`.
  Result<Json> dry_run(const Context& ctx, const versioning::Repository& producer, const versioning::Commit& at,
                       const std::string& port_prefix, const std::set<std::string>& partitions,
                       const versioning::Repository& consumer, const versioning::Commit& consumer_at,
                       const ContractFile& expectation);

 private:
  struct TableFiles {
    const versioning::Repository* repository;
    std::vector<std::pair<std::string, tree::Entry>> files;
  };
  Result<TableFiles> files_of(const Context& ctx, const versioning::Repository& repository,
                              const versioning::Commit& at, const std::string& prefix);
  quality::Table table(const Context& ctx, std::string name, const TableFiles& files, const std::string& partition_key,
                       const std::string& prefix, const std::set<std::string>& only);
  Result<std::vector<quality::Table>> references(const Context& ctx, const ContractFile& file,
                                                 const versioning::Repository& repository, const versioning::Commit& at,
                                                 const Definitions& definitions,
                                                 const std::set<std::string>& partitions);
  Result<void> run_contract(const Context& ctx, const ContractFile& file, const versioning::Repository& repository,
                            const versioning::Commit& head, const versioning::Commit& candidate,
                            const Definitions& at_candidate, const std::set<std::string>& partitions, Json& findings,
                            Json& contracts);
  Result<void> check_definitions(const Context& ctx, const versioning::Repository& repository,
                                 const Definitions& before, const Result<std::shared_ptr<const Definitions>>& after,
                                 const std::vector<tree::Change>& changes, const Proposer& proposer, Json& findings,
                                 Json& contract_changes);
  Result<Json> subscribers_of(const Context& ctx, const std::string& repository, const ContractFile& file);
  Result<void> apply_waivers(const Context& ctx, const versioning::Repository& repository,
                             const versioning::Commit& candidate, const Definitions& definitions, Json& findings);

  World& world_;
  DefinitionReader& definitions_;
};

/// One finding of the mesh's own rules, in the report's form.
Json finding(std::string_view check, std::string_view result, std::string_view expected, std::string_view observed);

}  // namespace tarn::mesh
