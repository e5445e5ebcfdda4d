#include "mesh/environments.h"

#include <algorithm>
#include <charconv>

#include <fmt/core.h>

namespace tarn::mesh {
namespace {

std::string branch_of(const std::string& name) { return name == "dev" ? "dev-environment" : "env--" + name; }

}  // namespace

Result<Json> Environments::create(const Context& ctx, const Actor& actor, const std::string& repository_name,
                                  const Json& body) {
  TRY(world_.need_owner(ctx, actor, repository_name));
  const std::string name = body["name"].is_string() ? body["name"].as_string() : "dev";
  TRY(versioning::check_branch_name(name));
  const std::string key = keys::environment(repository_name, name);
  TRY_LET(const auto known, world_.records.find(ctx, key));
  if (known) return known->json;
  auto& engine = world_.doors.engine;
  TRY_LET(const versioning::Repository repository, engine.get_repository(ctx, repository_name));
  const std::string branch = branch_of(name);
  TRY_LET(const versioning::Resolved trunk, engine.resolve(ctx, repository, repository.default_branch));
  TRY_LET(const base::WallMs now, world_.now(ctx));
  const Json environment = Json::object({{"name", name},
                                         {"branch", branch},
                                         {"base", trunk.commit.id.hex()},
                                         {"synced_commit", trunk.commit.id.hex()},
                                         {"synced_at_ms", world_.doors.clock.wall_ms()},
                                         {"lag_ms", 0},
                                         {"conflicts", Json::array()},
                                         {"created_at", base::rfc3339(now)},
                                         {"bytes_copied", 0}});
  kv::Batch batch;
  put_if(batch, key, environment, 0);
  TRY(engine.create_branch(ctx, repository, branch, trunk.commit.id.hex(), false, batch));
  return environment;
}

Result<Json> Environments::list(const Context& ctx, const std::string& repository_name) {
  auto& engine = world_.doors.engine;
  TRY_LET(const versioning::Repository repository, engine.get_repository(ctx, repository_name));
  TRY_LET(const versioning::Resolved trunk, engine.resolve(ctx, repository, repository.default_branch));
  TRY_LET(const auto all, world_.records.list(ctx, keys::environments(repository_name)));
  Json list = Json::array();
  for (const auto& [name, record] : all) {
    Json e = record.json;
    TRY_LET(const versioning::Resolved at, engine.resolve(ctx, repository, e["branch"].as_string()));
    TRY_LET(const auto changes, engine.changes(ctx, repository, trunk.commit, repository, at.commit, ""));
    uint64_t unique = 0;
    for (const tree::Change& c : changes)
      if (c.right) unique += c.right->size;
    TRY_LET(const tree::Totals visible, engine.totals(ctx, repository, at.commit, ""));
    e.set("head", at.commit.id.hex())
        .set("unique_bytes", unique)
        .set("objects_visible", visible.count)
        .set("trunk", trunk.commit.id.hex());
    e.set("behind", e["synced_commit"].as_string() != trunk.commit.id.hex());
    list.push(std::move(e));
  }
  return list;
}

Result<Json> Environments::sync(const Context& ctx, const std::string& repository_name, const std::string& wanted) {
  const NamedLocks::Held line(world_.branch_locks, "environment/" + repository_name);
  auto& engine = world_.doors.engine;
  TRY_LET(const auto all, world_.records.list(ctx, keys::environments(repository_name)));
  Json list = Json::array();
  if (all.empty()) return list;
  TRY_LET(const versioning::Repository repository, engine.get_repository(ctx, repository_name));
  for (const auto& [name, record] : all) {
    if (!wanted.empty() && name != wanted) continue;
    Json e = record.json;
    TRY_LET(const versioning::Resolved trunk, engine.resolve(ctx, repository, repository.default_branch));
    if (e["synced_commit"].as_string() == trunk.commit.id.hex()) {
      list.push(std::move(e));
      continue;
    }
    versioning::MergeSpec spec;
    spec.commit.committer = "tarn";
    spec.commit.message = fmt::format("Follow {}", repository.default_branch);
    const auto merged = engine.merge(ctx, repository, trunk.commit.id.hex(), e["branch"].as_string(), spec);
    if (merged && !merged->conflicts.empty()) {
      Json paths = Json::array();
      for (const tree::Conflict& c : merged->conflicts)
        if (paths.size() < 100) paths.push(c.key);
      e.set("conflicts", paths).set("state", "conflict");
    } else if (merged || merged.error().subject() == "no_changes") {
      e.set("conflicts", Json::array()).set("state", "synced").set("synced_commit", trunk.commit.id.hex());
      e.set("lag_ms", std::max<int64_t>(0, world_.doors.clock.wall_ms() - trunk.commit.date_ms))
          .set("synced_at_ms", world_.doors.clock.wall_ms());
    } else if (merged.error().subject() == "dirty") {
      e.set("state", "dirty");
    } else {
      return merged.error();
    }
    kv::Batch batch;
    put_if(batch, keys::environment(repository_name, name), e, record.version);
    world_.add_event(batch, "mesh.env.synced", repository_name,
                     Json::object({{"environment", name}, {"state", e["state"]}}));
    TRY(world_.doors.kv.apply(ctx, batch));
    list.push(std::move(e));
  }
  return list;
}

Result<Json> Environments::create_experiment(const Context& ctx, const Actor& actor, const std::string& repository_name,
                                             const Json& body) {
  TRY(world_.need_owner(ctx, actor, repository_name));
  TRY_LET(const std::string name, body.need_string("name"));
  TRY(versioning::check_branch_name(name));
  auto& engine = world_.doors.engine;
  TRY_LET(const versioning::Repository repository, engine.get_repository(ctx, repository_name));
  const std::string env = body["env"].is_string() ? body["env"].as_string() : "dev";
  std::string from = body["from"].as_string();
  if (from.empty()) {
    TRY_LET(const Record environment,
            world_.records.get(ctx, keys::environment(repository_name, env), "environment", env));
    from = environment.json["branch"].as_string();
  } else if (const size_t at = from.find("@v"); at != std::string::npos) {
    // "delays@v37": a publication's commit
    int64_t number = 0;
    const char* begin = from.data() + at + 2;
    const auto parsed = std::from_chars(begin, from.data() + from.size(), number);
    if (parsed.ec == std::errc() && parsed.ptr == from.data() + from.size()) {
      TRY_LET(const Json publication,
              publications_.get(ctx, repository_name, from.substr(0, at), body["major"].as_int(1), number));
      from = publication["commit"].as_string();
    }
  }
  TRY_LET(const versioning::Resolved start, engine.resolve(ctx, repository, from));
  const std::string branch = fmt::format("exp--{}--{}", env, name);
  const Json experiment = Json::object({{"name", name},
                                        {"env", env},
                                        {"branch", branch},
                                        {"from", from},
                                        {"start", start.commit.id.hex()},
                                        {"created_at", base::rfc3339(world_.doors.clock.wall_ms())}});
  kv::Batch batch;
  put_if(batch, keys::experiment(repository_name, name), experiment, 0);
  const auto made = engine.create_branch(ctx, repository, branch, start.commit.id.hex(), false, batch);
  if (!made && made.error().code() == Code::kConflict)
    return Error(Code::kAlreadyExists, "experiment", fmt::format("experiment '{}' exists already", name));
  if (!made) return made.error();
  return experiment;
}

Result<Json> Environments::reset_experiment(const Context& ctx, const Actor& actor, const std::string& repository_name,
                                            const std::string& name) {
  TRY(world_.need_owner(ctx, actor, repository_name));
  TRY_LET(const Record record, world_.records.get(ctx, keys::experiment(repository_name, name), "experiment", name));
  auto& engine = world_.doors.engine;
  TRY_LET(const versioning::Repository repository, engine.get_repository(ctx, repository_name));
  const std::string branch = record.json["branch"].as_string();
  TRY(engine.reset(ctx, repository, branch, "", true));
  TRY(engine.hard_reset(ctx, repository, branch, record.json["start"].as_string()));
  TRY_LET(const versioning::Resolved now, engine.resolve(ctx, repository, branch + "@"));
  TRY_LET(const versioning::Resolved start, engine.resolve(ctx, repository, record.json["start"].as_string()));
  TRY_LET(const std::string is, engine.scope_digest(ctx, repository, now.commit, ""));
  TRY_LET(const std::string was, engine.scope_digest(ctx, repository, start.commit, ""));
  return Json(record.json).set("digest", is).set("equals_start", is == was);
}

Result<Json> Environments::discard_experiment(const Context& ctx, const Actor& actor,
                                              const std::string& repository_name, const std::string& name) {
  TRY(world_.need_owner(ctx, actor, repository_name));
  TRY_LET(const Record record, world_.records.get(ctx, keys::experiment(repository_name, name), "experiment", name));
  auto& engine = world_.doors.engine;
  TRY_LET(const versioning::Repository repository, engine.get_repository(ctx, repository_name));
  kv::Batch batch;
  batch.require_version(keys::experiment(repository_name, name), record.version)
      .erase(keys::experiment(repository_name, name));
  TRY(engine.delete_branch(ctx, repository, record.json["branch"].as_string(), nullptr, batch));
  return Json::object({{"discarded", name}});
}

Result<Json> Environments::experiments(const Context& ctx, const std::string& repository) {
  TRY_LET(const auto all, world_.records.list(ctx, keys::experiments(repository)));
  Json list = Json::array();
  for (const auto& [name, e] : all) list.push(e.json);
  return list;
}

Result<Json> Environments::profile(const Context& ctx, const versioning::Repository& repository,
                                   const versioning::Commit& at, const std::string& prefix) {
  std::vector<quality::ObjectBytes> objects;
  uint64_t bytes = 0;
  TRY(world_.doors.engine.walk(
      ctx, repository, at, prefix, [&](const std::string& path, const tree::Entry& entry) -> Result<void> {
        if (path.size() < 8 || path.substr(path.size() - 8) != ".parquet") return {};
        bytes += entry.size;
        objects.push_back(
            {path, entry.etag.text() + "|" + world_.doors.catalog.physical_address(repository, entry),
             [this, ctx, repository, e = entry] { return world_.doors.catalog.read_entry(ctx, repository, e); }});
        return {};
      }));
  Json side = Json::object({{"commit", at.id.hex()}, {"objects", objects.size()}, {"bytes", bytes}});
  if (objects.empty()) return side;
  if (!world_.doors.checks)
    return Error(Code::kUnavailable, "checks", "contracts cannot be tested: " + world_.doors.checks_missing);
  TRY_LET(const quality::TableProfile table, world_.doors.checks->profile(ctx, objects));
  return side.set("profile", table.to_json());
}

Result<Json> Environments::compare(const Context& ctx, const std::string& repository_name, const std::string& left,
                                   const std::string& right, const std::string& prefix) {
  auto& engine = world_.doors.engine;
  TRY_LET(const versioning::Repository repository, engine.get_repository(ctx, repository_name));
  TRY_LET(const versioning::Resolved l, engine.resolve(ctx, repository, left));
  TRY_LET(const versioning::Resolved r, engine.resolve(ctx, repository, right));
  TRY_LET(const auto changes, engine.changes(ctx, repository, l.commit, repository, r.commit, prefix));
  int64_t added = 0, removed = 0, changed = 0;
  for (const tree::Change& c : changes)
    (c.type == tree::ChangeType::kAdded ? added : c.type == tree::ChangeType::kRemoved ? removed : changed)++;
  TRY_LET(Json left_side, profile(ctx, repository, l.commit, prefix));
  TRY_LET(Json right_side, profile(ctx, repository, r.commit, prefix));
  return Json::object({{"prefix", prefix},
                       {"left", left_side},
                       {"right", right_side},
                       {"objects", Json::object({{"added", added}, {"removed", removed}, {"changed", changed}})}});
}

}  // namespace tarn::mesh
