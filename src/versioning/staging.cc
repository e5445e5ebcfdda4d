// Staging: rows under a branch's id, each written in one batch with the proof that the branch lives and is open.
#include "versioning/detail/engine_impl.h"

namespace tarn::versioning::detail {
namespace {

constexpr int kAttempts = 10;
constexpr size_t kCachedGates = 100'000;

Error read_only(const Repository& repository) {
  return Error(Code::kForbidden, "repository", "repository '" + repository.name + "' is read-only");
}

Error protected_branch(std::string_view branch) {
  return Error(Code::kForbidden, "branch",
               "branch '" + std::string(branch) + "' is protected: write to another branch and merge it");
}

Error changes_too_often(std::string_view branch) {
  return Error(Code::kBusy, "branch", "branch '" + std::string(branch) + "' changes too often: try again later");
}

}  // namespace

// What a write must prove in its own batch. Remembered between writes: a stale memory fails the batch, never the rule.
Result<EngineImpl::WriteGate> EngineImpl::admit(const Context& ctx, const Repository& repository,
                                                std::string_view branch, bool fresh) {
  if (repository.read_only) return read_only(repository);
  const std::string key = repository.id + std::string(branch);
  std::optional<WriteGate> known;
  if (!fresh) {
    base::Lock lock(mutex_);
    const auto found = gates_.find(key);
    if (found != gates_.end()) known = found->second;
  }
  if (!known) {
    TRY_LET(const auto view, kv_.view(ctx));
    TRY_LET(const Branch record, read_branch(*view, repository, branch));
    TRY_LET(const Protection rules, read_protection(*view, repository));
    if (protects(rules.rules, branch)) return protected_branch(branch);
    known = WriteGate{record.id, rules.version};
    base::Lock lock(mutex_);
    if (gates_.size() >= kCachedGates) gates_.clear();
    gates_[key] = *known;
  }
  if (LandingPolicy* policy = policy_.load()) TRY(policy->admit_write(ctx, repository, branch));
  return *known;
}

Result<void> EngineImpl::write_rows(const Context& ctx, const Repository& repository, std::string_view branch,
                                    std::span<const tree::Edit> edits) {
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    TRY_LET(const WriteGate gate, admit(ctx, repository, branch, attempt > 0));
    kv::Batch batch;
    batch.require_present(keys::epoch(repository.id, gate.branch_id))
        .require_version(keys::protection(repository.id), gate.protection_version);
    for (const tree::Edit& edit : edits)
      batch.put(keys::staged(repository.id, gate.branch_id, edit.key), encode_staged(edit.entry));
    Voids::Change change(voids_, gate.branch_id, edits);
    const auto applied = kv_.apply(ctx, batch);
    if (!applied && applied.error().code() == Code::kUnknownOutcome) change.leave_open();
    if (applied) return {};
    if (applied.error().code() != Code::kConflict) return applied.error();
  }
  return changes_too_often(branch);
}

// Exact (promise G6): what the caller expects is decided on one view, and the batch lands only if neither the row nor
// the branch's head (which says what lies under the row) changed since.
Result<void> EngineImpl::write_expecting(const Context& ctx, const Repository& repository, std::string_view branch,
                                         std::string_view path, const std::optional<tree::Entry>& entry,
                                         const Expect& expect) {
  for (int attempt = 0; attempt < 100; ++attempt) {
    TRY_LET(const WriteGate gate, admit(ctx, repository, branch, true));
    TRY_LET(const auto view, kv_.view(ctx));
    TRY_LET(const Branch record, read_branch(*view, repository, branch));
    const std::string key = keys::staged(repository.id, record.id, path);
    TRY_LET(const std::optional<kv::Row> row, view->get(key));
    std::optional<tree::Entry> present;
    if (row && row->version > record.committed_through) {
      TRY_LET(present, decode_staged(row->value));
    } else {
      TRY_LET(const Commit head, load_commit(ctx, repository, record.head));
      TRY_LET(present, tree::get(ctx, *packs(repository), head.root, path));
    }
    if (expect.kind == Expect::Kind::kAbsent && present)
      return Error(Code::kConflict, "precondition", "'" + std::string(path) + "' exists already");
    if (expect.kind == Expect::Kind::kEtag && (!present || present->etag.text() != expect.etag))
      return Error(Code::kConflict, "precondition",
                   present ? "'" + std::string(path) + "' is not what was expected: its ETag is " + present->etag.text()
                           : "'" + std::string(path) + "' does not exist");
    kv::Batch batch;
    batch.require_version(keys::branch(repository.id, branch), record.version)
        .require_version(keys::protection(repository.id), gate.protection_version);
    if (row)
      batch.require_version(key, row->version);
    else
      batch.require_absent(key);
    batch.put(key, encode_staged(entry));
    const tree::Edit edit{std::string(path), entry};
    Voids::Change change(voids_, record.id, {&edit, 1});
    const auto applied = kv_.apply(ctx, batch);
    if (!applied && applied.error().code() == Code::kUnknownOutcome) change.leave_open();
    if (applied) return {};
    if (applied.error().code() != Code::kConflict) return applied.error();
    TRY(ctx.check(clock_));
  }
  return changes_too_often(branch);
}

Result<void> EngineImpl::stage(const Context& ctx, const Repository& repository, std::string_view branch,
                               std::string_view path, const tree::Entry& entry, const Expect& expect) {
  TRY(check_path(path));
  if (expect.kind != Expect::Kind::kAnything) return write_expecting(ctx, repository, branch, path, entry, expect);
  const tree::Edit edit{std::string(path), entry};
  return write_rows(ctx, repository, branch, {&edit, 1});
}

Result<void> EngineImpl::stage_removal(const Context& ctx, const Repository& repository, std::string_view branch,
                                       std::string_view path, const Expect& expect) {
  TRY(check_path(path));
  if (expect.kind != Expect::Kind::kAnything)
    return write_expecting(ctx, repository, branch, path, std::nullopt, expect);
  const tree::Edit edit{std::string(path), std::nullopt};
  return write_rows(ctx, repository, branch, {&edit, 1});
}

Result<void> EngineImpl::stage_many(const Context& ctx, const Repository& repository, std::string_view branch,
                                    std::span<const tree::Edit> edits) {
  for (const tree::Edit& edit : edits) TRY(check_path(edit.key));
  return write_rows(ctx, repository, branch, edits);
}

// The branch's record is rewritten in the same batch, so that a commit that has these rows in its view loses and looks
// again: a change that was reset is in no later commit. Its head stays what it is. What is written between the look and
// the batch goes, too: what was there at an earlier moment would be a mixture that no order of the calls explains.
Result<void> EngineImpl::reset(const Context& ctx, const Repository& repository, std::string_view branch,
                               std::string_view path_or_prefix, bool is_prefix) {
  for (int attempt = 0; attempt < 100; ++attempt) {
    TRY_LET(const WriteGate gate, admit(ctx, repository, branch, true));
    TRY_LET(const auto view, kv_.view(ctx));
    TRY_LET(const Branch record, read_branch(*view, repository, branch));
    kv::Batch batch;
    batch.require_version(keys::branch(repository.id, branch), record.version)
        .require_version(keys::protection(repository.id), gate.protection_version);
    const std::string rows = keys::staged(repository.id, record.id, path_or_prefix);
    if (is_prefix)
      batch.erase_range(rows, kv::prefix_end(rows));
    else
      batch.erase(rows);
    batch.put(keys::branch(repository.id, branch), encode_branch(record));
    Voids::Change change(voids_, record.id);
    const auto applied = kv_.apply(ctx, batch);
    if (!applied && applied.error().code() == Code::kUnknownOutcome) change.leave_open();
    if (applied) return {};
    if (applied.error().code() != Code::kConflict) return applied.error();
    TRY(ctx.check(clock_));
  }
  return changes_too_often(branch);
}

Result<bool> EngineImpl::is_dirty(const Context& ctx, const Repository& repository, std::string_view branch) {
  TRY_LET(const auto view, kv_.view(ctx));
  TRY_LET(const Branch record, read_branch(*view, repository, branch));
  return dirty_in(ctx, *view, repository, record);
}

}  // namespace tarn::versioning::detail
