// The gate: proposals and what decides them.
#include <fmt/format.h>

#include "cli/mesh/commands.h"
#include "cli/mesh/show.h"

namespace tarn::cli::mesh {
namespace {

Result<int> show_decided(Call& call, const Json& proposal) {
  if (!call.out->as_json(proposal)) print_proposal(*call.out, proposal);
  return exit_of_proposal(proposal);
}

/// Waits unless --no-wait; a remark says so when it takes long.
Result<int> follow(Call& call, Json proposal) {
  const std::string id = proposal["id"].as_string();
  if (call.has("no-wait")) {
    if (!call.out->as_json(proposal)) call.out->line(printable(id));
    return kDone;
  }
  if (!is_final(proposal["state"].as_string())) {
    call.out->remark(fmt::format("checking proposal {} …", printable(id)));
    TRY_LET(proposal, wait_for_proposal(*call.api, id));
  }
  return show_decided(call, proposal);
}

Result<int> propose(Call& call) {
  TRY_LET(const Uri source, parse_uri(call.operand("SOURCE"), UriPart::kRef));
  Json body = Json::object({{"source", source.ref}, {"wait_ms", call.has("no-wait") ? 0 : 2'000}});
  for (const char* name : {"title", "key"})
    if (call.has(name)) body.set(name, call.get(name));
  if (const std::string& text = call.operand("DESTINATION"); !text.empty()) {
    Uri destination{source.repository, text, ""};
    if (text.find('/') != std::string::npos) {
      TRY_LET(destination, parse_uri(text, UriPart::kRef));
    }
    if (destination.repository != source.repository)
      return usage_error(fmt::format("{} and {} are in different repositories", source.text(), destination.text()));
    body.set("destination", destination.ref);
  }
  TRY_LET(Json proposal, call.api->post(path_of({"mesh", "repos", source.repository, "proposals"}), body));
  return follow(call, std::move(proposal));
}

std::string proposal_path(const Call& call, std::string_view verb = "") {
  const std::string path = path_of({"mesh", "proposals", call.operand("ID")});
  return verb.empty() ? path : path + "/" + std::string(verb);
}

/// A commit by its first digits, a branch as it is.
std::string ref_text(const Json& ref) {
  const std::string& text = ref.as_string();
  const bool commit = text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string::npos;
  return printable(commit ? short_id(text) : text);
}

Result<int> list(Call& call) {
  TRY_LET(const Json body,
          call.api->get("/mesh/proposals", query_of({{"repository", call.get("repo")}, {"state", call.get("state")}})));
  if (call.out->as_json(body)) return kDone;
  Table table({{"ID"}, {"STATE"}, {"REPOSITORY"}, {"SOURCE"}, {"INTO"}, {"INCIDENT"}});
  for (const Json& p : items_of(body))
    table.row({number_text(p["id"]), number_text(p["state"]), number_text(p["repository"]), ref_text(p["source"]),
               number_text(p["destination"]), incident_text(p["incident"])});
  table.print(*call.out);
  return kDone;
}

Result<int> show(Call& call) {
  TRY_LET(const Json proposal, call.api->get(proposal_path(call)));
  if (!call.out->as_json(proposal)) print_proposal(*call.out, proposal);
  return kDone;
}

Result<int> wait(Call& call) {
  TRY_LET(const Json proposal, wait_for_proposal(*call.api, call.operand("ID")));
  return show_decided(call, proposal);
}

Result<int> retry(Call& call) {
  const Json body = Json::object({{"wait_ms", 2'000}});
  TRY_LET(Json proposal, call.api->post(proposal_path(call, "retry"), body));
  return follow(call, std::move(proposal));
}

Result<int> waive(Call& call) {
  Json checks = Json::array();
  for (const std::string& check : call.all("check")) checks.push(check);
  for (const char* name : {"owner", "reason", "expires"})
    if (call.get(name).empty()) return usage_error(fmt::format("a waiver needs --{}", name));
  if (checks.size() == 0) {  // none named: all that refused
    TRY_LET(const Json proposal, call.api->get(proposal_path(call)));
    for (const Json& f : proposal["report"]["findings"].items())
      if (f["result"].as_string() == "failed") checks.push(f["check"]);
  }
  const Json body = Json::object({{"checks", std::move(checks)},
                                  {"owner", call.get("owner")},
                                  {"reason", call.get("reason")},
                                  {"expires", call.get("expires")}});
  TRY_LET(const Json waiver, call.api->post(proposal_path(call, "waive"), body));
  if (!call.has("retry")) {
    if (call.out->as_json(waiver)) return kDone;
    for (const Json& w : waiver["waivers"].items())
      call.out->line(fmt::format("waived {} until {}: {}", number_text(w["check"]), number_text(w["expires"]),
                                 number_text(w["reason"])));
    call.out->line(fmt::format("next: tarn mesh proposal retry {}", call.operand("ID")));
    return kDone;
  }
  return retry(call);
}

Result<int> cancel(Call& call) {
  TRY_LET(const Json proposal, call.api->post(proposal_path(call, "cancel"), Json::object()));
  if (!call.out->as_json(proposal)) print_proposal(*call.out, proposal);
  return kDone;
}

Result<int> history(Call& call) {
  TRY_LET(const Uri uri, parse_uri(call.operand("REPO"), UriPart::kRepository));
  std::string from = call.operand("FOLDER");
  if (from.find("://") == std::string::npos) from = "local://" + from;
  if (!from.ends_with('/')) from += '/';
  const Json body = Json::object({{"from", from}, {"to", call.get("to")}});
  if (call.get("to").empty()) return usage_error("--to is missing: the table's folder, like hourly/");
  call.out->remark("linking and reporting on the history …");
  TRY_LET(const Json answer,
          call.api->call("POST", path_of({"mesh", "repos", uri.repository, "onboard", "history"}), {}, &body, 600'000));
  if (call.out->as_json(answer))
    return exit_of_proposal(answer.has("state") ? answer : Json::object({{"state", "landed"}}));
  print_fields(*call.out, {{"objects", number_text(answer["objects"])},
                           {"linked", bytes_text(answer["bytes_linked"].as_int())},
                           {"copied", bytes_text(answer["bytes_copied"].as_int())},
                           {"commit", short_id(answer["commit"].as_string())},
                           {"state", answer["state"].as_string()}});
  print_findings(*call.out, answer["report"]);
  return exit_of_proposal(answer.has("state") ? answer : Json::object({{"state", "landed"}}));
}

Result<int> gate(Call& call) {
  TRY_LET(const Uri uri, parse_uri(call.operand("REF"), UriPart::kRef));
  TRY_LET(const Json commit, call.api->get(path_of({"repositories", uri.repository, "commits", uri.ref})));
  TRY_LET(const Json record,
          call.api->get(path_of({"mesh", "repos", uri.repository, "commits", commit["id"].as_string(), "gate"})));
  if (call.out->as_json(record)) return kDone;
  std::vector<std::pair<std::string, std::string>> fields;
  for (const auto& [name, value] : record.members())
    if (!value.is_array() && !value.is_object() && !value.is_null())
      fields.emplace_back(printable(name), number_text(value));
  print_fields(*call.out, fields);
  for (const Json& w : record["waivers"].items())
    call.out->line(fmt::format("waived {} by {} until {}: {}", number_text(w["check"]), number_text(w["owner"]),
                               number_text(w["expires"]), number_text(w["reason"])));
  print_findings(*call.out, record["report"]);
  return kDone;
}

}  // namespace

std::vector<Command> proposal_commands() {
  const Operand id{"ID", "the proposal's id"};
  const Option no_wait{"no-wait", "", "do not wait for the decision"};
  return {
      {.words = "mesh propose",
       .summary = "Proposes a ref for a product's main: the merge result is tested, and lands if it passes",
       .operands = {{"SOURCE", "repository/ref"}, {"DESTINATION", "the branch (main)", Operand::Count::kOptional}},
       .options = {{"title", "TEXT", "what it is about"},
                   {"key", "TEXT", "the same key gives the same proposal: makes the command repeatable"},
                   no_wait},
       .run = propose,
       .more = "A refusal ends with exit code 3, the failed checks, the incident and what to do next."},
      {.words = "mesh proposal list",
       .summary = "Lists proposals",
       .options = {{"repo", "REPO", "of this repository"},
                   {"state", "STATE", "opened, checking, failed, conflict, landed, cancelled, superseded, error"}},
       .run = list},
      {.words = "mesh proposal show", .summary = "Shows a proposal and its report", .operands = {id}, .run = show},
      {.words = "mesh proposal wait", .summary = "Waits for the decision", .operands = {id}, .run = wait},
      {.words = "mesh proposal retry",
       .summary = "Tests the same source again, against today's main",
       .operands = {id},
       .options = {no_wait},
       .run = retry},
      {.words = "mesh proposal waive",
       .summary = "Records that a refused check may pass once: by whom, why, until when",
       .operands = {id},
       .options = {{"check", "ID", "a refused check (all)", 0, true},
                   {"owner", "WHO", "who answers for it"},
                   {"reason", "TEXT", "why"},
                   {"expires", "TIME", "RFC 3339, on the business clock"},
                   {"retry", "", "test again at once"}},
       .run = waive},
      {.words = "mesh proposal cancel",
       .summary = "Closes a proposal and resolves its incident",
       .operands = {id},
       .run = cancel},
      {.words = "mesh history",
       .summary = "Onboards a folder as a product's history: linked, reported on, not refused",
       .operands = {{"REPO", "the product's repository"}, {"FOLDER", "the folder, as the server sees it"}},
       .options = {{"to", "PATH", "the table's folder in the repository, like hourly/"}},
       .run = history},
      {.words = "mesh gate",
       .summary = "Shows the gate record of a commit of main: the proof why it could land",
       .operands = {{"REF", "repository/ref"}},
       .run = gate},
  };
}

}  // namespace tarn::cli::mesh
