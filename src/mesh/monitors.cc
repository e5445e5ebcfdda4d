#include "mesh/monitors.h"

#include <algorithm>

#include <fmt/core.h>

namespace tarn::mesh {
namespace {

constexpr int64_t kEveryMs = 30'000;
constexpr double kHourMs = 3'600'000;
constexpr int64_t kDayMs = 24 * 3'600'000;

/// The limit in hours, or nullopt when the contract promises none.
std::optional<double> latency_hours(const Json& sla) {
  for (const Json& property : sla.items()) {
    const std::string name = property["property"].as_string();
    if (name != "latency" && name != "freshness") continue;
    const double value = property["value"].as_double();
    const std::string unit = property["unit"].as_string();
    if (unit == "d" || unit == "days" || unit == "day") return value * 24;
    if (unit == "m" || unit == "min" || unit == "minutes") return value / 60;
    return value;
  }
  return std::nullopt;
}

}  // namespace

Result<tasks::Step> Monitors::run_task(const Context& ctx, const tasks::Task&) {
  TRY(evaluate(ctx));
  tasks::Step step;
  step.next = tasks::Step::Next::kAgain;
  step.after_ms = kEveryMs;
  return step;
}

Result<base::WallMs> Monitors::awaited_since(const Context& ctx, kv::Batch& batch, const std::string& key,
                                             base::WallMs now) {
  TRY_LET(const auto known, world_.records.find(ctx, key));
  if (known && known->json["awaited_since_ms"].as_int() <= now) return known->json["awaited_since_ms"].as_int();
  put_if(batch, key, Json::object({{"awaited_since_ms", now}}), known ? known->version : 0);
  return now;
}

Result<Json> Monitors::evaluate(const Context& ctx) {
  const NamedLocks::Held line(world_.branch_locks, "monitors");
  Json states = Json::array();
  TRY_LET(const base::WallMs now, world_.now(ctx));
  TRY_LET(const auto products, world_.records.list(ctx, keys::kProducts));
  bool changed = false;
  for (const auto& [name, product] : products) {
    const std::string repository_name = product.json["repository"].as_string();
    TRY_LET(const versioning::Repository repository, world_.doors.engine.get_repository(ctx, repository_name));
    TRY_LET(const versioning::Resolved at, world_.doors.engine.resolve(ctx, repository, repository.default_branch));
    const auto definitions = definitions_.read(ctx, repository, at.commit);
    if (!definitions) continue;
    for (const ContractFile& file : (*definitions)->contracts) {
      const auto limit = latency_hours(file.contract.sla);
      if (!limit || file.retired || !(*definitions)->is_port(file.name)) continue;
      TRY_LET(const auto latest, publications_.latest(ctx, repository_name, file.name, file.major));
      const auto last = latest ? base::parse_rfc3339((*latest)["holds"]["last"].as_string()) : std::nullopt;
      if (latest && !last) continue;  // no days in it: nothing to measure an age by
      kv::Batch batch;
      const std::string awaited_key = keys::monitor(repository_name, file.name, file.major);
      base::WallMs since = 0;
      if (last) {
        since = *last + kDayMs;
        TRY_LET(const auto awaited, world_.records.find(ctx, awaited_key));
        if (awaited) batch.erase_if_version(awaited_key, awaited->version);
      } else {
        TRY_LET(since, awaited_since(ctx, batch, awaited_key, now));
      }
      const double age = static_cast<double>(now - since) / kHourMs;
      TRY_LET(const auto open, incidents_.open_ones(ctx, repository_name));
      const std::string dedup = fmt::format("freshness|{}|{}@{}", repository_name, file.name, file.major);
      const Record* mine = nullptr;
      bool held = false;
      for (const Record& incident : open) {
        if (incident.json["dedup"].as_string() == dedup) mine = &incident;
        if (incident.json["kind"].as_string() == "gate" &&
            incident.json["branch"].as_string() == repository.default_branch)
          held = true;
      }
      const bool late = age > *limit;
      const std::string state = late && held && !mine ? "held"
                                : late                ? (last ? "breached" : "overdue")
                                                      : (last ? "fresh" : "unpublished");
      const std::string newest = last ? (*latest)["holds"]["last"].as_string() : "";
      Json one = Json::object({{"repository", repository_name},
                               {"product", name},
                               {"port", file.name},
                               {"major", file.major},
                               {"limit_hours", *limit},
                               {"age_hours", age},
                               {"newest", last ? Json(newest) : Json()},
                               {"state", state}});
      if (!last) one.set("awaited_since", base::rfc3339(since));
      if (late && state != "held" && !mine) {
        IncidentFacts facts;
        facts.kind = "freshness";
        facts.repository = repository_name;
        facts.branch = repository.default_branch;
        facts.title = last ? fmt::format("{}:{} is {:.0f} hours old, limit {:.0f}", name, file.name, age, *limit)
                           : fmt::format("{}:{} has published nothing for {:.0f} hours, limit {:.0f}", name, file.name,
                                         age, *limit);
        facts.checks = Json::array({Json::object(
            {{"check", "freshness"},
             {"contract", file.path},
             {"result", "failed"},
             {"expected", fmt::format("age <= {:.0f} h", *limit)},
             {"observed_text", last ? fmt::format("{:.1f} h since the end of {}", age, newest)
                                    : fmt::format("nothing, {:.1f} h after {}", age, base::rfc3339(since))}})});
        facts.partitions = Json::array();
        facts.dedup = dedup;
        TRY_LET(const int64_t number, incidents_.open(ctx, batch, nullptr, facts));
        one.set("incident", incident_name(number));
        world_.add_event(batch, "mesh.sla.breached", repository_name, one);
      } else if (state == "fresh" && mine) {
        TRY(incidents_.resolve(ctx, batch, mine->json["number"].as_int(), "the port is fresh again"));
        world_.add_event(batch, "mesh.sla.recovered", repository_name, one);
      } else if (mine) {
        one.set("incident", mine->json["id"]);
      }
      if (!batch.empty()) {
        TRY(world_.doors.kv.apply(ctx, batch));
        changed = true;
      }
      states.push(std::move(one));
    }
  }
  if (changed) world_.doors.tasks.wake();
  return states;
}

}  // namespace tarn::mesh
