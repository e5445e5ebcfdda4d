#pragma once
// Incidents: what a gate refused or a monitor missed, with the evidence, from opening to resolution.
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "mesh/world.h"

namespace tarn::mesh {

struct IncidentFacts {
  std::string kind;  ///< "gate" or "freshness"
  std::string repository, branch, proposal, title;
  std::string candidate, base;  ///< commits; empty for freshness
  std::string report;           ///< digest
  Json checks;                  ///< the findings that refused
  Json partitions;              ///< [{"prefix", "partition"}]
  Json run;                     ///< {"pipeline", "key", "job"} or null
  Json downstream;              ///< what consumers' expectations say of it
  std::string dedup;            ///< the same text while open = the same incident
};

/// Every call adds to a caller's batch, so that an incident exists if and only if its cause was recorded.
class Incidents {
 public:
  explicit Incidents(World& world) : world_(world) {}

  /// Opens an incident (snapshot tag, one delivery a channel), or renews the open one with the same `dedup`.
  /// @return its number.
  Result<int64_t> open(const Context& ctx, kv::Batch& batch, const versioning::Repository* repository,
                       const IncidentFacts& facts);
  /// Resolves it and tells every channel. One that is resolved already is left alone.
  Result<void> resolve(const Context& ctx, kv::Batch& batch, int64_t number, std::string_view resolution);
  /// Open incidents of a repository; all when it is empty.
  Result<std::vector<Record>> open_ones(const Context& ctx, std::string_view repository);
  /// With its deliveries. Errors: kNotFound.
  Result<Json> get(const Context& ctx, int64_t number);
  Result<Json> list(const Context& ctx, std::string_view state);

 private:
  Result<void> add_deliveries(const Context& ctx, kv::Batch& batch, int64_t number, std::string_view phase);
  World& world_;
};

std::string incident_name(int64_t number);  ///< "INC-7"

}  // namespace tarn::mesh
