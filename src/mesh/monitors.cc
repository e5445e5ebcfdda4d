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
      if (!latest) continue;
      const auto last = base::parse_rfc3339((*latest)["holds"]["last"].as_string());
      if (!last) continue;
      const double age = static_cast<double>(now - (*last + kDayMs)) / kHourMs;
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
      std::string state = age > *limit ? (held && !mine ? "held" : "breached") : "fresh";
      Json one = Json::object({{"repository", repository_name},
                               {"product", name},
                               {"port", file.name},
                               {"major", file.major},
                               {"limit_hours", *limit},
                               {"age_hours", age},
                               {"newest", (*latest)["holds"]["last"]},
                               {"state", state}});
      kv::Batch batch;
      if (state == "breached" && !mine) {
        IncidentFacts facts;
        facts.kind = "freshness";
        facts.repository = repository_name;
        facts.branch = repository.default_branch;
        facts.title = fmt::format("{}:{} is {:.0f} hours old, limit {:.0f}", name, file.name, age, *limit);
        facts.checks =
            Json::array({Json::object({{"check", "freshness"},
                                       {"contract", file.path},
                                       {"result", "failed"},
                                       {"expected", fmt::format("age <= {:.0f} h", *limit)},
                                       {"observed_text", fmt::format("{:.1f} h since the end of {}", age,
                                                                     (*latest)["holds"]["last"].as_string())}})});
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
