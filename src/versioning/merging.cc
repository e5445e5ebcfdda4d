// Candidates of merges: the prospective result of merge, revert and cherry-pick is one three-way merge each.
#include "versioning/detail/engine_impl.h"

namespace tarn::versioning::detail {
namespace {

std::string_view strategy_name(tree::Strategy strategy) {
  switch (strategy) {
    case tree::Strategy::kNone:
      return "default";
    case tree::Strategy::kSourceWins:
      return "source-wins";
    case tree::Strategy::kDestinationWins:
      return "dest-wins";
  }
  return "default";
}

/// The parent that a revert or cherry-pick is measured against; 0 stands for the only one.
Result<CommitId> chosen_parent(const Commit& commit, int number, Code of_merge) {
  if (commit.parents.size() > 1 && number == 0)
    return Error(of_merge, "parent", "commit " + commit.id.hex() + " is a merge: say which parent (1 or 2)");
  const int index = number == 0 ? 1 : number;
  if (index < 1 || static_cast<size_t>(index) > commit.parents.size())
    return Error(Code::kInvalid, "parent",
                 "commit " + commit.id.hex() + " has " + std::to_string(commit.parents.size()) +
                     " parents, not a number " + std::to_string(number));
  return commit.parents[static_cast<size_t>(index) - 1];
}

}  // namespace

Result<std::pair<Branch, Commit>> EngineImpl::clean_head(const Context& ctx, const Repository& repository,
                                                         std::string_view branch) {
  reach(Stage::kReadHead);
  TRY_LET(const auto view, kv_.view(ctx));
  TRY_LET(Branch record, read_branch(*view, repository, branch));
  TRY_LET(const bool dirty, dirty_in(ctx, *view, repository, record));
  if (dirty) return dirty_branch(branch);
  TRY_LET(Commit head, load_commit(ctx, repository, record.head));
  return std::pair<Branch, Commit>(std::move(record), std::move(head));
}

Result<PreparedMerge> EngineImpl::apply_three_way(const Context& ctx, const Repository& repository,
                                                  const Branch& branch, const Commit& head, const ThreeWay& way,
                                                  Publish when) {
  PreparedMerge out;
  out.base = way.base;
  out.source = way.source;
  out.destination = head.id;
  TRY_LET(const Commit source, load_commit(ctx, repository, way.source));
  tree::Root base = tree::empty_root(repository.parameters);
  if (!way.base.is_zero()) {
    TRY_LET(const Commit at, load_commit(ctx, repository, way.base));
    base = at.root;
  }

  reach(Stage::kBuildTree);
  const auto store = packs(repository);
  const auto builder = store->begin();
  TRY_LET(tree::Merged merged, tree::merge(ctx, store, base, source.root, head.root, way.strategy, *builder));
  if (!merged.conflicts.empty()) {
    out.conflicts = std::move(merged.conflicts);
    return out;
  }
  out.changes = std::move(merged.changes);
  if (out.changes.empty() && !way.allow_empty) {
    out.nothing_to_merge = true;
    return out;
  }
  Candidate candidate;
  candidate.kind = way.kind;
  candidate.branch = branch.name;
  candidate.base_head = head.id;
  candidate.requires_clean = true;
  candidate.commit = way.draft;
  candidate.commit.parents = {head.id};
  candidate.commit.generation = head.generation + 1;
  if (way.kind == LandingKind::kMerge && !way.squash) {
    candidate.commit.parents.push_back(source.id);
    candidate.commit.generation = std::max(head.generation, source.generation) + 1;
  }
  candidate.commit.root = merged.root;
  TRY(seal(ctx, repository, branch.name, candidate.commit, out.changes, *builder));
  if (when == Publish::kNow) TRY(publish(ctx, repository, branch.name, candidate.commit));
  out.candidate = std::move(candidate);
  return out;
}

Result<PreparedMerge> EngineImpl::make_merge(const Context& ctx, const Repository& repository, std::string_view source,
                                             std::string_view destination, const MergeSpec& spec, Publish when) {
  if (source == destination)
    return Error(Code::kInvalid, "source", "source and destination are the same branch '" + std::string(source) + "'");
  TRY_LET(const Resolved from, resolve(ctx, repository, source));
  TRY_LET(const auto clean, clean_head(ctx, repository, destination));
  const auto& [branch, head] = clean;
  ThreeWay way;
  way.kind = LandingKind::kMerge;
  way.source = from.commit.id;
  auto base = merge_base(ctx, repository, from.commit.id, head.id);
  if (base)
    way.base = *base;
  else if (base.error().code() != Code::kNotFound)
    return base.error();
  if (way.base == way.source && !spec.commit.allow_empty) {
    PreparedMerge nothing;
    nothing.base = nothing.source = way.source;
    nothing.destination = head.id;
    nothing.nothing_to_merge = true;
    return nothing;
  }
  way.draft = make_commit(spec.commit, {}, 0);
  if (way.draft.message.empty())
    way.draft.message = "Merge '" + std::string(source) + "' into '" + std::string(destination) + "'";
  way.draft.metadata[".lakefs.merge.strategy"] = strategy_name(spec.strategy);
  way.allow_empty = spec.commit.allow_empty;
  way.squash = spec.squash;
  way.strategy = spec.strategy;
  return apply_three_way(ctx, repository, branch, head, way, when);
}

// What undoes a commit: from the commit (base) to its parent (source), applied to the head.
Result<PreparedMerge> EngineImpl::make_revert(const Context& ctx, const Repository& repository,
                                              std::string_view branch_name, std::string_view ref, int parent_number,
                                              const CommitSpec& spec, Publish when) {
  TRY_LET(const Resolved undone, resolve(ctx, repository, ref));
  TRY_LET(const CommitId parent, chosen_parent(undone.commit, parent_number, Code::kMergeConflict));
  TRY_LET(const auto clean, clean_head(ctx, repository, branch_name));
  ThreeWay way;
  way.kind = LandingKind::kRevert;
  way.base = undone.commit.id;
  way.source = parent;
  way.draft = make_commit(spec, {}, 0);
  if (way.draft.message.empty()) way.draft.message = "Revert " + std::string(ref);
  way.allow_empty = spec.allow_empty;
  return apply_three_way(ctx, repository, clean.first, clean.second, way, when);
}

// What a commit did: from its parent (base) to the commit (source), applied to the head.
Result<PreparedMerge> EngineImpl::make_cherry_pick(const Context& ctx, const Repository& repository,
                                                   std::string_view branch_name, std::string_view ref,
                                                   int parent_number, const CommitSpec& spec, Publish when) {
  TRY_LET(const Resolved picked, resolve(ctx, repository, ref));
  TRY_LET(const CommitId parent, chosen_parent(picked.commit, parent_number, Code::kInvalid));
  TRY_LET(const auto clean, clean_head(ctx, repository, branch_name));
  ThreeWay way;
  way.kind = LandingKind::kCherryPick;
  way.base = parent;
  way.source = picked.commit.id;
  way.draft = make_commit(spec, {}, 0);
  if (way.draft.message.empty()) way.draft.message = picked.commit.message;
  for (const auto& [key, value] : picked.commit.metadata) way.draft.metadata.emplace(key, value);
  way.draft.metadata["cherry-pick-origin"] = picked.commit.id.hex();
  way.draft.metadata["cherry-pick-committer"] = picked.commit.committer;
  way.allow_empty = spec.allow_empty;
  return apply_three_way(ctx, repository, clean.first, clean.second, way, when);
}

Result<PreparedMerge> EngineImpl::prepare_merge(const Context& ctx, const Repository& repository,
                                                std::string_view source, std::string_view destination,
                                                const MergeSpec& spec) {
  return make_merge(ctx, repository, source, destination, spec, Publish::kNow);
}
Result<PreparedMerge> EngineImpl::prepare_revert(const Context& ctx, const Repository& repository,
                                                 std::string_view branch, std::string_view ref, int parent_number,
                                                 const CommitSpec& spec) {
  return make_revert(ctx, repository, branch, ref, parent_number, spec, Publish::kNow);
}
Result<PreparedMerge> EngineImpl::prepare_cherry_pick(const Context& ctx, const Repository& repository,
                                                      std::string_view branch, std::string_view ref, int parent_number,
                                                      const CommitSpec& spec) {
  return make_cherry_pick(ctx, repository, branch, ref, parent_number, spec, Publish::kNow);
}

}  // namespace tarn::versioning::detail
