#include <fmt/format.h>

#include "cli/mesh/commands.h"
#include "cli/mesh/show.h"

namespace tarn::cli::mesh {
namespace {

/// "analytics/weather": the consumer's repository and the input's name.
Result<Uri> input_of(const Call& call) { return parse_uri(call.operand("INPUT"), UriPart::kRef); }

void print_subscription(Output& out, const Json& s) {
  print_fields(
      out, {{"consumer", number_text(s["consumer"])},
            {"input", number_text(s["input"])},
            {"from", fmt::format("{}:{}@{}", number_text(s["product"]), number_text(s["port"]), s["major"].as_int(1))},
            {"mode", number_text(s["mode"])},
            {"state", number_text(s["state"])}});
}

Result<int> subscribe(Call& call) {
  TRY_LET(const Uri input, input_of(call));
  TRY_LET(const Json made,
          call.api->post("/mesh/subscriptions", Json::object({{"consumer", input.repository}, {"input", input.ref}})));
  if (call.out->as_json(made)) return kDone;
  print_subscription(*call.out, made);
  if (made["state"].as_string() == "requested")
    call.out->remark(fmt::format("the producer's owner grants it: tarn mesh approve {}", input.text()));
  return kDone;
}

Result<int> approve(Call& call) {
  TRY_LET(const Uri input, input_of(call));
  TRY_LET(const Json made,
          call.api->post(path_of({"mesh", "subscriptions", input.repository, input.ref, "approve"}), Json::object()));
  if (call.out->as_json(made)) return kDone;
  print_subscription(*call.out, made);
  return kDone;
}

Result<int> list(Call& call) {
  TRY_LET(const Json body, call.api->get("/mesh/subscriptions", query_of({{"consumer", call.get("consumer")}})));
  if (call.out->as_json(body)) return kDone;
  Table table({{"CONSUMER"},
               {"INPUT"},
               {"FROM"},
               {"MODE"},
               {"STATE"},
               {"PIN", Table::Align::kRight},
               {"CURSOR", Table::Align::kRight}});
  for (const Json& s : items_of(body))
    table.row({number_text(s["consumer"]), number_text(s["input"]),
               fmt::format("{}:{}@{}", number_text(s["product"]), number_text(s["port"]), s["major"].as_int(1)),
               number_text(s["mode"]), number_text(s["state"]),
               number_text(s["pin"].is_object() ? s["pin"]["number"] : s["pin"]), number_text(s["cursor"])});
  table.print(*call.out);
  return kDone;
}

Result<int> dry_run(Call& call) {
  TRY_LET(const Uri input, input_of(call));
  if (call.get("from").empty()) return usage_error("--from is missing: the port, like weather/hourly:hourly@2");
  TRY_LET(const Json answer, call.api->post(path_of({"mesh", "subscriptions", input.repository, input.ref, "dry-run"}),
                                            Json::object({{"from", call.get("from")}})));
  const Json& report = answer.has("report") ? answer["report"] : answer;
  const bool passed = report["passed"].as_bool(true);
  if (call.out->as_json(answer)) return passed ? kDone : kGateRefused;
  call.out->line(fmt::format("{} on publication {} of {}", passed ? "would pass" : "would be refused",
                             number_text(answer["publication"]), call.get("from")));
  print_findings(*call.out, report);
  return passed ? kDone : kGateRefused;
}

Result<int> onboard(Call& call) {
  TRY_LET(const Uri input, input_of(call));
  const Json none = Json::object();
  TRY_LET(const Json answer,
          call.api->call("POST", path_of({"mesh", "repos", input.repository, "onboard", input.ref, "runs"}), {}, &none,
                         600'000));
  if (call.out->as_json(answer)) return kDone;
  for (const Json& n : answer["onboarded"].items())
    call.out->line("onboarded " + number_text(n.is_object() && n.has("number") ? n["number"] : n));
  int code = kDone;
  for (const Json& p : answer["proposals"].items()) {
    if (!p.is_object()) continue;
    print_proposal(*call.out, p);
    if (exit_of_proposal(p) == kGateRefused) code = kGateRefused;
  }
  if (answer["onboarded"].size() == 0 && answer["proposals"].size() == 0) call.out->line("nothing is due");
  return code;
}

}  // namespace

std::vector<Command> subscription_commands() {
  const Operand input{"INPUT", "consumer/input: the repository, and the input's name in its _mesh/inputs.yaml"};
  return {
      {.words = "mesh subscribe",
       .summary = "Subscribes an input to the port that it declares",
       .operands = {input},
       .run = subscribe},
      {.words = "mesh approve",
       .summary = "Grants a subscription, as the producer's owner",
       .operands = {input},
       .run = approve},
      {.words = "mesh subscriptions",
       .summary = "Lists subscriptions, their pins and states",
       .options = {{"consumer", "REPO", "of this consumer"}},
       .run = list},
      {.words = "mesh dry-run",
       .summary = "Tests the consumer's expectations on a port's latest publication; changes nothing",
       .operands = {input},
       .options = {{"from", "PORT", "domain/product:port@major"}},
       .run = dry_run},
      {.words = "mesh onboard", .summary = "Brings an input what is due now", .operands = {input}, .run = onboard},
  };
}

}  // namespace tarn::cli::mesh
