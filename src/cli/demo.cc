// `tarn demo`: runs the flights example, which lies beside the source, against a server.
#include <fmt/format.h>

#include <cstdlib>

#include "base/disk.h"
#include "cli/child.h"
#include "cli/commands.h"

namespace tarn::cli {
namespace {

constexpr int64_t kNoTickMs = 3'600'000;

/// Looks upward from the binary, then from here.
Result<std::string> find_driver() {
  auto& disk = base::system_disk();
  std::vector<std::string> starts;
  for (const char* start : {"/proc/self/exe", "."})
    if (auto real = disk.real_path(start)) starts.push_back(std::move(*real));
  for (std::string folder : starts)
    for (; !folder.empty(); folder.resize(folder.rfind('/') == std::string::npos ? 0 : folder.rfind('/'))) {
      const std::string driver = folder + "/examples/flights/demo.py";
      if (disk.stat(driver)) return driver;
    }
  return usage_error(
      "examples/flights/demo.py is found neither above this program nor above this folder: run it inside a clone, "
      "or use './run demo' there");
}

Result<int> demo(Call& call) {
  TRY_LET(const std::string driver, find_driver());
  const char* python = std::getenv("TARN_PYTHON");
  std::string program = python == nullptr ? "" : python;
  if (program.empty()) {
    program =
        driver.substr(0, driver.size() - std::string_view("examples/flights/demo.py").size()) + ".deps/venv/bin/python";
    if (!base::system_disk().stat(program)) program = "python3";
  }
  std::vector<std::string> command = {program, driver};
  std::vector<std::pair<std::string, std::string>> variables;
  if (call.has("server")) {
    TRY_LET(const Target target, resolve_target(call));
    if (target.access_key_id.empty())
      return usage_error("the keys of an administrator are needed: TARN_ACCESS_KEY_ID and TARN_SECRET_ACCESS_KEY");
    command.insert(command.end(), {"--server", target.server});
    variables = {{"TARN_ACCESS_KEY_ID", target.access_key_id}, {"TARN_SECRET_ACCESS_KEY", target.secret.reveal()}};
  }
  if (call.has("days")) command.insert(command.end(), {"--days", call.get("days")});
  if (call.has("no-faults")) command.emplace_back("--no-faults");
  if (call.has("keep")) command.emplace_back("--keep");
  if (call.has("report")) command.insert(command.end(), {"--report", call.get("report")});
  if (auto self = base::system_disk().real_path("/proc/self/exe")) variables.emplace_back("TARN_BIN", std::move(*self));
  TRY_LET(const ChildEnd end, run_child(command, variables, kNoTickMs, [] { return true; }));
  return end.code;
}

}  // namespace

std::vector<Command> demo_commands() {
  return {{.words = "demo",
           .summary = "Runs the flights example: a year of real data through a mesh of six products",
           .options = {{"days", "N", "the first N days only"},
                       {"no-faults", "", "plant nothing, withdraw nothing, kill nothing"},
                       {"keep", "", "leave its server up"},
                       {"report", "DIR", "where the report goes (demo-report)"}},
           .run = demo,
           .more = "With --server it uses a server that runs, with an administrator's keys; else it starts its own.\n"
                   "It needs a clone with its Python packages: './run demo' installs what is missing.",
           .needs = Needs::kNothing}};
}

}  // namespace tarn::cli
