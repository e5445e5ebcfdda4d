#include "mesh/publications.h"

#include <algorithm>

#include <fmt/core.h>

#include "base/yaml.h"

namespace tarn::mesh {
namespace {

bool has_prefix(std::string_view text, std::string_view prefix) { return text.substr(0, prefix.size()) == prefix; }

}  // namespace

std::string publication_tag(std::string_view port, int64_t major, int64_t number) {
  return fmt::format("pub--{}.{}--v{:06}", port, major, number);
}

Result<Json> Publications::locks(const Context& ctx, const versioning::Repository& repository,
                                 const versioning::Commit& at) {
  Json locks = Json::object();
  std::vector<std::pair<std::string, tree::Entry>> files;
  static constexpr std::string_view kFolder = "_mesh/lock/";
  TRY(world_.doors.engine.walk(ctx, repository, at, kFolder, [&](const std::string& path, const tree::Entry& entry) {
    files.emplace_back(path, entry);
    return Result<void>();
  }));
  for (const auto& [path, entry] : files) {
    TRY_LET(const std::string text, world_.doors.catalog.read_entry(ctx, repository, entry));
    TRY_LET(Json document, base::parse_yaml(text));
    for (const auto& [name, lock] : document["lock"].members()) locks.set(name, lock);
  }
  return locks;
}

Result<std::vector<Json>> Publications::add(const Context& ctx, kv::Batch& batch,
                                            const versioning::Repository& repository,
                                            const versioning::Commit& candidate,
                                            const std::vector<tree::Change>& changes, const LandingFacts& facts) {
  std::vector<Json> made;
  TRY_LET(const auto definitions, definitions_.read(ctx, repository, candidate));
  std::optional<Json> locks;
  for (const ContractFile& file : definitions->contracts) {
    if (file.retired || !definitions->is_port(file.name)) continue;
    const std::string head_key = keys::publication_head(repository.name, file.name, file.major);
    TRY_LET(const auto head, world_.records.find(ctx, head_key));
    const bool touched = std::any_of(changes.begin(), changes.end(),
                                     [&](const tree::Change& c) { return has_prefix(c.key, file.prefix); });
    if (head && !touched) continue;
    TRY_LET(const versioning::Repository current, world_.doors.engine.get_repository(ctx, repository.name));
    TRY_LET(const tree::Totals totals, world_.doors.engine.totals(ctx, current, candidate, file.prefix));
    if (totals.count == 0) continue;
    TRY_LET(const std::string digest, world_.doors.engine.scope_digest(ctx, current, candidate, file.prefix));
    if (head && head->json["scope_digest"].as_string() == digest) continue;

    // Which partitions it holds, and which of them are new or different.
    Json days = Json::array();
    std::set<std::string> held;
    if (!file.partition.empty()) {
      for (const std::string& p : touched_partitions(file, changes)) days.push(p);
      TRY(world_.doors.engine.walk(ctx, current, candidate, file.prefix,
                                   [&](const std::string& path, const tree::Entry&) {
                                     if (const auto p = partition_of(path, file.prefix, file.partition))
                                       held.insert(*p);
                                     return Result<void>();
                                   }));
    }
    if (!locks) {
      TRY_LET(locks, this->locks(ctx, current, candidate));
    }
    const int64_t number = head ? head->json["number"].as_int() + 1 : 1;
    TRY_LET(const base::WallMs now, world_.now(ctx));
    Json publication = Json::object(
        {{"port", file.name},
         {"major", file.major},
         {"number", number},
         {"repository", repository.name},
         {"commit", candidate.id.hex()},
         {"tag", publication_tag(file.name, file.major, number)},
         {"path", file.prefix},
         {"partition", file.partition},
         {"scope_digest", digest},
         {"objects", totals.count},
         {"bytes", totals.bytes},
         {"contract",
          Json::object(
              {{"id", file.contract.id}, {"version", file.contract.version}, {"digest", base::sha256_hex(file.text)}})},
         {"days", days},
         {"holds", held.empty()
                       ? Json()
                       : Json::object({{"first", *held.begin()}, {"last", *held.rbegin()}, {"count", held.size()}})},
         {"inputs", *locks},
         {"proposal", facts.proposal},
         {"report", facts.report},
         {"run", facts.run},
         {"business_time", base::rfc3339(now)},
         {"published_at", base::rfc3339(world_.doors.clock.wall_ms())},
         {"withdrawn", Json()}});
    put_if(batch, head_key,
           Json::object({{"number", number}, {"scope_digest", digest}, {"commit", candidate.id.hex()}}),
           head ? head->version : 0);
    const std::string key = keys::publication(repository.name, file.name, file.major, number);
    batch.require_absent(key);
    put(batch, key, publication);
    TRY(world_.doors.engine.add_tag(batch, current, publication["tag"].as_string(), candidate.id));
    world_.add_event(batch, "mesh.publication.created", repository.name,
                     Json::object({{"repository", repository.name},
                                   {"port", file.name},
                                   {"major", file.major},
                                   {"number", number},
                                   {"commit", candidate.id.hex()},
                                   {"days", days}}));
    made.push_back(std::move(publication));
  }
  return made;
}

Result<std::vector<Json>> Publications::list(const Context& ctx, std::string_view repository, std::string_view port,
                                             int64_t major) {
  TRY(world_.product_of(ctx, repository));
  TRY_LET(const auto records, world_.records.list(ctx, keys::publications(repository, port, major)));
  std::vector<Json> out;
  for (const auto& [key, record] : records) out.push_back(record.json);
  return out;
}

Result<Json> Publications::get(const Context& ctx, std::string_view repository, std::string_view port, int64_t major,
                               int64_t number) {
  TRY_LET(Record record, world_.records.get(ctx, keys::publication(repository, port, major, number), "publication",
                                            fmt::format("{}:{}@{} v{}", repository, port, major, number)));
  return std::move(record.json);
}

Result<std::optional<Json>> Publications::latest(const Context& ctx, std::string_view repository, std::string_view port,
                                                 int64_t major) {
  TRY_LET(const auto head, world_.records.find(ctx, keys::publication_head(repository, port, major)));
  if (!head) return std::optional<Json>();
  for (int64_t number = head->json["number"].as_int(); number > 0; --number) {
    TRY_LET(Json publication, get(ctx, repository, port, major, number));
    if (publication["withdrawn"].is_null()) return std::optional<Json>(std::move(publication));
  }
  return std::optional<Json>();
}

}  // namespace tarn::mesh
