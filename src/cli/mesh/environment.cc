// Development environments, experiments, comparison, exports.
#include <fmt/format.h>

#include <algorithm>

#include "cli/mesh/commands.h"
#include "cli/mesh/show.h"

namespace tarn::cli::mesh {
namespace {

std::string bytes_or_dash(const Json& value) { return value.is_null() ? "-" : bytes_text(value.as_int()); }

Result<int> create_env(Call& call) {
  TRY_LET(const Uri uri, parse_uri(call.operand("ENV"), UriPart::kRef));
  TRY_LET(const Json made,
          call.api->post(path_of({"mesh", "repos", uri.repository, "envs"}), Json::object({{"name", uri.ref}})));
  if (call.out->as_json(made)) return kDone;
  call.out->line(
      fmt::format("environment {} on branch {}", uri.ref, made.has("branch") ? number_text(made["branch"]) : uri.ref));
  return kDone;
}

Result<int> list_envs(Call& call) {
  TRY_LET(const Uri uri, parse_uri(call.operand("REPO"), UriPart::kRepository));
  TRY_LET(const Json body, call.api->get(path_of({"mesh", "repos", uri.repository, "envs"})));
  if (call.out->as_json(body)) return kDone;
  Table table({{"ENVIRONMENT"},
               {"BRANCH"},
               {"STATE"},
               {"SYNCED TO"},
               {"OWN BYTES", Table::Align::kRight},
               {"LAG ms", Table::Align::kRight}});
  for (const Json& e : items_of(body))
    table.row({number_text(e["name"]), number_text(e["branch"]), number_text(e["state"]),
               short_id(e["synced_commit"].as_string()), bytes_or_dash(e["unique_bytes"]), number_text(e["lag_ms"])});
  table.print(*call.out);
  return kDone;
}

Result<int> sync_env(Call& call) {
  TRY_LET(const Uri uri, parse_uri(call.operand("ENV"), UriPart::kRef));
  TRY_LET(const Json body,
          call.api->post(path_of({"mesh", "repos", uri.repository, "envs", uri.ref, "sync"}), Json::object()));
  if (call.out->as_json(body)) return kDone;
  const Json& e = body["results"].is_object() ? body["results"] : body;
  call.out->line(fmt::format("{} at {}", number_text(e["state"]), short_id(e["synced_commit"].as_string())));
  return kDone;
}

Result<int> create_exp(Call& call) {
  TRY_LET(const Uri uri, parse_uri(call.operand("EXPERIMENT"), UriPart::kRef));
  Json body = Json::object({{"name", uri.ref}});
  for (const char* name : {"env", "from"})
    if (call.has(name)) body.set(name, call.get(name));
  TRY_LET(const Json made, call.api->post(path_of({"mesh", "repos", uri.repository, "experiments"}), body));
  if (call.out->as_json(made)) return kDone;
  call.out->line(fmt::format("experiment {} on branch {} from {}", uri.ref, number_text(made["branch"]),
                             short_id(made["start"].as_string())));
  return kDone;
}

Result<int> list_exps(Call& call) {
  TRY_LET(const Uri uri, parse_uri(call.operand("REPO"), UriPart::kRepository));
  TRY_LET(const Json body, call.api->get(path_of({"mesh", "repos", uri.repository, "experiments"})));
  if (call.out->as_json(body)) return kDone;
  Table table({{"EXPERIMENT"}, {"BRANCH"}, {"ENVIRONMENT"}, {"FROM"}, {"START"}});
  for (const Json& e : items_of(body))
    table.row({number_text(e["name"]), number_text(e["branch"]), number_text(e["env"]), number_text(e["from"]),
               short_id(e["start"].as_string())});
  table.print(*call.out);
  return kDone;
}

Result<int> reset_exp(Call& call) {
  TRY_LET(const Uri uri, parse_uri(call.operand("EXPERIMENT"), UriPart::kRef));
  TRY_LET(const Json body,
          call.api->post(path_of({"mesh", "repos", uri.repository, "experiments", uri.ref, "reset"}), Json::object()));
  if (!call.out->as_json(body)) call.out->remark(fmt::format("experiment {} is back at its start", uri.ref));
  return kDone;
}

Result<int> discard_exp(Call& call) {
  TRY_LET(const Uri uri, parse_uri(call.operand("EXPERIMENT"), UriPart::kRef));
  TRY(confirm(call, fmt::format("Experiment {} and its branch go.", uri.text())));
  TRY_LET(const Json body, call.api->remove(path_of({"mesh", "repos", uri.repository, "experiments", uri.ref})));
  if (!call.out->as_json(body)) call.out->remark(fmt::format("discarded experiment {}", uri.ref));
  return kDone;
}

/// A column's profile as name → value; profiles come as a list or as a map.
const Json& column_of(const Json& profile, const std::string& name) {
  static const Json kNull;
  if (profile["columns"].is_object()) return profile["columns"][name];
  for (const Json& column : profile["columns"].items())
    if (column["name"].as_string() == name) return column;
  return kNull;
}

std::vector<std::string> columns_of(const Json& profile) {
  std::vector<std::string> out;
  for (const auto& [name, value] : profile["columns"].members()) out.push_back(name);
  for (const Json& column : profile["columns"].items()) out.push_back(column["name"].as_string());
  return out;
}

Result<int> compare(Call& call) {
  TRY_LET(const Uri left, parse_prefix_uri(call.operand("LEFT")));
  std::string right = call.operand("RIGHT");
  if (has_scheme(right) || right.find('/') != std::string::npos) {
    TRY_LET(const Uri other, parse_prefix_uri(right));
    if (other.repository != left.repository) return usage_error("two refs of one repository are compared");
    right = other.ref;
  }
  const std::string prefix = call.has("prefix") ? call.get("prefix") : left.path;
  TRY_LET(const Json body,
          call.api->call("GET", path_of({"mesh", "repos", left.repository, "compare"}),
                         query_of({{"left", left.ref}, {"right", right}, {"prefix", prefix}}), nullptr, 300'000));
  if (call.out->as_json(body)) return kDone;
  const Json& o = body["objects"];
  call.out->line(fmt::format("objects: {} added, {} removed, {} changed", o["added"].as_int(), o["removed"].as_int(),
                             o["changed"].as_int()));
  Table sides({{""}, {left.ref, Table::Align::kRight}, {right, Table::Align::kRight}});
  const auto row = [&](const std::string& name, const Json& l, const Json& r) {
    sides.row({name, number_text(l), number_text(r)});
  };
  const Json &lp = body["left"]["profile"], &rp = body["right"]["profile"];
  row("objects", body["left"]["objects"], body["right"]["objects"]);
  row("bytes", body["left"]["bytes"], body["right"]["bytes"]);
  row("rows", lp["rows"], rp["rows"]);
  sides.print(*call.out);
  auto names = columns_of(lp);
  for (const std::string& name : columns_of(rp))
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  Table columns({{"COLUMN"},
                 {"TYPE"},
                 {"NULLS", Table::Align::kRight},
                 {"DISTINCT", Table::Align::kRight},
                 {"MIN"},
                 {"MAX"},
                 {"DIFFERS"}});
  for (const std::string& name : names) {
    const Json &l = column_of(lp, name), &r = column_of(rp, name);
    const auto pair = [&](const char* key) {
      const std::string a = number_text(l[key]), b = number_text(r[key]);
      return a == b ? a : fmt::format("{} | {}", a, b);
    };
    columns.row({printable(name), pair("type"), pair("nulls"), pair("distinct"), pair("min"), pair("max"),
                 l == r ? "" : "yes"});
  }
  if (!columns.empty()) columns.print(*call.out);
  return kDone;
}

Result<int> exports(Call& call) {
  TRY_LET(const Uri uri, parse_uri(call.operand("REPO"), UriPart::kRepository));
  TRY_LET(const Json body, call.api->get(path_of({"mesh", "repos", uri.repository, "exports"})));
  if (call.out->as_json(body)) return kDone;
  Table table({{"EXPORT"}, {"STATE"}, {"PUBLICATION", Table::Align::kRight}, {"TARGET"}, {"SWITCHED AT"}});
  for (const auto& [name, e] : body.members())
    table.row({printable(name), number_text(e["state"]), number_text(e["publication"]), number_text(e["target"]),
               number_text(e["switched_at"])});
  table.print(*call.out);
  return kDone;
}

}  // namespace

std::vector<Command> environment_commands() {
  const Operand repo{"REPO", "the product's repository"};
  const Operand env{"ENV", "repository/environment"};
  const Operand exp{"EXPERIMENT", "repository/experiment"};
  return {
      {.words = "mesh env create",
       .summary = "Makes a development environment that follows main; no byte is copied",
       .operands = {env},
       .run = create_env},
      {.words = "mesh env list",
       .summary = "Lists environments: state, lag, bytes of their own",
       .operands = {repo},
       .run = list_envs},
      {.words = "mesh env sync", .summary = "Brings an environment up to main now", .operands = {env}, .run = sync_env},
      {.words = "mesh exp create",
       .summary = "Makes an experiment's branch",
       .operands = {exp},
       .options = {{"env", "NAME", "in this environment"}, {"from", "REF", "start here: a ref, or port@vN"}},
       .run = create_exp},
      {.words = "mesh exp list", .summary = "Lists experiments", .operands = {repo}, .run = list_exps},
      {.words = "mesh exp reset",
       .summary = "Brings an experiment back to its start",
       .operands = {exp},
       .run = reset_exp},
      {.words = "mesh exp discard",
       .summary = "Deletes an experiment and its branch",
       .operands = {exp},
       .options = {kYes},
       .run = discard_exp},
      {.words = "mesh compare",
       .summary = "Compares a table at two refs: objects, rows, columns",
       .operands = {{"LEFT", "repository/ref/folder/"}, {"RIGHT", "another ref of it"}},
       .options = {kPrefix},
       .run = compare},
      {.words = "mesh export",
       .summary = "Shows a product's exports and the publication that each serves",
       .operands = {repo},
       .run = exports},
  };
}

}  // namespace tarn::cli::mesh
