#include <fmt/format.h>

#include "cli/mesh/commands.h"
#include "cli/mesh/show.h"

namespace tarn::cli::mesh {
namespace {

std::string runs_path(const Call& call) {
  return path_of({"mesh", "repos", call.operand("REPO"), "pipelines", call.operand("PIPELINE"), "runs"});
}

std::string waits_text(const Json& run) {
  std::string out;
  for (const Json& wait : run["waiting_for"].items())
    out += fmt::format("{}{}: {}", out.empty() ? "" : "; ", number_text(wait["input"]), number_text(wait["reason"]));
  return out;
}

Result<int> list(Call& call) {
  TRY_LET(const Json body, call.api->get(runs_path(call), query_of({{"state", call.get("state")}})));
  if (call.out->as_json(body)) return kDone;
  Table table({{"RUN"}, {"STATE"}, {"JOBS"}, {"COMMIT"}, {"WAITS FOR"}});
  for (const Json& run : items_of(body)) {
    size_t landed = 0;
    for (const auto& [name, job] : run["jobs"].members()) landed += job["state"].as_string() == "landed" ? 1 : 0;
    table.row({number_text(run["key"]), number_text(run["state"]), fmt::format("{}/{}", landed, run["jobs"].size()),
               short_id(run["landed_commit"].as_string()), waits_text(run)});
  }
  table.print(*call.out);
  return kDone;
}

int exit_of(const Json& run) { return run["state"].as_string() == "stopped" ? kGateRefused : kDone; }

Result<int> status(Call& call) {
  const std::string path = runs_path(call) + path_of({call.operand("KEY")});
  Json run;
  if (call.has("wait")) {
    constexpr int64_t kWaitMs = 20'000;
    do {
      TRY_LET(run,
              call.api->call("GET", path + "/wait",
                             query_of({{"timeout_ms", std::to_string(kWaitMs)}, {"states", "landed,stopped,stale"}}),
                             nullptr, 2 * kWaitMs));
    } while (run["state"].as_string() != "landed" && run["state"].as_string() != "stopped" &&
             run["state"].as_string() != "stale");
  } else {
    TRY_LET(run, call.api->get(path));
  }
  if (!call.out->as_json(run)) print_run(*call.out, run);
  return call.has("wait") ? exit_of(run) : kDone;
}

Result<int> start(Call& call) {
  TRY_LET(const Json run, call.api->post(runs_path(call), Json::object({{"key", call.operand("KEY")}})));
  if (!call.out->as_json(run)) print_run(*call.out, run);
  return kDone;
}

Result<int> resume(Call& call) {
  TRY_LET(const Json run, call.api->post(runs_path(call) + path_of({call.operand("KEY")}) + "/resume", Json::object()));
  if (!call.out->as_json(run)) print_run(*call.out, run);
  return kDone;
}

}  // namespace

std::vector<Command> run_commands() {
  const Operand repo{"REPO", "the product's repository"};
  const Operand pipeline{"PIPELINE", "the pipeline's name"};
  const Operand key{"KEY", "the run's key, like 2013-10-25"};
  return {
      {.words = "mesh run list",
       .summary = "Lists a pipeline's runs and what they wait for",
       .operands = {repo, pipeline},
       .options = {{"state", "STATE", "waiting, ready, running, stopped, landing, landed, stale"}},
       .run = list},
      {.words = "mesh run status",
       .summary = "Shows a run: its jobs, attempts, branches",
       .operands = {repo, pipeline, key},
       .options = {{"wait", "", "until it landed or stopped"}},
       .run = status},
      {.words = "mesh run start",
       .summary = "Starts a run by hand; repeatable",
       .operands = {repo, pipeline, key},
       .run = start},
      {.words = "mesh run resume",
       .summary = "Lets the failed jobs of a stopped run try again",
       .operands = {repo, pipeline, key},
       .run = resume},
  };
}

}  // namespace tarn::cli::mesh
