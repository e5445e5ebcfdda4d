#include "mesh/exports.h"

#include <algorithm>
#include <filesystem>

#include <fmt/core.h>

namespace tarn::mesh {
namespace {

/// Rows of Parquet objects as CSV, by the check worker's query.
std::string csv_cell(const Json& value) {
  if (value.is_null()) return "";
  std::string text = value.is_string() ? value.as_string() : value.dump();
  if (text.find_first_of(",\"\n\r") == std::string::npos) return text;
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"') out += '"';
    out += c;
  }
  return out + "\"";
}

constexpr int64_t kCsvRowsMax = 1'000'000;

}  // namespace

Result<tasks::Step> Exports::run_task(const Context& ctx, const tasks::Task& task) {
  TRY(follow(ctx, task.input["repository"].as_string()));
  return tasks::Step{};
}

Result<void> Exports::follow(const Context& ctx, const std::string& repository_name) {
  const NamedLocks::Held line(world_.branch_locks, "export/" + repository_name);
  TRY_LET(const versioning::Repository repository, world_.doors.engine.get_repository(ctx, repository_name));
  TRY_LET(const versioning::Resolved at, world_.doors.engine.resolve(ctx, repository, repository.default_branch));
  TRY_LET(const auto definitions, definitions_.read(ctx, repository, at.commit));
  for (const auto& [name, spec] : definitions->exports.members()) TRY(bring(ctx, repository, name, spec));
  return {};
}

Result<Json> Exports::list(const Context& ctx, const std::string& repository) {
  TRY_LET(const auto all, world_.records.list(ctx, keys::exports(repository)));
  Json out = Json::object();
  for (const auto& [name, state] : all) out.set(name, state.json);
  return out;
}

Result<void> Exports::bring(const Context& ctx, const versioning::Repository& repository, const std::string& name,
                            const Json& spec) {
  const std::string port = spec["port"].as_string();
  const int64_t major = spec["major"].as_int(1);
  TRY_LET(const auto latest, publications_.latest(ctx, repository.name, port, major));
  const std::string key = keys::export_state(repository.name, name);
  TRY_LET(const auto known, world_.records.find(ctx, key));
  if (!latest) return {};
  if (known && known->json["state"].as_string() == "done" && known->json["tag"] == (*latest)["tag"]) return {};

  std::string path = spec["path"].is_string() ? spec["path"].as_string() : repository.name + "/" + name;
  while (!path.empty() && path.back() == '/') path.pop_back();
  TRY(versioning::check_path(path));
  auto& disk = world_.doors.disk;
  const std::string target = world_.doors.export_root + "/" + path;
  const std::string tag = (*latest)["tag"].as_string();
  const std::string version = target + "/versions/" + tag;
  const std::string building = target + "/.building-" + tag;
  TRY(disk.remove_all(building));
  TRY(disk.make_directories(building));
  TRY(disk.make_directories(target + "/versions"));
  TRY_LET(const versioning::Resolved at, world_.doors.engine.resolve(ctx, repository, (*latest)["commit"].as_string()));
  const std::string prefix = (*latest)["path"].as_string();

  // Files of the version that stands are linked when they are the same object.
  const std::string previous = known ? target + "/versions/" + known->json["tag"].as_string() : "";
  std::map<std::string, std::string> before;
  if (known)
    for (const Json& f : known->json["files"].items()) before[f["path"].as_string()] = f["checksum"].as_string();
  Json files = Json::array();
  int64_t copied = 0, copied_bytes = 0;
  std::vector<std::pair<std::string, tree::Entry>> objects;
  TRY(world_.doors.engine.walk(ctx, repository, at.commit, prefix,
                               [&](const std::string& p, const tree::Entry& entry) -> Result<void> {
                                 objects.emplace_back(p, entry);
                                 return {};
                               }));
  for (const auto& [object, entry] : objects) {
    const std::string relative = object.substr(prefix.size());
    const std::filesystem::path file = std::filesystem::path(building) / relative;
    TRY(disk.make_directories(file.parent_path().string()));
    bool linked = false;
    if (const auto old = before.find(relative); old != before.end() && old->second == entry.etag.text()) {
      std::error_code error;
      std::filesystem::create_hard_link(previous + "/" + relative, file, error);
      linked = !error;
    }
    if (!linked) {
      TRY_LET(const std::string bytes, world_.doors.catalog.read_entry(ctx, repository, entry));
      TRY_LET(const auto out, disk.open(file.string(), base::OpenMode::kCreate));
      TRY(out->append(bytes));
      TRY(out->sync());
      ++copied;
      copied_bytes += static_cast<int64_t>(bytes.size());
    }
    files.push(Json::object({{"path", relative}, {"size", entry.size}, {"checksum", entry.etag.text()}}));
  }
  const auto formats = spec["formats"].items();
  const bool csv = std::any_of(formats.begin(), formats.end(), [](const Json& f) { return f.as_string() == "csv"; });
  if (csv && world_.doors.checks) {
    // The newest partition as CSV, for tools that read nothing else.
    std::string newest;
    for (const auto& [object, entry] : objects) newest = std::max(newest, object);
    for (const auto& [object, entry] : objects) {
      if (object != newest || object.size() < 8 || object.substr(object.size() - 8) != ".parquet") continue;
      quality::Table table{
          "rows",
          {{object, entry.etag.text() + "|" + world_.doors.catalog.physical_address(repository, entry),
            [this, ctx, repository, e = entry] { return world_.doors.catalog.read_entry(ctx, repository, e); }}}};
      TRY_LET(const Json result, world_.doors.checks->query(ctx, "SELECT * FROM rows", {table}, kCsvRowsMax));
      std::string text;
      for (const Json& column : result["columns"].items())
        text += (text.empty() ? "" : ",") + csv_cell(column.is_object() ? column["name"] : column);
      text += "\n";
      for (const Json& row : result["rows"].items()) {
        std::string line;
        bool first = true;
        const auto cell = [&](const Json& v) {
          line += (first ? "" : ",") + csv_cell(v);
          first = false;
        };
        if (row.is_array())
          for (const Json& v : row.items()) cell(v);
        else
          for (const auto& [k, v] : row.members()) cell(v);
        text += line + "\n";
      }
      TRY_LET(const auto out, disk.open(building + "/latest.csv", base::OpenMode::kCreate));
      TRY(out->append(text));
      TRY(out->sync());
    }
  }
  const Json manifest = Json::object({{"format", 1},
                                      {"port", port},
                                      {"major", major},
                                      {"publication", (*latest)["number"]},
                                      {"commit", (*latest)["commit"]},
                                      {"scope_digest", (*latest)["scope_digest"]},
                                      {"files", files}});
  TRY_LET(const auto out, disk.open(building + "/manifest.json", base::OpenMode::kCreate));
  TRY(out->append(manifest.dump_pretty()));
  TRY(out->sync());
  TRY(disk.sync_directory(building));
  TRY(disk.remove_all(version));
  TRY(disk.rename(building, version));
  // The switch: readers of `current` see the old version or the new one.
  std::error_code error;
  const std::string fresh = target + "/.current";
  std::filesystem::remove(fresh, error);
  std::filesystem::create_symlink("versions/" + tag, fresh, error);
  if (error) return Error(Code::kUnavailable, "export", fmt::format("linking {}: {}", fresh, error.message()));
  TRY(disk.rename(fresh, target + "/current"));
  TRY(disk.sync_directory(target));
  kv::Batch batch;
  put_if(batch, key,
         Json::object({{"state", "done"},
                       {"name", name},
                       {"port", port},
                       {"publication", (*latest)["number"]},
                       {"tag", tag},
                       {"target", target + "/current"},
                       {"files", files},
                       {"copied", copied},
                       {"copied_bytes", copied_bytes},
                       {"switched_at", base::rfc3339(world_.doors.clock.wall_ms())}}),
         known ? known->version : 0);
  world_.add_event(batch, "mesh.export.finished", repository.name,
                   Json::object({{"export", name}, {"publication", (*latest)["number"]}}));
  TRY(world_.doors.kv.apply(ctx, batch));
  TRY_LET(const auto versions, disk.list(target + "/versions"));
  for (const std::string& old : versions)
    if (old != tag && (!known || old != known->json["tag"].as_string()))
      TRY(disk.remove_all(target + "/versions/" + old));
  return {};
}

}  // namespace tarn::mesh
