// What went wrong, and who is told.
#include <fmt/format.h>

#include "cli/mesh/commands.h"
#include "cli/mesh/show.h"

namespace tarn::cli::mesh {
namespace {

Result<int> list(Call& call) {
  const std::string state = call.has("all") ? "" : call.get_or("state", "open");
  TRY_LET(const Json body, call.api->get("/mesh/incidents", query_of({{"state", state}})));
  if (call.out->as_json(body)) return kDone;
  Table table({{"INCIDENT"}, {"STATE"}, {"KIND"}, {"PRODUCT"}, {"OPENED"}, {"WHAT"}});
  for (const Json& i : items_of(body))
    table.row({incident_text(i), number_text(i["state"]), number_text(i["kind"]), number_text(i["product"]),
               number_text(i["opened_at"]), number_text(i["title"])});
  table.print(*call.out);
  return kDone;
}

Result<int> show(Call& call) {
  TRY_LET(const Json incident, call.api->get(path_of({"mesh", "incidents", call.operand("INCIDENT")})));
  if (!call.out->as_json(incident)) print_incident(*call.out, incident);
  return kDone;
}

Result<int> resolve(Call& call) {
  if (call.get("reason").empty()) return usage_error("resolving an incident needs --reason");
  TRY_LET(const Json incident, call.api->post(path_of({"mesh", "incidents", call.operand("INCIDENT"), "resolve"}),
                                              Json::object({{"reason", call.get("reason")}})));
  if (!call.out->as_json(incident)) print_incident(*call.out, incident);
  return kDone;
}

Result<int> add_channel(Call& call) {
  const Json body = Json::object(
      {{"name", call.operand("NAME")}, {"kind", call.get_or("kind", "webhook")}, {"url", call.operand("URL")}});
  TRY_LET(const Json made, call.api->post("/mesh/channels", body));
  if (call.out->as_json(made)) return kDone;
  call.out->line(
      fmt::format("channel {} ({}) to {}", call.operand("NAME"), body["kind"].as_string(), call.operand("URL")));
  return kDone;
}

Result<int> list_channels(Call& call) {
  TRY_LET(const Json body, call.api->get("/mesh/channels"));
  if (call.out->as_json(body)) return kDone;
  Table table({{"CHANNEL"}, {"KIND"}, {"URL"}});
  for (const Json& c : items_of(body))
    table.row({number_text(c["name"]), number_text(c["kind"]), number_text(c["url"])});
  table.print(*call.out);
  return kDone;
}

Result<int> monitors(Call& call) {
  TRY_LET(const Json body, call.api->get("/mesh/monitors"));
  if (call.out->as_json(body)) return kDone;
  Table table(
      {{"REPOSITORY"}, {"PORT"}, {"STATE"}, {"AGE h", Table::Align::kRight}, {"LIMIT h", Table::Align::kRight}});
  for (const Json& m : items_of(body))
    table.row({number_text(m["repository"]), number_text(m["port"]), number_text(m["state"]),
               number_text(m["age_hours"]), number_text(m["limit_hours"])});
  table.print(*call.out);
  return kDone;
}

}  // namespace

std::vector<Command> incident_commands() {
  const Operand incident{"INCIDENT", "like INC-7"};
  return {
      {.words = "mesh incident list",
       .summary = "Lists open incidents",
       .options = {{"all", "", "resolved ones too"}, {"state", "STATE", "open or resolved"}},
       .run = list},
      {.words = "mesh incident show",
       .summary = "Shows an incident: failing checks and rows, snapshot, cost downstream, alerts",
       .operands = {incident},
       .run = show},
      {.words = "mesh incident resolve",
       .summary = "Closes an incident by hand",
       .operands = {incident},
       .options = {{"reason", "TEXT", "why it is over"}},
       .run = resolve},
      {.words = "mesh channel add",
       .summary = "Adds a receiver of alerts",
       .operands = {{"NAME", "the channel"}, {"URL", "where alerts are sent"}},
       .options = {{"kind", "KIND", "webhook or alertmanager (webhook)"}},
       .run = add_channel},
      {.words = "mesh channel list", .summary = "Lists receivers of alerts", .run = list_channels},
      {.words = "mesh monitor", .summary = "Shows how fresh every port is against its promise", .run = monitors},
  };
}

}  // namespace tarn::cli::mesh
