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
    const Json body = Json::object({{"contract", std::move(text)}, {"file", file}});
    TRY_LET(const Answer answer, call.api->ask("POST", "/mesh/contracts/lint", {}, &body));
    if (!answer.ok()) return error_of(answer);
    const bool valid = answer.body["valid"].as_bool();
    const bool fine = valid && answer.body["warnings"].size() == 0;
    clean = clean && valid && (fine || !call.has("strict"));
    all.set(file, answer.body);
    if (call.out->json()) continue;
    call.out->line(fmt::format("{}: {}", file, fine ? "fine" : valid ? "valid, with warnings" : "not valid"));
    for (const Json& error : answer.body["errors"].items()) call.out->line("  x " + number_text(error));
    for (const Json& warning : answer.body["warnings"].items()) call.out->line("  ! " + number_text(warning));
  }
  static_cast<void>(call.out->as_json(all));
  return clean ? kDone : kGateRefused;
}

Result<int> diff(Call& call) {
  TRY_LET(std::string old_text, text_of(call.operand("OLD")));
  TRY_LET(std::string new_text, text_of(call.operand("NEW")));
  Json body = Json::object({{"old", std::move(old_text)}, {"new", std::move(new_text)}});
  for (const char* name : {"product", "port"})
    if (call.has(name)) body.set(name, call.get(name));
  if (call.has("expectation")) body.set("side", "expectation");
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
       .options = {{"strict", "", "warnings count too"}},
       .run = lint,
       .more = "Exit code 3 when a contract is not valid."},
      {.words = "mesh contract diff",
       .summary = "Classes the changes between two contracts and names the consumers they break",
       .operands = {{"OLD", "the contract before"}, {"NEW", "the contract after"}},
       .options = {{"product", "NAME", "domain/name: whose consumers are meant"},
                   {"port", "PORT", "and of which port"},
                   {"expectation", "", "the contracts are a consumer's expectations, not a promise"},
                   {"check", "", "exit with 3 when it breaks"}},
       .run = diff},
  };
}

}  // namespace tarn::cli::mesh
