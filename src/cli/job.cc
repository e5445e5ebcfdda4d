// `tarn job exec`: one attempt of one job, around any program.
#include <fmt/format.h>

#include <cstdio>

#include "base/clock.h"
#include "cli/child.h"
#include "cli/commands.h"
#include "cli/mesh/show.h"

namespace tarn::cli {
namespace {

constexpr int64_t kHeartbeatMs = 30'000;
constexpr int64_t kHeartbeatTimeoutMs = 10'000;
constexpr int64_t kCompleteTimeoutMs = 600'000;
constexpr int64_t kServerAwayMs = 60'000;  ///< so long a server that restarts is waited for
constexpr int64_t kPauseMaxMs = 2'000;

struct Attempt {
  Json begun;
  std::string path;  ///< /mesh/attempts/{id}
  Json fence;        ///< {fence}
};

/// Calls that may be repeated because the fence makes them count once: waits for a server that is away.
Result<Answer> insist(Api& api, std::string_view path, const Json& body, int64_t timeout_ms) {
  base::Clock& clock = base::system_clock();
  const base::SteadyMs until = clock.steady_ms() + kServerAwayMs;
  bool said = false;
  for (int64_t pause_ms = 50;; pause_ms = std::min(pause_ms * 2, kPauseMaxMs)) {
    auto answer = api.ask("POST", path, {}, &body, timeout_ms);
    const bool away = answer ? answer->status == 503 || answer->status == 502 || answer->status == 504
                             : answer.error().code() != Code::kInvalid;
    if (!away || clock.steady_ms() >= until) return answer;
    if (!said) std::fprintf(stderr, "tarn: waiting for the server at %s\n", api.target().server.c_str());
    said = true;
    clock.sleep_ms(pause_ms);
  }
}

Result<Attempt> begin(Call& call) {
  const std::string path = path_of({"mesh", "repos", call.get("repo"), "pipelines", call.get("pipeline"), "runs",
                                    call.get("run"), "jobs", call.get("job"), "begin"});
  TRY_LET(Answer answer, insist(*call.api, path, Json::object(), 60'000));
  if (!answer.ok()) return error_of(answer);
  Attempt attempt;
  attempt.path = path_of({"mesh", "attempts", answer.body["attempt_id"].as_string()});
  attempt.fence = Json::object({{"fence", answer.body["fence"]}});
  attempt.begun = std::move(answer.body);
  return attempt;
}

/// What the command sees: where it reads and writes, with the keys of this attempt alone.
std::vector<std::pair<std::string, std::string>> variables(const Call& call, const Json& begun) {
  const std::string& server = call.api->target().server;
  const std::string host = server.substr(server.find("://") + 3);
  const std::string& repository = call.get("repo");
  const std::string& branch = begun["branch"].as_string();
  const std::string& id = begun["access_key_id"].as_string();
  const std::string& secret = begun["secret_access_key"].as_string();
  const std::string key = begun["run_key"].is_string() ? begun["run_key"].as_string() : call.get("run");
  return {{"TARN_ENDPOINT", server},
          {"TARN_SERVER", server},
          {"TARN_S3_ENDPOINT", host},
          {"TARN_ACCESS_KEY_ID", id},
          {"TARN_SECRET_ACCESS_KEY", secret},
          {"TARN_REPOSITORY", repository},
          {"TARN_BRANCH", branch},
          {"TARN_JOB_URI", fmt::format("s3://{}/{}/", repository, branch)},
          {"TARN_RUN_KEY", key},
          {"TARN_PIPELINE", call.get("pipeline")},
          {"TARN_JOB", call.get("job")},
          {"TARN_ATTEMPT", begun["attempt"].dump()},
          {"AWS_ACCESS_KEY_ID", id},
          {"AWS_SECRET_ACCESS_KEY", secret},
          {"AWS_REGION", "us-east-1"},
          {"AWS_DEFAULT_REGION", "us-east-1"},
          {"AWS_ENDPOINT_URL", server},
          // Another identity must not get in between.
          {"AWS_SESSION_TOKEN", ""},
          {"AWS_PROFILE", ""},
          {"AWS_DEFAULT_PROFILE", ""},
          {"AWS_ENDPOINT_URL_S3", ""},
          {"TARN_PROFILE", ""}};
}

/// Tells the server that the attempt is over without data. What goes wrong here is only said: the command's failure is
/// what counts, and the server notices silence by itself.
void give_up(Call& call, const Attempt& attempt, const std::string& reason) {
  Json body = attempt.fence;
  body.set("reason", reason);
  const auto answer = insist(*call.api, attempt.path + "/fail", body, 60'000);
  if (!answer)
    std::fprintf(stderr, "tarn: the failure could not be reported: %s\n", answer.error().message().c_str());
  else if (!answer->ok())
    std::fprintf(stderr, "tarn: the failure could not be reported: %s\n", error_of(*answer).message().c_str());
}

/// Whether an answer says that the attempt is not ours any more.
bool is_lost(const Answer& answer) {
  return answer.status == 409 || answer.status == 410 || answer.status == 412 || answer.status == 404;
}

Result<int> land(Call& call, const Attempt& attempt) {
  TRY_LET(Answer answer, insist(*call.api, attempt.path + "/complete", attempt.fence, kCompleteTimeoutMs));
  if (!answer.ok()) return error_of(answer);
  Json proposal = answer.body["proposal"];
  std::string state = answer.body["state"].as_string();
  if (proposal.is_string() || state == "opened" || state == "checking") {
    const std::string id = proposal.is_string() ? proposal.as_string() : proposal["id"].as_string();
    TRY_LET(proposal, mesh::wait_for_proposal(*call.api, id));
    state = proposal["state"].as_string();
    answer.body.set("state", state).set("proposal", proposal);
  }
  if (call.out->json())
    call.out->print_json(answer.body);
  else if (state == "landed")
    call.out->remark(fmt::format("tarn: job {} of {} landed ({})", call.get("job"), call.get("run"),
                                 short_id(proposal["landed_commit"].as_string())));
  else
    mesh::print_proposal(*call.out, proposal);
  const int code = mesh::exit_of_proposal(proposal.is_object() ? proposal : answer.body);
  return code == kDone || code == kGateRefused ? code : kNoAnswer;
}

Result<int> exec(Call& call) {
  for (const char* option : {"repo", "pipeline", "run", "job"})
    if (call.get(option).empty()) return usage_error(fmt::format("--{} is missing", option));
  TRY_LET(const Attempt attempt, begin(call));
  bool lost = false;
  const auto heartbeat = [&] {
    const auto answer = call.api->ask("POST", attempt.path + "/heartbeat", {}, &attempt.fence, kHeartbeatTimeoutMs);
    lost = answer && is_lost(*answer);  // no answer: the server may be restarting
    return !lost;
  };
  const auto end = run_child(call.all_operands("COMMAND"), variables(call, attempt.begun), kHeartbeatMs, heartbeat);
  if (!end) {
    give_up(call, attempt, end.error().message());
    std::fprintf(stderr, "tarn: %s\n", end.error().message().c_str());
    return kRefusedByServer;
  }
  if (lost) return Error(Code::kConflict, "attempt", "another attempt took over: this one was stopped");
  if (end->code != 0) {
    const std::string reason = end->signal != 0 ? fmt::format("the command was ended by signal {}", end->signal)
                                                : fmt::format("the command ended with {}", end->code);
    give_up(call, attempt, reason);
    std::fprintf(stderr, "tarn: job %s of %s: %s; nothing landed\n", call.get("job").c_str(), call.get("run").c_str(),
                 reason.c_str());
    return kRefusedByServer;
  }
  return land(call, attempt);
}

}  // namespace

std::vector<Command> job_commands() {
  return {{.words = "job exec",
           .summary = "Runs a program as one job of a pipeline's run, on a branch and with keys of its own",
           .operands = {{"COMMAND", "the program and its arguments", Operand::Count::kAfterDashes}},
           .options = {{"repo", "REPO", "the product's repository"},
                       {"pipeline", "NAME", "of _mesh/pipelines/"},
                       {"run", "KEY", "the run's key, like 2013-10-25"},
                       {"job", "NAME", "the job"}},
           .run = exec,
           .more = "The program finds TARN_JOB_URI (s3://repository/branch/), TARN_REPOSITORY, TARN_BRANCH,\n"
                   "TARN_RUN_KEY, TARN_ENDPOINT, TARN_S3_ENDPOINT (host:port) and AWS_* in its environment. When it\n"
                   "ends with 0 its data are committed, tested and landed on the run's branch; else nothing lands.\n"
                   "Signals go through to it. Exit codes here: 0 landed, 1 the program failed, 3 the gate refused,\n"
                   "4 anything else."}};
}

}  // namespace tarn::cli
