// The gate: the only place that moves a branch head (decision D6), and the operations that are prepare + land.
#include "versioning/detail/engine_impl.h"

namespace tarn::versioning::detail {
namespace {

constexpr int kAttempts = 10;

bool is_conflict_of_branch(const Error& error) {
  return error.code() == Code::kConflict && error.subject() == "branch";
}

}  // namespace

/// Waits for its place in the branch's queue and holds it for a scope.
class EngineImpl::Turn {
 public:
  Turn(EngineImpl& engine, std::string key) : engine_(engine), key_(std::move(key)) {
    base::Lock lock(engine_.mutex_);
    Queue& queue = engine_.queues_[key_];
    const uint64_t ticket = queue.next++;
    ++queue.users;
    engine_.turned_.wait(lock, [&] { return queue.serving == ticket; });
  }
  ~Turn() {
    base::Lock lock(engine_.mutex_);
    Queue& queue = engine_.queues_[key_];
    ++queue.serving;
    if (--queue.users == 0) engine_.queues_.erase(key_);
    engine_.turned_.notify_all();
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

 private:
  EngineImpl& engine_;
  const std::string key_;
};

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

  TRY_LET(const auto view, kv_.view(ctx));
  TRY_LET(const Branch branch, read_branch(*view, repository, candidate.branch));
  if (branch.head != candidate.base_head) return head_moved(candidate.branch);
  if (candidate.branch_version != 0 && branch.version != candidate.branch_version) return head_moved(candidate.branch);
  // Rows that change nothing under the old head (the removal of a path that is not there) end with it: under the new
  // head they would hide what it brings.
  std::vector<SealedRow> ended = candidate.sealed;
  if (candidate.kind != LandingKind::kCommit && !deletes) {
    TRY_LET(const bool dirty, dirty_in(ctx, *view, repository, branch, &ended));
    if (dirty && candidate.requires_clean)
      return Error(Code::kConflict, "branch", "branch '" + candidate.branch + "' got uncommitted changes meanwhile");
  }

  const std::string key = keys::branch(repository.id, candidate.branch);
  kv::Batch batch;
  batch.require_present(keys::alive(repository.id))
      .require_version(keys::protection(repository.id), protection_version)
      .require_version(key, branch.version);
  if (deletes) {
    const std::string rows = keys::staging(repository.id, branch.id);
    batch.erase(key).erase(keys::epoch(repository.id, branch.id)).erase_range(rows, kv::prefix_end(rows));
  } else {
    Branch moved = branch;
    moved.head = candidate.commit.id;
    moved.committed_through = std::max(branch.committed_through, candidate.committed_through);
    if (candidate.kind == LandingKind::kHardReset)
      batch.require_present(keys::commit(repository.id, moved.head));
    else
      batch.put(keys::commit(repository.id, moved.head),
                encode_commit(candidate.commit, repository.id, candidate.branch));
    batch.put(key, encode_branch(moved));
    for (const SealedRow& row : ended) batch.erase_if_version(row.key, row.version);
  }
  RefJournal::note_branch(batch, repository.id, candidate.branch);
  batch.append(landing.also);

  // A commit shows what its branch showed already; every other move may show something new.
  std::optional<Voids::Change> change;
  if (candidate.kind != LandingKind::kCommit) change.emplace(voids_, branch.id);
  reach(Stage::kMoveHead);
  const auto applied = kv_.apply(ctx, batch);
  if (change && !applied && applied.error().code() == Code::kUnknownOutcome) change->leave_open();
  journal_.noted();
  if (!applied) {
    if (applied.error().code() != Code::kConflict) return applied.error();
    // Ours or the caller's precondition? Ours failed if the rows are not what they were.
    TRY_LET(const auto now, kv_.view(ctx));
    TRY_LET(const Branch current, read_branch(*now, repository, candidate.branch));
    TRY_LET(const Protection rules, read_protection(*now, repository));
    if (current.version != branch.version || rules.version != protection_version) return head_moved(candidate.branch);
    return Error(Code::kConflict, "key", applied.error().message());
  }
  reach(Stage::kAfter);
  if (!deletes) know(repository, candidate.commit);
  // A full list means that there may be more rows than it names.
  if (candidate.sealed.size() >= 256) clean_later(repository, candidate.branch);
  return candidate.commit;
}

// The first attempt runs freely; who loses a race waits for its turn, so that nobody loses for ever.
template <class Attempt>
auto EngineImpl::with_retries(const Context& ctx, const Repository& repository, std::string_view branch,
                              Attempt attempt) -> decltype(attempt()) {
  auto first = attempt();
  if (first || !is_conflict_of_branch(first.error())) return first;
  Turn turn(*this, repository.id + std::string(branch));
  for (int i = 1; i < kAttempts; ++i) {
    TRY(ctx.check(clock_));
    auto again = attempt();
    if (again || !is_conflict_of_branch(again.error())) return again;
  }
  return Error(Code::kBusy, "branch", "branch '" + std::string(branch) + "' moves too often: try again later");
}

Result<Commit> EngineImpl::commit(const Context& ctx, const Repository& repository, std::string_view branch,
                                  const CommitSpec& spec) {
  return with_retries(ctx, repository, branch, [&]() -> Result<Commit> {
    TRY_LET(Candidate candidate, prepare_commit(ctx, repository, branch, spec));
    if (policy_.load()) TRY(publish(ctx, repository, branch, candidate.commit));  // a reviewer may read it
    return land(ctx, repository, {std::move(candidate), {}, nullptr});
  });
}

Result<Engine::MergeResult> EngineImpl::land_prepared(const Context& ctx, const Repository& repository,
                                                      Result<PreparedMerge> prepared) {
  if (!prepared) return prepared.error();
  MergeResult result;
  result.conflicts = std::move(prepared->conflicts);
  if (!result.conflicts.empty()) return result;
  if (!prepared->candidate) return no_changes();
  TRY_LET(result.landed, land(ctx, repository, {std::move(*prepared->candidate), {}, nullptr}));
  return result;
}

Result<Engine::MergeResult> EngineImpl::merge(const Context& ctx, const Repository& repository, std::string_view source,
                                              std::string_view destination, const MergeSpec& spec) {
  return with_retries(ctx, repository, destination, [&] {
    return land_prepared(ctx, repository, make_merge(ctx, repository, source, destination, spec, publication()));
  });
}

Result<Engine::MergeResult> EngineImpl::revert(const Context& ctx, const Repository& repository,
                                               std::string_view branch, std::string_view ref, int parent_number,
                                               const CommitSpec& spec) {
  // The ref is pinned first: "main" means what it is now, also when the head moves in between.
  TRY_LET(const Resolved undone, resolve(ctx, repository, ref));
  CommitSpec named = spec;
  if (named.message.empty()) named.message = "Revert " + std::string(ref);
  return with_retries(ctx, repository, branch, [&] {
    return land_prepared(
        ctx, repository,
        make_revert(ctx, repository, branch, undone.commit.id.hex(), parent_number, named, publication()));
  });
}

Result<Engine::MergeResult> EngineImpl::cherry_pick(const Context& ctx, const Repository& repository,
                                                    std::string_view branch, std::string_view ref, int parent_number,
                                                    const CommitSpec& spec) {
  TRY_LET(const Resolved picked, resolve(ctx, repository, ref));
  return with_retries(ctx, repository, branch, [&] {
    return land_prepared(
        ctx, repository,
        make_cherry_pick(ctx, repository, branch, picked.commit.id.hex(), parent_number, spec, publication()));
  });
}

Result<void> EngineImpl::hard_reset(const Context& ctx, const Repository& repository, std::string_view branch,
                                    std::string_view ref, const Pass* pass, const kv::Batch& also) {
  const auto landed = with_retries(ctx, repository, branch, [&]() -> Result<Commit> {
    TRY_LET(auto clean, clean_head(ctx, repository, branch));
    TRY_LET(Resolved target, resolve(ctx, repository, ref));
    Candidate candidate;
    candidate.kind = LandingKind::kHardReset;
    candidate.branch = branch;
    candidate.base_head = clean.first.head;
    candidate.commit = std::move(target.commit);
    candidate.requires_clean = true;
    return land(ctx, repository, {std::move(candidate), also, pass});
  });
  if (!landed) return landed.error();
  return {};
}

Result<void> EngineImpl::delete_branch(const Context& ctx, const Repository& repository, std::string_view name,
                                       const Pass* pass, const kv::Batch& also) {
  const auto landed = with_retries(ctx, repository, name, [&]() -> Result<Commit> {
    TRY_LET(const Branch branch, get_branch(ctx, repository, name));
    Candidate candidate;
    candidate.kind = LandingKind::kDeleteBranch;
    candidate.branch = name;
    candidate.base_head = branch.head;
    return land(ctx, repository, {std::move(candidate), also, pass});
  });
  if (!landed) return landed.error();
  return {};
}

}  // namespace tarn::versioning::detail
