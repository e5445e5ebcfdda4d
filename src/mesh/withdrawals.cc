#include "mesh/withdrawals.h"

#include <algorithm>
#include <map>

#include <fmt/core.h>

namespace tarn::mesh {

Result<Json> Withdrawals::add_mark(const Context& ctx, kv::Batch& batch, const Json& which, const std::string& reason,
                                   const std::string& by) {
  const std::string repository = which["repository"].as_string(), port = which["port"].as_string();
  const int64_t major = which["major"].as_int(), number = which["number"].as_int();
  const std::string key = keys::publication(repository, port, major, number);
  TRY_LET(Record record,
          world_.records.get(ctx, key, "publication", fmt::format("{}:{}@{} v{}", repository, port, major, number)));
  if (!record.json["withdrawn"].is_null()) return std::move(record.json);
  TRY_LET(const base::WallMs now, world_.now(ctx));
  record.json.set("withdrawn", Json::object({{"reason", reason}, {"by", by}, {"at", base::rfc3339(now)}}));
  put_if(batch, key, record.json, record.version);
  world_.add_event(batch, "mesh.publication.withdrawn", repository,
                   Json::object({{"port", port}, {"major", major}, {"number", number}, {"reason", reason}}));
  return std::move(record.json);
}

Result<Json> Withdrawals::withdraw(const Context& ctx, const Actor& actor, const std::string& repository,
                                   const std::string& port, int64_t major, int64_t number, const Json& body) {
  TRY(world_.need_owner(ctx, actor, repository));
  TRY_LET(const std::string reason, body.need_string("reason"));
  if (reason.empty()) return Error(Code::kInvalid, "reason", "a withdrawal needs a reason");
  TRY_LET(const auto latest, publications_.latest(ctx, repository, port, major));
  TRY_LET(const Json target, publications_.get(ctx, repository, port, major, number));
  if (target["withdrawn"].is_null() && latest && (*latest)["number"].as_int() != number)
    return Error(Code::kConflict, "publication",
                 fmt::format("v{} is not the latest publication that stands: withdraw v{} first", number,
                             (*latest)["number"].as_int()));
  kv::Batch marked;
  TRY_LET(const Json publication, add_mark(ctx, marked, target, reason, actor.user));
  if (!marked.empty()) TRY(world_.doors.kv.apply(ctx, marked));
  Json consumers = Json::array();
  TRY_LET(const auto subscriptions, world_.records.list(ctx, keys::kSubscriptions));
  for (const auto& [key, s] : subscriptions) {
    if (s.json["producer"].as_string() != repository || s.json["port"].as_string() != port ||
        s.json["major"].as_int() != major)
      continue;
    TRY_LET(Json rolled, roll_back(ctx, s.json, publication, reason));
    if (!rolled.is_null()) consumers.push(std::move(rolled));
  }
  world_.doors.tasks.wake();
  return Json::object({{"publication", publication}, {"consumers", consumers}});
}

Result<void> Withdrawals::take_back(const Context& ctx, kv::Batch& batch, const Json& about) {
  const std::string key = keys::subscription(about["consumer"].as_string(), about["input"].as_string());
  TRY_LET(auto record, world_.records.find(ctx, key));
  if (!record) return {};
  Json& s = record->json;
  if (s["cursor_commit"] != about["commit"]) return {};  // it holds something else by now
  // The cursor stays: what is withdrawn is skipped. What comes next is the difference to what is held again.
  s.set("cursor_commit", about["base_commit"]);
  if (about["pinned"].as_bool()) {
    // The pin is the newest publication that stands, as the lock says again.
    TRY_LET(const auto standing,
            publications_.latest(ctx, s["producer"].as_string(), s["port"].as_string(), s["major"].as_int()));
    s.set("pin", standing ? Json::object({{"number", (*standing)["number"]},
                                          {"major", (*standing)["major"]},
                                          {"commit", (*standing)["commit"]},
                                          {"scope_digest", (*standing)["scope_digest"]},
                                          {"contract", (*standing)["contract"]},
                                          {"report", (*standing)["report"]}})
                          : Json());
  }
  put_if(batch, key, s, record->version);
  return {};
}

Result<void> Withdrawals::on_landing(const Context& ctx, kv::Batch& batch, const Json& proposal,
                                     const versioning::Commit&, const std::vector<Json>&) {
  const Json& about = proposal["context"];
  if (!about.has("consumer")) return {};
  for (const Json& made : about["derived"].items())
    TRY(add_mark(ctx, batch, made, about["reason"].as_string(), "tarn"));
  return take_back(ctx, batch, about);
}

Result<Json> Withdrawals::roll_back(const Context& ctx, const Json& subscription, const Json& publication,
                                    const std::string& reason) {
  auto& engine = world_.doors.engine;
  const std::string consumer = subscription["consumer"].as_string(), name = subscription["input"].as_string();
  const int64_t number = publication["number"].as_int();
  // No publication comes in meanwhile: it would be laid onto data that is about to go.
  const NamedLocks::Held line(world_.branch_locks, fmt::format("onboard/{}/{}", consumer, name));
  const std::string done_key = keys::rollback(consumer, name, publication["commit"].as_string());
  TRY_LET(const auto done, world_.records.find(ctx, done_key));
  if (done) return done->json;
  TRY_LET(const versioning::Repository repository, engine.get_repository(ctx, consumer));
  TRY_LET(const versioning::Resolved at, engine.resolve(ctx, repository, repository.default_branch));
  TRY_LET(const auto definitions, definitions_.read(ctx, repository, at.commit));
  const Input* input = definitions->input(name);
  if (!input || subscription["cursor"].as_int() < number) return Json();
  if (input->on_withdraw != "rollback")
    return Json::object({{"repository", consumer}, {"input", name}, {"policy", input->on_withdraw}});

  // The onboarding that brought it: its proposal is found by its context.
  TRY_LET(const Json proposals, proposals_.list(ctx, consumer, ""));
  Json brought;
  for (const Json& p : proposals.items())
    if (p["kind"].as_string() == "onboard" && p["context"]["input"].as_string() == name &&
        p["context"]["publication"]["commit"] == publication["commit"] &&
        p["context"]["publication"]["number"].as_int() == number)
      brought = p;
  if (brought.is_null()) return Json();
  Json about = Json::object({{"consumer", consumer},
                             {"input", name},
                             {"commit", publication["commit"]},
                             {"base_commit", brought["context"]["base_commit"]},
                             {"pinned", true}});
  const auto finish = [&](kv::Batch& batch, Json answer) -> Result<Json> {
    put(batch, done_key, answer);
    TRY(world_.doors.kv.apply(ctx, batch));
    return answer;
  };
  if (brought["state"].as_string() != "landed") {
    // It never reached the trunk: only the cursor goes back.
    kv::Batch batch;
    TRY(take_back(ctx, batch, about.set("pinned", false)));
    return finish(
        batch, Json::object({{"repository", consumer}, {"input", name}, {"policy", "rollback"}, {"commit", Json()}}));
  }

  TRY_LET(const versioning::Resolved landed, engine.resolve(ctx, repository, brought["landed_commit"].as_string()));
  if (landed.commit.parents.empty()) return Json();
  TRY_LET(const versioning::Commit before, engine.get_commit(ctx, repository, landed.commit.parents.front()));
  std::set<std::string> partitions;
  std::vector<std::string> scopes{"_mesh/lock/" + name + ".yaml"};
  for (const Json& p : brought["context"]["partitions"].items()) partitions.insert(p.as_string());
  if (partitions.empty()) scopes.push_back(input->path);
  for (const std::string& p : partitions) scopes.push_back(fmt::format("{}{}={}/", input->path, input->partition, p));
  // What runs derived from those partitions goes back as well, if this input triggers them.
  Json derived = Json::array();
  for (const Pipeline& pipeline : definitions->pipelines) {
    if (std::find(pipeline.on_inputs.begin(), pipeline.on_inputs.end(), name) == pipeline.on_inputs.end()) continue;
    for (const std::string& p : partitions) {
      TRY_LET(const auto run, world_.records.find(ctx, keys::run(consumer, pipeline.name, p)));
      if (!run) continue;
      for (const PipelineJob& job : pipeline.jobs)
        for (const std::string& w : job.writes) scopes.push_back(with_run_key(w, p));
      if (run->json["state"].as_string() == "landed")
        for (const Json& made : run->json["publications"].items())
          derived.push(Json(made).set("day", p).set("repository", consumer));
    }
  }
  const std::string once = fmt::format("rollback/{}/{}", name, publication["commit"].as_string());
  // Known: an earlier call came as far as opening it, and its own task may have landed it since.
  TRY_LET(auto opened, proposals_.find_by_key(ctx, consumer, once));
  about.set("derived", derived);
  about.set("reason", fmt::format("derived from {} v{}, which was withdrawn", name, number));
  if (!opened) {
    std::map<std::string, std::optional<tree::Entry>> wanted;
    for (const std::string& scope : scopes) {
      TRY_LET(const auto changes, engine.changes(ctx, repository, at.commit, repository, before, scope));
      for (const tree::Change& change : changes) wanted[change.key] = change.right;
    }
    std::vector<tree::Edit> edits;
    for (auto& [path, entry] : wanted) edits.push_back({path, std::move(entry)});
    if (edits.empty()) {
      kv::Batch batch;
      TRY(on_landing(ctx, batch, Json::object({{"context", about}}), at.commit, {}));
      if (!batch.empty()) TRY(world_.doors.kv.apply(ctx, batch));
    } else {
      versioning::CommitSpec spec;
      spec.message = fmt::format("Roll back {} to before v{}: {}", name, number, reason);
      spec.committer = "tarn";
      spec.metadata = {{"mesh.rollback", fmt::format("{} v{}", name, number)}};
      TRY_LET(const versioning::Candidate candidate, engine.prepare_edits(ctx, repository, repository.default_branch,
                                                                          edits, spec, versioning::LandingKind::kMesh));
      ProposalSpec proposal;
      proposal.repository = consumer;
      proposal.source = candidate.commit.id.hex();
      proposal.destination = repository.default_branch;
      proposal.title = spec.message;
      proposal.kind = "rollback";
      proposal.direct = true;
      proposal.key = once;
      proposal.context = about;
      proposal.proposer.actor = {"tarn", false};
      proposal.proposer.is_server = true;
      proposal.proposer.reports_only = true;
      TRY_LET(opened, proposals_.open(ctx, proposal));
    }
  }
  Json commit;
  if (opened) {
    TRY_LET(const Json decided, proposals_.decide(ctx, (*opened)["id"].as_string()));
    if (decided["state"].as_string() != "landed")
      return Error(Code::kRefused, "rollback",
                   fmt::format("the roll-back of '{}' is {}", consumer, decided["state"].as_string()));
    commit = decided["landed_commit"];
  }
  Json withdrawn = Json::array();
  const Json noted = opened ? (*opened)["context"]["derived"] : derived;
  for (const Json& made : noted.items())
    withdrawn.push(Json::object(
        {{"port", made["port"]}, {"major", made["major"]}, {"number", made["number"]}, {"day", made["day"]}}));
  TRY(runs_.reopen(ctx, consumer, partitions));
  Json days = Json::array();
  for (const std::string& p : partitions) days.push(p);
  TRY_LET(const versioning::Resolved now, engine.resolve(ctx, repository, repository.default_branch));
  Json digests = Json::object();
  for (const std::string& scope : {input->path, std::string("_mesh/lock/"), std::string("out/")}) {
    TRY_LET(const std::string was, engine.scope_digest(ctx, repository, before, scope));
    TRY_LET(const std::string is, engine.scope_digest(ctx, repository, now.commit, scope));
    digests.set(scope, Json::object({{"before", was}, {"after", is}, {"equal", was == is}}));
  }
  // Nothing landed that the exports would follow by themselves: they are told.
  kv::Batch end;
  world_.doors.tasks.add(end, "mesh-export", Json::object({{"repository", consumer}}));
  return finish(end, Json::object({{"repository", consumer},
                                   {"input", name},
                                   {"policy", "rollback"},
                                   {"commit", commit},
                                   {"days", days},
                                   {"withdrawn_publications", withdrawn},
                                   {"digests", digests}}));
}

}  // namespace tarn::mesh
