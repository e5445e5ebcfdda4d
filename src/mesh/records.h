#pragma once
// The mesh's records: JSON in the KV below "mesh/", read and written through these few calls.
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/context.h"
#include "base/json.h"
#include "kv/record.h"
#include "kv/store.h"

namespace tarn::mesh {

struct Record {
  Json json;
  kv::Sequence version = 0;
};

class Records {
 public:
  explicit Records(kv::Store& store) : store_(store) {}
  Result<std::optional<Record>> find(const Context& ctx, std::string_view key) const;
  /// Errors: kNotFound with the subject and "there is no <subject> <name>".
  Result<Record> get(const Context& ctx, std::string_view key, std::string_view subject, std::string_view name) const;
  /// Every record below a prefix, in key order; the key without the prefix comes first.
  Result<std::vector<std::pair<std::string, Record>>> list(const Context& ctx, std::string_view prefix) const;
  kv::Store& store() const { return store_; }

 private:
  kv::Store& store_;
};

inline void put(kv::Batch& batch, std::string key, const Json& json) {
  batch.put(std::move(key), kv::encode_record(json));
}
/// put, only if the record is still the one that was read (version 0: still absent).
void put_if(kv::Batch& batch, const std::string& key, const Json& json, kv::Sequence version);

/// Numbers in keys are padded, so that key order is numeric order.
std::string padded(int64_t number);

namespace keys {
inline constexpr std::string_view kClock = "mesh/clock";
inline constexpr std::string_view kDomains = "mesh/domain/";
inline constexpr std::string_view kProducts = "mesh/product/";
inline constexpr std::string_view kProposals = "mesh/proposal/";
inline constexpr std::string_view kIncidents = "mesh/incident/";
inline constexpr std::string_view kIncidentCounter = "mesh/counter/incident";
inline constexpr std::string_view kChannels = "mesh/channel/";
inline constexpr std::string_view kSubscriptions = "mesh/subscription/";
inline constexpr std::string_view kWaivers = "mesh/waiver/";
inline constexpr std::string_view kEvents = "mesh/event/";
inline constexpr std::string_view kDeliveries = "mesh/delivery/";
inline constexpr std::string_view kMonitors = "mesh/monitor/";

std::string domain(std::string_view name);
std::string product(std::string_view domain, std::string_view name);
/// repository -> "domain/name"
std::string repository(std::string_view repository);
std::string proposal(std::string_view id);
/// {"proposal"}: the last one that a user made of a commit into a branch.
std::string proposal_of(std::string_view repository, std::string_view commit, std::string_view user,
                        std::string_view destination);
std::string gate_record(std::string_view repository, std::string_view commit);
std::string report(std::string_view digest);
/// All publications of a port's line.
std::string publications(std::string_view repository, std::string_view port, int64_t major);
std::string publication(std::string_view repository, std::string_view port, int64_t major, int64_t number);
std::string publication_head(std::string_view repository, std::string_view port, int64_t major);
std::string incident(int64_t number);
std::string delivery(int64_t incident, std::string_view channel);
std::string channel(std::string_view name);
std::string subscription(std::string_view consumer, std::string_view input);
/// That a consumer's roll-back of a publication is finished.
std::string rollback(std::string_view consumer, std::string_view input, std::string_view commit);
std::string waivers(std::string_view repository);
std::string runs(std::string_view repository, std::string_view pipeline);
std::string run(std::string_view repository, std::string_view pipeline, std::string_view key);
std::string attempt(std::string_view id);
std::string environments(std::string_view repository);
std::string environment(std::string_view repository, std::string_view name);
std::string experiments(std::string_view repository);
std::string experiment(std::string_view repository, std::string_view name);
std::string exports(std::string_view repository);
std::string export_state(std::string_view repository, std::string_view name);
/// {"awaited_since_ms"}: a port that promises freshness and has no publication that stands.
std::string monitor(std::string_view repository, std::string_view port, int64_t major);
/// {"at_ms", …}: the last heartbeat of an attempt that is under way, to a part of the limit.
inline constexpr std::string_view kBeats = "mesh/beat/";
std::string beat(std::string_view attempt);
/// {"branches"}: of one generation of a run that is over, in the order of time.
std::string run_branches(std::string_view repository);
std::string run_branches(std::string_view repository, int64_t wall_ms, std::string_view pipeline, std::string_view key,
                         int64_t generation);
}  // namespace keys

}  // namespace tarn::mesh
