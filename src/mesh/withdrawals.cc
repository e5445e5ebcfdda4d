#include "mesh/withdrawals.h"

#include <algorithm>
#include <map>

#include <fmt/core.h>

namespace tarn::mesh {

Result<Json> Withdrawals::mark(const Context& ctx, const std::string& repository, const std::string& port,
                               int64_t major, int64_t number, const std::string& reason, const std::string& by) {
  const std::string key = keys::publication(repository, port, major, number);
  TRY_LET(Record record,
          world_.records.get(ctx, key, "publication", fmt::format("{}:{}@{} v{}", repository, port, major, number)));
  if (!record.json["withdrawn"].is_null()) return record.json;
  TRY_LET(const base::WallMs now, world_.now(ctx));
  record.json.set("withdrawn", Json::object({{"reason", reason}, {"by", by}, {"at", base::rfc3339(now)}}));
  kv::Batch batch;
  put_if(batch, key, record.json, record.version);
  world_.add_event(batch, "mesh.publication.withdrawn", repository,
                   Json::object({{"port", port}, {"major", major}, {"number", number}, {"reason", reason}}));
  TRY(world_.doors.kv.apply(ctx, batch));
  return record.json;
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
  TRY_LET(const Json publication, mark(ctx, repository, port, major, number, reason, actor.user));
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

Result<Json> Withdrawals::roll_back(const Context& ctx, const Json& subscription, const Json& publication,
                                    const std::string& reason) {
  auto& engine = world_.doors.engine;
  const std::string consumer = subscription["consumer"].as_string(), name = subscription["input"].as_string();
  const int64_t number = publication["number"].as_int();
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
  const std::string key = keys::subscription(consumer, name);
  if (brought["state"].as_string() != "landed") {
    // It never reached the trunk: only the cursor goes back.
    TRY_LET(Record record, world_.records.get(ctx, key, "subscription", name));
    record.json.set("cursor", number - 1).set("cursor_commit", brought["context"]["base_commit"]);
    kv::Batch batch;
    put_if(batch, key, record.json, record.version);
    TRY(world_.doors.kv.apply(ctx, batch));
    return Json::object({{"repository", consumer}, {"input", name}, {"policy", "rollback"}, {"commit", Json()}});
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
  Json withdrawn = Json::array();
  std::vector<std::pair<std::string, Json>> derived;
  for (const Pipeline& pipeline : definitions->pipelines) {
    if (std::find(pipeline.on_inputs.begin(), pipeline.on_inputs.end(), name) == pipeline.on_inputs.end()) continue;
    for (const std::string& p : partitions) {
      TRY_LET(const auto run, world_.records.find(ctx, keys::run(consumer, pipeline.name, p)));
      if (!run) continue;
      for (const PipelineJob& job : pipeline.jobs)
        for (const std::string& w : job.writes) scopes.push_back(with_run_key(w, p));
      if (run->json["state"].as_string() == "landed")
        for (const Json& made : run->json["publications"].items()) derived.emplace_back(p, made);
    }
  }
  std::map<std::string, std::optional<tree::Entry>> wanted;
  for (const std::string& scope : scopes) {
    TRY_LET(const auto changes, engine.changes(ctx, repository, at.commit, repository, before, scope));
    for (const tree::Change& change : changes) wanted[change.key] = change.right;
  }
  std::vector<tree::Edit> edits;
  for (auto& [path, entry] : wanted) edits.push_back({path, std::move(entry)});
  Json commit;
  if (!edits.empty()) {
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
    proposal.key = fmt::format("rollback/{}/{}", name, publication["commit"].as_string());
    proposal.proposer.actor = {"tarn", false};
    proposal.proposer.is_server = true;
    proposal.proposer.reports_only = true;
    TRY_LET(const Json opened, proposals_.open(ctx, proposal));
    TRY_LET(const Json decided, proposals_.decide(ctx, opened["id"].as_string()));
    if (decided["state"].as_string() != "landed")
      return Error(Code::kRefused, "rollback",
                   fmt::format("the roll-back of '{}' is {}", consumer, decided["state"].as_string()));
    commit = decided["landed_commit"];
  }
  // The pin is the newest publication that stands, as the lock says again.
  TRY_LET(Record record, world_.records.get(ctx, key, "subscription", name));
  TRY_LET(const auto standing, publications_.latest(ctx, subscription["producer"].as_string(),
                                                    subscription["port"].as_string(), subscription["major"].as_int()));
  record.json.set("cursor", number).set("cursor_commit", brought["context"]["base_commit"]);
  record.json.set("pin", standing ? Json::object({{"number", (*standing)["number"]},
                                                  {"major", (*standing)["major"]},
                                                  {"commit", (*standing)["commit"]},
                                                  {"scope_digest", (*standing)["scope_digest"]},
                                                  {"contract", (*standing)["contract"]},
                                                  {"report", (*standing)["report"]}})
                                  : Json());
  kv::Batch batch;
  put_if(batch, key, record.json, record.version);
  TRY(world_.doors.kv.apply(ctx, batch));
  for (const auto& [day, made] : derived) {
    TRY(mark(ctx, consumer, made["port"].as_string(), made["major"].as_int(), made["number"].as_int(),
             fmt::format("derived from {} v{}, which was withdrawn", name, number), "tarn"));
    withdrawn.push(
        Json::object({{"port", made["port"]}, {"major", made["major"]}, {"number", made["number"]}, {"day", day}}));
  }
  TRY(runs_.reopen(ctx, consumer, partitions));
  // Nothing landed that the exports would follow by themselves: they are told.
  kv::Batch tell;
  world_.doors.tasks.add(tell, "mesh-export", Json::object({{"repository", consumer}}));
  TRY(world_.doors.kv.apply(ctx, tell));
  Json days = Json::array();
  for (const std::string& p : partitions) days.push(p);
  TRY_LET(const versioning::Resolved now, engine.resolve(ctx, repository, repository.default_branch));
  Json digests = Json::object();
  for (const std::string& scope : {input->path, std::string("_mesh/lock/"), std::string("out/")}) {
    TRY_LET(const std::string was, engine.scope_digest(ctx, repository, before, scope));
    TRY_LET(const std::string is, engine.scope_digest(ctx, repository, now.commit, scope));
    digests.set(scope, Json::object({{"before", was}, {"after", is}, {"equal", was == is}}));
  }
  return Json::object({{"repository", consumer},
                       {"input", name},
                       {"policy", "rollback"},
                       {"commit", commit},
                       {"days", days},
                       {"withdrawn_publications", withdrawn},
                       {"digests", digests}});
}

}  // namespace tarn::mesh
