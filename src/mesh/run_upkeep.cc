// What keeps runs from being left lying: attempts that fell silent, branches that serve nobody any more.
#include <algorithm>

#include <fmt/core.h>

#include "base/log.h"
#include "mesh/detail/run_names.h"
#include "mesh/runs.h"

namespace tarn::mesh {

Result<int64_t> Runs::fail_silent(const Context& ctx) {
  const base::WallMs now = world_.doors.clock.wall_ms();
  const int64_t limit = world_.doors.options.heartbeat_limit_ms + beat_step_ms(world_.doors.options);
  if (now - began_ms_ <= limit) return 0;
  int64_t failed = 0;
  TRY_LET(const auto beats, world_.records.list(ctx, keys::kBeats));
  for (const auto& [attempt, beat] : beats) {
    if (now - beat.json["at_ms"].as_int() <= limit) continue;
    TRY_LET(const bool done, fail_if_silent(ctx, attempt, beat));
    failed += done;
  }
  return failed;
}

/// @param beat  the last one; that nothing came since is a precondition of the batch.
Result<bool> Runs::fail_if_silent(const Context& ctx, const std::string& attempt, const Record& beat) {
  const Json& a = beat.json;
  const std::string repository = a["repository"].as_string(), job_name = a["job"].as_string();
  const std::string record_key = keys::run(repository, a["pipeline"].as_string(), a["run"].as_string());
  const NamedLocks::Held line(world_.branch_locks, record_key);
  TRY_LET(auto record, world_.records.find(ctx, record_key));
  kv::Batch batch;
  batch.require_version(keys::beat(attempt), beat.version).erase(keys::beat(attempt));
  Json entry = record ? record->json["jobs"][job_name] : Json();
  const bool under_way = entry["attempt_id"].as_string() == attempt && entry["state"].as_string() == "running";
  // Completed: its proposal decides.
  TRY_LET(const auto proposed, proposals_.find_by_key(ctx, repository, attempt_key(attempt)));
  if (under_way && !proposed) {
    world_.doors.auth.revoke(batch, entry["access_key_id"].as_string());
    const std::string reason =
        fmt::format("attempt {} sent no heartbeat since {} (limit {} s): begin job '{}' again", a["number"].as_int(),
                    base::rfc3339(a["at_ms"].as_int()), world_.doors.options.heartbeat_limit_ms / 1000, job_name);
    entry.set("state", "failed").set("reason", reason).set("lapsed", true);
    record->json.set("jobs", Json(record->json["jobs"]).set(job_name, entry)).set("state", "stopped");
    put_if(batch, record_key, record->json, record->version);
    world_.add_event(
        batch, "mesh.job.failed", repository,
        Json::object({{"pipeline", a["pipeline"]}, {"run", a["run"]}, {"job", job_name}, {"reason", reason}}));
  }
  const auto applied = world_.doors.kv.apply(ctx, batch);
  if (applied) return under_way && !proposed;
  if (applied.error().code() == Code::kConflict) return false;  // it was heard, or it has landed: the next look decides
  return applied.error();
}

void Runs::retire_branches(kv::Batch& batch, const Json& run) const {
  if (run["branch"].as_string().empty()) return;
  const std::string pipeline = run["pipeline"].as_string(), key = run["key"].as_string();
  const int64_t generation = run["generation"].as_int();
  Json branches = Json::array();
  for (const auto& [job, state] : run["jobs"].members())
    for (int64_t n = 1; n <= state["attempt"].as_int(); ++n)
      branches.push(job_branch(pipeline, key, job, n, generation));
  branches.push(run["branch"]);
  put(batch, keys::run_branches(run["repository"].as_string(), world_.doors.clock.wall_ms(), pipeline, key, generation),
      Json::object({{"branches", branches}}));
}

Result<void> Runs::tidy(const Context& ctx, const std::string& repository) {
  const std::string prefix = keys::run_branches(repository);
  TRY_LET(const auto all, world_.records.list(ctx, prefix));
  const size_t kept = static_cast<size_t>(std::max<int64_t>(0, world_.doors.options.landed_runs_kept));
  if (all.size() <= kept) return {};
  TRY_LET(const versioning::Repository repo, world_.doors.engine.get_repository(ctx, repository));
  for (size_t i = 0; i < all.size() - kept; ++i) {
    const auto& [key, record] = all[i];
    const versioning::Pass pass{"mesh", "tidy/" + key};
    for (const Json& branch : record.json["branches"].items()) {
      const auto deleted = world_.doors.engine.delete_branch(ctx, repo, branch.as_string(), &pass);
      if (deleted || deleted.error().code() == Code::kNotFound) continue;
      if (deleted.error().code() != Code::kForbidden) return deleted.error();
      base::log(ctx, base::Level::kWarning, "a branch of a run that is over stays: it is protected",
                {{"repository", repository}, {"branch", branch.as_string()}});
    }
    kv::Batch batch;
    batch.erase_if_version(prefix + key, record.version);
    TRY(world_.doors.kv.apply(ctx, batch));
  }
  return {};
}

}  // namespace tarn::mesh
