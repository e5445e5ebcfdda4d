// Open and close, and what every story of the engine uses.
#include "base/kill_point.h"
#include "base/log.h"
#include "versioning/detail/engine_impl.h"

namespace tarn::versioning {

Result<std::unique_ptr<Engine>> Engine::open(kv::Store& kv, block::Store& blocks, base::Clock& clock,
                                             base::Random& random, Options options) {
  auto engine = std::make_unique<detail::EngineImpl>(kv, blocks, clock, random, options);
  TRY(engine->repair_namespaces(Context()));
  engine->start_journal(options.ref_journal_ms);
  return std::unique_ptr<Engine>(std::move(engine));
}

namespace detail {
namespace {

constexpr size_t kCachedCommits = 20'000;
constexpr size_t kCleanBatch = 1'000;

}  // namespace

void reach(Stage stage) { KILL_POINT("versioning." + std::string(name_of(stage))); }

Error dirty_branch(std::string_view branch) {
  return Error(Code::kInvalid, "branch",
               "branch '" + std::string(branch) + "' is dirty: it has uncommitted changes; commit or reset them first");
}

Error head_moved(std::string_view branch) {
  return Error(Code::kConflict, "branch", "branch '" + std::string(branch) + "' has moved meanwhile: try again");
}

Error too_busy(std::string_view branch) {
  return Error(Code::kBusy, "branch", "branch '" + std::string(branch) + "' moves too often: try again later");
}

bool is_conflict_of_branch(const Error& error) {
  return error.code() == Code::kConflict && error.subject() == "branch";
}

Error no_changes() { return Error(Code::kInvalid, "commit", "no changes: there is nothing to commit"); }

EngineImpl::EngineImpl(kv::Store& kv, block::Store& blocks, base::Clock& clock, base::Random& random,
                       const Options& options)
    : kv_(kv),
      blocks_(blocks),
      clock_(clock),
      random_(random),
      nodes_(tree::make_node_cache(options.node_cache_bytes)),
      fold_from_(options.fold_from),
      own_pool_(options.background ? nullptr : std::make_unique<base::ThreadPool>(1)),
      background_(options.background ? options.background : own_pool_.get()),
      journal_(kv, blocks, clock) {}

EngineImpl::~EngineImpl() {
  closing_.store(true);
  own_pool_.reset();
}

std::shared_ptr<tree::Packs> EngineImpl::packs(const Repository& repository) {
  base::Lock lock(mutex_);
  auto& found = packs_[repository.id];
  if (!found)
    found = tree::Packs::open(blocks_, block_prefix(repository.storage_namespace), nodes_, clock_, random_,
                              [this, id = repository.id](const Context& ctx, const std::string& pack) {
                                return find_relocation(ctx, id, pack);
                              });
  return found;
}

Result<Commit> EngineImpl::load_commit(const Context& ctx, const Repository& repository, const CommitId& id) {
  const std::string cache_key = repository.id + std::string(id.digest().bytes());
  {
    base::Lock lock(mutex_);
    const auto found = commits_.find(cache_key);
    if (found != commits_.end()) return *found->second;
  }
  TRY_LET(const std::optional<kv::Row> row, kv_.get(ctx, keys::commit(repository.id, id)));
  if (!row) return Error(Code::kNotFound, "commit", "commit " + id.hex() + " does not exist in " + repository.name);
  TRY_LET(StoredCommit stored, decode_commit(row->value, id));
  auto shared = std::make_shared<const Commit>(stored.commit);
  base::Lock lock(mutex_);
  cache_commit(repository.id, std::move(shared));
  return std::move(stored.commit);
}

void EngineImpl::cache_commit(const std::string& repository_id, std::shared_ptr<const Commit> commit) {
  if (commits_.size() >= kCachedCommits) commits_.clear();
  std::string key = repository_id + std::string(commit->id.digest().bytes());
  commits_.emplace(std::move(key), std::move(commit));
}

Result<void> EngineImpl::require_alive(const Context& ctx, const Repository& repository) {
  TRY_LET(const std::optional<kv::Row> row, kv_.get(ctx, keys::alive(repository.id)));
  if (!row) return Error(Code::kNotFound, "repository", "repository '" + repository.name + "' does not exist");
  return {};
}

Result<Branch> EngineImpl::read_branch(kv::View& view, const Repository& repository, std::string_view name) {
  TRY_LET(const std::optional<kv::Row> row, view.get(keys::branch(repository.id, name)));
  if (row) return decode_branch(name, row->value, row->version);
  TRY_LET(const std::optional<kv::Row> alive, view.get(keys::alive(repository.id)));
  if (!alive) return Error(Code::kNotFound, "repository", "repository '" + repository.name + "' does not exist");
  return Error(Code::kNotFound, "branch",
               "branch '" + std::string(name) + "' does not exist in repository '" + repository.name + "'");
}

Result<Protection> EngineImpl::read_protection(kv::View& view, const Repository& repository) {
  TRY_LET(const std::optional<kv::Row> row, view.get(keys::protection(repository.id)));
  if (!row) return Error(Code::kNotFound, "repository", "repository '" + repository.name + "' does not exist");
  Protection out;
  TRY_LET(out.rules, decode_protection(row->value));
  out.version = row->version;
  return out;
}

Result<bool> EngineImpl::dirty_in(const Context& ctx, kv::View& view, const Repository& repository,
                                  const Branch& branch, std::vector<SealedRow>* idle) {
  StagedCursor rows(view, repository.id, branch);
  std::optional<Commit> head;
  bool dirty = false;
  while (true) {
    TRY_LET(const std::optional<StagedRow> row, rows.next());
    if (!row) return dirty;
    if (!head) {
      TRY_LET(head, load_commit(ctx, repository, branch.head));
    }
    TRY_LET(const std::optional<tree::Entry> base, tree::get(ctx, *packs(repository), head->root, row->path));
    const bool same = tree::same_identity(base, row->entry);
    if (!same) dirty = true;
    if (dirty && !idle) return true;
    if (same && idle) idle->push_back({keys::staged(repository.id, branch.id, row->path), row->version});
    TRY(ctx.check(clock_));
  }
}

Result<void> EngineImpl::publish(const Context& ctx, const Repository& repository, std::string_view branch,
                                 const Commit& commit) {
  kv::Batch batch;
  batch.require_present(keys::alive(repository.id));
  batch.put(keys::commit(repository.id, commit.id), encode_commit(commit, repository.id, branch));
  const auto applied = kv_.apply(ctx, batch);
  if (applied) {
    know(repository, commit);
    return {};
  }
  if (applied.error().code() == Code::kConflict)
    return Error(Code::kNotFound, "repository", "repository '" + repository.name + "' does not exist");
  return applied.error();
}

void EngineImpl::clean_later(const Repository& repository, std::string branch_name) {
  (void)background_->submit([this, repository, name = std::move(branch_name)] {
    if (!closing_.load()) clean(repository, name);
  });
}

// Removes rows that commits have taken, each only if it is still the version that was taken: a newer write of the same
// path is never touched. Dead rows are invisible, so failing here costs space only.
void EngineImpl::clean(const Repository& repository, const std::string& branch_name) {
  const Context ctx;
  auto view = kv_.view(ctx);
  if (!view) return;
  const auto branch = read_branch(**view, repository, branch_name);
  if (!branch) return;
  const auto rows = (*view)->scan(keys::staging(repository.id, branch->id));
  kv::Batch batch;
  while (!closing_.load()) {
    auto row = rows->next();
    if (!row) {
      base::log(base::Level::kWarning, "cleaning staged rows stopped", {{"error", row.error().text()}});
      return;
    }
    if (*row && (*row)->row.version <= branch->committed_through)
      batch.erase_if_version((*row)->key, (*row)->row.version);
    if (!batch.empty() && (!*row || batch.steps().size() >= kCleanBatch)) {
      if (const auto applied = kv_.apply(ctx, batch); !applied) {
        base::log(base::Level::kWarning, "cleaning staged rows stopped", {{"error", applied.error().text()}});
        return;
      }
      batch = kv::Batch();
    }
    if (!*row) return;
  }
}

}  // namespace detail
}  // namespace tarn::versioning
