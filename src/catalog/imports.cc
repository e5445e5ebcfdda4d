#include <algorithm>

#include <fmt/core.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "base/ids.h"
#include "catalog/detail/catalog_impl.h"
#include "kv/record.h"

namespace tarn::catalog {
namespace {

constexpr std::string_view kScheme = "local://";

bool has_prefix(std::string_view text, std::string_view prefix) { return text.substr(0, prefix.size()) == prefix; }

/// The ETag of a listing: says that the file is the same file, not what its content is.
tree::Entry linked_entry(const std::string& path, uint64_t size, int64_t mtime_ns) {
  tree::Entry entry;
  entry.size = size;
  entry.mtime_ms = mtime_ns / 1'000'000;
  entry.content_type = "application/octet-stream";
  entry.address.kind = tree::AddressKind::kForeign;
  entry.address.uri = std::string(kScheme) + path;
  entry.address.pin = fmt::format("{}:{}", size, mtime_ns);
  entry.etag = {tree::EtagKind::kWeak, base::md5(entry.address.pin), 0};
  return entry;
}

Json to_json(const ImportPath& p) {
  return Json::object({{"type", p.type == ImportPath::Type::kPrefix ? "common_prefix" : "object"},
                       {"path", p.path},
                       {"destination", p.destination}});
}

ImportPath from_json(const Json& j) {
  return {j["type"].as_string() == "object" ? ImportPath::Type::kObject : ImportPath::Type::kPrefix,
          j["path"].as_string(), j["destination"].as_string()};
}

/// What no retry will cure.
bool is_definite(const Error& error) {
  switch (error.code()) {
    case Code::kInvalid:
    case Code::kForbidden:
    case Code::kNotFound:
    case Code::kGone:
    case Code::kRefused:
    case Code::kTooLarge:
    case Code::kUnsupported:
      return true;
    default:
      return false;
  }
}

}  // namespace

Result<std::string> CatalogImpl::import_folder(const std::string& path) const {
  std::string folder = path;
  if (has_prefix(folder, kScheme)) folder = folder.substr(kScheme.size());
  if (folder.empty() || folder.front() != '/')
    return Error(Code::kInvalid, "path",
                 fmt::format("import path '{}' must be an absolute folder: local:///data/in/ or /data/in/", path));
  while (folder.size() > 1 && folder.back() == '/') folder.pop_back();
  if (!options_.data_folder.empty()) {
    const std::string own = options_.data_folder + "/", other = folder + "/";
    if (has_prefix(own, other) || has_prefix(other, own))
      return Error(Code::kInvalid, "path", fmt::format("'{}' overlaps the server's own data folder", path));
  }
  if (!options_.import_anywhere && options_.import_roots.empty())
    return Error(Code::kForbidden, "path", "imports from local folders are not allowed here: set import.local_roots");
  return folder;
}

Result<std::vector<tree::Edit>> CatalogImpl::list_import(const Context& ctx, const ImportPath& import) {
  TRY_LET(const std::string folder, import_folder(import.path));
  std::vector<tree::Edit> edits;
  if (import.type == ImportPath::Type::kObject) {
    TRY_LET(const block::FileIdentity identity, foreign_.identify(ctx, folder));
    edits.push_back({import.destination, linked_entry(folder, identity.size, identity.mtime_ns)});
    return edits;
  }
  TRY(foreign_.list(ctx, folder, [&](const block::ListedFile& file) -> Result<void> {
    edits.push_back({import.destination + file.path, linked_entry(folder + "/" + file.path, file.size, file.mtime_ns)});
    return {};
  }));
  std::sort(edits.begin(), edits.end(), [](const tree::Edit& a, const tree::Edit& b) { return a.key < b.key; });
  return edits;
}

Result<std::string> CatalogImpl::start_import(const Context& ctx, std::string_view repository_name,
                                              std::string_view branch, const std::vector<ImportPath>& paths,
                                              const versioning::CommitSpec& spec) {
  TRY_LET(const versioning::Repository repository, engine_.get_repository(ctx, repository_name));
  TRY(engine_.get_branch(ctx, repository, branch));
  if (paths.empty()) return Error(Code::kInvalid, "paths", "an import needs at least one path");
  Json list = Json::array();
  for (const ImportPath& p : paths) {
    // What can be seen now is refused now; the task looks again when it lists.
    TRY_LET(const std::string folder, import_folder(p.path));
    if (const auto allowed = foreign_.allow(folder); !allowed) {
      if (allowed.error().code() != Code::kNotFound) return allowed.error();
      return allowed.error().wrap(Code::kInvalid, "path",
                                  fmt::format("there is no '{}' on the server's machine", folder));
    }
    if (!p.destination.empty()) TRY(versioning::check_path(p.destination));
    list.push(to_json(p));
  }
  const std::string id = base::xid(clock_, random_);
  TRY(tasks_.submit(ctx, "import",
                    Json::object({{"repository", repository.name},
                                  {"repository_id", repository.id},
                                  {"branch", branch},
                                  {"paths", list},
                                  {"message", spec.message.empty() ? "Import objects" : spec.message},
                                  {"committer", spec.committer},
                                  {"metadata", base::to_json(spec.metadata)}}),
                    0, "import-" + id));
  return id;
}

Result<tasks::Step> CatalogImpl::run_import(const Context& ctx, const tasks::Task& task) {
  const auto run = [&]() -> Result<tasks::Step> {
    TRY_LET(const versioning::Repository repository, engine_.get_repository(ctx, task.input["repository"].as_string()));
    if (repository.id != task.input["repository_id"].as_string())
      return Error(Code::kNotFound, "repository", "the repository of this import was deleted");
    const std::string branch = task.input["branch"].as_string();
    tasks::Step step;
    // Written with the head: a step that is repeated after a crash or an unknown outcome does not import again.
    const std::string mark = "catalog/import/" + task.id;
    TRY_LET(const auto done, kv_.get(ctx, mark));
    if (done) {
      TRY_LET(step.progress, kv::decode_record(done->value, "import"));
      return step;
    }
    versioning::CommitSpec spec;
    spec.message = task.input["message"].as_string();
    spec.committer = task.input["committer"].as_string();
    spec.allow_empty = true;
    TRY_LET(spec.metadata, task.input.string_map("metadata"));
    spec.metadata["tarn.import"] = task.id;

    std::map<std::string, std::optional<tree::Entry>> listed;
    for (const Json& j : task.input["paths"].items()) {
      TRY_LET(auto edits, list_import(ctx, from_json(j)));
      for (tree::Edit& edit : edits) listed[edit.key] = std::move(edit.entry);
    }
    for (int tries = 0;; ++tries) {
      // What the destination holds is read at the head that the commit is made against; a head that moved means again.
      TRY_LET(const versioning::Resolved at, engine_.resolve(ctx, repository, branch + "@"));
      std::map<std::string, std::optional<tree::Entry>> edits = listed;
      for (const Json& j : task.input["paths"].items()) {
        const ImportPath path = from_json(j);
        if (path.type != ImportPath::Type::kPrefix) continue;
        TRY(engine_.walk(ctx, repository, at.commit, path.destination,
                         [&](const std::string& key, const tree::Entry&) -> Result<void> {
                           edits.emplace(key, std::nullopt);
                           return {};
                         }));
      }
      std::vector<tree::Edit> sorted;
      sorted.reserve(edits.size());
      for (auto& [key, entry] : edits) sorted.push_back({key, std::move(entry)});
      TRY_LET(versioning::Candidate candidate, engine_.prepare_edits(ctx, repository, branch, sorted, spec,
                                                                     versioning::LandingKind::kImport, at.commit.id));
      step.progress = Json::object({{"ingested", listed.size()}, {"commit", candidate.commit.id.hex()}});
      kv::Batch also;
      also.require_absent(mark).put(mark, kv::encode_record(step.progress));
      const auto landed = engine_.land(ctx, repository, {std::move(candidate), std::move(also), nullptr});
      if (landed) return step;
      if (landed.error().code() != Code::kConflict || landed.error().subject() != "branch" || tries == 10)
        return landed.error();
    }
  };
  tasks::Step step;
  if (task.cancel_requested) {
    step.next = tasks::Step::Next::kFailed;
    step.error = "Canceled";
    return step;
  }
  auto done = run();
  if (done || !is_definite(done.error())) return done;
  step.next = tasks::Step::Next::kFailed;
  step.error = done.error().message();
  return step;
}

Result<ImportStatus> CatalogImpl::import_status(const Context& ctx, std::string_view repository_name,
                                                const std::string& id) {
  const auto none = [&] { return Error(Code::kNotFound, "import", fmt::format("there is no import '{}'", id)); };
  const auto task = tasks_.get(ctx, "import-" + id);
  if (!task && task.error().code() == Code::kNotFound) return none();
  if (!task) return task.error();
  if (task->kind != "import" || task->input["repository"].as_string() != repository_name) return none();
  ImportStatus status;
  status.id = id;
  status.updated_ms = task->updated_ms;
  status.completed = task->state == tasks::State::kDone;
  status.ingested = static_cast<uint64_t>(task->progress["ingested"].as_int());
  status.error = task->state == tasks::State::kCancelled ? "Canceled" : task->error;
  if (const auto commit = versioning::CommitId::from_hex(task->progress["commit"].as_string());
      status.completed && commit) {
    TRY_LET(const versioning::Repository repository, engine_.get_repository(ctx, repository_name));
    TRY_LET(status.commit, engine_.get_commit(ctx, repository, *commit));
  }
  return status;
}

Result<void> CatalogImpl::cancel_import(const Context& ctx, std::string_view repository_name, const std::string& id) {
  TRY_LET(const ImportStatus status, import_status(ctx, repository_name, id));
  if (status.completed) return Error(Code::kConflict, "import", "the import is complete already");
  if (!status.error.empty()) return {};
  return tasks_.cancel(ctx, "import-" + id);
}

}  // namespace tarn::catalog
