#include <fmt/format.h>

#include "base/disk.h"
#include "cli/mesh/commands.h"
#include "cli/mesh/show.h"

namespace tarn::cli::mesh {
namespace {

Result<std::string> text_of(const std::string& file) {
  auto text = base::system_disk().read_all(file);
  if (!text) return usage_error(fmt::format("{}: {}", file, text.error().message()));
  return text;
}

Result<int> lint(Call& call) {
  bool clean = true;
  Json all = Json::object();
  for (const std::string& file : call.all_operands("FILE")) {
    TRY_LET(std::string text, text_of(file));
    const Json body = Json::object({{"contract", std::move(text)}});
    TRY_LET(const Answer answer, call.api->ask("POST", "/mesh/contracts/lint", {}, &body));
    if (!answer.ok() && answer.status != 400) return error_of(answer);
    const Json& findings = answer.body.is_array() ? answer.body : answer.body["findings"];
    const bool fine = answer.ok() && findings.size() == 0 && answer.body["valid"].as_bool(true);
    clean = clean && fine;
    all.set(file, answer.body);
    if (call.out->json()) continue;
    call.out->line(fmt::format("{}: {}", file, fine ? "fine" : "has findings"));
    if (!answer.ok()) call.out->line("  " + printable(answer.body["message"].as_string()));
    for (const Json& f : findings.items()) {
      std::string line;
      for (const char* name : {"severity", "line", "path", "message"})
        if (f.has(name)) line += (line.empty() ? "" : "  ") + number_text(f[name]);
      call.out->line("  " + (f.is_object() ? line : number_text(f)));
    }
  }
  static_cast<void>(call.out->as_json(all));
  return clean ? kDone : kGateRefused;
}

Result<int> diff(Call& call) {
  TRY_LET(std::string old_text, text_of(call.operand("OLD")));
  TRY_LET(std::string new_text, text_of(call.operand("NEW")));
  Json body = Json::object({{"old", std::move(old_text)}, {"new", std::move(new_text)}});
  if (call.has("product")) body.set("product", call.get("product"));
  TRY_LET(const Json answer, call.api->post("/mesh/contracts/diff", body));
  const bool breaking = answer["breaking"].as_bool();
  const int code = breaking && call.has("check") ? kGateRefused : kDone;
  if (call.out->as_json(answer)) return code;
  Table table({{"CLASS"}, {"PATH"}, {"WHY"}});
  for (const Json& c : answer["changes"].items())
    table.row({number_text(c["class"]), number_text(c["path"]), number_text(c["reason"])});
  if (!table.empty()) table.print(*call.out);
  std::string consumers;
  for (const Json& c : answer["consumers"].items())
    consumers += (consumers.empty() ? "" : ", ") + number_text(c.is_object() ? c["consumer"] : c);
  call.out->line(breaking ? "breaking: needs a new major" : "not breaking");
  if (!consumers.empty()) call.out->line("consumers: " + consumers);
  return code;
}

}  // namespace

std::vector<Command> contract_commands() {
  return {
      {.words = "mesh contract lint",
       .summary = "Reads contracts as the gate would, and says what is wrong in them",
       .operands = {{"FILE", "an ODCS contract in YAML", Operand::Count::kMany}},
       .run = lint,
       .more = "Exit code 3 when there are findings."},
      {.words = "mesh contract diff",
       .summary = "Classes the changes between two contracts and names the consumers they break",
       .operands = {{"OLD", "the contract before"}, {"NEW", "the contract after"}},
       .options = {{"product", "domain/name", "whose consumers are meant"},
                   {"check", "", "exit with 3 when it breaks"}},
       .run = diff},
  };
}

}  // namespace tarn::cli::mesh
