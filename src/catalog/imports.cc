// Imports: listing -> sorted runs -> merged with what the destination holds -> one commit. No byte of a file is read,
// no row is staged, and nothing is held but a run's block, a leaf and a pack.
#include <algorithm>
#include <queue>

#include <fmt/core.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "base/ids.h"
#include "base/kill_point.h"
#include "base/log.h"
#include "catalog/detail/catalog_impl.h"
#include "catalog/detail/import_run.h"
#include "kv/record.h"

namespace tarn::catalog {
namespace {

constexpr std::string_view kScheme = "local://";
constexpr size_t kRunInMemoryMax = 1u << 20, kRunsInMemoryMax = 8u << 20;  ///< bytes: of one path, of an import
constexpr auto kLookForCancel = std::chrono::milliseconds(100);

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

/// Cancels a context when the task's cancellation is asked for, so that every loop below ends soon.
class CancelWatch {
 public:
  CancelWatch(tasks::Tasks& tasks, std::string task_id, const Context& ctx)
      : thread_([this, &tasks, ctx, id = std::move(task_id)] {
          while (!over()) {
            const auto task = tasks.get(Context(), id);
            if (task && task->cancel_requested) return ctx.cancel();
          }
        }) {}
  ~CancelWatch() {
    {
      base::Lock lock(mutex_);
      over_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }
  CancelWatch(const CancelWatch&) = delete;
  CancelWatch& operator=(const CancelWatch&) = delete;

 private:
  bool over() {
    base::Lock lock(mutex_);
    return changed_.wait_for(lock, kLookForCancel, [this] { return over_; });
  }
  base::Mutex mutex_;
  base::Condition changed_;
  bool over_ = false;
  base::Thread thread_;
};

/// What an import says of one key. Where two of its paths meet, the later one wins.
struct Placed {
  std::string key;
  size_t order = 0;  ///< position of the path in the request
  tree::Entry entry;
};

/// Gives what one path places, in key order.
class Placing {
 public:
  /// A folder: a run.
  Placing(std::unique_ptr<detail::RunReader> run, std::string folder, std::string destination, size_t order)
      : run_(std::move(run)), folder_(std::move(folder)), destination_(std::move(destination)), order_(order) {}
  /// Single files, in any order.
  explicit Placing(std::vector<Placed> files) : files_(std::move(files)) {
    std::stable_sort(files_.begin(), files_.end(), [](const Placed& a, const Placed& b) {
      return a.key != b.key ? a.key < b.key : a.order > b.order;
    });
  }
  const Placed& now() const { return now_; }
  /// @return false at the end.
  Result<bool> next() {
    if (!run_) {
      if (at_ == files_.size()) return false;
      now_ = std::move(files_[at_++]);
      return true;
    }
    detail::Listed listed;
    TRY_LET(const bool more, run_->next(listed));
    if (!more) return false;
    now_ = {destination_ + listed.path, order_,
            linked_entry(folder_ + "/" + listed.path, listed.size, listed.mtime_ns)};
    return true;
  }
  tree::Entry take() { return std::move(now_.entry); }

 private:
  std::unique_ptr<detail::RunReader> run_;
  std::string folder_, destination_;
  size_t order_ = 0;
  std::vector<Placed> files_;
  size_t at_ = 0;
  Placed now_;
};

/// The edits that an import makes: what its paths place, and the removal of all else below the prefixes it replaces.
class ImportEdits {
 public:
  ImportEdits(const Context& ctx, base::Clock& clock, std::vector<std::unique_ptr<Placing>> placings,
              std::unique_ptr<tree::Cursor> destination, std::vector<std::string> prefixes)
      : ctx_(ctx),
        clock_(clock),
        placings_(std::move(placings)),
        destination_(std::move(destination)),
        prefixes_(std::move(prefixes)) {
    // Prefixes below others say nothing new; the rest does not overlap.
    std::sort(prefixes_.begin(), prefixes_.end());
    std::vector<std::string> apart;
    for (std::string& prefix : prefixes_)
      if (apart.empty() || !has_prefix(prefix, apart.back())) apart.push_back(std::move(prefix));
    prefixes_ = std::move(apart);
  }
  Result<void> start() {
    for (const auto& placing : placings_) TRY(push(*placing));
    return next_present();
  }
  Result<std::optional<tree::Edit>> next() {
    for (;;) {
      if (present_ && (heap_.empty() || *present_ < heap_.top()->now().key)) {
        tree::Edit removal{std::move(*present_), std::nullopt};
        TRY(next_present());
        return std::optional(std::move(removal));
      }
      if (heap_.empty()) return std::optional<tree::Edit>{};
      Placing& first = *heap_.top();
      heap_.pop();
      if (present_ && *present_ == first.now().key) TRY(next_present());
      const bool again = count_ > 0 && first.now().key == last_;  // an earlier path's: the later one was given
      std::optional<tree::Edit> edit;
      if (!again) {
        last_ = first.now().key;
        ++count_;
        edit = tree::Edit{last_, first.take()};
      }
      TRY(push(first));
      if (edit) return edit;
    }
  }
  uint64_t count() const { return count_; }

 private:
  struct Later {
    bool operator()(const Placing* a, const Placing* b) const {
      const int order = a->now().key.compare(b->now().key);
      return order != 0 ? order > 0 : a->now().order < b->now().order;
    }
  };
  Result<void> push(Placing& placing) {
    TRY_LET(const bool more, placing.next());
    if (more) heap_.push(&placing);
    return {};
  }
  /// The next key that the destination holds below a replaced prefix.
  Result<void> next_present() {
    present_.reset();
    for (; prefix_ < prefixes_.size(); ++prefix_, placed_ = false) {
      if (!placed_) TRY(destination_->seek(ctx_, prefixes_[prefix_]));
      placed_ = true;
      TRY(ctx_.check(clock_));
      TRY_LET(auto item, destination_->next(ctx_));
      if (item && has_prefix(item->key, prefixes_[prefix_])) {
        present_ = std::move(item->key);
        return {};
      }
    }
    return {};
  }
  const Context& ctx_;
  base::Clock& clock_;
  const std::vector<std::unique_ptr<Placing>> placings_;
  const std::unique_ptr<tree::Cursor> destination_;
  std::vector<std::string> prefixes_;
  size_t prefix_ = 0;
  bool placed_ = false;
  std::optional<std::string> present_;
  std::priority_queue<Placing*, std::vector<Placing*>, Later> heap_;
  std::string last_;
  uint64_t count_ = 0;
};

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

std::string CatalogImpl::runs_folder(std::string_view task_id) const {
  if (options_.data_folder.empty()) return {};
  return fmt::format("{}/imports{}{}", options_.data_folder, task_id.empty() ? "" : "/", task_id);
}

void CatalogImpl::remove_runs(const Context& ctx, std::string_view task_id) {
  const std::string folder = runs_folder(task_id);
  if (folder.empty()) return;
  if (const auto removed = disk_.remove_all(folder); !removed)
    base::log(ctx, base::Level::kWarning, "what an import stored meanwhile stays until the next start",
              {{"folder", folder}, {"error", removed.error().text()}});
}

void CatalogImpl::remove_old_runs() {
  const Context ctx;
  if (options_.data_folder.empty()) return;
  const auto names = disk_.list(runs_folder({}));
  if (!names) return;  // most often: there is none
  for (const std::string& name : *names) {
    const auto task = tasks_.get(ctx, name);
    const bool over = task ? task->state == tasks::State::kDone || task->state == tasks::State::kFailed ||
                                 task->state == tasks::State::kCancelled
                           : task.error().code() == Code::kNotFound;
    if (over) remove_runs(ctx, name);
  }
}

/// The run of one path: the one that is there from before, or the listing of now.
Result<detail::Run> CatalogImpl::list_run(const Context& ctx, const std::string& folder, const std::string& file,
                                          size_t& spare, std::atomic<uint64_t>& listed) {
  if (!file.empty()) {
    auto found = detail::RunReader::find(disk_, file);
    if (found) {
      listed += found->count;
      return found;
    }
    if (found.error().code() != Code::kNotFound && found.error().code() != Code::kCorrupt) return found;
  }
  detail::RunWriter writer(disk_, file, std::min(kRunInMemoryMax, spare));
  TRY(foreign_.list(ctx, folder, [&](const block::ListedFile& one) -> Result<void> {
    ++listed;
    return writer.add({one.path, one.size, one.mtime_ns});
  }));
  TRY_LET(detail::Run run, writer.finish());
  if (run.bytes) spare -= std::min(spare, run.bytes->size());
  KILL_POINT("catalog.import.listed");
  return run;
}

Result<tasks::Step> CatalogImpl::import_step(const Context& ctx, const tasks::Task& task,
                                             std::atomic<uint64_t>& listed) {
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

  struct Folder {
    detail::Run run;
    std::string path, destination;
    size_t order;
  };
  std::vector<Folder> folders;
  std::vector<Placed> files;
  std::vector<std::string> prefixes;
  const std::string scratch = runs_folder(task.id);
  size_t spare = kRunsInMemoryMax;
  size_t order = 0;
  for (const Json& j : task.input["paths"].items()) {
    const ImportPath path = from_json(j);
    TRY_LET(const std::string folder, import_folder(path.path));
    if (path.type == ImportPath::Type::kObject) {
      TRY_LET(const block::FileIdentity identity, foreign_.identify(ctx, folder));
      files.push_back({path.destination, order, linked_entry(folder, identity.size, identity.mtime_ns)});
      ++listed;
    } else {
      const std::string file = scratch.empty() ? scratch : fmt::format("{}/run-{}", scratch, order);
      TRY_LET(detail::Run run, list_run(ctx, folder, file, spare, listed));
      folders.push_back({std::move(run), folder, path.destination, order});
      prefixes.push_back(path.destination);
    }
    ++order;
  }
  for (int tries = 0;; ++tries) {
    // What the destination holds is read at the head that the commit is made against; a head that moved means again.
    TRY_LET(const versioning::Resolved at, engine_.resolve(ctx, repository, branch + "@"));
    std::vector<std::unique_ptr<Placing>> placings;
    for (const Folder& folder : folders) {
      TRY_LET(auto reader, detail::RunReader::open(disk_, folder.run));
      placings.push_back(std::make_unique<Placing>(std::move(reader), folder.path, folder.destination, folder.order));
    }
    placings.push_back(std::make_unique<Placing>(files));
    ImportEdits edits(ctx, clock_, std::move(placings), engine_.cursor(repository, at.commit), prefixes);
    TRY(edits.start());
    TRY_LET(versioning::Candidate candidate, engine_.prepare_edits(
                                                 ctx, repository, branch, [&] { return edits.next(); }, spec,
                                                 versioning::LandingKind::kImport, at.commit.id));
    step.progress = Json::object({{"ingested", edits.count()}, {"commit", candidate.commit.id.hex()}});
    kv::Batch also;
    also.require_absent(mark).put(mark, kv::encode_record(step.progress));
    KILL_POINT("catalog.import.before_land");
    const auto landed = engine_.land(ctx, repository, {std::move(candidate), std::move(also), nullptr});
    KILL_POINT("catalog.import.after_land");
    if (landed) return step;
    if (landed.error().code() != Code::kConflict || landed.error().subject() != "branch" || tries == 10)
      return landed.error();
  }
}

Result<tasks::Step> CatalogImpl::run_import(const Context& ctx, const tasks::Task& task) {
  const auto listed = std::make_shared<std::atomic<uint64_t>>(0);
  {
    base::Lock lock(listing_mutex_);
    std::erase_if(listing_, [](const auto& entry) { return entry.second.use_count() == 1; });  // of those that ended
    listing_[task.id] = listed;
  }
  const Context own = ctx.detached();
  auto done = [&] {
    const CancelWatch watch(tasks_, task.id, own);
    return import_step(own, task, *listed);
  }();
  if (!done && done.error().code() == Code::kCorrupt && done.error().subject() == "import run")
    remove_runs(ctx, task.id);  // the step is repeated and lists again
  tasks::Step step;
  if (!done && own.cancelled()) {
    step.next = tasks::Step::Next::kFailed;
    step.error = "Canceled";
    done = step;
  } else if (!done && is_definite(done.error())) {
    step.next = tasks::Step::Next::kFailed;
    step.error = done.error().message();
    done = step;
  }
  if (done) remove_runs(ctx, task.id);
  return done;
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
  if (task->state == tasks::State::kWaiting || task->state == tasks::State::kRunning) {
    base::Lock lock(listing_mutex_);
    const auto it = listing_.find(task->id);
    if (it != listing_.end()) status.ingested = it->second->load();
  }
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
