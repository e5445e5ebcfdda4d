#include "mesh/incidents.h"

#include <fmt/core.h>

namespace tarn::mesh {

std::string incident_name(int64_t number) { return fmt::format("INC-{}", number); }

Result<std::vector<Record>> Incidents::open_ones(const Context& ctx, std::string_view repository) {
  TRY_LET(auto all, world_.records.list(ctx, keys::kIncidents));
  std::vector<Record> open;
  for (auto& [key, record] : all)
    if (record.json["state"].as_string() == "open" &&
        (repository.empty() || record.json["repository"].as_string() == repository))
      open.push_back(std::move(record));
  return open;
}

Result<void> Incidents::add_deliveries(const Context& ctx, kv::Batch& batch, int64_t number, std::string_view phase) {
  TRY_LET(const auto channels, world_.records.list(ctx, keys::kChannels));
  for (const auto& [name, channel] : channels) {
    const std::string id = fmt::format("deliver/{}/{}/{}", padded(number), name, phase);
    world_.doors.tasks.add(batch, "mesh-deliver",
                           Json::object({{"incident", number}, {"channel", name}, {"phase", phase}}), 0, id);
  }
  return {};
}

Result<int64_t> Incidents::open(const Context& ctx, kv::Batch& batch, const versioning::Repository* repository,
                                const IncidentFacts& facts) {
  TRY_LET(const base::WallMs now, world_.now(ctx));
  TRY_LET(const auto open, open_ones(ctx, facts.repository));
  for (const Record& known : open) {
    if (known.json["dedup"].as_string() != facts.dedup) continue;
    Json renewed = known.json;
    const int64_t number = renewed["number"].as_int();
    renewed.set("checks", facts.checks).set("proposal", facts.proposal).set("report", facts.report);
    renewed.set("last_seen_at", base::rfc3339(now)).set("times_seen", renewed["times_seen"].as_int(1) + 1);
    put_if(batch, keys::incident(number), renewed, known.version);
    return number;
  }
  TRY_LET(const auto counter, world_.records.find(ctx, keys::kIncidentCounter));
  const int64_t number = counter ? counter->json["last"].as_int() + 1 : 1;
  put_if(batch, std::string(keys::kIncidentCounter), Json::object({{"last", number}}), counter ? counter->version : 0);
  std::string product;
  if (const auto found = world_.product_of(ctx, facts.repository))
    product = found->json["domain"].as_string() + "/" + found->json["name"].as_string();
  std::string snapshot;
  if (repository && !facts.candidate.empty()) {
    snapshot = fmt::format("fail--{}", incident_name(number));
    const auto commit = versioning::CommitId::from_hex(facts.candidate);
    ENSURE(commit.has_value());
    TRY(world_.doors.engine.add_tag(batch, *repository, snapshot, *commit));
  }
  const Json incident = Json::object({{"number", number},
                                      {"id", incident_name(number)},
                                      {"kind", facts.kind},
                                      {"state", "open"},
                                      {"title", facts.title},
                                      {"product", product},
                                      {"repository", facts.repository},
                                      {"branch", facts.branch},
                                      {"proposal", facts.proposal},
                                      {"report", facts.report},
                                      {"candidate", facts.candidate},
                                      {"base", facts.base},
                                      {"snapshot", snapshot},
                                      {"checks", facts.checks},
                                      {"partitions", facts.partitions},
                                      {"run", facts.run},
                                      {"downstream", facts.downstream},
                                      {"dedup", facts.dedup},
                                      {"times_seen", 1},
                                      {"opened_at", base::rfc3339(now)},
                                      {"opened_wall", base::rfc3339(world_.doors.clock.wall_ms())},
                                      {"resolved_at", Json()},
                                      {"resolution", Json()}});
  put_if(batch, keys::incident(number), incident, 0);
  TRY(add_deliveries(ctx, batch, number, "firing"));
  world_.add_event(batch, "mesh.incident.opened", facts.repository,
                   Json::object({{"incident", incident_name(number)}, {"title", facts.title}}));
  return number;
}

Result<void> Incidents::resolve(const Context& ctx, kv::Batch& batch, int64_t number, std::string_view resolution) {
  TRY_LET(Record record, world_.records.get(ctx, keys::incident(number), "incident", incident_name(number)));
  if (record.json["state"].as_string() != "open") return {};
  TRY_LET(const base::WallMs now, world_.now(ctx));
  record.json.set("state", "resolved").set("resolved_at", base::rfc3339(now)).set("resolution", resolution);
  record.json.set("resolved_wall", base::rfc3339(world_.doors.clock.wall_ms()));
  put_if(batch, keys::incident(number), record.json, record.version);
  TRY(add_deliveries(ctx, batch, number, "resolved"));
  world_.add_event(batch, "mesh.incident.resolved", record.json["repository"].as_string(),
                   Json::object({{"incident", incident_name(number)}, {"resolution", resolution}}));
  return {};
}

Result<Json> Incidents::get(const Context& ctx, int64_t number) {
  TRY_LET(Record record, world_.records.get(ctx, keys::incident(number), "incident", incident_name(number)));
  Json deliveries = Json::object();
  TRY_LET(const auto sent, world_.records.list(ctx, keys::delivery(number, "")));
  for (const auto& [channel, delivery] : sent) deliveries.set(channel, delivery.json);
  return record.json.set("deliveries", deliveries);
}

Result<Json> Incidents::list(const Context& ctx, std::string_view state) {
  TRY_LET(const auto all, world_.records.list(ctx, keys::kIncidents));
  Json list = Json::array();
  for (const auto& [key, record] : all) {
    if (!state.empty() && record.json["state"].as_string() != state) continue;
    TRY_LET(Json whole, get(ctx, record.json["number"].as_int()));
    list.push(std::move(whole));
  }
  return list;
}

}  // namespace tarn::mesh
