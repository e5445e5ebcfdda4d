#pragma once
// Version control over the object store: repositories, refs, staging, commits, merge, history.
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/context.h"
#include "base/executor.h"
#include "base/random.h"
#include "block/store.h"
#include "kv/store.h"
#include "tree/tree.h"
#include "versioning/gate.h"
#include "versioning/types.h"

namespace tarn::versioning {

struct RepositoryCreation {
  std::string name, storage_namespace, default_branch = "main";
  bool read_only = false, bare = false;
  Metadata metadata;
};

/// What a write expects to find. Exact: a refused write had no effect (promise G6).
struct Expect {
  enum class Kind { kAnything, kAbsent, kEtag } kind = Kind::kAnything;
  std::string etag;  ///< text form, without quotes
};

struct CommitSpec {
  std::string message, committer;
  Metadata metadata;
  std::optional<base::WallMs> date_ms;  ///< the clock's when not given
  bool allow_empty = false;
};

/// A strategy for a class of paths.
struct PathStrategy {
  std::string paths;  ///< ends with '/': all below it; else a glob over the whole path, whose '*' also matches '/'
  tree::Strategy strategy = tree::Strategy::kNone;
};

struct MergeSpec {
  CommitSpec commit;  ///< an empty message becomes "Merge 'source' into 'destination'"
  tree::Strategy strategy = tree::Strategy::kNone;
  bool squash = false;                        ///< one parent
  std::vector<PathStrategy> path_strategies;  ///< the first that matches a conflicting path decides, else `strategy`
};

/// A prospective merge result (or the conflicts that prevent it).
struct PreparedMerge {
  std::optional<Candidate> candidate;     ///< nullopt: conflicts, or nothing to merge
  std::vector<tree::Conflict> conflicts;  ///< complete, in key order
  std::vector<tree::Change> changes;      ///< destination head -> candidate, in key order
  CommitId base, source, destination;
  bool nothing_to_merge = false;
};

struct ListQuery {
  std::string prefix, after, delimiter;
  size_t amount = 100;
};

struct Listed {
  std::string path;  ///< an object's path, or a common prefix ending in the delimiter
  bool is_prefix = false;
  tree::Entry entry;
};

struct DiffItem {
  enum class Type { kAdded, kRemoved, kChanged, kConflict, kPrefixChanged } type;
  std::string path;
  bool is_prefix = false;
  std::optional<tree::Entry> left, right;
};

/// What folding the packs of a repository did.
struct FoldReport {
  size_t packs_before = 0, packs_after = 0;
  uint64_t bytes_before = 0, bytes_after = 0;  ///< of its packs
  uint64_t reclaimed = 0;                      ///< bytes that the object store gave back to the disk
};

enum class DiffType { kTwoDot, kThreeDot };

struct LogQuery {
  std::string after;  ///< commit id, exclusive
  size_t amount = 100;
  std::vector<std::string> objects, prefixes;  ///< only commits that changed one of them against their first parent
  bool first_parent = false;
  std::optional<base::WallMs> since_ms;
  std::string stop_at;  ///< inclusive
};

struct ProtectionRule {
  std::string pattern;  ///< glob over branch names
};

/// Everything below is safe from any thread and holds no lock while it waits. All calls add kUnavailable, kCorrupt,
/// kDeadline and kCancelled to their own errors. Reads of a branch see writes acknowledged before the call (G2).
class Engine {
 public:
  struct Options {
    size_t node_cache_bytes = 32 << 20;
    /// Packs that a repository writes before they are folded in the background; 0: never by itself.
    size_t fold_from = 512;
    /// Where committed staging rows are removed; nullptr: a thread of the engine's own. Outlives the engine.
    base::Executor* background = nullptr;
    /// A thread that writes the ref journal at most so often, and what is left when the engine goes; 0: none, only
    /// flush_ref_journal() does.
    int64_t ref_journal_ms = 0;
  };
  static Result<std::unique_ptr<Engine>> open(kv::Store& kv, block::Store& blocks, base::Clock& clock,
                                              base::Random& random, Options options);
  virtual ~Engine() = default;

  /// Plugs the say of the rooms above into the gate; at start, before the first request.
  virtual void set_policy(LandingPolicy* policy) = 0;

  /// Writes to the object store which refs moved before this call and are not in the ref journal yet: what
  /// `tarn recover` brings back when the key-value store is lost (docs/formats/ref-journal.md).
  /// Errors: kNoSpace, kCorrupt: what is not written stays noted.
  virtual Result<void> flush_ref_journal(const Context&) = 0;

  // Repositories. Names that do not exist: kNotFound, subject "repository".
  /// The first commit "Repository created" is the default branch's head (unless bare). `also` lands in the same batch.
  /// Errors: kInvalid, kAlreadyExists (name, or namespace in use: subject "storage_namespace").
  virtual Result<Repository> create_repository(const Context&, const RepositoryCreation&,
                                               const kv::Batch& also = {}) = 0;
  virtual Result<Repository> get_repository(const Context&, std::string_view name) = 0;
  virtual Result<Page<Repository>> list_repositories(const Context&, const PageQuery&) = 0;
  virtual Result<void> delete_repository(const Context&, std::string_view name) = 0;
  /// Replaces the metadata map.
  virtual Result<void> set_repository_metadata(const Context&, std::string_view name, const Metadata&) = 0;
  virtual Result<std::vector<ProtectionRule>> protection(const Context&, const Repository&) = 0;
  /// @param expected_version  of the stored rules (0: there must be none); nullopt: whatever. Errors: kConflict.
  virtual Result<void> set_protection(const Context&, const Repository&, const std::vector<ProtectionRule>&,
                                      std::optional<std::string> expected_etag = {}) = 0;
  /// Opaque, changes with the rules; empty when there are none.
  virtual Result<std::string> protection_etag(const Context&, const Repository&) = 0;

  // Refs.
  virtual Result<Branch> create_branch(const Context&, const Repository&, std::string_view name,
                                       std::string_view source, bool hidden = false, const kv::Batch& also = {}) = 0;
  virtual Result<Branch> get_branch(const Context&, const Repository&, std::string_view name) = 0;
  virtual Result<Page<Branch>> list_branches(const Context&, const Repository&, const PageQuery&, bool show_hidden) = 0;
  /// Goes through the gate. Errors: kForbidden (default or protected branch).
  virtual Result<void> delete_branch(const Context&, const Repository&, std::string_view name,
                                     const Pass* pass = nullptr, const kv::Batch& also = {}) = 0;
  virtual Result<Tag> create_tag(const Context&, const Repository&, std::string_view name, std::string_view ref,
                                 bool force = false) = 0;
  /// The same as a step of a caller's batch (nothing is written here).
  virtual Result<void> add_tag(kv::Batch& batch, const Repository&, std::string_view name, const CommitId&) = 0;
  virtual Result<Tag> get_tag(const Context&, const Repository&, std::string_view name) = 0;
  virtual Result<Page<Tag>> list_tags(const Context&, const Repository&, const PageQuery&) = 0;
  virtual Result<void> delete_tag(const Context&, const Repository&, std::string_view name) = 0;
  virtual Result<Commit> get_commit(const Context&, const Repository&, const CommitId&) = 0;
  /// Full id, branch, tag, unique id prefix; then "~N", "^N", "@", "$". Errors: kNotFound, kInvalid.
  virtual Result<Resolved> resolve(const Context&, const Repository&, std::string_view ref) = 0;

  // Reading, staged changes included when `at.branch` is set.
  virtual Result<std::optional<tree::Entry>> find(const Context&, const Repository&, const Resolved& at,
                                                  std::string_view path) = 0;
  /// A page is a snapshot of one instant.
  virtual Result<Page<Listed>> list(const Context&, const Repository&, const Resolved& at, const ListQuery&) = 0;
  /// Calls `each` in path order for everything below the prefix at a commit (no staging).
  virtual Result<void> walk(const Context&, const Repository&, const Commit& at, std::string_view prefix,
                            const std::function<Result<void>(const std::string& path, const tree::Entry&)>& each) = 0;

  /// The same to be pulled. Cost: as tree::Cursor.
  virtual std::unique_ptr<tree::Cursor> cursor(const Repository&, const Commit& at) = 0;

  // Staging. Errors: kNotFound (branch), kForbidden (protected, read-only), kConflict (`expect` does not hold).
  virtual Result<void> stage(const Context&, const Repository&, std::string_view branch, std::string_view path,
                             const tree::Entry&, const Expect& = {}) = 0;
  /// Removing what is not there is success.
  virtual Result<void> stage_removal(const Context&, const Repository&, std::string_view branch, std::string_view path,
                                     const Expect& = {}) = 0;
  /// Many edits in one batch.
  virtual Result<void> stage_many(const Context&, const Repository&, std::string_view branch,
                                  std::span<const tree::Edit> edits) = 0;
  /// Drops staged changes: one path, a prefix, or all (empty prefix).
  virtual Result<void> reset(const Context&, const Repository&, std::string_view branch,
                             std::string_view path_or_prefix, bool is_prefix) = 0;
  virtual Result<bool> is_dirty(const Context&, const Repository&, std::string_view branch) = 0;
  virtual Result<Page<DiffItem>> uncommitted(const Context&, const Repository&, std::string_view branch,
                                             const ListQuery&) = 0;

  // Candidates: immutable, durable, no head moved. Errors: kNotFound; kInvalid subject "commit" "no changes".
  virtual Result<Candidate> prepare_commit(const Context&, const Repository&, std::string_view branch,
                                           const CommitSpec&) = 0;
  /// Head (or `parent` when given) plus edits, without staging rows: imports, onboarding. Edits sorted by key.
  virtual Result<Candidate> prepare_edits(const Context&, const Repository&, std::string_view branch,
                                          std::span<const tree::Edit> edits, const CommitSpec&, LandingKind,
                                          std::optional<CommitId> parent = {}) = 0;
  /// The same from a source, for millions of edits: none is held longer than its leaf is open. The source's own error
  /// comes back as it is. Memory: a pack.
  virtual Result<Candidate> prepare_edits(const Context&, const Repository&, std::string_view branch,
                                          const tree::EditSource& edits, const CommitSpec&, LandingKind,
                                          std::optional<CommitId> parent = {}) = 0;
  /// The prospective merge result of `source` into the branch's head. Readable by its commit id at once.
  virtual Result<PreparedMerge> prepare_merge(const Context&, const Repository&, std::string_view source,
                                              std::string_view destination_branch, const MergeSpec&) = 0;
  virtual Result<PreparedMerge> prepare_revert(const Context&, const Repository&, std::string_view branch,
                                               std::string_view ref, int parent_number, const CommitSpec&) = 0;
  virtual Result<PreparedMerge> prepare_cherry_pick(const Context&, const Repository&, std::string_view branch,
                                                    std::string_view ref, int parent_number, const CommitSpec&) = 0;
  /// Moves the head from candidate.base_head to candidate.commit, or changes nothing.
  ///
  /// Errors: kConflict subject "branch" (the head moved, or it became dirty: prepare again); kForbidden (protection);
  ///         kRefused (policy); kConflict subject "key" (a precondition of `also`); kUnknownOutcome.
  /// Cost: one kv batch, one sync.
  virtual Result<Commit> land(const Context&, const Repository&, const Landing&) = 0;

  // prepare + land, again when the head moved (at most 10 times, then kBusy).
  virtual Result<Commit> commit(const Context&, const Repository&, std::string_view branch, const CommitSpec&) = 0;
  /// A conflict is no Error: `conflicts` is filled and `landed` empty.
  struct MergeResult {
    std::optional<Commit> landed;
    std::vector<tree::Conflict> conflicts;
  };
  virtual Result<MergeResult> merge(const Context&, const Repository&, std::string_view source,
                                    std::string_view destination_branch, const MergeSpec&) = 0;
  virtual Result<MergeResult> revert(const Context&, const Repository&, std::string_view branch, std::string_view ref,
                                     int parent_number, const CommitSpec&) = 0;
  virtual Result<MergeResult> cherry_pick(const Context&, const Repository&, std::string_view branch,
                                          std::string_view ref, int parent_number, const CommitSpec&) = 0;
  /// The branch must be clean.
  virtual Result<void> hard_reset(const Context&, const Repository&, std::string_view branch, std::string_view ref,
                                  const Pass* pass = nullptr, const kv::Batch& also = {}) = 0;

  // History and comparison.
  /// Newest date first, each behind one that leads to it. Pages put together are the whole log. Cost of a page: its
  /// commits; with objects or prefixes also the walk to them, about 50 ns a commit.
  virtual Result<Page<Commit>> log(const Context&, const Repository&, std::string_view ref, const LogQuery&) = 0;
  /// What a merge of `source` into `destination` cannot decide without a strategy. Cost: O(changed leaves of the source
  /// + the page).
  virtual Result<Page<tree::Conflict>> conflicts(const Context&, const Repository&, std::string_view source,
                                                 std::string_view destination, const PageQuery&) = 0;
  /// The first of the best common ancestors. Errors: kNotFound "commit"; kNotFound "merge_base" (there is none).
  virtual Result<CommitId> merge_base(const Context&, const Repository&, const CommitId&, const CommitId&) = 0;
  /// Common ancestors from which no other one can be reached: of the greatest generation first, then the newest, then
  /// the smallest id. Several where histories crossed. Cost: about 30 ns for each commit that only one of them reaches.
  virtual Result<std::vector<CommitId>> best_common_ancestors(const Context&, const Repository&, const CommitId&,
                                                              const CommitId&) = 0;
  virtual Result<Page<DiffItem>> diff(const Context&, const Repository&, std::string_view left, std::string_view right,
                                      DiffType, const ListQuery&) = 0;
  /// All changes between two commits (also of two repositories), in key order.
  virtual Result<std::vector<tree::Change>> changes(const Context&, const Repository& left_repository,
                                                    const Commit& left, const Repository& right_repository,
                                                    const Commit& right, std::string_view prefix) = 0;
  /// SHA-256 over (path, size, checksum) of everything below a prefix: the mesh's scope digest. Not a root hash.
  virtual Result<std::string> scope_digest(const Context&, const Repository&, const Commit&,
                                           std::string_view prefix) = 0;
  virtual Result<tree::Totals> totals(const Context&, const Repository&, const Commit&, std::string_view prefix) = 0;

  // Maintenance.
  /// Folds the small packs of many commits into few (the engine does so by itself from time to time). Reads, commits
  /// and merges go on meanwhile and see no difference. Waits for one that is under way. Errors: kNotFound (repository),
  /// kNoSpace. Cost: reads every small pack that was not folded before.
  virtual Result<FoldReport> fold_packs(const Context&, const Repository&) = 0;
};

}  // namespace tarn::versioning
