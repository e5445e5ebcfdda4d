#include "mesh/proposals.h"

#include <algorithm>

#include <fmt/core.h>

#include "base/ids.h"
#include "base/kill_point.h"
#include "base/log.h"

namespace tarn::mesh {
namespace {

constexpr int kHeadMovesMax = 20;

int64_t now_us() {
  const auto since_start = std::chrono::steady_clock::now().time_since_epoch();  // house: allow(time) durations only
  return std::chrono::duration_cast<std::chrono::microseconds>(since_start).count();
}

bool is_final(const std::string& state) { return state == "landed" || state == "cancelled" || state == "superseded"; }

std::string id_of_key(std::string_view repository, std::string_view key) {
  return base::sha256_hex(fmt::format("{}/{}", repository, key)).substr(0, 32);
}

Json to_json(const Proposer& p) {
  Json scopes = Json::array();
  for (const std::string& s : p.write_scopes) scopes.push(s);
  return Json::object({{"user", p.actor.user},
                       {"administrator", p.actor.administrator},
                       {"is_server", p.is_server},
                       {"reports_only", p.reports_only},
                       {"write_scopes", scopes}});
}

Proposer proposer_of(const Json& j) {
  Proposer p;
  p.actor = {j["user"].as_string(), j["administrator"].as_bool()};
  p.is_server = j["is_server"].as_bool();
  p.reports_only = j["reports_only"].as_bool();
  for (const Json& s : j["write_scopes"].items()) p.write_scopes.push_back(s.as_string());
  return p;
}

Json refusing(const Json& report) {
  Json list = Json::array();
  for (const Json& f : report["findings"].items())
    if (f["result"].as_string() == "failed" || f["result"].as_string() == "error") list.push(f);
  return list;
}

Json partitions_of(const Tested& tested) {
  Json list = Json::array();
  for (const auto& [prefix, partitions] : tested.touched)
    for (const std::string& p : partitions) list.push(Json::object({{"prefix", prefix}, {"partition", p}}));
  return list;
}

}  // namespace

Result<void> Proposals::submit(const Context&, kv::Batch& batch, const Json& proposal) {
  world_.doors.tasks.add(batch, "mesh-proposal", Json::object({{"proposal", proposal["id"]}}), 0,
                         fmt::format("proposal/{}/{}", proposal["id"].as_string(), proposal["round"].as_int()));
  return {};
}

Result<Json> Proposals::open(const Context& ctx, const ProposalSpec& spec) { return open_as(ctx, spec, std::nullopt); }

Result<Json> Proposals::open_or_join(const Context& ctx, const ProposalSpec& spec) {
  constexpr int kRacesMax = 20;
  auto& engine = world_.doors.engine;
  TRY_LET(const versioning::Repository repository, engine.get_repository(ctx, spec.repository));
  TRY_LET(const versioning::Resolved source, engine.resolve(ctx, repository, spec.source));
  const std::string index_key =
      keys::proposal_of(spec.repository, source.commit.id.hex(), spec.proposer.actor.user, spec.destination);
  static const std::set<std::string> kStands = {"opened", "checking", "failed", "landed"};
  for (int i = 0; i < kRacesMax; ++i) {
    TRY_LET(const auto index, world_.records.find(ctx, index_key));
    if (index) {
      const std::string id = index->json["proposal"].as_string();
      TRY_LET(Record known, world_.records.get(ctx, keys::proposal(id), "proposal", id));
      if (kStands.contains(known.json["state"].as_string())) return std::move(known.json);
    }
    auto opened = open_as(ctx, spec, index ? index->version : 0);
    if (opened || opened.error().code() != Code::kConflict) return opened;
  }
  return Error(Code::kBusy, "proposal", "others propose the same commit all the time: try again");
}

/// @param index_version  of the index row that must not have moved meanwhile; nullopt: whatever it says.
Result<Json> Proposals::open_as(const Context& ctx, const ProposalSpec& spec,
                                std::optional<kv::Sequence> index_version) {
  auto& engine = world_.doors.engine;
  TRY_LET(const versioning::Repository repository, engine.get_repository(ctx, spec.repository));
  TRY(engine.get_branch(ctx, repository, spec.destination));
  TRY_LET(const versioning::Resolved source, engine.resolve(ctx, repository, spec.source));
  const std::string id =
      spec.key.empty() ? base::uuid7(world_.doors.clock, world_.doors.random) : id_of_key(spec.repository, spec.key);
  if (!spec.key.empty()) {
    TRY_LET(const auto known, world_.records.find(ctx, keys::proposal(id)));
    if (known) return known->json;
  }
  TRY_LET(const base::WallMs now, world_.now(ctx));
  const Json proposal = Json::object(
      {{"id", id},
       {"repository", spec.repository},
       {"source", spec.source},
       {"source_commit", source.commit.id.hex()},
       {"destination", spec.destination},
       {"title", spec.title.empty() ? fmt::format("Merge '{}' into '{}'", spec.source, spec.destination) : spec.title},
       {"kind", spec.kind},
       {"direct", spec.direct},
       {"proposer", to_json(spec.proposer)},
       {"context", spec.context},
       {"state", "opened"},
       {"round", 1},
       {"business_time", base::rfc3339(now)},
       {"opened_at", base::rfc3339(world_.doors.clock.wall_ms())}});
  kv::Batch batch;
  put_if(batch, keys::proposal(id), proposal, 0);
  if (spec.kind == "merge") {
    const Json index = Json::object({{"proposal", id}});
    const std::string index_key =
        keys::proposal_of(spec.repository, source.commit.id.hex(), spec.proposer.actor.user, spec.destination);
    if (index_version)
      put_if(batch, index_key, index, *index_version);
    else
      put(batch, index_key, index);
  }
  TRY(submit(ctx, batch, proposal));
  const auto applied = world_.doors.kv.apply(ctx, batch);
  if (!applied) {
    if (applied.error().code() == Code::kConflict && !spec.key.empty()) return get(ctx, id);
    return applied.error();
  }
  world_.doors.tasks.wake();
  return proposal;
}

Result<std::optional<Json>> Proposals::find_by_key(const Context& ctx, std::string_view repository,
                                                   std::string_view key) {
  TRY_LET(auto known, world_.records.find(ctx, keys::proposal(id_of_key(repository, key))));
  if (!known) return std::optional<Json>();
  return std::optional<Json>(std::move(known->json));
}

Result<Json> Proposals::get(const Context& ctx, std::string_view id) {
  TRY_LET(Record record, world_.records.get(ctx, keys::proposal(id), "proposal", id));
  if (const std::string digest = record.json["report_digest"].as_string(); !digest.empty()) {
    TRY_LET(const auto report, world_.records.find(ctx, keys::report(digest)));
    if (report) record.json.set("report", report->json);
  }
  return std::move(record.json);
}

Result<Json> Proposals::list(const Context& ctx, std::string_view repository, std::string_view state) {
  TRY_LET(const auto all, world_.records.list(ctx, keys::kProposals));
  Json list = Json::array();
  for (const auto& [id, record] : all)
    if ((repository.empty() || record.json["repository"].as_string() == repository) &&
        (state.empty() || record.json["state"].as_string() == state))
      list.push(record.json);
  return list;
}

Result<Json> Proposals::wait(const Context& ctx, std::string_view id, int64_t timeout_ms) {
  TRY_LET(const Json proposal, get(ctx, id));
  const std::string state = proposal["state"].as_string();
  if (state == "opened" || state == "checking") {
    const auto task =
        world_.doors.tasks.wait(ctx, fmt::format("proposal/{}/{}", id, proposal["round"].as_int()), timeout_ms);
    if (!task && task.error().code() != Code::kDeadline) return task.error();
  }
  return get(ctx, id);
}

Result<Json> Proposals::retry(const Context& ctx, const Actor& actor, std::string_view id) {
  TRY_LET(Record record, world_.records.get(ctx, keys::proposal(id), "proposal", id));
  Json& proposal = record.json;
  TRY(world_.need_owner(ctx, actor, proposal["repository"].as_string()));
  const std::string state = proposal["state"].as_string();
  if (is_final(state)) return Error(Code::kConflict, "proposal", fmt::format("proposal {} is {} already", id, state));
  if (state == "opened" || state == "checking") return get(ctx, id);
  // A run that is over may have lost its branch.
  TRY_LET(const versioning::Repository repository,
          world_.doors.engine.get_repository(ctx, proposal["repository"].as_string()));
  TRY(world_.doors.engine.get_branch(ctx, repository, proposal["destination"].as_string()));
  proposal.set("state", "opened").set("round", proposal["round"].as_int() + 1);
  kv::Batch batch;
  put_if(batch, keys::proposal(id), proposal, record.version);
  TRY(submit(ctx, batch, proposal));
  TRY(world_.doors.kv.apply(ctx, batch));
  world_.doors.tasks.wake();
  return proposal;
}

Result<Json> Proposals::waive(const Context& ctx, const Actor& actor, std::string_view id, const Json& body) {
  TRY_LET(const Json proposal, get(ctx, id));
  const std::string repository = proposal["repository"].as_string();
  TRY(world_.need_owner(ctx, actor, repository));
  TRY_LET(const std::string owner, body.need_string("owner"));
  TRY_LET(const std::string reason, body.need_string("reason"));
  TRY_LET(const std::string expires_text, body.need_string("expires"));
  const auto expires = base::parse_rfc3339(expires_text);
  if (reason.empty() || owner.empty())
    return Error(Code::kInvalid, "waiver", "a waiver needs a named owner and a reason");
  if (!expires) return Error(Code::kInvalid, "waiver", "expires must be a time like 2014-01-31T00:00:00Z");
  TRY_LET(const base::WallMs now, world_.now(ctx));
  if (*expires <= now) return Error(Code::kInvalid, "waiver", "expires lies in the past of the mesh's clock");
  if (proposal["state"].as_string() != "failed")
    return Error(Code::kConflict, "proposal", "only a refused proposal has something to waive");
  std::set<std::string> wanted;
  for (const Json& check : body["checks"].items()) wanted.insert(check.as_string());
  if (wanted.empty()) return Error(Code::kInvalid, "waiver", "checks must name at least one refused check");
  kv::Batch batch;
  Json waivers = Json::array();
  std::set<std::string> found;
  for (const Json& f : proposal["report"]["findings"].items()) {
    if (f["result"].as_string() != "failed" || !wanted.contains(f["check"].as_string())) continue;
    found.insert(f["check"].as_string());
    if (f["scope_digest"].as_string().empty())
      return Error(Code::kInvalid, "waiver",
                   fmt::format("'{}' is a rule of the mesh and cannot be waived", f["check"].as_string()));
    const std::string waiver_id = base::uuid7(world_.doors.clock, world_.doors.random);
    Json waiver = Json::object({{"id", waiver_id},
                                {"repository", repository},
                                {"proposal", id},
                                {"contract", f["contract"]},
                                {"check", f["check"]},
                                {"scope", f["scope"]},
                                {"scope_digest", f["scope_digest"]},
                                {"observed", f["observed_text"]},
                                {"owner", owner},
                                {"reason", reason},
                                {"expires", base::rfc3339(*expires)},
                                {"expires_ms", *expires},
                                {"recorded_by", actor.user},
                                {"recorded_at", base::rfc3339(now)}});
    put(batch, keys::waivers(repository) + waiver_id, waiver);
    waivers.push(std::move(waiver));
  }
  for (const std::string& check : wanted)
    if (!found.contains(check))
      return Error(Code::kInvalid, "waiver", fmt::format("'{}' is no refused check of this proposal", check));
  TRY(world_.doors.kv.apply(ctx, batch));
  return Json::object({{"waivers", waivers}});
}

Result<Json> Proposals::cancel(const Context& ctx, const Actor& actor, std::string_view id, std::string_view state,
                               std::string_view reason) {
  TRY_LET(Record record, world_.records.get(ctx, keys::proposal(id), "proposal", id));
  TRY(world_.need_owner(ctx, actor, record.json["repository"].as_string()));
  if (is_final(record.json["state"].as_string()))
    return Error(Code::kConflict, "proposal",
                 fmt::format("proposal {} is {} already", id, record.json["state"].as_string()));
  kv::Batch batch;
  record.json.set("state", state).set("reason", reason);
  put_if(batch, keys::proposal(id), record.json, record.version);
  if (record.json["incident"].is_int()) TRY(incidents_.resolve(ctx, batch, record.json["incident"].as_int(), reason));
  TRY(world_.doors.kv.apply(ctx, batch));
  world_.doors.tasks.wake();
  return get(ctx, id);
}

Result<Json> Proposals::gate_record(const Context& ctx, std::string_view repository, std::string_view commit) {
  TRY_LET(Record record, world_.records.get(ctx, keys::gate_record(repository, commit), "gate record", commit));
  return std::move(record.json);
}

Result<tasks::Step> Proposals::conduct(const Context& ctx, const tasks::Task& task) {
  TRY(decide(ctx, task.input["proposal"].as_string()));
  return tasks::Step{};
}

Result<Json> Proposals::decide(const Context& ctx, const std::string& id) {
  TRY_LET(const Json proposal, get(ctx, id));
  const NamedLocks::Held line(world_.branch_locks,
                              proposal["repository"].as_string() + "/" + proposal["destination"].as_string());
  for (int moves = 0; moves < kHeadMovesMax; ++moves) {
    TRY_LET(const Outcome outcome, attempt(ctx, id));
    if (outcome == Outcome::kDecided) {
      world_.doors.tasks.wake();
      return get(ctx, id);
    }
  }
  return Error(Code::kBusy, "branch", "the branch moves faster than the proposal can be tested");
}

/// Reads the heads and makes M. nullopt: decided without any test (conflict, nothing to land); `decided` says how.
Result<std::optional<Proposals::Prepared>> Proposals::prepare(const Context& ctx,
                                                              const versioning::Repository& repository, Json& proposal,
                                                              kv::Batch& decided) {
  auto& engine = world_.doors.engine;
  const std::string destination = proposal["destination"].as_string();
  const auto source = versioning::CommitId::from_hex(proposal["source_commit"].as_string());
  ENSURE(source.has_value());
  TRY_LET(const versioning::Branch branch, engine.get_branch(ctx, repository, destination));
  TRY_LET(const versioning::Commit head, engine.get_commit(ctx, repository, branch.head));
  TRY_LET(const versioning::Commit source_commit, engine.get_commit(ctx, repository, *source));
  Prepared prepared;
  prepared.head = head;
  if (proposal["direct"].as_bool() && source_commit.parents.size() == 1 && source_commit.parents.front() == head.id) {
    prepared.candidate.kind = versioning::LandingKind::kMesh;
    prepared.candidate.branch = destination;
    prepared.candidate.base_head = head.id;
    prepared.candidate.commit = source_commit;
    prepared.candidate.requires_clean = true;
    TRY_LET(prepared.changes, engine.changes(ctx, repository, head, repository, source_commit, ""));
    return std::optional<Prepared>(std::move(prepared));
  }
  versioning::MergeSpec spec;
  spec.commit.message = proposal["title"].as_string();
  spec.commit.committer = proposal["proposer"]["user"].as_string();
  spec.commit.metadata = {{"mesh.proposal", proposal["id"].as_string()}, {"mesh.kind", proposal["kind"].as_string()}};
  TRY_LET(versioning::PreparedMerge merge, engine.prepare_merge(ctx, repository, source->hex(), destination, spec));
  if (!merge.conflicts.empty()) {
    Json paths = Json::array();
    for (const tree::Conflict& c : merge.conflicts)
      if (paths.size() < 100) paths.push(c.key);
    proposal.set("state", "conflict").set("conflicts", paths).set("conflict_count", merge.conflicts.size());
    world_.add_event(decided, "mesh.proposal.conflict", repository.name,
                     Json::object({{"proposal", proposal["id"]}, {"paths", paths}}));
    return std::optional<Prepared>();
  }
  if (merge.nothing_to_merge || !merge.candidate) {
    proposal.set("state", "landed").set("landed_commit", branch.head.hex()).set("nothing_to_land", true);
    const auto participant = participants_.find(proposal["kind"].as_string());
    if (participant != participants_.end()) TRY(participant->second->on_landing(ctx, decided, proposal, head, {}));
    return std::optional<Prepared>();
  }
  prepared.candidate = std::move(*merge.candidate);
  prepared.candidate.kind = versioning::LandingKind::kMesh;
  prepared.changes = std::move(merge.changes);
  if (merge.destination != head.id) {
    TRY_LET(prepared.head, engine.get_commit(ctx, repository, merge.destination));
  }
  return std::optional<Prepared>(std::move(prepared));
}

Result<Proposals::Outcome> Proposals::attempt(const Context& ctx, const std::string& id) {
  TRY_LET(Record record, world_.records.get(ctx, keys::proposal(id), "proposal", id));
  const std::string state = record.json["state"].as_string();
  if (state != "opened" && state != "checking") return Outcome::kDecided;
  TRY_LET(const versioning::Repository repository,
          world_.doors.engine.get_repository(ctx, record.json["repository"].as_string()));
  const int64_t started = now_us();
  kv::Batch decided;
  TRY_LET(const auto prepared, prepare(ctx, repository, record.json, decided));
  if (!prepared) {
    put_if(decided, keys::proposal(id), record.json, record.version);
    const auto applied = world_.doors.kv.apply(ctx, decided);
    if (!applied && applied.error().code() == Code::kConflict) return Outcome::kAgain;
    if (!applied) return applied.error();
    return Outcome::kDecided;
  }
  const int64_t prepare_us = now_us() - started;
  KILL_POINT("proposal-prepared");
  const Proposer proposer = proposer_of(record.json["proposer"]);
  TRY_LET(Tested tested,
          checks_.test(ctx, repository, prepared->head, prepared->candidate.commit, prepared->changes, proposer));
  KILL_POINT("proposal-tested");
  if (tested.passed) return land(ctx, repository, record, *prepared, tested, prepare_us);
  const auto refused = refuse(ctx, repository, record, *prepared, tested, prepare_us);
  if (refused) return Outcome::kDecided;
  if (refused.error().code() != Code::kConflict) return refused.error();
  base::log(ctx, base::Level::kInfo, "a refusal starts again", {{"proposal", id}, {"why", refused.error().text()}});
  return Outcome::kAgain;
}

/// A landing that replaces all partitions of an open incident ends it: the right load has come.
Result<void> Proposals::end_overtaken(const Context& ctx, kv::Batch& batch, const Json& proposal,
                                      const Tested& tested) {
  TRY_LET(const auto open, incidents_.open_ones(ctx, proposal["repository"].as_string()));
  for (const Record& incident : open) {
    const Json& i = incident.json;
    const std::string other = i["proposal"].as_string();
    if (i["kind"].as_string() != "gate" || other == proposal["id"].as_string()) continue;
    if (i["branch"] != proposal["destination"]) continue;
    if (i["number"] == proposal["incident"]) continue;
    bool covered = i["partitions"].size() > 0;
    for (const Json& p : i["partitions"].items()) {
      const auto touched = tested.touched.find(p["prefix"].as_string());
      covered = covered && touched != tested.touched.end() && touched->second.contains(p["partition"].as_string());
    }
    if (!covered) continue;
    TRY(incidents_.resolve(ctx, batch, i["number"].as_int(),
                           fmt::format("overtaken by proposal {}", proposal["id"].as_string())));
    TRY_LET(auto stale, world_.records.find(ctx, keys::proposal(other)));
    if (!stale || is_final(stale->json["state"].as_string())) continue;
    stale->json.set("state", "superseded").set("superseded_by", proposal["id"]);
    put_if(batch, keys::proposal(other), stale->json, stale->version);
  }
  return {};
}

Result<Proposals::Outcome> Proposals::land(const Context& ctx, const versioning::Repository& repository,
                                           const Record& record, const Prepared& prepared, const Tested& tested,
                                           int64_t prepare_us) {
  const int64_t started = now_us();
  const versioning::Commit& landed = prepared.candidate.commit;
  const std::string commit = landed.id.hex();
  Json proposal = record.json;
  const std::string id = proposal["id"].as_string();  // a copy: `proposal` changes below
  versioning::Landing landing;
  landing.candidate = prepared.candidate;
  const versioning::Pass pass{"mesh", id};
  landing.pass = &pass;
  kv::Batch& batch = landing.also;

  std::vector<Json> publications;
  const bool publishes = proposal["destination"].as_string() == repository.default_branch && tested.clean &&
                         proposal["kind"].as_string() != "rollback";
  if (publishes) {
    TRY_LET(publications, publications_.add(ctx, batch, repository, landed, prepared.changes,
                                            {id, tested.digest, proposal["context"]["run"]}));
  }
  Json published = Json::array();
  for (const Json& p : publications) {
    published.push(
        Json::object({{"port", p["port"]}, {"major", p["major"]}, {"number", p["number"]}, {"days", p["days"]}}));
  }
  Json waivers = Json::array();
  for (const Json& f : tested.report["findings"].items())
    if (f.has("waiver")) waivers.push(f["waiver"]);

  put(batch, keys::report(tested.digest), tested.report);
  const std::string chain_key =
      fmt::format("mesh/gate-head/{}/{}", repository.name, proposal["destination"].as_string());
  TRY_LET(const auto chain, world_.records.find(ctx, chain_key));
  Json gate = Json::object({{"repository", repository.name},
                            {"branch", proposal["destination"]},
                            {"commit", commit},
                            {"base", prepared.head.id.hex()},
                            {"proposal", id},
                            {"kind", proposal["kind"]},
                            {"decision", tested.clean ? "passed" : "reported"},
                            {"definitions", tested.report["definitions"]},
                            {"report", tested.digest},
                            {"waivers", waivers},
                            {"publications", published},
                            {"proposer", proposal["proposer"]["user"]},
                            {"previous", chain ? chain->json["digest"] : Json()}});
  gate.set("digest", base::sha256_hex(gate.dump()));
  put_if(batch, chain_key, Json::object({{"digest", gate["digest"]}, {"commit", commit}}), chain ? chain->version : 0);
  put_if(batch, keys::gate_record(repository.name, commit), gate, 0);

  proposal.set("state", "landed")
      .set("candidate", commit)
      .set("base_head", prepared.head.id.hex())
      .set("landed_commit", commit)
      .set("report_digest", tested.digest)
      .set("publications", published)
      .set("waivers", waivers)
      .set("changed", prepared.changes.size());
  if (proposal["incident"].is_int())
    TRY(incidents_.resolve(ctx, batch, proposal["incident"].as_int(), "the proposal landed"));
  TRY(end_overtaken(ctx, batch, proposal, tested));
  if (const auto p = participants_.find(proposal["kind"].as_string()); p != participants_.end())
    TRY(p->second->on_landing(ctx, batch, proposal, landed, publications));
  proposal.set(
      "timings",
      Json::object({{"prepare_us", prepare_us}, {"checks_us", tested.checks_us}, {"land_us", now_us() - started}}));
  put_if(batch, keys::proposal(id), proposal, record.version);
  world_.add_event(batch, "mesh.proposal.landed", repository.name,
                   Json::object({{"proposal", id}, {"commit", commit}, {"publications", published}}));
  world_.doors.tasks.add(batch, "mesh-landed",
                         Json::object({{"repository", repository.name},
                                       {"branch", proposal["destination"]},
                                       {"base", prepared.head.id.hex()},
                                       {"commit", commit},
                                       {"proposal", id},
                                       {"publications", published}}),
                         0, fmt::format("landed/{}/{}", repository.name, commit));
  KILL_POINT("proposal-landing");
  const auto moved = world_.doors.engine.land(ctx, repository, landing);
  KILL_POINT("proposal-landed");
  if (moved) {
    // The time of the landing itself is known only now; it is kept beside the record, for reports.
    kv::Batch after;
    put(after, "mesh/landing/" + id,
        Json::object({{"repository", repository.name},
                      {"branch", proposal["destination"]},
                      {"kind", proposal["kind"]},
                      {"overhead_us", prepare_us + now_us() - started},
                      {"checks_us", tested.checks_us}}));
    const auto kept = world_.doors.kv.apply(ctx, after);
    if (!kept)
      base::log(ctx, base::Level::kWarning, "the time of a landing was not kept",
                {{"proposal", id}, {"error", kept.error().text()}});
    return Outcome::kDecided;
  }
  if (moved.error().code() == Code::kConflict) {
    base::log(ctx, base::Level::kInfo, "a landing starts again", {{"proposal", id}, {"why", moved.error().text()}});
    return Outcome::kAgain;
  }
  if (moved.error().code() == Code::kUnknownOutcome) {
    TRY_LET(const auto known, world_.records.find(ctx, keys::gate_record(repository.name, commit)));
    if (known) return Outcome::kDecided;
    return Outcome::kAgain;
  }
  return moved.error();
}

Json Proposals::downstream_cost(const Context& ctx, const versioning::Repository& repository, const Prepared& prepared,
                                const Tested& tested) {
  Json costs = Json::array();
  const auto product = world_.product_of(ctx, repository.name);
  if (!product || !world_.doors.checks) return costs;
  const std::string name = product->json["domain"].as_string() + "/" + product->json["name"].as_string();
  const auto subscriptions = world_.records.list(ctx, keys::kSubscriptions);
  if (!subscriptions) return costs;
  for (const auto& [key, record] : *subscriptions) {
    const Json& s = record.json;
    if (s["product"].as_string() != name || s["state"].as_string() != "active") continue;
    const auto cost = [&]() -> Result<Json> {
      auto& engine = world_.doors.engine;
      TRY_LET(const versioning::Repository consumer, engine.get_repository(ctx, s["consumer"].as_string()));
      TRY_LET(const versioning::Resolved at, engine.resolve(ctx, consumer, consumer.default_branch));
      TRY_LET(const auto wanted, definitions_.read(ctx, consumer, at.commit));
      TRY_LET(const auto promised, definitions_.read(ctx, repository, prepared.candidate.commit));
      for (const ContractFile& expectation : wanted->expectations) {
        if (expectation.name != s["input"].as_string()) continue;
        for (const ContractFile& port : promised->contracts) {
          const auto touched = tested.touched.find(port.prefix);
          if (port.name != s["port"].as_string() || touched == tested.touched.end()) continue;
          return checks_.dry_run(ctx, repository, prepared.candidate.commit, port.prefix, touched->second, consumer,
                                 at.commit, expectation);
        }
      }
      return Json();
    }();
    if (cost && cost->is_null()) continue;
    Json entry = Json::object({{"consumer", s["consumer"]}, {"input", s["input"]}});
    if (cost)
      entry.set("findings", (*cost)["findings"]);
    else
      entry.set("error", cost.error().message());
    costs.push(std::move(entry));
  }
  return costs;
}

Result<void> Proposals::refuse(const Context& ctx, const versioning::Repository& repository, const Record& record,
                               const Prepared& prepared, const Tested& tested, int64_t prepare_us) {
  Json proposal = record.json;
  const std::string id = proposal["id"].as_string();
  kv::Batch batch;
  put(batch, keys::report(tested.digest), tested.report);
  IncidentFacts facts;
  facts.kind = "gate";
  facts.repository = repository.name;
  facts.branch = proposal["destination"].as_string();
  facts.proposal = id;
  facts.title = fmt::format("{}: refused", proposal["title"].as_string());
  facts.candidate = prepared.candidate.commit.id.hex();
  facts.base = prepared.head.id.hex();
  facts.report = tested.digest;
  facts.checks = refusing(tested.report);
  facts.partitions = partitions_of(tested);
  facts.run = proposal["context"]["run"];
  facts.downstream = downstream_cost(ctx, repository, prepared, tested);
  // Two teams that merge the same commit make one incident; other kinds may get a new commit when they try again.
  facts.dedup = fmt::format("{}|{}|{}", repository.name, proposal["destination"].as_string(),
                            proposal["kind"].as_string() == "merge" ? proposal["source_commit"].as_string() : id);
  TRY_LET(const int64_t incident, incidents_.open(ctx, batch, &repository, facts));
  proposal.set("state", "failed")
      .set("candidate", facts.candidate)
      .set("base_head", facts.base)
      .set("report_digest", tested.digest)
      .set("incident", incident)
      .set("timings", Json::object({{"prepare_us", prepare_us}, {"checks_us", tested.checks_us}}));
  put_if(batch, keys::proposal(id), proposal, record.version);
  if (const auto p = participants_.find(proposal["kind"].as_string()); p != participants_.end())
    TRY(p->second->on_refusal(ctx, batch, proposal, incident));
  world_.add_event(batch, "mesh.proposal.failed", repository.name,
                   Json::object({{"proposal", id}, {"incident", incident_name(incident)}}));
  KILL_POINT("proposal-refusing");
  TRY(world_.doors.kv.apply(ctx, batch));
  return {};
}

}  // namespace tarn::mesh
