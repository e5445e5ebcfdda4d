#pragma once
// Publications: immutable, numbered versions of an output port's line, made in the batch that lands them.
#include <optional>
#include <string>
#include <vector>

#include "mesh/checks.h"
#include "mesh/definitions.h"
#include "mesh/world.h"

namespace tarn::mesh {

/// What a landing says about itself in the publications it makes.
struct LandingFacts {
  std::string proposal, report;  ///< id and digest
  Json run;                      ///< {"pipeline", "key", "generation"} or null
};

class Publications {
 public:
  Publications(World& world, DefinitionReader& definitions) : world_(world), definitions_(definitions) {}

  /// Adds to the landing's batch one publication for every port line whose data differs from its latest one.
  /// @return the new publications, for the answer and for follow-up work.
  Result<std::vector<Json>> add(const Context& ctx, kv::Batch& batch, const versioning::Repository& repository,
                                const versioning::Commit& candidate, const std::vector<tree::Change>& changes,
                                const LandingFacts& facts);
  /// All of a line, oldest first. Errors: kNotFound (product).
  Result<std::vector<Json>> list(const Context& ctx, std::string_view repository, std::string_view port, int64_t major);
  Result<Json> get(const Context& ctx, std::string_view repository, std::string_view port, int64_t major,
                   int64_t number);
  /// The newest that is not withdrawn.
  Result<std::optional<Json>> latest(const Context& ctx, std::string_view repository, std::string_view port,
                                     int64_t major);
  /// The lock of every input at a commit: {"flights": {"publication": 41, "commit": …}}.
  Result<Json> locks(const Context& ctx, const versioning::Repository& repository, const versioning::Commit& at);

 private:
  World& world_;
  DefinitionReader& definitions_;
};

std::string publication_tag(std::string_view port, int64_t major, int64_t number);
/// Whether a name is reserved for the tags of publications and failure snapshots: the mesh alone makes them, and nobody
/// moves or deletes them.
inline bool is_mesh_tag(std::string_view name) { return name.starts_with("pub--") || name.starts_with("fail--"); }

}  // namespace tarn::mesh
