// Candidates of commits and edits: a durable commit that is nobody's head yet.
#include "tree/change_filter.h"
#include "versioning/detail/engine_impl.h"

namespace tarn::versioning::detail {
namespace {

constexpr size_t kSealedRows = 256;         // rows that a landing removes itself; more are left to the background
constexpr size_t kChangeSetEdits = 10'000;  // above this, diffs walk the trees
constexpr size_t kCheckEvery = 1024;        // edits

}  // namespace

Commit EngineImpl::make_commit(const CommitSpec& spec, std::vector<CommitId> parents, uint64_t generation) {
  Commit commit;
  commit.parents = std::move(parents);
  commit.committer = spec.committer;
  commit.message = spec.message;
  commit.date_ms = spec.date_ms.value_or(clock_.wall_ms());
  commit.metadata = spec.metadata;
  commit.generation = generation;
  return commit;
}

Result<void> EngineImpl::seal(const Context& ctx, const Repository& repository, std::string_view branch, Commit& commit,
                              std::span<const tree::Change> changes, tree::PackBuilder& builder) {
  commit.id = commit_id(canonical_commit(commit, repository.id, branch));
  const std::string id(commit.id.digest().bytes());
  commit.pack = builder.pack_id();
  if (!changes.empty()) commit.filter = tree::encode_change_filter(changes, kFilterBesideMax);
  builder.add_commit(id, encode_commit(commit, repository.id, branch));
  if (!changes.empty()) builder.add_change_set(id, changes);
  reach(Stage::kWritePack);
  TRY(builder.finish(ctx));
  count_pack(repository);
  return {};
}

// Read head and rows in one view -> build -> pack. The rows stay what they are: nothing is sealed, so a candidate that
// never lands leaves only an unnamed pack.
Result<Candidate> EngineImpl::prepare_commit(const Context& ctx, const Repository& repository, std::string_view branch,
                                             const CommitSpec& spec) {
  reach(Stage::kReadHead);
  TRY_LET(const auto view, kv_.view(ctx));
  TRY_LET(const Branch record, read_branch(*view, repository, branch));
  TRY_LET(const Commit head, load_commit(ctx, repository, record.head));

  reach(Stage::kSnapshotStaging);
  Candidate candidate;
  candidate.kind = LandingKind::kCommit;
  candidate.branch = branch;
  candidate.base_head = record.head;
  candidate.branch_version = record.version;
  candidate.committed_through = view->sequence();
  std::vector<tree::Edit> edits;
  StagedCursor rows(*view, repository.id, record);
  while (true) {
    TRY_LET(std::optional<StagedRow> row, rows.next());
    if (!row) break;
    if (candidate.sealed.size() < kSealedRows)
      candidate.sealed.push_back({keys::staged(repository.id, record.id, row->path), row->version});
    edits.push_back({std::move(row->path), std::move(row->entry)});
    TRY(ctx.check(clock_));
  }

  reach(Stage::kBuildTree);
  const auto store = packs(repository);
  const auto builder = store->begin();
  candidate.commit = make_commit(spec, {record.head}, head.generation + 1);
  TRY_LET(candidate.commit.root, tree::apply(ctx, store, head.root, edits, *builder));
  const bool changed = candidate.commit.root.id != head.root.id;  // apply() keeps the base's record of equal identity
  if (!changed && !spec.allow_empty) return no_changes();
  if (!changed) candidate.commit.filter = tree::encode_change_filter({}, kFilterBesideMax);
  std::vector<tree::Change> changes;
  if (changed && edits.size() <= kChangeSetEdits) {
    for (const tree::Edit& edit : edits) {
      TRY_LET(std::optional<tree::Entry> left, tree::get(ctx, *store, head.root, edit.key));
      if (!left && !edit.entry) continue;
      if (left && edit.entry && tree::same_identity(*left, *edit.entry)) continue;
      const auto type =
          !left ? tree::ChangeType::kAdded : (edit.entry ? tree::ChangeType::kChanged : tree::ChangeType::kRemoved);
      changes.push_back({edit.key, type, std::move(left), edit.entry});
    }
  }
  TRY(seal(ctx, repository, branch, candidate.commit, changes, *builder));
  return candidate;
}

Result<Candidate> EngineImpl::prepare_edits(const Context& ctx, const Repository& repository, std::string_view branch,
                                            std::span<const tree::Edit> edits, const CommitSpec& spec, LandingKind kind,
                                            std::optional<CommitId> parent) {
  size_t at = 0;
  const tree::EditSource each = [&]() -> Result<std::optional<tree::Edit>> {
    if (at == edits.size()) return std::optional<tree::Edit>{};
    return std::optional(edits[at++]);
  };
  return prepare_edits(ctx, repository, branch, each, spec, kind, parent);
}

Result<Candidate> EngineImpl::prepare_edits(const Context& ctx, const Repository& repository, std::string_view branch,
                                            const tree::EditSource& edits, const CommitSpec& spec, LandingKind kind,
                                            std::optional<CommitId> parent) {
  reach(Stage::kReadHead);
  TRY_LET(const Branch record, get_branch(ctx, repository, branch));
  Candidate candidate;
  candidate.kind = kind;
  candidate.branch = branch;
  candidate.base_head = parent.value_or(record.head);
  TRY_LET(const Commit base, load_commit(ctx, repository, candidate.base_head));

  reach(Stage::kBuildTree);
  size_t count = 0;
  const tree::EditSource checked = [&]() -> Result<std::optional<tree::Edit>> {
    auto edit = edits();
    if (!edit || !*edit) return edit;
    if (++count % kCheckEvery == 0) TRY(ctx.check(clock_));
    TRY(check_path((*edit)->key));
    return edit;
  };
  const auto store = packs(repository);
  const auto builder = store->begin();
  candidate.commit = make_commit(spec, {base.id}, base.generation + 1);
  TRY_LET(candidate.commit.root, tree::apply(ctx, store, base.root, checked, *builder));
  if (candidate.commit.root.id == base.root.id && !spec.allow_empty) return no_changes();
  std::vector<tree::Change> changed;
  if (count <= kChangeSetEdits) {
    const auto cursor = tree::diff(store, base.root, candidate.commit.root);
    while (true) {
      TRY_LET(std::optional<tree::Change> change, cursor->next(ctx));
      if (!change) break;
      changed.push_back(std::move(*change));
    }
  }
  TRY(seal(ctx, repository, branch, candidate.commit, changed, *builder));
  TRY(publish(ctx, repository, branch, candidate.commit));
  return candidate;
}

}  // namespace tarn::versioning::detail
