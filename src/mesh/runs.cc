#include "mesh/runs.h"

#include <algorithm>

#include <fmt/core.h>

#include "base/ids.h"
#include "base/kill_point.h"
#include "mesh/detail/run_names.h"

namespace tarn::mesh {
namespace {

constexpr int64_t kAttemptLifeMs = 6 * 3600 * 1000;

bool has_prefix(std::string_view text, std::string_view prefix) { return text.substr(0, prefix.size()) == prefix; }

/// Whether it is the job's attempt that counts, and may say so.
bool is_current(const Json& job, const std::string& attempt, const std::string& fence) {
  return job["attempt_id"].as_string() == attempt && !job["lapsed"].as_bool() &&
         base::equal_constant_time(job["fence"].as_string(), fence);
}

std::string gone(const Json& job) {
  return job["lapsed"].as_bool() ? fmt::format("this attempt was given up: {}", job["reason"].as_string())
                                 : std::string("this attempt is not the current one any more");
}

Json strings(const std::vector<std::string>& list) {
  Json out = Json::array();
  for (const std::string& s : list) out.push(s);
  return out;
}

/// A sibling's landing writes the run's record, too, and holds no lock of ours: who lost that race starts over.
template <class Step>
auto over_races(Step step) -> decltype(step()) {
  constexpr int kRacesMax = 20;
  auto result = step();
  for (int i = 0; i < kRacesMax && !result; ++i) {
    if (result.error().code() != Code::kConflict || result.error().subject() != "key") break;
    result = step();
  }
  return result;
}

void make_runnable(const Pipeline& pipeline, Json& jobs) {
  for (const PipelineJob& job : pipeline.jobs) {
    Json state = jobs[job.name];
    if (state["state"].as_string() != "pending") continue;
    const bool ready = std::all_of(job.after.begin(), job.after.end(),
                                   [&](const std::string& a) { return jobs[a]["state"].as_string() == "landed"; });
    if (ready) jobs.set(job.name, state.set("state", "runnable"));
  }
}

}  // namespace

Result<Runs::Place> Runs::place(const Context& ctx, const std::string& repository, const std::string& pipeline) {
  Place p;
  TRY_LET(p.repository, world_.doors.engine.get_repository(ctx, repository));
  TRY_LET(const versioning::Resolved at, world_.doors.engine.resolve(ctx, p.repository, p.repository.default_branch));
  p.trunk = at.commit;
  TRY_LET(p.definitions, definitions_.read(ctx, p.repository, p.trunk));
  p.pipeline = p.definitions->pipeline(pipeline);
  if (!p.pipeline)
    return Error(Code::kNotFound, "pipeline",
                 fmt::format("'{}' has no pipeline '{}': add _mesh/pipelines/{}.yaml", repository, pipeline, pipeline));
  return p;
}

Json Runs::fresh(const Place& place, const std::string& key, int64_t generation) const {
  Json jobs = Json::object();
  for (const PipelineJob& job : place.pipeline->jobs)
    jobs.set(job.name, Json::object({{"state", "pending"}, {"attempt", 0}, {"after", strings(job.after)}}));
  make_runnable(*place.pipeline, jobs);
  return Json::object({{"repository", place.repository.name},
                       {"pipeline", place.pipeline->name},
                       {"key", key},
                       {"generation", generation},
                       {"state", "ready"},
                       {"waiting_for", Json::array()},
                       {"jobs", jobs},
                       {"branch", ""},
                       {"fork", ""},
                       {"created_at", base::rfc3339(world_.doors.clock.wall_ms())}});
}

Result<Json> Runs::waiting_for(const Context& ctx, const Place& place, const std::string& key) {
  Json missing = Json::array();
  for (const std::string& name : place.pipeline->on_inputs) {
    const Input* input = place.definitions->input(name);
    if (!input) continue;
    const std::string scope = place.pipeline->partition.empty()
                                  ? input->path
                                  : fmt::format("{}{}={}/", input->path, place.pipeline->partition, key);
    TRY_LET(const tree::Totals totals, world_.doors.engine.totals(ctx, place.repository, place.trunk, scope));
    if (totals.count > 0) continue;
    Json item = Json::object({{"input", name}, {"reason", "has not arrived"}});
    // An open incident at the producer or at this gate explains it.
    TRY_LET(const auto open, incidents_.open_ones(ctx, ""));
    const size_t slash = input->product.find('/');
    TRY_LET(
        const auto producer,
        world_.records.find(ctx, keys::product(input->product.substr(0, slash),
                                               slash == std::string::npos ? "" : input->product.substr(slash + 1))));
    const std::string producer_repository = producer ? producer->json["repository"].as_string() : "";
    for (const Record& incident : open) {
      const std::string where = incident.json["repository"].as_string();
      if (where != producer_repository && where != place.repository.name) continue;
      for (const Json& p : incident.json["partitions"].items()) {
        if (p["partition"].as_string() != key) continue;
        if (where == place.repository.name && p["prefix"].as_string() != input->path) continue;
        item.set("reason", fmt::format("refused at {}: {}", where, incident.json["title"].as_string()))
            .set("incident", incident.json["id"]);
      }
    }
    missing.push(std::move(item));
  }
  return missing;
}

Result<void> Runs::trigger(const Context& ctx, const std::string& repository,
                           const std::vector<tree::Change>& changes) {
  TRY_LET(const versioning::Repository repo, world_.doors.engine.get_repository(ctx, repository));
  TRY_LET(const versioning::Resolved at, world_.doors.engine.resolve(ctx, repo, repo.default_branch));
  TRY_LET(const auto definitions, definitions_.read(ctx, repo, at.commit));
  for (const Pipeline& pipeline : definitions->pipelines) {
    if (pipeline.partition.empty() || pipeline.on_inputs.empty()) continue;
    std::set<std::string> partitions;
    for (const std::string& name : pipeline.on_inputs)
      if (const Input* input = definitions->input(name))
        for (const tree::Change& change : changes)
          if (const auto p = partition_of(change.key, input->path, pipeline.partition)) partitions.insert(*p);
    const Place where{repo, at.commit, definitions, &pipeline};
    for (const std::string& key : partitions) {
      const NamedLocks::Held line(world_.branch_locks, keys::run(repository, pipeline.name, key));
      TRY_LET(const auto known, world_.records.find(ctx, keys::run(repository, pipeline.name, key)));
      if (known && known->json["state"].as_string() != "waiting" && known->json["state"].as_string() != "landed" &&
          known->json["state"].as_string() != "ready")
        continue;  // it is under way: its release compares what it read
      if (!known) {
        // History brings outputs of its own; only what has none yet is computed.
        bool has_output = true;
        for (const PipelineJob& job : pipeline.jobs) {
          const bool last = std::none_of(pipeline.jobs.begin(), pipeline.jobs.end(), [&](const PipelineJob& other) {
            return std::find(other.after.begin(), other.after.end(), job.name) != other.after.end();
          });
          if (!last) continue;
          for (const std::string& scope : job.writes) {
            TRY_LET(const tree::Totals totals,
                    world_.doors.engine.totals(ctx, repo, at.commit, with_run_key(scope, key)));
            has_output = has_output && totals.count > 0;
          }
        }
        if (has_output) continue;
      }
      TRY_LET(const Json missing, waiting_for(ctx, where, key));
      if (known && known->json["state"].as_string() == "landed" && missing.size() == 0) {
        // Landed already: again only if what it read is different now.
        TRY_LET(const Json now, read_set(ctx, where, at.commit, key));
        if (now == known->json["read_set"]) continue;
      }
      const int64_t generation =
          !known ? 1 : known->json["generation"].as_int() + (known->json["state"].as_string() == "landed" ? 1 : 0);
      Json run = fresh(where, key, generation);
      if (missing.size() > 0) run.set("state", "waiting").set("waiting_for", missing);
      kv::Batch batch;
      put_if(batch, keys::run(repository, pipeline.name, key), run, known ? known->version : 0);
      world_.add_event(batch, missing.size() > 0 ? "mesh.run.waiting" : "mesh.run.ready", repository,
                       Json::object({{"pipeline", pipeline.name}, {"run", key}, {"waiting_for", missing}}));
      TRY(world_.doors.kv.apply(ctx, batch));
    }
  }
  return {};
}

Result<Json> Runs::start(const Context& ctx, const Actor& actor, const std::string& repository,
                         const std::string& pipeline, const std::string& key) {
  TRY(world_.need_owner(ctx, actor, repository));
  if (key.empty() || key.size() > 64 || key.find('/') != std::string::npos)
    return Error(Code::kInvalid, "key", "a run key is 1 to 64 bytes without '/'");
  TRY_LET(const Place where, place(ctx, repository, pipeline));
  const std::string record_key = keys::run(repository, pipeline, key);
  TRY_LET(const auto known, world_.records.find(ctx, record_key));
  if (known && known->json["state"].as_string() != "waiting") return known->json;
  Json run = fresh(where, key, 1);
  kv::Batch batch;
  put_if(batch, record_key, run, known ? known->version : 0);
  TRY(world_.doors.kv.apply(ctx, batch));
  return run;
}

Result<Json> Runs::list(const Context& ctx, const std::string& repository, const std::string& pipeline,
                        std::string_view state) {
  TRY_LET(const auto all, world_.records.list(ctx, keys::runs(repository, pipeline)));
  Json list = Json::array();
  std::optional<Place> where;
  for (const auto& [key, record] : all) {
    if (!state.empty() && record.json["state"].as_string() != state) continue;
    Json run = record.json;
    if (run["state"].as_string() == "waiting") {  // the reason may be newer than the record
      if (!where) {
        TRY_LET(where, place(ctx, repository, pipeline));
      }
      TRY_LET(const Json missing, waiting_for(ctx, *where, key));
      run.set("waiting_for", missing);
    }
    list.push(std::move(run));
  }
  return list;
}

Result<Json> Runs::get(const Context& ctx, const std::string& repository, const std::string& pipeline,
                       const std::string& key) {
  TRY_LET(Record record, world_.records.get(ctx, keys::run(repository, pipeline, key), "run", key));
  if (record.json["state"].as_string() == "waiting") {
    TRY_LET(const Place where, place(ctx, repository, pipeline));
    TRY_LET(const Json missing, waiting_for(ctx, where, key));
    record.json.set("waiting_for", missing);
  }
  return std::move(record.json);
}

Result<Json> Runs::wait(const Context& ctx, const std::string& repository, const std::string& pipeline,
                        const std::string& key, const std::vector<std::string>& states, int64_t timeout_ms) {
  const base::SteadyMs until = world_.doors.clock.steady_ms() + timeout_ms;
  while (true) {
    auto run = get(ctx, repository, pipeline, key);
    if (run && std::find(states.begin(), states.end(), (*run)["state"].as_string()) != states.end()) return run;
    if (!run && run.error().code() != Code::kNotFound) return run;
    if (world_.doors.clock.steady_ms() >= until) return run;
    TRY(ctx.check(world_.doors.clock));
    world_.doors.clock.sleep_ms(10);
  }
}

Result<Json> Runs::read_set(const Context& ctx, const Place& where, const versioning::Commit& at,
                            const std::string& key) {
  std::set<std::string> scopes;
  for (const PipelineJob& job : where.pipeline->jobs)
    for (const std::string& read : job.reads) {
      const std::string scope = with_run_key(read, key);
      bool own = false;
      for (const PipelineJob& other : where.pipeline->jobs)
        for (const std::string& write : other.writes) own = own || has_prefix(scope, with_run_key(write, key));
      if (!own) scopes.insert(scope);
    }
  Json set = Json::object();
  for (const std::string& scope : scopes) {
    TRY_LET(const std::string digest, world_.doors.engine.scope_digest(ctx, where.repository, at, scope));
    set.set(scope, digest);
  }
  return set;
}

Result<void> Runs::ensure_branch(const Context& ctx, const Place& where, Json& run) {
  if (!run["branch"].as_string().empty()) return {};
  const std::string key = run["key"].as_string();
  const std::string branch =
      fmt::format("dag--{}--{}{}", where.pipeline->name, slug(key), generation_suffix(run["generation"].as_int()));
  auto& engine = world_.doors.engine;
  auto made = engine.create_branch(ctx, where.repository, branch, where.trunk.id.hex(), true);
  if (!made && made.error().code() == Code::kAlreadyExists) made = engine.get_branch(ctx, where.repository, branch);
  if (!made) return made.error();
  TRY_LET(const versioning::Commit fork, engine.get_commit(ctx, where.repository, made->head));
  TRY_LET(Json set, read_set(ctx, where, fork, key));
  run.set("branch", branch).set("fork", fork.id.hex()).set("read_set", std::move(set)).set("state", "running");
  run.set("started_at", base::rfc3339(world_.doors.clock.wall_ms()));
  return {};
}

Result<Json> Runs::begin(const Context& ctx, const Actor& actor, const std::string& repository,
                         const std::string& pipeline, const std::string& key, const std::string& job_name) {
  return over_races([&] { return begin_once(ctx, actor, repository, pipeline, key, job_name); });
}

Result<Json> Runs::begin_once(const Context& ctx, const Actor& actor, const std::string& repository,
                              const std::string& pipeline, const std::string& key, const std::string& job_name) {
  TRY(world_.need_owner(ctx, actor, repository));
  TRY_LET(const Place where, place(ctx, repository, pipeline));
  const PipelineJob* job = where.pipeline->find(job_name);
  if (!job) return Error(Code::kNotFound, "job", fmt::format("pipeline '{}' has no job '{}'", pipeline, job_name));
  const std::string record_key = keys::run(repository, pipeline, key);
  const NamedLocks::Held line(world_.branch_locks, record_key);
  TRY_LET(Record record, world_.records.get(ctx, record_key, "run", key));
  Json& run = record.json;
  const std::string state = run["state"].as_string();
  Json entry = run["jobs"][job_name];
  const std::string job_state = entry["state"].as_string();
  // An attempt that fell silent is followed by the next one without more ado, unless another job has failed, too.
  bool after_silence = state == "stopped" && job_state == "failed" && entry["lapsed"].as_bool();
  for (const auto& [name, other] : run["jobs"].members())
    after_silence = after_silence && (name == job_name || other["state"].as_string() != "failed");
  if (state != "ready" && state != "running" && !after_silence)
    return Error(Code::kConflict, "run", fmt::format("run {} is {}: it takes no new attempt", key, state));
  if (job_state != "runnable" && job_state != "running" && !after_silence)
    return Error(Code::kConflict, "job", fmt::format("job '{}' of run {} is {}", job_name, key, job_state));
  TRY(ensure_branch(ctx, where, run));
  auto& engine = world_.doors.engine;
  TRY_LET(const versioning::Branch dag, engine.get_branch(ctx, where.repository, run["branch"].as_string()));

  kv::Batch batch;
  const int64_t number = entry["attempt"].as_int() + 1;
  const std::string branch = job_branch(pipeline, key, job_name, number, run["generation"].as_int());
  const std::string attempt_id = base::uuid7(world_.doors.clock, world_.doors.random);
  auth::AttemptScope scope;
  scope.repository = repository;
  scope.branch = branch;
  scope.fence = world_.doors.random.hex(16);
  scope.expires_ms = world_.doors.clock.wall_ms() + kAttemptLifeMs;
  Json writes = Json::array(), reads = Json::array();
  for (const std::string& w : job->writes) {
    scope.write_prefixes.push_back(with_run_key(w, key));
    writes.push(with_run_key(w, key));
  }
  for (const std::string& r : job->reads) reads.push(with_run_key(r, key));
  TRY_LET(const auth::Credentials credentials, world_.doors.auth.add_temporary(batch, actor.user, scope));
  if (entry["access_key_id"].is_string()) world_.doors.auth.revoke(batch, entry["access_key_id"].as_string());
  if (entry["attempt_id"].is_string()) batch.erase(keys::beat(entry["attempt_id"].as_string()));
  entry.erase("lapsed");
  entry.erase("reason");
  run.set("state", "running");
  entry.set("state", "running").set("attempt", number).set("attempt_id", attempt_id).set("branch", branch);
  entry.set("access_key_id", credentials.access_key_id).set("fence", scope.fence).set("base", dag.head.hex());
  entry.set("began_at", base::rfc3339(world_.doors.clock.wall_ms()));
  run.set("jobs", Json(run["jobs"]).set(job_name, entry));
  put_if(batch, record_key, run, record.version);
  put(batch, keys::attempt(attempt_id),
      Json::object({{"repository", repository},
                    {"pipeline", pipeline},
                    {"run", key},
                    {"job", job_name},
                    {"number", number},
                    {"user", actor.user}}));
  world_.add_event(batch, "mesh.job.begun", repository,
                   Json::object({{"pipeline", pipeline}, {"run", key}, {"job", job_name}, {"attempt", number}}));
  TRY(engine.create_branch(ctx, where.repository, branch, dag.head.hex(), true, batch));
  return Json::object({{"attempt_id", attempt_id},
                       {"attempt", number},
                       {"repository", repository},
                       {"branch", branch},
                       {"base", dag.head.hex()},
                       {"fence", scope.fence},
                       {"access_key_id", credentials.access_key_id},
                       {"secret_access_key", credentials.secret.reveal()},
                       {"reads", reads},
                       {"writes", writes},
                       {"run_key", key}});
}

Result<Json> Runs::complete(const Context& ctx, const std::string& attempt_id, const std::string& fence) {
  return over_races([&] { return complete_once(ctx, attempt_id, fence); });
}

Result<Json> Runs::complete_once(const Context& ctx, const std::string& attempt_id, const std::string& fence) {
  TRY_LET(const Record attempt, world_.records.get(ctx, keys::attempt(attempt_id), "attempt", attempt_id));
  const Json& a = attempt.json;
  const std::string repository = a["repository"].as_string(), pipeline = a["pipeline"].as_string();
  const std::string key = a["run"].as_string(), job_name = a["job"].as_string();
  TRY_LET(const Place where, place(ctx, repository, pipeline));
  const PipelineJob* job = where.pipeline->find(job_name);
  if (!job)
    return Error(Code::kNotFound, "job", fmt::format("pipeline '{}' has no job '{}' any more", pipeline, job_name));
  const std::string record_key = keys::run(repository, pipeline, key);
  auto& engine = world_.doors.engine;
  ProposalSpec spec;
  {
    const NamedLocks::Held line(world_.branch_locks, record_key);
    TRY_LET(Record record, world_.records.get(ctx, record_key, "run", key));
    Json entry = record.json["jobs"][job_name];
    if (!is_current(entry, attempt_id, fence))
      return Error(
          Code::kConflict, "fence",
          fmt::format("attempt {} of job '{}' is not the current one any more", a["number"].as_int(), job_name));
    TRY_LET(const auto proposed, proposals_.find_by_key(ctx, repository, attempt_key(attempt_id)));
    if (entry["state"].as_string() != "running" && !proposed)
      return Error(Code::kConflict, "job", fmt::format("job '{}' is {}", job_name, entry["state"].as_string()));
    // Sealed: the attempt's key dies before its last write is counted.
    kv::Batch seal;
    world_.doors.auth.revoke(seal, entry["access_key_id"].as_string());
    seal.require_version(record_key, record.version);
    TRY(world_.doors.kv.apply(ctx, seal));
    KILL_POINT("attempt-sealed");
    versioning::CommitSpec commit;
    commit.message = fmt::format("{} {} {} (attempt {})", pipeline, key, job_name, a["number"].as_int());
    commit.committer = a["user"].as_string();
    commit.metadata = {
        {"mesh.pipeline", pipeline}, {"mesh.run", key}, {"mesh.job", job_name}, {"mesh.attempt", attempt_id}};
    TRY_LET(const bool dirty, engine.is_dirty(ctx, where.repository, entry["branch"].as_string()));
    if (dirty) TRY(engine.commit(ctx, where.repository, entry["branch"].as_string(), commit));
    spec.repository = repository;
    spec.source = entry["branch"].as_string();
    spec.destination = record.json["branch"].as_string();
    spec.title = fmt::format("Job {} of {} {}", job_name, pipeline, key);
    spec.kind = "job";
    spec.key = attempt_key(attempt_id);
    spec.proposer.actor = {a["user"].as_string(), false};
    for (const std::string& w : job->writes) spec.proposer.write_scopes.push_back(with_run_key(w, key));
    spec.context = Json::object(
        {{"run",
          Json::object(
              {{"pipeline", pipeline}, {"key", key}, {"generation", record.json["generation"]}, {"job", job_name}})}});
  }
  TRY_LET(const Json opened, proposals_.open(ctx, spec));
  TRY_LET(const Json decided, proposals_.decide(ctx, opened["id"].as_string()));
  return Json::object({{"state", decided["state"]}, {"proposal", decided}});
}

Result<Json> Runs::heartbeat(const Context& ctx, const std::string& attempt_id, const std::string& fence) {
  TRY_LET(const Record attempt, world_.records.get(ctx, keys::attempt(attempt_id), "attempt", attempt_id));
  const Json& a = attempt.json;
  TRY_LET(const Json run, get(ctx, a["repository"].as_string(), a["pipeline"].as_string(), a["run"].as_string()));
  const Json& entry = run["jobs"][a["job"].as_string()];
  if (!is_current(entry, attempt_id, fence)) return Error(Code::kConflict, "fence", gone(entry));
  if (entry["state"].as_string() == "running") {
    const base::WallMs now = world_.doors.clock.wall_ms();
    TRY_LET(const auto known, world_.records.find(ctx, keys::beat(attempt_id)));
    if (!known || now - known->json["at_ms"].as_int() >= beat_step_ms(world_.doors.options)) {
      kv::Batch batch;
      put(batch, keys::beat(attempt_id), Json(a).set("at_ms", now));
      TRY(world_.doors.kv.apply(ctx, batch));
    }
  }
  return Json::object({{"state", entry["state"]}});
}

Result<Json> Runs::fail(const Context& ctx, const std::string& attempt_id, const std::string& fence,
                        const std::string& reason) {
  TRY_LET(const Record attempt, world_.records.get(ctx, keys::attempt(attempt_id), "attempt", attempt_id));
  const Json& a = attempt.json;
  const std::string record_key =
      keys::run(a["repository"].as_string(), a["pipeline"].as_string(), a["run"].as_string());
  const NamedLocks::Held line(world_.branch_locks, record_key);
  TRY_LET(Record record, world_.records.get(ctx, record_key, "run", a["run"].as_string()));
  const std::string job_name = a["job"].as_string();
  Json entry = record.json["jobs"][job_name];
  if (!is_current(entry, attempt_id, fence)) return Error(Code::kConflict, "fence", gone(entry));
  kv::Batch batch;
  world_.doors.auth.revoke(batch, entry["access_key_id"].as_string());
  entry.set("state", "failed").set("reason", reason);
  record.json.set("jobs", Json(record.json["jobs"]).set(job_name, entry)).set("state", "stopped");
  put_if(batch, record_key, record.json, record.version);
  world_.add_event(batch, "mesh.job.failed", a["repository"].as_string(),
                   Json::object({{"run", a["run"]}, {"job", job_name}, {"reason", reason}}));
  TRY(world_.doors.kv.apply(ctx, batch));
  return record.json;
}

Result<Json> Runs::resume(const Context& ctx, const Actor& actor, const std::string& repository,
                          const std::string& pipeline, const std::string& key) {
  TRY(world_.need_owner(ctx, actor, repository));
  const std::string record_key = keys::run(repository, pipeline, key);
  const NamedLocks::Held line(world_.branch_locks, record_key);
  TRY_LET(Record record, world_.records.get(ctx, record_key, "run", key));
  if (record.json["state"].as_string() != "stopped")
    return Error(Code::kConflict, "run",
                 fmt::format("run {} is {}, not stopped", key, record.json["state"].as_string()));
  Json jobs = record.json["jobs"];
  bool failed = false;
  for (const auto& [name, job] : record.json["jobs"].members()) {
    if (job["state"].as_string() != "failed") continue;
    failed = true;
    jobs.set(name, Json(job).set("state", "runnable").set("proposal", Json()));
  }
  kv::Batch batch;
  record.json.set("jobs", jobs).set("state", failed ? "running" : "landing");
  put_if(batch, record_key, record.json, record.version);
  if (!failed)
    world_.doors.tasks.add(batch, "mesh-release",
                           Json::object({{"repository", repository}, {"pipeline", pipeline}, {"key", key}}));
  TRY(world_.doors.kv.apply(ctx, batch));
  world_.doors.tasks.wake();
  return record.json;
}

Result<tasks::Step> Runs::release(const Context& ctx, const tasks::Task& task) {
  const std::string repository = task.input["repository"].as_string(), pipeline = task.input["pipeline"].as_string();
  const std::string key = task.input["key"].as_string();
  TRY_LET(const Place where, place(ctx, repository, pipeline));
  const std::string record_key = keys::run(repository, pipeline, key);
  TRY_LET(const Record record, world_.records.get(ctx, record_key, "run", key));
  const Json& run = record.json;
  if (run["state"].as_string() != "landing") return tasks::Step{};
  ProposalSpec spec;
  spec.repository = repository;
  spec.source = run["branch"].as_string();
  spec.destination = where.repository.default_branch;
  spec.title = fmt::format("Run {} {}", pipeline, key);
  spec.kind = "release";
  spec.key = fmt::format("release/{}/{}/{}", pipeline, key, run["branch"].as_string());
  spec.proposer.actor = {task.input["user"].as_string(), false};
  for (const PipelineJob& job : where.pipeline->jobs)
    for (const std::string& w : job.writes) spec.proposer.write_scopes.push_back(with_run_key(w, key));
  spec.context =
      Json::object({{"run", Json::object({{"pipeline", pipeline}, {"key", key}, {"generation", run["generation"]}})}});
  TRY_LET(const Json opened, proposals_.open(ctx, spec));
  auto decided = proposals_.decide(ctx, opened["id"].as_string());
  if (decided || decided.error().subject() != "stale") {
    if (!decided) return decided.error();
    return tasks::Step{};
  }
  // What it read has changed on the trunk since it forked: once more, from there.
  TRY(proposals_.cancel(ctx, {"tarn", true}, opened["id"].as_string(), "superseded", decided.error().message()));
  const NamedLocks::Held line(world_.branch_locks, record_key);
  TRY_LET(const Record again, world_.records.get(ctx, record_key, "run", key));
  Json next = fresh(where, key, again.json["generation"].as_int() + 1);
  TRY_LET(const Json missing, waiting_for(ctx, where, key));
  if (missing.size() > 0) next.set("state", "waiting").set("waiting_for", missing);
  next.set("stale_generations", again.json["stale_generations"].as_int() + 1)
      .set("stale_reason", decided.error().message());
  tasks::Step step;
  put_if(step.also, record_key, next, again.version);
  retire_branches(step.also, again.json);
  world_.add_event(step.also, "mesh.run.stale", repository,
                   Json::object({{"pipeline", pipeline}, {"run", key}, {"reason", decided.error().message()}}));
  return step;
}

Result<std::vector<std::string>> Runs::reopen(const Context& ctx, const std::string& repository,
                                              const std::set<std::string>& partitions) {
  std::vector<std::string> reopened;
  TRY_LET(const versioning::Repository repo, world_.doors.engine.get_repository(ctx, repository));
  TRY_LET(const versioning::Resolved at, world_.doors.engine.resolve(ctx, repo, repo.default_branch));
  TRY_LET(const auto definitions, definitions_.read(ctx, repo, at.commit));
  for (const Pipeline& pipeline : definitions->pipelines) {
    const Place where{repo, at.commit, definitions, &pipeline};
    for (const std::string& key : partitions) {
      const NamedLocks::Held line(world_.branch_locks, keys::run(repository, pipeline.name, key));
      TRY_LET(const auto known, world_.records.find(ctx, keys::run(repository, pipeline.name, key)));
      if (!known) continue;
      TRY_LET(const Json missing, waiting_for(ctx, where, key));
      Json run = fresh(where, key, known->json["generation"].as_int() + 1);
      if (missing.size() > 0) run.set("state", "waiting").set("waiting_for", missing);
      run.set("reopened", true);
      kv::Batch batch;
      put_if(batch, keys::run(repository, pipeline.name, key), run, known->version);
      if (known->json["state"].as_string() != "landed") retire_branches(batch, known->json);
      TRY(world_.doors.kv.apply(ctx, batch));
      reopened.push_back(key);
    }
  }
  return reopened;
}

Result<void> Runs::on_landing(const Context& ctx, kv::Batch& batch, const Json& proposal,
                              const versioning::Commit& landed, const std::vector<Json>& publications) {
  const Json& about = proposal["context"]["run"];
  const std::string repository = proposal["repository"].as_string(), pipeline = about["pipeline"].as_string(),
                    key = about["key"].as_string();
  TRY_LET(const Place where, place(ctx, repository, pipeline));
  const std::string record_key = keys::run(repository, pipeline, key);
  TRY_LET(Record record, world_.records.get(ctx, record_key, "run", key));
  Json& run = record.json;
  if (run["generation"] != about["generation"]) return {};
  if (proposal["kind"].as_string() == "release") {
    if (where.pipeline->serializable && !landed.parents.empty()) {
      TRY_LET(const versioning::Commit trunk,
              world_.doors.engine.get_commit(ctx, where.repository, landed.parents.front()));
      TRY_LET(const Json now, read_set(ctx, where, trunk, key));
      if (now != run["read_set"])
        return Error(
            Code::kRefused, "stale",
            fmt::format("an input of run {} changed on '{}' while it ran", key, where.repository.default_branch));
    }
    run.set("state", "landed")
        .set("landed_commit", landed.id.hex())
        .set("landed_at", base::rfc3339(world_.doors.clock.wall_ms()));
    Json published = Json::array();
    for (const Json& p : publications)
      published.push(Json::object({{"port", p["port"]}, {"major", p["major"]}, {"number", p["number"]}}));
    run.set("publications", published);
    if (publications.size() > 0) run.set("publication", publications.front()["number"]);
    retire_branches(batch, run);
    world_.add_event(batch, "mesh.run.finished", repository, Json::object({{"pipeline", pipeline}, {"run", key}}));
  } else {
    const std::string job_name = about["job"].as_string();
    Json jobs = run["jobs"];
    Json entry = jobs[job_name];
    entry.set("state", "landed").set("proposal", proposal["id"]).set("landed_commit", landed.id.hex());
    entry.set("landed_at", base::rfc3339(world_.doors.clock.wall_ms()));
    jobs.set(job_name, entry);
    make_runnable(*where.pipeline, jobs);
    run.set("jobs", jobs);
    bool all = true;
    for (const auto& [name, job] : jobs.members()) all = all && job["state"].as_string() == "landed";
    if (all) {
      run.set("state", "landing");
      world_.doors.tasks.add(batch, "mesh-release",
                             Json::object({{"repository", repository},
                                           {"pipeline", pipeline},
                                           {"key", key},
                                           {"user", proposal["proposer"]["user"]}}),
                             0, fmt::format("release/{}/{}", repository, run["branch"].as_string()));
    }
    world_.add_event(batch, "mesh.job.passed", repository,
                     Json::object({{"pipeline", pipeline}, {"run", key}, {"job", job_name}}));
  }
  put_if(batch, record_key, run, record.version);
  return {};
}

Result<void> Runs::on_refusal(const Context& ctx, kv::Batch& batch, const Json& proposal, int64_t incident) {
  const Json& about = proposal["context"]["run"];
  const std::string record_key =
      keys::run(proposal["repository"].as_string(), about["pipeline"].as_string(), about["key"].as_string());
  TRY_LET(Record record, world_.records.get(ctx, record_key, "run", about["key"].as_string()));
  Json& run = record.json;
  if (run["generation"] != about["generation"]) return {};
  run.set("state", "stopped").set("incident", incident_name(incident));
  if (about["job"].is_string()) {
    Json entry = run["jobs"][about["job"].as_string()];
    entry.set("state", "failed").set("proposal", proposal["id"]).set("incident", incident_name(incident));
    run.set("jobs", Json(run["jobs"]).set(about["job"].as_string(), entry));
  }
  put_if(batch, record_key, run, record.version);
  world_.add_event(batch, "mesh.run.stopped", proposal["repository"].as_string(),
                   Json::object({{"run", about["key"]}, {"job", about["job"]}, {"incident", incident_name(incident)}}));
  return {};
}

}  // namespace tarn::mesh
