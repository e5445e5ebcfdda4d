// Imports: the server links a folder's files into a branch; here we start that and wait.
#include <fmt/format.h>

#include "base/clock.h"
#include "base/disk.h"
#include "cli/commands.h"

namespace tarn::cli {
namespace {

constexpr int64_t kFirstWaitMs = 5;
constexpr int64_t kWaitMaxMs = 500;

struct Source {
  std::string path;
  bool is_object = false;
};

/// A folder of this machine gets its full name; the server must see it under that name too.
Result<Source> source_of(const std::string& text) {
  if (text.find("://") != std::string::npos) return Source{text, false};
  auto& disk = base::system_disk();
  const auto full = disk.real_path(text);
  if (full) {
    TRY_LET(const auto info, disk.stat(*full));
    if (info.is_directory) return Source{"local://" + *full + "/", false};
    return Source{"local://" + *full, true};
  }
  if (!text.empty() && text.front() == '/') return Source{"local://" + text, !text.ends_with('/')};
  return usage_error(fmt::format("there is no folder '{}' here", text));
}

Result<int> wait_for(Call& call, const std::string& path, const std::string& id) {
  Progress progress(*call.out, "imported objects", 0);
  for (int64_t wait_ms = kFirstWaitMs;; wait_ms = std::min(wait_ms * 2, kWaitMaxMs)) {
    TRY_LET(const Json status, call.api->get(path, query_of({{"id", id}})));
    progress.set(status["ingested_objects"].as_int());
    if (const Json& error = status["error"]; !error.is_null()) {
      progress.finish();
      if (call.out->json()) call.out->print_json(status);
      return Error(Code::kInvalid, "import", error["message"].as_string());
    }
    if (status["completed"].as_bool()) {
      progress.finish();
      if (call.out->as_json(status)) return kDone;
      call.out->line(fmt::format("imported {} objects: {}", status["ingested_objects"].as_int(),
                                 short_id(status["commit"]["id"].as_string())));
      return kDone;
    }
    base::system_clock().sleep_ms(wait_ms);
  }
}

Result<int> run_import(Call& call) {
  std::string where = call.operand("BRANCH"), from = call.get("from"), to = call.get("to");
  if (!call.operand("SOURCE").empty()) from = call.operand("SOURCE");
  if (where.empty() && has_scheme(to)) {  // as lakectl has it: --from and --to alone
    where = to;
    to.clear();
  }
  if (where.empty()) return usage_error("BRANCH is missing: the branch that gets the objects, repository/branch");
  if (from.empty()) return usage_error("SOURCE is missing: the folder whose files are linked");
  TRY_LET(const Uri uri, parse_prefix_uri(where));
  if (to.empty()) to = uri.path;
  TRY_LET(const Source source, source_of(from));
  TRY_LET(Json metadata, call.pairs("meta"));
  const std::string message = call.get_or("message", "Import " + from);
  const Json body = Json::object(
      {{"paths",
        Json::array({Json::object(
            {{"type", source.is_object ? "object" : "common_prefix"}, {"path", source.path}, {"destination", to}})})},
       {"commit", Json::object({{"message", message}, {"metadata", std::move(metadata)}})}});
  const auto path = path_of({"repositories", uri.repository, "branches", uri.ref, "import"});
  TRY_LET(const Json started, call.api->post(path, body));
  if (call.has("no-wait")) {
    if (!call.out->as_json(started)) call.out->line(started["id"].as_string());
    return kDone;
  }
  return wait_for(call, path, started["id"].as_string());
}

Result<int> status(Call& call) {
  TRY_LET(const Uri uri, parse_uri(call.operand("BRANCH"), UriPart::kRef));
  const auto path = path_of({"repositories", uri.repository, "branches", uri.ref, "import"});
  return wait_for(call, path, call.operand("ID"));
}

}  // namespace

std::vector<Command> import_commands() {
  const Operand branch{"BRANCH", "repository/branch that gets the objects"};
  return {
      {.words = "import",
       .summary = "Links a folder's files into a branch and commits; no byte is copied",
       .operands = {{branch.name, branch.help, Operand::Count::kOptional},
                    {"SOURCE", "the folder, as the server sees it", Operand::Count::kOptional}},
       .options = {{"from", "URI", "the same as SOURCE"},
                   {"to", "PATH", "the path in the branch; a folder ends with /"},
                   kMessage,
                   kMeta,
                   {"no-wait", "", "print the import's id and go"}},
       .run = run_import,
       .more = "The files must stay as they are: a file that changed later is refused when it is read."},
      {.words = "import-wait",
       .summary = "Waits for an import that was started with --no-wait",
       .operands = {branch, {"ID", "the import's id"}},
       .run = status},
  };
}

}  // namespace tarn::cli
