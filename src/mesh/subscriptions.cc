#include "mesh/subscriptions.h"

#include <algorithm>

#include <fmt/core.h>

#include "base/ids.h"
#include "base/kill_point.h"
#include "base/yaml.h"

namespace tarn::mesh {
namespace {

std::string port_text(const Json& s) {
  return fmt::format("{}:{}@{}", s["product"].as_string(), s["port"].as_string(), s["major"].as_int());
}

Json without(const Json& numbers, int64_t number) {
  Json rest = Json::array();
  for (const Json& n : numbers.items())
    if (n.as_int() != number) rest.push(n);
  return rest;
}

}  // namespace

Result<Json> Subscriptions::subscribe(const Context& ctx, const Actor& actor, const Json& body) {
  TRY_LET(const std::string consumer, body.need_string("consumer"));
  TRY_LET(const std::string name, body.need_string("input"));
  TRY(world_.need_owner(ctx, actor, consumer));
  TRY_LET(const versioning::Repository repository, world_.doors.engine.get_repository(ctx, consumer));
  TRY_LET(const versioning::Resolved at, world_.doors.engine.resolve(ctx, repository, repository.default_branch));
  TRY_LET(const auto definitions, definitions_.read(ctx, repository, at.commit));
  const Input* input = definitions->input(name);
  if (!input || input->product.empty())
    return Error(
        Code::kNotFound, "input",
        fmt::format("_mesh/inputs.yaml of '{}' has no input '{}' that comes from a product's port", consumer, name));
  const std::string key = keys::subscription(consumer, name);
  TRY_LET(const auto known, world_.records.find(ctx, key));
  if (known) return known->json;
  const size_t slash = input->product.find('/');
  TRY_LET(const Record producer,
          world_.records.get(ctx, keys::product(input->product.substr(0, slash), input->product.substr(slash + 1)),
                             "product", input->product));
  const bool granted = actor.administrator || producer.json["owner"].as_string() == actor.user;
  const Json subscription = Json::object({{"id", base::uuid7(world_.doors.clock, world_.doors.random)},
                                          {"consumer", consumer},
                                          {"input", name},
                                          {"product", input->product},
                                          {"producer", producer.json["repository"]},
                                          {"port", input->port},
                                          {"major", input->major},
                                          {"mode", input->mode},
                                          {"state", granted ? "active" : "requested"},
                                          {"requested_by", actor.user},
                                          {"cursor", 0},
                                          {"cursor_commit", ""},
                                          {"pin", Json()},
                                          {"missing", Json::array()}});
  kv::Batch batch;
  put_if(batch, key, subscription, 0);
  world_.add_event(batch, granted ? "mesh.subscription.granted" : "mesh.subscription.requested", consumer,
                   subscription);
  world_.doors.tasks.add(batch, "mesh-onboard", Json::object({{"consumer", consumer}, {"input", name}}));
  TRY(world_.doors.kv.apply(ctx, batch));
  world_.doors.tasks.wake();
  return subscription;
}

Result<Json> Subscriptions::approve(const Context& ctx, const Actor& actor, const std::string& consumer,
                                    const std::string& input) {
  TRY_LET(Record record,
          world_.records.get(ctx, keys::subscription(consumer, input), "subscription", consumer + "/" + input));
  TRY(world_.need_owner(ctx, actor, record.json["producer"].as_string()));
  record.json.set("state", "active").set("granted_by", actor.user);
  kv::Batch batch;
  put_if(batch, keys::subscription(consumer, input), record.json, record.version);
  world_.add_event(batch, "mesh.subscription.granted", consumer, record.json);
  world_.doors.tasks.add(batch, "mesh-onboard", Json::object({{"consumer", consumer}, {"input", input}}));
  TRY(world_.doors.kv.apply(ctx, batch));
  world_.doors.tasks.wake();
  return record.json;
}

Result<Json> Subscriptions::list(const Context& ctx, std::string_view consumer) {
  TRY_LET(const auto all, world_.records.list(ctx, keys::kSubscriptions));
  Json list = Json::array();
  for (const auto& [key, s] : all)
    if (consumer.empty() || s.json["consumer"].as_string() == consumer) list.push(s.json);
  return list;
}

Result<Json> Subscriptions::dry_run(const Context& ctx, const std::string& consumer, const std::string& input_name,
                                    const std::string& from) {
  auto& engine = world_.doors.engine;
  TRY_LET(const PortName port, parse_port_name(from));
  const size_t slash = port.product.find('/');
  TRY_LET(const Record producer,
          world_.records.get(ctx, keys::product(port.product.substr(0, slash), port.product.substr(slash + 1)),
                             "product", port.product));
  const std::string producer_repository = producer.json["repository"].as_string();
  TRY_LET(const auto latest, publications_.latest(ctx, producer_repository, port.port, port.major));
  if (!latest) return Error(Code::kNotFound, "publication", fmt::format("{} has published nothing yet", from));
  TRY_LET(const versioning::Repository repository, engine.get_repository(ctx, consumer));
  TRY_LET(const versioning::Resolved at, engine.resolve(ctx, repository, repository.default_branch));
  TRY_LET(const auto definitions, definitions_.read(ctx, repository, at.commit));
  TRY_LET(const versioning::Repository source, engine.get_repository(ctx, producer_repository));
  TRY_LET(const versioning::Resolved published, engine.resolve(ctx, source, (*latest)["commit"].as_string()));
  for (const ContractFile& expectation : definitions->expectations) {
    if (expectation.name != input_name) continue;
    TRY_LET(Json report, checks_.dry_run(ctx, source, published.commit, (*latest)["path"].as_string(), {}, repository,
                                         at.commit, expectation));
    return Json::object({{"consumer", consumer},
                         {"input", input_name},
                         {"from", from},
                         {"publication", (*latest)["number"]},
                         {"report", report}});
  }
  return Error(Code::kNotFound, "expectation",
               fmt::format("'{}' has no expectation for input '{}'", consumer, input_name));
}

Result<Subscriptions::Staged> Subscriptions::stage(const Context& ctx, const Json& subscription, const Input& input,
                                                   const Json& publication, const std::string& base_commit) {
  auto& engine = world_.doors.engine;
  TRY_LET(const versioning::Repository producer, engine.get_repository(ctx, subscription["producer"].as_string()));
  TRY_LET(const versioning::Repository consumer, engine.get_repository(ctx, subscription["consumer"].as_string()));
  TRY_LET(const versioning::Resolved published, engine.resolve(ctx, producer, publication["commit"].as_string()));
  const std::string prefix = publication["path"].as_string();

  std::vector<tree::Edit> edits;
  std::set<std::string> partitions;
  const auto add = [&](const std::string& path, const std::optional<tree::Entry>& entry) {
    tree::Edit edit{input.path + path.substr(prefix.size()), std::nullopt};
    if (entry) edit.entry = world_.doors.catalog.link(producer, consumer, *entry);
    if (const auto p = partition_of(edit.key, input.path, input.partition)) partitions.insert(*p);
    edits.push_back(std::move(edit));
  };
  if (base_commit.empty()) {
    TRY(engine.walk(ctx, producer, published.commit, prefix, [&](const std::string& path, const tree::Entry& entry) {
      add(path, entry);
      return Result<void>();
    }));
  } else {
    TRY_LET(const versioning::Resolved base, engine.resolve(ctx, producer, base_commit));
    TRY_LET(const auto changes, engine.changes(ctx, producer, base.commit, producer, published.commit, prefix));
    for (const tree::Change& change : changes) add(change.key, change.right);
  }
  const size_t changed = edits.size();

  const Json& pin = subscription["pin"];
  const int64_t number = publication["number"].as_int();
  const bool is_newest =
      pin.is_null() || pin["major"].as_int() != publication["major"].as_int() || pin["number"].as_int() <= number;
  const Json& newest = is_newest ? publication : pin;
  Json lock = Json::object({{"port", port_text(subscription)},
                            {"publication", newest["number"]},
                            {"commit", newest["commit"]},
                            {"scopeDigest", newest["scope_digest"]},
                            {"contract", newest["contract"]["version"]},
                            {"report", newest["report"]}});
  const Json missing = without(subscription["missing"], number);
  if (missing.size() > 0) lock.set("missing", missing);
  const std::string text = "# Written by onboarding. Says which publication the input holds at this commit.\n" +
                           base::to_yaml(Json::object({{"lock", Json::object({{input.name, lock}})}}));
  TRY_LET(tree::Entry entry, world_.doors.catalog.write_bytes(ctx, consumer, text, "application/yaml"));
  edits.push_back({"_mesh/lock/" + input.name + ".yaml", std::move(entry)});
  std::sort(edits.begin(), edits.end(), [](const tree::Edit& a, const tree::Edit& b) { return a.key < b.key; });

  // The ingest branch starts again from the trunk; proposals pin commits, so an open one keeps its own.
  const versioning::Pass pass{"mesh", "onboard/" + input.name};
  const auto branch = engine.get_branch(ctx, consumer, input.branch);
  if (!branch && branch.error().code() == Code::kNotFound)
    TRY(engine.create_branch(ctx, consumer, input.branch, consumer.default_branch));
  else if (!branch)
    return branch.error();
  else
    TRY(engine.hard_reset(ctx, consumer, input.branch, consumer.default_branch, &pass));
  versioning::CommitSpec spec;
  spec.message = fmt::format("Onboard {} v{} as {}", port_text(subscription), number, input.name);
  spec.committer = "tarn";
  spec.metadata = {{"mesh.input", input.name},
                   {"mesh.publication", fmt::format("{} v{}", port_text(subscription), number)},
                   {"mesh.producer_commit", publication["commit"].as_string()}};
  TRY_LET(const versioning::Candidate candidate,
          engine.prepare_edits(ctx, consumer, input.branch, edits, spec, versioning::LandingKind::kMesh));
  versioning::Landing landing;
  landing.candidate = candidate;
  landing.pass = &pass;
  TRY_LET(const versioning::Commit commit, engine.land(ctx, consumer, landing));
  Json days = Json::array();
  for (const std::string& p : partitions) days.push(p);
  return Staged{commit, changed, days};
}

Result<void> Subscriptions::move_cursor(const Context& ctx, const std::string& key, const Json& seen, int64_t number,
                                        const std::string& commit) {
  constexpr int kRacesMax = 20;
  for (int i = 0; i < kRacesMax; ++i) {
    TRY_LET(Record record, world_.records.get(ctx, key, "subscription", key));
    // The proposal's own decision may have written the record meanwhile; a moved line makes the cursor meaningless.
    for (const char* field : {"cursor", "cursor_commit", "port", "major", "producer"})
      if (record.json[field] != seen[field]) return {};
    kv::Batch batch;
    put_if(batch, key, record.json.set("cursor", number).set("cursor_commit", commit), record.version);
    const auto applied = world_.doors.kv.apply(ctx, batch);
    if (applied) return {};
    if (applied.error().code() != Code::kConflict) return applied.error();
  }
  return Error(Code::kBusy, "subscription", "the subscription changes all the time: try again");
}

Result<bool> Subscriptions::onboard_next(const Context& ctx, const std::string& consumer, const std::string& name,
                                         Json& proposals) {
  const std::string key = keys::subscription(consumer, name);
  TRY_LET(Record record, world_.records.get(ctx, key, "subscription", consumer + "/" + name));
  Json& subscription = record.json;
  if (subscription["state"].as_string() != "active") return false;
  auto& engine = world_.doors.engine;
  TRY_LET(const versioning::Repository repository, engine.get_repository(ctx, consumer));
  TRY_LET(const versioning::Resolved at, engine.resolve(ctx, repository, repository.default_branch));
  TRY_LET(const auto definitions, definitions_.read(ctx, repository, at.commit));
  const Input* input = definitions->input(name);
  if (!input) return false;
  if (input->on_fail == "hold" && subscription["missing"].size() > 0) return false;

  TRY_LET(const auto all, publications_.list(ctx, subscription["producer"].as_string(),
                                             subscription["port"].as_string(), subscription["major"].as_int()));
  const Json* next = nullptr;
  for (const Json& p : all) {
    if (p["number"].as_int() <= subscription["cursor"].as_int() || !p["withdrawn"].is_null()) continue;
    next = &p;
    if (input->mode == "every") break;
  }
  if (!next || input->mode == "manual" || input->mode == "pinned") return false;
  const int64_t number = (*next)["number"].as_int();
  const std::string base = subscription["cursor_commit"].as_string(), commit = (*next)["commit"].as_string();
  // The base is in the key: a line that is followed again later brings the same publication onto other data.
  const std::string once =
      fmt::format("onboard/{}/{}/{}/{}/{}", name, port_text(subscription), number, commit, base.substr(0, 16));
  // Known: an earlier call came as far as opening it. It may have landed since, then there is nothing left to stage.
  TRY_LET(auto opened, proposals_.find_by_key(ctx, consumer, once));
  if (!opened) {
    TRY_LET(const Staged staged, stage(ctx, subscription, *input, *next, base));
    ProposalSpec spec;
    spec.repository = consumer;
    spec.source = staged.commit.id.hex();
    spec.destination = repository.default_branch;
    spec.title = fmt::format("Onboard {} v{} as {}", port_text(subscription), number, name);
    spec.kind = "onboard";
    spec.key = once;
    spec.proposer.actor = {"tarn", false};
    spec.proposer.is_server = true;
    spec.context = Json::object(
        {{"input", name}, {"publication", *next}, {"base_commit", base}, {"partitions", staged.partitions}});
    TRY_LET(opened, proposals_.open(ctx, spec));
    KILL_POINT("onboard-opened");
  }
  TRY(move_cursor(ctx, key, subscription, number, commit));
  TRY_LET(const Json decided, proposals_.decide(ctx, (*opened)["id"].as_string()));
  proposals.push(Json::object({{"id", decided["id"]}, {"publication", number}, {"state", decided["state"]}}));
  return true;
}

Result<Json> Subscriptions::onboard(const Context& ctx, const std::string& consumer, const std::string& input) {
  const NamedLocks::Held line(world_.branch_locks, fmt::format("onboard/{}/{}", consumer, input));
  Json proposals = Json::array();
  while (true) {
    TRY_LET(const bool more, onboard_next(ctx, consumer, input, proposals));
    if (!more) return Json::object({{"proposals", proposals}});
  }
}

Result<tasks::Step> Subscriptions::run_task(const Context& ctx, const tasks::Task& task) {
  const auto done = onboard(ctx, task.input["consumer"].as_string(), task.input["input"].as_string());
  if (!done && done.error().code() != Code::kNotFound) return done.error();
  return tasks::Step{};
}

Result<std::string> Subscriptions::restage(const Context& ctx, const Json& proposal) {
  const std::string consumer = proposal["repository"].as_string();
  const std::string name = proposal["context"]["input"].as_string();
  const NamedLocks::Held line(world_.branch_locks, fmt::format("onboard/{}/{}", consumer, name));
  TRY_LET(const Record record,
          world_.records.get(ctx, keys::subscription(consumer, name), "subscription", consumer + "/" + name));
  auto& engine = world_.doors.engine;
  TRY_LET(const versioning::Repository repository, engine.get_repository(ctx, consumer));
  TRY_LET(const versioning::Resolved at, engine.resolve(ctx, repository, repository.default_branch));
  TRY_LET(const auto definitions, definitions_.read(ctx, repository, at.commit));
  const Input* input = definitions->input(name);
  if (!input) return Error(Code::kNotFound, "input", fmt::format("'{}' has no input '{}' any more", consumer, name));
  TRY_LET(const Staged staged, stage(ctx, record.json, *input, proposal["context"]["publication"],
                                     proposal["context"]["base_commit"].as_string()));
  return staged.commit.id.hex();
}

Result<void> Subscriptions::wake_followers(const Context& ctx, kv::Batch& batch, const std::string& producer,
                                           const std::string& cause) {
  TRY_LET(const auto all, world_.records.list(ctx, keys::kSubscriptions));
  for (const auto& [key, s] : all)
    if (s.json["producer"].as_string() == producer && s.json["state"].as_string() == "active")
      world_.doors.tasks.add(
          batch, "mesh-onboard", Json::object({{"consumer", s.json["consumer"]}, {"input", s.json["input"]}}), 0,
          fmt::format("onboard/{}/{}/{}", s.json["consumer"].as_string(), s.json["input"].as_string(), cause));
  return {};
}

Result<void> Subscriptions::sync(const Context& ctx, const std::string& consumer, kv::Batch& batch,
                                 const std::string& cause) {
  auto& engine = world_.doors.engine;
  TRY_LET(const versioning::Repository repository, engine.get_repository(ctx, consumer));
  TRY_LET(const versioning::Resolved at, engine.resolve(ctx, repository, repository.default_branch));
  TRY_LET(const auto definitions, definitions_.read(ctx, repository, at.commit));
  TRY_LET(const auto all, world_.records.list(ctx, std::string(keys::kSubscriptions) + consumer + "/"));
  for (const auto& [name, record] : all) {
    Json s = record.json;
    const Input* input = definitions->input(name);
    if (!input) {
      if (s["state"].as_string() == "ended") continue;
      s.set("state", "ended");
    } else if (s["port"].as_string() != input->port || s["major"].as_int() != input->major ||
               s["product"].as_string() != input->product) {
      const size_t slash = input->product.find('/');
      TRY_LET(const Record producer,
              world_.records.get(ctx, keys::product(input->product.substr(0, slash), input->product.substr(slash + 1)),
                                 "product", input->product));
      // Another line counts from its own first publication; the data that is held already stays the base of the diff.
      if (producer.json["repository"] != s["producer"]) s.set("cursor_commit", "");
      s.set("product", input->product)
          .set("producer", producer.json["repository"])
          .set("port", input->port)
          .set("major", input->major);
      s.set("cursor", 0).set("mode", input->mode);
    } else if (s["mode"].as_string() != input->mode) {
      s.set("mode", input->mode);
    } else {
      continue;
    }
    put_if(batch, keys::subscription(consumer, name), s, record.version);
    world_.doors.tasks.add(batch, "mesh-onboard", Json::object({{"consumer", consumer}, {"input", name}}), 0,
                           fmt::format("onboard/{}/{}/{}", consumer, name, cause));
  }
  return {};
}

Result<void> Subscriptions::on_landing(const Context& ctx, kv::Batch& batch, const Json& proposal,
                                       const versioning::Commit& landed, const std::vector<Json>&) {
  const std::string key =
      keys::subscription(proposal["repository"].as_string(), proposal["context"]["input"].as_string());
  TRY_LET(auto record, world_.records.find(ctx, key));
  if (!record) return {};
  Json& s = record->json;
  const Json& publication = proposal["context"]["publication"];
  const int64_t number = publication["number"].as_int();
  const Json& pin = s["pin"];
  if (pin.is_null() || pin["major"] != publication["major"] || pin["number"].as_int() <= number)
    s.set("pin", Json::object({{"number", number},
                               {"major", publication["major"]},
                               {"commit", publication["commit"]},
                               {"scope_digest", publication["scope_digest"]},
                               {"contract", publication["contract"]},
                               {"report", publication["report"]},
                               {"landed_commit", landed.id.hex()}}));
  // What this load brings need not be missed any more, nor what a later load brought in place of a refused one.
  Json still = Json::array(), still_days = Json::object();
  for (const Json& n : s["missing"].items()) {
    const Json& days = s["missing_days"][std::to_string(n.as_int())];
    bool covered = n.as_int() == number || days.size() > 0;
    for (const Json& day : days.items()) {
      const auto& brought = proposal["context"]["partitions"].items();
      if (n.as_int() != number) covered = covered && std::find(brought.begin(), brought.end(), day) != brought.end();
    }
    if (covered) continue;
    still.push(n);
    still_days.set(std::to_string(n.as_int()), days);
  }
  s.set("missing", still).set("missing_days", still_days);
  put_if(batch, key, s, record->version);
  world_.add_event(batch, "mesh.onboard.passed", proposal["repository"].as_string(),
                   Json::object({{"input", proposal["context"]["input"]}, {"publication", number}}));
  return {};
}

Result<void> Subscriptions::on_refusal(const Context& ctx, kv::Batch& batch, const Json& proposal, int64_t incident) {
  const std::string key =
      keys::subscription(proposal["repository"].as_string(), proposal["context"]["input"].as_string());
  TRY_LET(auto record, world_.records.find(ctx, key));
  if (!record) return {};
  const Json& number = proposal["context"]["publication"]["number"];
  Json missing = without(record->json["missing"], number.as_int());
  missing.push(number);
  Json days = record->json["missing_days"];
  days.set(std::to_string(number.as_int()), proposal["context"]["partitions"]);
  record->json.set("missing", missing).set("missing_days", days);
  put_if(batch, key, record->json, record->version);
  world_.add_event(
      batch, "mesh.onboard.failed", proposal["repository"].as_string(),
      Json::object(
          {{"input", proposal["context"]["input"]}, {"publication", number}, {"incident", incident_name(incident)}}));
  return {};
}

}  // namespace tarn::mesh
