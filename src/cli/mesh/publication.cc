// What a product has published, and what a consumer is pinned to.
#include <fmt/format.h>

#include "cli/mesh/commands.h"
#include "cli/mesh/show.h"

namespace tarn::cli::mesh {
namespace {

struct Port {
  std::string repository, name, major;
};

/// "weather/hourly@2"; without @ the first major.
Result<Port> port_of(const std::string& text) {
  TRY_LET(const Uri uri, parse_uri(text, UriPart::kRef));
  const size_t at = uri.ref.find('@');
  return Port{uri.repository, uri.ref.substr(0, at), at == std::string::npos ? "" : uri.ref.substr(at + 1)};
}

Result<int> publications(Call& call) {
  TRY_LET(const Port port, port_of(call.operand("PORT")));
  TRY_LET(const Json body,
          call.api->get(path_of({"mesh", "repos", port.repository, "ports", port.name, "publications"}),
                        query_of({{"major", port.major}})));
  if (call.out->as_json(body)) return kDone;
  TRY_LET(const int64_t last, call.number("last", 0));
  const auto& items = items_of(body);
  Table table({{"NUMBER", Table::Align::kRight}, {"COMMIT"}, {"DAYS"}, {"CONTRACT"}, {"DIGEST"}, {"AT"}, {"STATE"}});
  for (size_t i = last > 0 && items.size() > static_cast<size_t>(last) ? items.size() - static_cast<size_t>(last) : 0;
       i < items.size(); ++i) {
    const Json& p = items[i];
    const auto& days = p["days"].items();
    std::string held = days.empty() ? "-" : number_text(days.front());
    if (days.size() > 1) held += fmt::format(" … {} ({})", number_text(days.back()), days.size());
    table.row({fmt::format("v{}", p["number"].as_int()), short_id(p["commit"].as_string()), held,
               number_text(p["contract"]["version"]), short_id(p["scope_digest"].as_string()),
               number_text(p["business_time"]),
               p["withdrawn"].is_null() ? "" : "withdrawn: " + number_text(p["withdrawn"]["reason"])});
  }
  table.print(*call.out);
  return kDone;
}

Result<int> withdraw(Call& call) {
  TRY_LET(const Port port, port_of(call.operand("PORT")));
  if (call.get("reason").empty()) return usage_error("a withdrawal needs --reason");
  std::string number = call.operand("NUMBER");
  if (number.starts_with("v")) number.erase(0, 1);
  TRY(confirm(call, fmt::format("Publication v{} of {} is withdrawn, and its consumers roll back.", number,
                                call.operand("PORT"))));
  TRY_LET(const Json answer,
          call.api->post(
              path_of({"mesh", "repos", port.repository, "ports", port.name, "publications", number, "withdraw"}),
              Json::object({{"reason", call.get("reason")}}), query_of({{"major", port.major}})));
  if (call.out->as_json(answer)) return kDone;
  call.out->line(fmt::format("withdrawn: {} v{}", call.operand("PORT"), number));
  Table table({{"CONSUMER"}, {"COMMIT"}, {"DAYS TO RECOMPUTE"}});
  for (const Json& c : answer["consumers"].items()) {
    std::string days;
    for (const Json& day : c["days"].items()) days += (days.empty() ? "" : " ") + number_text(day);
    table.row({number_text(c["repository"]), short_id(c["commit"].as_string()), days});
  }
  if (!table.empty()) table.print(*call.out);
  return kDone;
}

Result<int> lock(Call& call) {
  TRY_LET(const Uri uri, parse_uri(call.operand("REF"), UriPart::kRef));
  TRY_LET(const Json body,
          call.api->get(path_of({"mesh", "repos", uri.repository, "lock"}), query_of({{"ref", uri.ref}})));
  if (call.out->as_json(body)) return kDone;
  Table table({{"INPUT"}, {"FROM"}, {"PUBLICATION", Table::Align::kRight}, {"COMMIT"}, {"DIGEST"}});
  for (const auto& [name, pin] : body["inputs"].members()) {
    const Json& number = pin["publication"].is_object() ? pin["publication"]["number"] : pin["publication"];
    std::string from = pin.has("product") ? number_text(pin["product"]) : "";
    if (pin.has("port")) from += (from.empty() ? "" : ":") + number_text(pin["port"]);
    if (pin.has("major")) from += "@" + number_text(pin["major"]);
    table.row({printable(name), from, number_text(number), short_id(pin["commit"].as_string()),
               short_id(pin["scopeDigest"].as_string())});
  }
  table.print(*call.out);
  return kDone;
}

Result<int> digests(Call& call) {
  TRY_LET(const Uri uri, parse_uri(call.operand("REF"), UriPart::kRef));
  TRY_LET(const Json body,
          call.api->get(path_of({"mesh", "repos", uri.repository, "digests"}), query_of({{"ref", uri.ref}})));
  if (call.out->as_json(body)) return kDone;
  Table table({{"KIND"}, {"NAME"}, {"SCOPE DIGEST"}});
  for (const char* kind : {"ports", "inputs"})
    for (const auto& [name, digest] : body[kind].members())
      table.row({std::string(kind, std::string_view(kind).size() - 1), printable(name), digest.as_string()});
  if (body["locks"].is_string()) table.row({"locks", "_mesh/lock/", body["locks"].as_string()});
  table.print(*call.out);
  return kDone;
}

}  // namespace

std::vector<Command> publication_commands() {
  const Operand port{"PORT", "repository/port, or repository/port@major"};
  const Operand ref{"REF", "repository/ref"};
  return {
      {.words = "mesh publications",
       .summary = "Lists the publications of an output port, newest last",
       .operands = {port},
       .options = {{"last", "N", "only the newest N"}},
       .run = publications},
      {.words = "mesh withdraw",
       .summary = "Withdraws a publication; consumers roll their pins back by their policies",
       .operands = {port, {"NUMBER", "the publication's number"}},
       .options = {{"reason", "TEXT", "why; consumers read it"}, kYes},
       .run = withdraw},
      {.words = "mesh lock",
       .summary = "Shows which publication every input came from",
       .operands = {ref},
       .run = lock},
      {.words = "mesh digests",
       .summary = "Shows the scope digest of every port and input at a ref",
       .operands = {ref},
       .run = digests},
  };
}

}  // namespace tarn::cli::mesh
