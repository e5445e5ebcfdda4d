// Candidates of commits and edits: a durable commit that is nobody's head yet.
#include "tree/change_filter.h"
#include "versioning/detail/engine_impl.h"

namespace tarn::versioning::detail {
namespace {

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

void EngineImpl::seal(const Repository& repository, std::string_view branch, Commit& commit,
                      std::span<const tree::Change> changes, tree::PackBuilder& builder) {
  commit.id = commit_id(canonical_commit(commit, repository.id, branch));
  const std::string id(commit.id.digest().bytes());
  commit.pack = builder.pack_id();
  if (!changes.empty()) commit.filter = tree::encode_change_filter(changes, kFilterBesideMax);
  builder.add_commit(id, encode_commit(commit, repository.id, branch));
  if (!changes.empty()) builder.add_change_set(id, changes);
}

Result<void> EngineImpl::write_pack(const Context& ctx, const Repository& repository, tree::PackBuilder& builder) {
  reach(Stage::kWritePack);
  TRY(builder.finish(ctx));
  count_pack(repository);
  return {};
}

Result<Footing> EngineImpl::find_footing(const Context& ctx, const Repository& repository, std::string_view branch,
                                         Rows rows) {
  reach(Stage::kReadHead);
  Footing footing;
  TRY_LET(footing.view, kv_.view(ctx));
  TRY_LET(footing.branch, read_branch(*footing.view, repository, branch));
  if (rows == Rows::kForbidden) {
    TRY_LET(const bool dirty, dirty_in(ctx, *footing.view, repository, footing.branch));
    if (dirty) return dirty_branch(branch);
  }
  TRY_LET(footing.head, load_commit(ctx, repository, footing.branch.head));
  footing.committed_through = footing.branch.committed_through;
  return footing;
}

Result<PreparedMerge> EngineImpl::prepare_alone(const Context& ctx, const Repository& repository,
                                                std::string_view branch, Rows rows, const Rider::Make& make) {
  TRY_LET(Footing footing, find_footing(ctx, repository, branch, rows));
  const auto builder = packs(repository)->begin();
  TRY_LET(PreparedMerge made, make(ctx, footing, *builder));
  if (made.candidate) TRY(write_pack(ctx, repository, *builder));
  return made;
}

// Takes the rows of the footing's view. They stay what they are: nothing is sealed, so a candidate that never lands
// leaves only an unnamed pack.
Result<PreparedMerge> EngineImpl::make_of_rows(const Context& ctx, const Repository& repository, const CommitSpec& spec,
                                               Footing& footing, tree::PackBuilder& builder) {
  reach(Stage::kSnapshotStaging);
  PreparedMerge out;
  out.destination = footing.head.id;
  Candidate candidate;
  candidate.kind = LandingKind::kCommit;
  candidate.branch = footing.branch.name;
  candidate.base_head = footing.head.id;
  candidate.branch_version = footing.branch.version;
  candidate.committed_through = footing.view->sequence();
  // Rows go straight into the tree; a few are kept for the change-set.
  std::optional<StagedCursor> rows;
  if (footing.committed_through < candidate.committed_through)  // else a commit before it in its train took them
    rows.emplace(*footing.view, repository.id, footing.branch);
  std::vector<tree::Edit> edits;
  size_t count = 0;
  const tree::EditSource each = [&]() -> Result<std::optional<tree::Edit>> {
    if (!rows) return std::optional<tree::Edit>();
    TRY_LET(std::optional<StagedRow> row, rows->next());
    if (!row) return std::optional<tree::Edit>();
    if (++count % kCheckEvery == 0) TRY(ctx.check(clock_));
    if (candidate.sealed.size() < kSealedRows)
      candidate.sealed.push_back({keys::staged(repository.id, footing.branch.id, row->path), row->version});
    tree::Edit edit{std::move(row->path), std::move(row->entry)};
    if (count <= kChangeSetEdits)
      edits.push_back(edit);
    else
      edits.clear();
    return std::optional(std::move(edit));
  };

  reach(Stage::kBuildTree);
  const auto store = packs(repository);
  const tree::Root& before = footing.head.root;
  candidate.commit = make_commit(spec, {footing.head.id}, footing.head.generation + 1);
  TRY_LET(candidate.commit.root, tree::apply(ctx, store, before, each, builder));
  const bool changed = candidate.commit.root.id != before.id;  // apply() keeps the base's record of equal identity
  if (!changed && !spec.allow_empty) return no_changes();
  if (!changed) candidate.commit.filter = tree::encode_change_filter({}, kFilterBesideMax);
  if (changed && count <= kChangeSetEdits) {
    for (const tree::Edit& edit : edits) {
      TRY_LET(std::optional<tree::Entry> left, tree::get(ctx, *store, before, edit.key));
      if (tree::same_identity(left, edit.entry)) continue;
      const auto type =
          !left ? tree::ChangeType::kAdded : (edit.entry ? tree::ChangeType::kChanged : tree::ChangeType::kRemoved);
      out.changes.push_back({edit.key, type, std::move(left), edit.entry});
    }
  }
  seal(repository, candidate.branch, candidate.commit, out.changes, builder);
  out.candidate = std::move(candidate);
  return out;
}

Result<Candidate> EngineImpl::prepare_commit(const Context& ctx, const Repository& repository, std::string_view branch,
                                             const CommitSpec& spec) {
  TRY_LET(PreparedMerge made, prepare_alone(ctx, repository, branch, Rows::kTaken,
                                            [&](const Context& own, Footing& footing, tree::PackBuilder& builder) {
                                              return make_of_rows(own, repository, spec, footing, builder);
                                            }));
  return std::move(*made.candidate);
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
  seal(repository, branch, candidate.commit, changed, *builder);
  TRY(write_pack(ctx, repository, *builder));
  TRY(publish(ctx, repository, branch, candidate.commit));
  return candidate;
}

}  // namespace tarn::versioning::detail
