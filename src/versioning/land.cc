// The gate: the only place that moves a branch head (decision D6).
#include "versioning/detail/engine_impl.h"

namespace tarn::versioning::detail {
// Protection and policy are asked of the destination; then one batch: the head moves from the tested commit, with the
// commit's record and the caller's own rows, or nothing happens.
Result<Commit> EngineImpl::land(const Context& ctx, const Repository& repository, const Landing& landing) {
  const Candidate& candidate = landing.candidate;
  const bool deletes = candidate.kind == LandingKind::kDeleteBranch;
  if (repository.read_only)
    return Error(Code::kForbidden, "repository", "repository '" + repository.name + "' is read-only");

  reach(Stage::kRunGate);
  kv::Sequence protection_version = 0;
  {
    TRY_LET(const auto view, kv_.view(ctx));
    TRY_LET(const Protection rules, read_protection(*view, repository));
    protection_version = rules.version;
    if (deletes && candidate.branch == repository.default_branch)
      return Error(Code::kForbidden, "branch", "the default branch '" + candidate.branch + "' cannot be deleted");
    if (protects(rules.rules, candidate.branch) && !landing.pass && candidate.kind != LandingKind::kMerge)
      return Error(Code::kForbidden, "branch",
                   "branch '" + candidate.branch + "' is protected: it takes merges only, no " +
                       std::string(name_of(candidate.kind)));
  }
  if (LandingPolicy* policy = policy_.load()) TRY(policy->review(ctx, repository, candidate, landing.pass));

  const Candidate* const chain[] = {&candidate};
  TRY(move_head(ctx, repository, {chain, protection_version, &landing.also}));
  return candidate.commit;
}

// One batch. Only its first and last candidate matter to the branch's record; the commits between become ancestors.
Result<void> EngineImpl::move_head(const Context& ctx, const Repository& repository, const Move& move) {
  const Candidate& first = *move.chain.front();
  const Candidate& last = *move.chain.back();
  const bool deletes = first.kind == LandingKind::kDeleteBranch;
  TRY_LET(const auto view, kv_.view(ctx));
  TRY_LET(const Branch branch, read_branch(*view, repository, first.branch));
  if (branch.head != first.base_head) return head_moved(first.branch);
  if (first.branch_version != 0 && branch.version != first.branch_version) return head_moved(first.branch);
  // Rows that change nothing under the old head (the removal of a path that is not there) end with it: under the new
  // head they would hide what it brings.
  std::vector<SealedRow> ended;
  for (const Candidate* candidate : move.chain)
    ended.insert(ended.end(), candidate->sealed.begin(), candidate->sealed.end());
  if (first.kind != LandingKind::kCommit && !deletes) {
    TRY_LET(const bool dirty, dirty_in(ctx, *view, repository, branch, &ended));
    if (dirty && first.requires_clean)
      return Error(Code::kConflict, "branch", "branch '" + first.branch + "' got uncommitted changes meanwhile");
  }

  const std::string key = keys::branch(repository.id, first.branch);
  kv::Batch batch;
  batch.require_present(keys::alive(repository.id))
      .require_version(keys::protection(repository.id), move.protection_version)
      .require_version(key, branch.version);
  if (deletes) {
    const std::string rows = keys::staging(repository.id, branch.id);
    batch.erase(key).erase(keys::epoch(repository.id, branch.id)).erase_range(rows, kv::prefix_end(rows));
  } else {
    Branch moved = branch;
    moved.head = last.commit.id;
    for (const Candidate* candidate : move.chain) {
      moved.committed_through = std::max(moved.committed_through, candidate->committed_through);
      const std::string record = keys::commit(repository.id, candidate->commit.id);
      if (candidate->kind == LandingKind::kHardReset)
        batch.require_present(record);
      else
        batch.put(record, encode_commit(candidate->commit, repository.id, candidate->branch));
    }
    batch.put(key, encode_branch(moved));
    for (const SealedRow& row : ended) batch.erase_if_version(row.key, row.version);
  }
  RefJournal::note_branch(batch, repository.id, first.branch);
  if (move.also) batch.append(*move.also);

  // A commit shows what its branch showed already; every other move may show something new.
  std::optional<Voids::Change> change;
  if (first.kind != LandingKind::kCommit) change.emplace(voids_, branch.id);
  reach(Stage::kMoveHead);
  const auto applied = kv_.apply(ctx, batch);
  if (change && !applied && applied.error().code() == Code::kUnknownOutcome) change->leave_open();
  journal_.noted();
  if (!applied) {
    if (applied.error().code() != Code::kConflict) return applied.error();
    // Ours or the caller's precondition? Ours failed if the rows are not what they were.
    TRY_LET(const auto now, kv_.view(ctx));
    TRY_LET(const Branch current, read_branch(*now, repository, first.branch));
    TRY_LET(const Protection rules, read_protection(*now, repository));
    if (current.version != branch.version || rules.version != move.protection_version) return head_moved(first.branch);
    return Error(Code::kConflict, "key", applied.error().message());
  }
  reach(Stage::kAfter);
  if (!deletes)
    for (const Candidate* candidate : move.chain) know(repository, candidate->commit);
  // A full list means that there may be more rows than it names.
  if (ended.size() >= kSealedRows) clean_later(repository, first.branch);
  return {};
}

Result<void> EngineImpl::with_retries(const Context& ctx, const Repository& repository, std::string_view branch,
                                      const std::function<Result<Commit>()>& attempt) {
  if (const auto first = attempt(); first || !is_conflict_of_branch(first.error()))
    return first ? Result<void>() : Result<void>(first.error());
  Rider rider{ctx, LandingKind::kHardReset, {}, [&]() -> Result<MergeResult> {
                for (int i = 1; i < kLandingAttempts; ++i) {
                  TRY(ctx.check(clock_));
                  const auto again = attempt();
                  if (again) return MergeResult{};
                  if (!is_conflict_of_branch(again.error())) return again.error();
                }
                return too_busy(branch);
              }};
  TRY(ride(repository, branch, rider));
  return {};
}

Result<void> EngineImpl::hard_reset(const Context& ctx, const Repository& repository, std::string_view branch,
                                    std::string_view ref, const Pass* pass, const kv::Batch& also) {
  return with_retries(ctx, repository, branch, [&]() -> Result<Commit> {
    TRY_LET(const Footing clean, find_footing(ctx, repository, branch, Rows::kForbidden));
    TRY_LET(Resolved target, resolve(ctx, repository, ref));
    Candidate candidate;
    candidate.kind = LandingKind::kHardReset;
    candidate.branch = branch;
    candidate.base_head = clean.branch.head;
    candidate.commit = std::move(target.commit);
    candidate.requires_clean = true;
    return land(ctx, repository, {std::move(candidate), also, pass});
  });
}

Result<void> EngineImpl::delete_branch(const Context& ctx, const Repository& repository, std::string_view name,
                                       const Pass* pass, const kv::Batch& also) {
  return with_retries(ctx, repository, name, [&]() -> Result<Commit> {
    TRY_LET(const Branch branch, get_branch(ctx, repository, name));
    Candidate candidate;
    candidate.kind = LandingKind::kDeleteBranch;
    candidate.branch = name;
    candidate.base_head = branch.head;
    return land(ctx, repository, {std::move(candidate), also, pass});
  });
}

}  // namespace tarn::versioning::detail
