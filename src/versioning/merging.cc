// Candidates of merges: the prospective result of merge, revert and cherry-pick is one three-way merge each.
#include <unordered_set>

#include "versioning/detail/engine_impl.h"

namespace tarn::versioning::detail {
namespace {

constexpr size_t kMeetingSteps = 64;

/// The first class that a path belongs to decides.
tree::Strategy strategy_at(const MergeSpec& spec, std::string_view path) {
  for (const PathStrategy& one : spec.path_strategies)
    if (one.paths.ends_with('/') ? path.starts_with(one.paths) : glob_matches(one.paths, path)) return one.strategy;
  return spec.strategy;
}

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

// The best common ancestor is the one of the landed head, unless the train brings in a better one: a best one has the
// greatest generation, so only what `source` has at or above the landed one's is looked at. What is above it cannot be
// in the landed history; of the rest that is asked.
Result<EngineImpl::Meeting> EngineImpl::meet(const Context& ctx, const Repository& repository, const Commit& source,
                                             const Footing& footing) {
  Meeting out;
  std::optional<Commit> best;
  const auto landed = merge_base(ctx, repository, source.id, footing.branch.head);
  if (landed) {
    TRY_LET(best, load_commit(ctx, repository, *landed));
  } else if (landed.error().code() != Code::kNotFound) {
    return landed.error();
  }
  const CommitId landed_base = best ? best->id : CommitId();
  const uint64_t floor = best ? best->generation : 0;
  std::set<CommitId> seen;
  std::vector<CommitId> waiting{source.id};
  while (!waiting.empty()) {
    const CommitId id = waiting.back();
    waiting.pop_back();
    if (id == landed_base || !seen.insert(id).second) continue;
    if (seen.size() > kMeetingSteps) {
      out.complete = false;
      break;
    }
    const bool brought = footing.brought.contains(id);
    TRY_LET(const Commit commit, load_commit(ctx, repository, id));
    if (brought) {
      const bool better = !best || commit.generation > best->generation ||
                          (commit.generation == best->generation &&
                           (commit.date_ms > best->date_ms || (commit.date_ms == best->date_ms && id < best->id)));
      if (better) best = commit;
      continue;
    }
    if (commit.generation <= floor) {
      TRY_LET(const CommitId common, merge_base(ctx, repository, id, footing.branch.head));
      if (common == id) continue;
    }
    out.brings.push_back(id);
    waiting.insert(waiting.end(), commit.parents.begin(), commit.parents.end());
  }
  if (best) out.base = best->id;
  return out;
}

Result<PreparedMerge> EngineImpl::apply_three_way(const Context& ctx, const Repository& repository, const ThreeWay& way,
                                                  Footing& footing, tree::PackBuilder& builder) {
  const Commit& head = footing.head;
  PreparedMerge out;
  out.base = way.base;
  out.source = way.source.id;
  out.destination = head.id;
  tree::Root base = tree::empty_root(repository.parameters);
  if (!way.base.is_zero()) {
    TRY_LET(const Commit at, load_commit(ctx, repository, way.base));
    base = at.root;
  }

  reach(Stage::kBuildTree);
  const auto store = packs(repository);
  TRY_LET(tree::Merged merged, tree::merge(ctx, store, base, way.source.root, head.root, way.strategy, builder));
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
  candidate.branch = footing.branch.name;
  candidate.base_head = head.id;
  candidate.requires_clean = true;
  candidate.commit = way.draft;
  candidate.commit.parents = {head.id};
  candidate.commit.generation = head.generation + 1;
  if (way.kind == LandingKind::kMerge && !way.squash) {
    candidate.commit.parents.push_back(way.source.id);
    candidate.commit.generation = std::max(head.generation, way.source.generation) + 1;
  }
  candidate.commit.root = merged.root;
  seal(repository, candidate.branch, candidate.commit, out.changes, builder);
  out.candidate = std::move(candidate);
  return out;
}

Result<Rider::Make> EngineImpl::merge_step(const Context& ctx, const Repository& repository, std::string_view source,
                                           std::string_view destination, const MergeSpec& spec) {
  if (source == destination)
    return Error(Code::kInvalid, "source", "source and destination are the same branch '" + std::string(source) + "'");
  TRY_LET(Resolved from, resolve(ctx, repository, source));
  CommitSpec draft = spec.commit;
  if (draft.message.empty())
    draft.message = "Merge '" + std::string(source) + "' into '" + std::string(destination) + "'";
  draft.metadata[".lakefs.merge.strategy"] = strategy_name(spec.strategy);
  for (size_t i = 0; i < spec.path_strategies.size(); ++i)
    draft.metadata["tarn.merge.strategy." + std::to_string(i)] =
        std::string(strategy_name(spec.path_strategies[i].strategy)) + " " + spec.path_strategies[i].paths;
  return Rider::Make([this, &repository, from = std::move(from.commit), draft = std::move(draft), squash = spec.squash,
                      spec](const Context& own, Footing& footing, tree::PackBuilder& builder) -> Result<PreparedMerge> {
    TRY_LET(const Meeting meeting, meet(own, repository, from, footing));
    const bool first = footing.brought.empty();
    if (!meeting.complete && !first) return head_moved(footing.branch.name);  // to be made on what has landed
    if (meeting.base == from.id && !draft.allow_empty) {
      PreparedMerge nothing;
      nothing.base = nothing.source = from.id;
      nothing.destination = footing.head.id;
      nothing.nothing_to_merge = true;
      return nothing;
    }
    ThreeWay way;
    way.kind = LandingKind::kMerge;
    way.base = meeting.base;
    way.source = from;
    way.draft = make_commit(draft, {}, 0);
    way.allow_empty = draft.allow_empty;
    way.squash = squash;
    way.strategy = [&spec](std::string_view path) { return strategy_at(spec, path); };
    TRY_LET(PreparedMerge made, apply_three_way(own, repository, way, footing, builder));
    if (made.candidate && !squash) {
      footing.brought.insert(meeting.brings.begin(), meeting.brings.end());
      footing.last = !meeting.complete;
    }
    return made;
  });
}

// What undoes a commit: from the commit (base) to its parent (source), applied to the head.
Result<Rider::Make> EngineImpl::revert_step(const Context& ctx, const Repository& repository, std::string_view ref,
                                            int parent_number, const CommitSpec& spec) {
  TRY_LET(const Resolved undone, resolve(ctx, repository, ref));
  TRY_LET(const CommitId parent, chosen_parent(undone.commit, parent_number, Code::kMergeConflict));
  ThreeWay way;
  way.kind = LandingKind::kRevert;
  way.base = undone.commit.id;
  TRY_LET(way.source, load_commit(ctx, repository, parent));
  way.allow_empty = spec.allow_empty;
  CommitSpec draft = spec;
  if (draft.message.empty()) draft.message = "Revert " + std::string(ref);
  return Rider::Make([this, &repository, way = std::move(way), draft = std::move(draft)](
                         const Context& own, Footing& footing, tree::PackBuilder& builder) {
    ThreeWay now = way;
    now.draft = make_commit(draft, {}, 0);
    return apply_three_way(own, repository, now, footing, builder);
  });
}

// What a commit did: from its parent (base) to the commit (source), applied to the head.
Result<Rider::Make> EngineImpl::cherry_pick_step(const Context& ctx, const Repository& repository, std::string_view ref,
                                                 int parent_number, const CommitSpec& spec) {
  TRY_LET(Resolved picked, resolve(ctx, repository, ref));
  ThreeWay way;
  way.kind = LandingKind::kCherryPick;
  TRY_LET(way.base, chosen_parent(picked.commit, parent_number, Code::kInvalid));
  way.allow_empty = spec.allow_empty;
  CommitSpec draft = spec;
  if (draft.message.empty()) draft.message = picked.commit.message;
  for (const auto& [key, value] : picked.commit.metadata) draft.metadata.emplace(key, value);
  draft.metadata["cherry-pick-origin"] = picked.commit.id.hex();
  draft.metadata["cherry-pick-committer"] = picked.commit.committer;
  way.source = std::move(picked.commit);
  return Rider::Make([this, &repository, way = std::move(way), draft = std::move(draft)](
                         const Context& own, Footing& footing, tree::PackBuilder& builder) {
    ThreeWay now = way;
    now.draft = make_commit(draft, {}, 0);
    return apply_three_way(own, repository, now, footing, builder);
  });
}

namespace {

/// Makes a prepared candidate readable by its id.
template <class Publish>
Result<PreparedMerge> published(Result<PreparedMerge> made, Publish publish) {
  if (made && made->candidate) TRY(publish(made->candidate->commit));
  return made;
}

}  // namespace

Result<PreparedMerge> EngineImpl::prepare_merge(const Context& ctx, const Repository& repository,
                                                std::string_view source, std::string_view destination,
                                                const MergeSpec& spec) {
  TRY_LET(const Rider::Make step, merge_step(ctx, repository, source, destination, spec));
  return published(prepare_alone(ctx, repository, destination, Rows::kForbidden, step),
                   [&](const Commit& commit) { return publish(ctx, repository, destination, commit); });
}
Result<PreparedMerge> EngineImpl::prepare_revert(const Context& ctx, const Repository& repository,
                                                 std::string_view branch, std::string_view ref, int parent_number,
                                                 const CommitSpec& spec) {
  TRY_LET(const Rider::Make step, revert_step(ctx, repository, ref, parent_number, spec));
  return published(prepare_alone(ctx, repository, branch, Rows::kForbidden, step),
                   [&](const Commit& commit) { return publish(ctx, repository, branch, commit); });
}
Result<PreparedMerge> EngineImpl::prepare_cherry_pick(const Context& ctx, const Repository& repository,
                                                      std::string_view branch, std::string_view ref, int parent_number,
                                                      const CommitSpec& spec) {
  TRY_LET(const Rider::Make step, cherry_pick_step(ctx, repository, ref, parent_number, spec));
  return published(prepare_alone(ctx, repository, branch, Rows::kForbidden, step),
                   [&](const Commit& commit) { return publish(ctx, repository, branch, commit); });
}

}  // namespace tarn::versioning::detail
