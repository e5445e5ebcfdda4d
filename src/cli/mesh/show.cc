#include "cli/mesh/show.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/mesh/commands.h"

namespace tarn::cli::mesh {
namespace {

constexpr size_t kKeysShown = 4;
constexpr size_t kRowsShown = 3;

std::string list_text(const Json& list, size_t shown) {
  std::string out;
  for (size_t i = 0; i < list.size() && i < shown; ++i) {
    const Json& item = list.items()[i];
    std::string text;
    if (item.is_object())
      for (const auto& [name, value] : item.members())
        text += (text.empty() ? "" : " ") + printable(name) + "=" + number_text(value);
    else
      text = number_text(item);
    out += (i == 0 ? "" : ", ") + text;
  }
  if (list.size() > shown) out += fmt::format(" and {} more", list.size() - shown);
  return out;
}

std::string observed_text(const Json& finding) {
  if (const std::string& text = finding["observed_text"].as_string(); !text.empty()) return printable(text);
  const Json& observed = finding["observed"];
  return number_text(observed.is_object() && observed.has("value") ? observed["value"] : observed);
}

void print_finding(Output& out, const Json& finding) {
  const std::string& result = finding["result"].as_string();
  const bool bad = result == "failed" || result == "error";
  std::string head = printable(finding["check"].as_string());
  if (const std::string& p = finding["partition"].as_string(); !p.empty()) head += "  " + printable(p);
  if (finding.has("waiver")) head += "  (waived)";
  out.line(fmt::format("  {} {}", out.paint(bad ? Paint::kBad : Paint::kWarn, bad ? "x" : "!"), head));
  out.line(fmt::format("      observed {}", observed_text(finding)));
  if (const std::string& text = finding["expected"].as_string(); !text.empty())
    out.line(fmt::format("      expected {}", printable(text)));
  if (finding["missing_keys"].size() > 0)
    out.line(fmt::format("      missing  {}", list_text(finding["missing_keys"], kKeysShown)));
  if (finding["sample_rows"].size() > 0)
    for (size_t i = 0; i < std::min(kRowsShown, finding["sample_rows"].size()); ++i)
      out.line("      row      " + list_text(Json::array({finding["sample_rows"].items()[i]}), 1));
}

std::string published_text(const Json& publications) {
  std::string out;
  for (const Json& p : publications.items()) {
    out += out.empty() ? "" : ", ";
    out += p.is_object()
               ? fmt::format("{}@{} v{}", printable(p["port"].as_string()), p["major"].as_int(1), p["number"].as_int())
               : number_text(p);
  }
  return out;
}

std::string job_of(const Json& run) {
  if (!run.is_object()) return "";
  return fmt::format("{} {} {}", printable(run["pipeline"].as_string()), printable(run["key"].as_string()),
                     printable(run["job"].as_string()));
}

std::string deliveries_text(const Json& deliveries) {
  std::string out;
  for (const auto& [channel, delivery] : deliveries.members()) {
    std::string phases;
    for (const char* phase : {"firing", "resolved"})
      if (delivery.has(phase)) phases += fmt::format(" {} {}", phase, number_text(delivery[phase]["state"]));
    out += fmt::format("{}{}:{}", out.empty() ? "" : ", ", printable(channel), phases);
  }
  return out;
}

}  // namespace

const Json::Array& items_of(const Json& body) { return body.is_array() ? body.items() : body["results"].items(); }

std::string incident_text(const Json& incident) {
  if (incident.is_int()) return fmt::format("INC-{}", incident.as_int());
  if (incident.is_object()) return printable(incident["id"].as_string());
  return printable(incident.as_string());
}

size_t print_findings(Output& out, const Json& report) {
  size_t count = 0;
  for (const char* kind : {"failed", "error", "warned"})
    for (const Json& finding : report["findings"].items()) {
      if (finding["result"].as_string() != kind) continue;
      print_finding(out, finding);
      ++count;
    }
  return count;
}

void print_proposal(Output& out, const Json& proposal) {
  const std::string& state = proposal["state"].as_string();
  const std::string& id = proposal["id"].as_string();
  const bool good = state == "landed";
  const bool bad = state == "failed" || state == "conflict" || state == "error";
  out.line(fmt::format("{}  {}",
                       out.paint(good  ? Paint::kGood
                                 : bad ? Paint::kBad
                                       : Paint::kWarn,
                                 state),
                       printable(proposal["title"].as_string())));
  print_fields(out,
               {{"proposal", printable(id)},
                {"merges", fmt::format("{} into {} of {}", printable(proposal["source"].as_string()),
                                       printable(proposal["destination"].as_string()),
                                       printable(proposal["repository"].as_string()))},
                {"commit", short_id(proposal["landed_commit"].as_string())},
                {"published", published_text(proposal["publications"])}},
               "  ");
  print_findings(out, proposal["report"]);
  for (const Json& conflict : proposal["conflicts"].items())
    out.line(fmt::format("  {} conflict on {}", out.paint(Paint::kBad, "x"),
                         number_text(conflict.is_object() ? conflict["path"] : conflict)));
  if (const std::string& reason = proposal["reason"].as_string(); !reason.empty()) out.line("  " + printable(reason));
  if (const Json& error = proposal["error"]; !error.is_null())
    out.line("  " + number_text(error.is_object() ? error["message"] : error));
  if (!bad) return;
  const std::string incident = incident_text(proposal["incident"]);
  if (!incident.empty()) out.line(fmt::format("  incident {}, snapshot fail--{}", incident, incident));
  out.line(fmt::format("  {} is untouched at {}", printable(proposal["destination"].as_string()),
                       short_id(proposal["base_head"].as_string())));
  if (!incident.empty()) out.line(fmt::format("next: tarn mesh incident show {}", incident));
  if (state == "failed") out.line(fmt::format("      tarn mesh proposal retry|waive|cancel {}", printable(id)));
}

void print_run(Output& out, const Json& run) {
  const std::string& state = run["state"].as_string();
  const Paint paint = state == "landed" ? Paint::kGood : state == "stopped" ? Paint::kBad : Paint::kWarn;
  std::string head = fmt::format("RUN {}  {}", printable(run["key"].as_string()), out.paint(paint, state));
  if (const std::string& branch = run["branch"].as_string(); !branch.empty())
    head += fmt::format("  {}  forked at {}", printable(branch), short_id(run["fork"].as_string()));
  out.line(head);
  for (const Json& wait : run["waiting_for"].items()) {
    const std::string incident = incident_text(wait["incident"]);
    out.line(fmt::format("  waits for {}: {}{}", number_text(wait["input"]), number_text(wait["reason"]),
                         incident.empty() ? "" : " (" + incident + ")"));
  }
  Table table({{"JOB"}, {"STATE"}, {"ATTEMPT", Table::Align::kRight}, {"AFTER"}, {"REASON"}});
  for (const auto& [name, job] : run["jobs"].members()) {
    std::string after, reason = number_text(job["reason"]);
    for (const Json& a : job["after"].items()) after += (after.empty() ? "" : ", ") + number_text(a);
    if (job["reason"].is_null()) reason = incident_text(job["incident"]);
    table.row({printable(name), job["state"].as_string(), number_text(job["attempt"]), after, reason});
  }
  if (!table.empty()) table.print(out, "  ");
  if (const std::string& commit = run["landed_commit"].as_string(); !commit.empty())
    out.line(fmt::format("  landed as {}", short_id(commit)));
  const Json& publication = run["publication"];
  if (publication.is_object()) out.line("  published " + published_text(Json::array({publication})));
  if (publication.is_array() && publication.size() > 0) out.line("  published " + published_text(publication));
  if (state == "stopped")
    out.line(fmt::format("next: tarn mesh run resume {} {} {}", printable(run["repository"].as_string()),
                         printable(run["pipeline"].as_string()), printable(run["key"].as_string())));
}

void print_incident(Output& out, const Json& incident) {
  const std::string& state = incident["state"].as_string();
  out.line(fmt::format("{}  {}  {}", incident_text(incident),
                       out.paint(state == "open" ? Paint::kBad : Paint::kGood, state),
                       printable(incident["title"].as_string())));
  const std::string& repository = incident["repository"].as_string();
  const std::string& snapshot = incident["snapshot"].as_string();
  print_fields(out,
               {{"kind", printable(incident["kind"].as_string())},
                {"product", printable(incident["product"].as_string())},
                {"repository", printable(repository)},
                {"proposal", printable(incident["proposal"].as_string())},
                {"run", job_of(incident["run"])},
                {"snapshot", snapshot.empty() ? "" : fmt::format("{}/{}", printable(repository), printable(snapshot))},
                {"opened", printable(incident["opened_at"].as_string())},
                {"resolved", printable(incident["resolved_at"].as_string())},
                {"because", printable(incident["resolution"].as_string())},
                {"alerts", deliveries_text(incident["deliveries"])}},
               "  ");
  print_findings(out, Json::object({{"findings", incident["checks"]}}));
  for (const Json& cost : incident["downstream"].items()) {
    out.line(fmt::format("  downstream {} ({})", number_text(cost["consumer"]), number_text(cost["input"])));
    print_findings(out, cost);
    if (cost.has("error")) out.line("      " + number_text(cost["error"]));
  }
  if (!snapshot.empty())
    out.line(fmt::format("next: tarn fs ls -r {}/{}/", printable(repository), printable(snapshot)));
}

bool is_final(std::string_view state) { return !state.empty() && state != "opened" && state != "checking"; }

int exit_of_proposal(const Json& proposal) {
  const std::string& state = proposal["state"].as_string();
  if (state == "landed") return kDone;
  if (state == "failed" || state == "conflict") return kGateRefused;
  return state == "cancelled" ? kRefusedByServer : kNoAnswer;
}

Result<Json> wait_for_proposal(Api& api, const std::string& id) {
  constexpr int64_t kWaitMs = 20'000;
  const std::string path = path_of({"mesh", "proposals", id, "wait"});
  while (true) {
    TRY_LET(Json proposal,
            api.call("GET", path, query_of({{"timeout_ms", std::to_string(kWaitMs)}}), nullptr, 2 * kWaitMs));
    if (is_final(proposal["state"].as_string())) return proposal;
  }
}

std::vector<Command> all_commands() {
  std::vector<Command> all;
  for (const auto group : {catalogue_commands, proposal_commands, publication_commands, subscription_commands,
                           run_commands, incident_commands, environment_commands, contract_commands})
    for (Command& command : group()) all.push_back(std::move(command));
  return all;
}

}  // namespace tarn::cli::mesh
