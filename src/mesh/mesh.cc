#include "mesh/mesh.h"

#include <algorithm>

#include <fmt/core.h>

#include "base/log.h"
#include "quality/contract_diff.h"

namespace tarn::mesh {

Mesh::Mesh(Doors doors) : world(doors), policy(doors.kv) {
  proposals.add_participant("onboard", &subscriptions);
  proposals.add_participant("job", &runs);
  proposals.add_participant("release", &runs);
  proposals.add_participant("rollback", &withdrawals);
  auto& tasks = doors.tasks;
  tasks.register_kind("mesh-proposal",
                      [this](const Context& c, const tasks::Task& t) { return proposals.conduct(c, t); });
  tasks.register_kind("mesh-landed", [this](const Context& c, const tasks::Task& t) { return after_landing(c, t); });
  tasks.register_kind("mesh-onboard",
                      [this](const Context& c, const tasks::Task& t) { return subscriptions.run_task(c, t); });
  tasks.register_kind("mesh-release", [this](const Context& c, const tasks::Task& t) { return runs.release(c, t); });
  tasks.register_kind("mesh-deliver", [this](const Context& c, const tasks::Task& t) { return alerts.deliver(c, t); });
  tasks.register_kind("mesh-export", [this](const Context& c, const tasks::Task& t) { return exports.run_task(c, t); });
  tasks.register_kind("mesh-monitor", [this](const Context& c, const tasks::Task& t) -> Result<tasks::Step> {
    // Neither keeps the other from its work.
    const auto silent = runs.fail_silent(c);
    auto step = monitors.run_task(c, t);
    if (!silent) return silent.error();
    return step;
  });
}

Result<void> Mesh::start(const Context& ctx) {
  TRY(world.doors.tasks.submit(ctx, "mesh-monitor", Json::object(), 0, "mesh-monitor"));
  return {};
}

Result<bool> Mesh::gates(const Context& ctx, const std::string& repository, const std::string& branch) {
  TRY_LET(const auto index, world.records.find(ctx, keys::repository(repository)));
  if (!index) return false;
  TRY_LET(const versioning::Repository r, world.doors.engine.get_repository(ctx, repository));
  return branch == r.default_branch;
}

Result<Json> Mesh::retry(const Context& ctx, const Actor& actor, const std::string& id) {
  TRY_LET(const Json proposal, proposals.get(ctx, id));
  if (proposal["kind"].as_string() == "onboard" && proposal["state"].as_string() != "landed") {
    TRY(world.need_owner(ctx, actor, proposal["repository"].as_string()));
    TRY_LET(const std::string commit, subscriptions.restage(ctx, proposal));
    TRY_LET(Record record, world.records.get(ctx, keys::proposal(id), "proposal", id));
    record.json.set("source_commit", commit);
    kv::Batch batch;
    put_if(batch, keys::proposal(id), record.json, record.version);
    TRY(world.doors.kv.apply(ctx, batch));
  }
  return proposals.retry(ctx, actor, id);
}

Result<tasks::Step> Mesh::after_landing(const Context& ctx, const tasks::Task& task) {
  const std::string repository_name = task.input["repository"].as_string(), commit = task.input["commit"].as_string();
  auto& engine = world.doors.engine;
  TRY_LET(const versioning::Repository repository, engine.get_repository(ctx, repository_name));
  if (task.input["branch"].as_string() != repository.default_branch) return tasks::Step{};
  TRY_LET(const versioning::Resolved base, engine.resolve(ctx, repository, task.input["base"].as_string()));
  TRY_LET(const versioning::Resolved landed, engine.resolve(ctx, repository, commit));
  TRY_LET(const auto changes, engine.changes(ctx, repository, base.commit, repository, landed.commit, ""));
  const bool inputs_changed =
      std::any_of(changes.begin(), changes.end(), [](const tree::Change& c) { return c.key == "_mesh/inputs.yaml"; });
  const auto apply = [&](const kv::Batch& batch) -> Result<void> {
    if (batch.empty()) return {};
    const auto applied = world.doors.kv.apply(ctx, batch);
    // A conflict means that an earlier run of this step got this far already.
    if (!applied && applied.error().code() != Code::kConflict) return applied.error();
    world.doors.tasks.wake();
    return {};
  };
  if (inputs_changed) {
    kv::Batch batch;
    TRY(subscriptions.sync(ctx, repository_name, batch, "sync-" + commit));
    TRY(apply(batch));
  }
  if (task.input["publications"].size() > 0) {
    kv::Batch batch;
    TRY(subscriptions.wake_followers(ctx, batch, repository_name, commit));
    TRY(apply(batch));
  }
  TRY(runs.trigger(ctx, repository_name, changes));
  TRY(runs.tidy(ctx, repository_name));
  TRY(environments.sync(ctx, repository_name, ""));
  if (task.input["publications"].size() > 0) {
    TRY(exports.follow(ctx, repository_name));
    TRY(monitors.evaluate(ctx));
  }
  return tasks::Step{};
}

Result<Json> Mesh::lint(const Json& body) {
  TRY_LET(const std::string text, body.need_string("contract"));
  const auto contract = quality::parse_contract(body["file"].is_string() ? body["file"].as_string() : "contract", text);
  if (!contract)
    return Json::object(
        {{"valid", false}, {"errors", Json::array({contract.error().message()})}, {"warnings", Json::array()}});
  Json warnings = Json::array();
  for (const std::string& w : contract->warnings) warnings.push(w);
  return Json::object(
      {{"valid", true}, {"errors", Json::array()}, {"warnings", warnings}, {"contract", contract->to_json()}});
}

Result<Json> Mesh::diff(const Context& ctx, const Json& body) {
  TRY_LET(const std::string old_text, body.need_string("old"));
  TRY_LET(const std::string new_text, body.need_string("new"));
  TRY_LET(const quality::Contract before, quality::parse_contract("old", old_text));
  TRY_LET(const quality::Contract after, quality::parse_contract("new", new_text));
  const auto side = body["side"].as_string() == "expectation" ? quality::Side::kExpectation : quality::Side::kPromise;
  const quality::ContractDiff diff = quality::diff_contracts(before, after, side);
  Json out = diff.to_json();
  out.set("breaking", diff.breaking());
  Json consumers = Json::array();
  if (body["product"].is_string() && body["port"].is_string()) {
    TRY_LET(const auto subscriptions_now, world.records.list(ctx, keys::kSubscriptions));
    for (const auto& [key, s] : subscriptions_now)
      if (s.json["product"] == body["product"] && s.json["port"] == body["port"] &&
          s.json["state"].as_string() != "ended")
        consumers.push(s.json["consumer"]);
  }
  return out.set("consumers", consumers);
}

Result<Json> Mesh::stats(const Context& ctx) {
  TRY_LET(const auto landings, world.records.list(ctx, "mesh/landing/"));
  Json list = Json::array();
  for (const auto& [id, landing] : landings) list.push(Json(landing.json).set("proposal", id));
  TRY_LET(const auto bytes, world.doors.catalog.stored_bytes(ctx));
  return Json::object(
      {{"landings", list}, {"stored_bytes", Json::object({{"objects", bytes.objects}, {"metadata", bytes.metadata}})}});
}

Result<Json> Mesh::events(const Context& ctx, const std::string& after, size_t amount) {
  Json list = Json::array();
  const std::string prefix(keys::kEvents);
  const auto rows = world.doors.kv.scan(ctx, prefix, after.empty() ? prefix : prefix + after + '\0');
  std::string next = after;
  while (list.size() < amount) {
    TRY_LET(const auto row, rows->next());
    if (!row) break;
    TRY_LET(Json event, kv::decode_record(row->row.value, "event"));
    next = event["id"].as_string();
    list.push(std::move(event));
  }
  return Json::object({{"events", list}, {"next", next}});
}

}  // namespace tarn::mesh
