#pragma once
// The engine behind versioning/engine.h: one class, one file a story.
#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "versioning/detail/commit_graph.h"
#include "versioning/detail/log_walk.h"
#include "versioning/detail/ref_journal.h"
#include "versioning/detail/staged_cursor.h"
#include "versioning/detail/train.h"
#include "versioning/detail/voids.h"
#include "versioning/engine.h"
#include "versioning/keys.h"
#include "versioning/records.h"

namespace tarn::versioning::detail {

struct Protection {
  std::vector<ProtectionRule> rules;
  kv::Sequence version = 0;
};

/// Passes the named stage: a crash test may stop the process here.
void reach(Stage stage);

inline constexpr int kLandingAttempts = 10;
inline constexpr size_t kSealedRows = 256;  ///< rows that a landing removes itself; more are left to the background

bool is_conflict_of_branch(const Error& error);
Error dirty_branch(std::string_view branch);
Error head_moved(std::string_view branch);
Error too_busy(std::string_view branch);
Error no_changes();

class EngineImpl final : public Engine {
 public:
  EngineImpl(kv::Store& kv, block::Store& blocks, base::Clock& clock, base::Random& random, const Options& options);
  ~EngineImpl() override;

  void set_policy(LandingPolicy* policy) override { policy_.store(policy); }
  Result<void> flush_ref_journal(const Context& ctx) override { return journal_.flush(ctx); }

  void start_journal(int64_t interval_ms) {
    if (interval_ms > 0) journal_.start(interval_ms);
  }

  // repositories.cc
  Result<void> repair_namespaces(const Context& ctx);  ///< writes repository records that a crash kept back
  Result<Repository> create_repository(const Context&, const RepositoryCreation&, const kv::Batch& also) override;
  Result<Repository> get_repository(const Context&, std::string_view name) override;
  Result<Page<Repository>> list_repositories(const Context&, const PageQuery&) override;
  Result<void> delete_repository(const Context&, std::string_view name) override;
  Result<void> set_repository_metadata(const Context&, std::string_view name, const Metadata&) override;
  Result<std::vector<ProtectionRule>> protection(const Context&, const Repository&) override;
  Result<void> set_protection(const Context&, const Repository&, const std::vector<ProtectionRule>&,
                              std::optional<std::string> expected_etag) override;
  Result<std::string> protection_etag(const Context&, const Repository&) override;

  // refs.cc
  Result<Branch> create_branch(const Context&, const Repository&, std::string_view name, std::string_view source,
                               bool hidden, const kv::Batch& also) override;
  Result<Branch> get_branch(const Context&, const Repository&, std::string_view name) override;
  Result<Page<Branch>> list_branches(const Context&, const Repository&, const PageQuery&, bool show_hidden) override;
  Result<Tag> create_tag(const Context&, const Repository&, std::string_view name, std::string_view ref,
                         bool force) override;
  Result<void> add_tag(kv::Batch& batch, const Repository&, std::string_view name, const CommitId&) override;
  Result<Tag> get_tag(const Context&, const Repository&, std::string_view name) override;
  Result<Page<Tag>> list_tags(const Context&, const Repository&, const PageQuery&) override;
  Result<void> delete_tag(const Context&, const Repository&, std::string_view name) override;
  Result<Commit> get_commit(const Context&, const Repository&, const CommitId&) override;
  // resolve.cc
  Result<Resolved> resolve(const Context&, const Repository&, std::string_view ref) override;

  // reading.cc
  Result<std::optional<tree::Entry>> find(const Context&, const Repository&, const Resolved& at,
                                          std::string_view path) override;
  Result<Page<Listed>> list(const Context&, const Repository&, const Resolved& at, const ListQuery&) override;
  Result<void> walk(const Context&, const Repository&, const Commit& at, std::string_view prefix,
                    const std::function<Result<void>(const std::string&, const tree::Entry&)>& each) override;
  std::unique_ptr<tree::Cursor> cursor(const Repository&, const Commit& at) override;
  Result<std::string> scope_digest(const Context&, const Repository&, const Commit&, std::string_view prefix) override;
  Result<tree::Totals> totals(const Context&, const Repository&, const Commit&, std::string_view prefix) override;

  // folding.cc
  Result<FoldReport> fold_packs(const Context&, const Repository&) override;

  // staging.cc
  Result<void> stage(const Context&, const Repository&, std::string_view branch, std::string_view path,
                     const tree::Entry&, const Expect&) override;
  Result<void> stage_removal(const Context&, const Repository&, std::string_view branch, std::string_view path,
                             const Expect&) override;
  Result<void> stage_many(const Context&, const Repository&, std::string_view branch,
                          std::span<const tree::Edit> edits) override;
  Result<void> reset(const Context&, const Repository&, std::string_view branch, std::string_view path_or_prefix,
                     bool is_prefix) override;
  Result<bool> is_dirty(const Context&, const Repository&, std::string_view branch) override;

  // prepare.cc, merging.cc
  Result<Candidate> prepare_commit(const Context&, const Repository&, std::string_view branch,
                                   const CommitSpec&) override;
  Result<Candidate> prepare_edits(const Context&, const Repository&, std::string_view branch,
                                  std::span<const tree::Edit> edits, const CommitSpec&, LandingKind,
                                  std::optional<CommitId> parent) override;
  Result<Candidate> prepare_edits(const Context&, const Repository&, std::string_view branch,
                                  const tree::EditSource& edits, const CommitSpec&, LandingKind,
                                  std::optional<CommitId> parent) override;
  Result<PreparedMerge> prepare_merge(const Context&, const Repository&, std::string_view source,
                                      std::string_view destination_branch, const MergeSpec&) override;
  Result<PreparedMerge> prepare_revert(const Context&, const Repository&, std::string_view branch, std::string_view ref,
                                       int parent_number, const CommitSpec&) override;
  Result<PreparedMerge> prepare_cherry_pick(const Context&, const Repository&, std::string_view branch,
                                            std::string_view ref, int parent_number, const CommitSpec&) override;

  /// Riders of a branch, the leader and who rides with it included.
  size_t waiting_to_land(const Repository& repository, std::string_view branch);

  // land.cc: the gate; trains.cc: who queues before it
  Result<Commit> land(const Context&, const Repository&, const Landing&) override;
  Result<void> delete_branch(const Context&, const Repository&, std::string_view name, const Pass* pass,
                             const kv::Batch& also) override;
  Result<Commit> commit(const Context&, const Repository&, std::string_view branch, const CommitSpec&) override;
  Result<MergeResult> merge(const Context&, const Repository&, std::string_view source,
                            std::string_view destination_branch, const MergeSpec&) override;
  Result<MergeResult> revert(const Context&, const Repository&, std::string_view branch, std::string_view ref,
                             int parent_number, const CommitSpec&) override;
  Result<MergeResult> cherry_pick(const Context&, const Repository&, std::string_view branch, std::string_view ref,
                                  int parent_number, const CommitSpec&) override;
  Result<void> hard_reset(const Context&, const Repository&, std::string_view branch, std::string_view ref,
                          const Pass* pass, const kv::Batch& also) override;

  // history.cc
  Result<Page<Commit>> log(const Context&, const Repository&, std::string_view ref, const LogQuery&) override;
  Result<CommitId> merge_base(const Context&, const Repository&, const CommitId&, const CommitId&) override;
  Result<std::vector<CommitId>> best_common_ancestors(const Context&, const Repository&, const CommitId&,
                                                      const CommitId&) override;
  // compare.cc
  Result<Page<tree::Conflict>> conflicts(const Context&, const Repository&, std::string_view source,
                                         std::string_view destination, const PageQuery&) override;
  Result<Page<DiffItem>> uncommitted(const Context&, const Repository&, std::string_view branch,
                                     const ListQuery&) override;
  Result<Page<DiffItem>> diff(const Context&, const Repository&, std::string_view left, std::string_view right,
                              DiffType, const ListQuery&) override;
  Result<std::vector<tree::Change>> changes(const Context&, const Repository& left_repository, const Commit& left,
                                            const Repository& right_repository, const Commit& right,
                                            std::string_view prefix) override;

 private:
  // engine.cc
  std::shared_ptr<tree::Packs> packs(const Repository& repository);
  /// Errors: kNotFound "commit".
  Result<Commit> load_commit(const Context& ctx, const Repository& repository, const CommitId& id);
  void cache_commit(const std::string& repository_id, std::shared_ptr<const Commit> commit);  ///< under mutex_
  /// Errors: kNotFound "branch", or "repository" when that is gone.
  Result<Branch> read_branch(kv::View& view, const Repository& repository, std::string_view name);
  Result<Protection> read_protection(kv::View& view, const Repository& repository);
  Result<void> require_alive(const Context& ctx, const Repository& repository);
  /// Whether a staged row differs from the head, by identity. @param idle  gets the rows that do not: a removal of what
  /// is not there, a write of what is there already. With it all rows are looked at, else up to the first that differs.
  Result<bool> dirty_in(const Context& ctx, kv::View& view, const Repository& repository, const Branch& branch,
                        std::vector<SealedRow>* idle = nullptr);
  /// Puts a commit's record where readers find it, without a head.
  Result<void> publish(const Context& ctx, const Repository& repository, std::string_view branch, const Commit& commit);
  void clean_later(const Repository& repository, std::string branch_name);
  void clean(const Repository& repository, const std::string& branch_name);

  // repositories.cc
  Result<void> write_namespace_record(const Context& ctx, const Repository& repository, std::string_view released);
  Result<void> check_namespace(kv::View& view, const std::string& prefix, std::string& released);

  // prepare.cc
  enum class Rows { kTaken, kForbidden, kWhatever };  ///< what the candidate does with the branch's staged rows
  /// The branch and its head in one view. Errors: kNotFound; kInvalid "branch" (dirty, where rows are forbidden).
  Result<Footing> find_footing(const Context& ctx, const Repository& repository, std::string_view branch, Rows rows);
  Result<PreparedMerge> make_of_rows(const Context& ctx, const Repository& repository, const CommitSpec& spec,
                                     Footing& footing, tree::PackBuilder& builder);
  /// Makes one candidate in a pack of its own and writes that.
  Result<PreparedMerge> prepare_alone(const Context& ctx, const Repository& repository, std::string_view branch,
                                      Rows rows, const Rider::Make& make);
  /// Fills in the id and adds record and change-set to the pack.
  void seal(const Repository& repository, std::string_view branch, Commit& commit,
            std::span<const tree::Change> changes, tree::PackBuilder& builder);
  Result<void> write_pack(const Context& ctx, const Repository& repository, tree::PackBuilder& builder);
  Commit make_commit(const CommitSpec& spec, std::vector<CommitId> parents, uint64_t generation);

  // compare.cc
  /// Their merge base; nullopt when they have none: then the empty map is the base.
  Result<std::optional<Commit>> base_of(const Context& ctx, const Repository& repository, const Commit& a,
                                        const Commit& b);
  /// What a few commits changed, by their change-sets, when `left` is among the nearest first parents of `right`;
  /// nullopt: ask the trees. Cost: the changes, some thousands at most.
  Result<std::optional<std::vector<tree::Change>>> changes_since(const Context& ctx, const Repository& repository,
                                                                 const Commit& left, const Commit& right);

  // merging.cc
  struct ThreeWay {
    LandingKind kind;
    CommitId base;  ///< zero: the empty map
    Commit source;
    Commit draft;  ///< message, metadata, parents without the head
    bool allow_empty = false, squash = false;
    tree::StrategyOf strategy = [](std::string_view) { return tree::Strategy::kNone; };
  };
  Result<PreparedMerge> apply_three_way(const Context& ctx, const Repository& repository, const ThreeWay& way,
                                        Footing& footing, tree::PackBuilder& builder);
  /// The best common ancestor of `source` and the footing's head (zero: none), and what a merge would bring in.
  struct Meeting {
    CommitId base;
    std::vector<CommitId> brings;
    bool complete = true;  ///< `brings` is all
  };
  Result<Meeting> meet(const Context& ctx, const Repository& repository, const Commit& source, const Footing& footing);
  // What is pinned before anybody waits, and the make step of a rider. The repository outlives the step.
  Result<Rider::Make> merge_step(const Context&, const Repository&, std::string_view source,
                                 std::string_view destination_branch, const MergeSpec&);
  Result<Rider::Make> revert_step(const Context&, const Repository&, std::string_view ref, int parent_number,
                                  const CommitSpec&);
  Result<Rider::Make> cherry_pick_step(const Context&, const Repository&, std::string_view ref, int parent_number,
                                       const CommitSpec&);

  // land.cc
  /// Where one batch moves a head: along a chain of candidates, each made on the one before, all commits or none.
  struct Move {
    std::span<const Candidate* const> chain;
    kv::Sequence protection_version = 0;
    const kv::Batch* also = nullptr;
  };
  Result<void> move_head(const Context& ctx, const Repository& repository, const Move& move);
  /// Runs freely first; who loses a race takes its turn in the branch's queue.
  Result<void> with_retries(const Context& ctx, const Repository& repository, std::string_view branch,
                            const std::function<Result<Commit>()>& attempt);

  // trains.cc
  /// Waits in the branch's queue until it has landed or failed.
  Result<MergeResult> ride(const Repository& repository, std::string_view branch, Rider& rider);
  /// The same with a make step, whose own error nobody waits for.
  Result<MergeResult> ride_with(const Context& ctx, const Repository& repository, std::string_view branch,
                                LandingKind kind, Result<Rider::Make> step);
  /// Lands what it can of the riders; who has not arrived goes back to the queue.
  struct Outcome {
    size_t fitted = 0;  ///< riders that the time allowed for reviews was enough for; 0: all
    bool lost = false;  ///< the head moved away
  };
  Outcome run_train(const Repository& repository, const std::string& branch, std::span<Rider* const> train);
  Result<void> publish_all(const Context& ctx, const Repository& repository, const std::string& branch,
                           std::span<Rider* const> chain);

  // staging.cc
  struct WriteGate {
    std::string branch_id;
    kv::Sequence protection_version = 0;
  };
  Result<WriteGate> admit(const Context& ctx, const Repository& repository, std::string_view branch, bool fresh);
  Result<void> write_rows(const Context& ctx, const Repository& repository, std::string_view branch,
                          std::span<const tree::Edit> edits);
  Result<void> write_expecting(const Context& ctx, const Repository& repository, std::string_view branch,
                               std::string_view path, const std::optional<tree::Entry>& entry, const Expect& expect);

  // resolve.cc
  Result<Resolved> resolve_plain(const Context& ctx, const Repository& repository, std::string_view name);

  // history.cc
  std::shared_ptr<CommitGraph> commit_graph(const Repository& repository);
  void know(const Repository& repository, const Commit& commit);
  Result<bool> touches(const Context& ctx, const Repository& repository, const Commit& commit, const LogQuery& query);

  // folding.cc
  class FoldTurn;
  Result<FoldReport> fold(const Context& ctx, const Repository& repository, size_t refold_from,
                          tree::Packs::Effort effort);
  Result<std::optional<std::string>> find_relocation(const Context& ctx, const std::string& repository_id,
                                                     const std::string& pack);
  Result<void> replace_packs(const Context& ctx, const Repository& repository, const std::vector<std::string>& old,
                             const std::string& pack);
  void count_pack(const Repository& repository);

  kv::Store& kv_;
  block::Store& blocks_;
  base::Clock& clock_;
  base::Random& random_;
  const std::shared_ptr<tree::NodeCache> nodes_;
  const size_t fold_from_;
  std::atomic<LandingPolicy*> policy_{nullptr};
  Voids voids_;

  base::Mutex mutex_;  // guards the maps below; never held while waiting for a store
  base::Condition turned_;
  std::map<std::string, std::shared_ptr<tree::Packs>> packs_;
  std::unordered_map<std::string, std::shared_ptr<const Commit>> commits_;  // by repository id + raw commit id
  /// By name, each as long as its row has this version.
  std::map<std::string, std::shared_ptr<const Repository>, std::less<>> repositories_;
  std::unordered_map<std::string, WriteGate> gates_;      // by repository id + branch name
  std::unordered_map<std::string, LandingQueue> queues_;  // by repository id + branch name
  std::unordered_map<std::string, size_t> unfolded_;      // packs written since the last fold, by repository id
  std::unordered_set<std::string> folding_;
  struct UsedGraph {
    std::shared_ptr<CommitGraph> graph;
    uint64_t used = 0;
  };
  std::unordered_map<std::string, UsedGraph> graphs_;  // by repository id
  uint64_t graph_uses_ = 0;
  static constexpr size_t kGraphBytesMax = 512u << 20;  // of all graphs but the one in use

  LogPlaces log_places_;
  std::atomic<bool> closing_{false};
  std::unique_ptr<base::ThreadPool> own_pool_;
  base::Executor* background_;
  RefJournal journal_;
};

}  // namespace tarn::versioning::detail
