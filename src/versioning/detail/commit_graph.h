#pragma once
// The commits of one repository as a graph in memory: parents, generations, dates, filters.
#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/context.h"
#include "base/mutex.h"
#include "kv/store.h"
#include "versioning/types.h"

namespace tarn::versioning::detail {

/// Commits by dense number. A commit that is not here is read from the key-value store when somebody asks for it, so
/// the graph is never wrong and needs nobody to fill it; who asks for very many makes it read all rows in one scan.
/// Commits never change and are only ever added.
///
/// Numbers and nodes stay where they are as long as the graph lives. A node is written once and then read without a
/// lock: what a number leads to was finished before the number could be seen.
///
/// Threads: any. The lock is held for short steps in memory, never while waiting for a store.
/// Memory: 64 bytes a commit and 4 to 16 for finding it by id, and its filter (25 bytes for one change at depth two, at
/// most 256): 100 MB at 10^6 commits of one change. A scan takes about as much again while it runs.
class CommitGraph {
 public:
  using Index = uint32_t;
  static constexpr Index kNone = UINT32_MAX;

  struct Node {
    CommitId id;
    base::WallMs date_ms;
    const char* blob;  ///< u32 count of parents from the third on, their numbers, u32 bytes of the filter, the filter
    uint32_t generation;
    Index first, second;  ///< parents, or kNone
    /// 0: a parent that was named, nothing but its id is known. Else 1 and how many commits before it form one line
    /// with it, each the only parent of the one behind it and numbered next to it: the i-th of them has the number
    /// index - i.
    uint32_t line;

    /// Small numbers beside the parents, from the third on.
    uint32_t more_parents() const;
    Index further(uint32_t i) const;
    std::string_view filter() const;
    template <class Each>
    Result<void> each_parent(Each each) const {
      if (first != kNone) TRY(each(first));
      if (second != kNone) TRY(each(second));
      for (uint32_t i = 0; i < more_parents(); ++i) TRY(each(further(i)));
      return {};
    }
  };
  static_assert(sizeof(Node) == 64);

  /// @param kv  outlives the graph. @param name  the repository's, for messages.
  CommitGraph(kv::Store& kv, base::Clock& clock, std::string repository_id, std::string name);
  ~CommitGraph();
  CommitGraph(const CommitGraph&) = delete;
  CommitGraph& operator=(const CommitGraph&) = delete;

  /// Takes a commit whose row is durable: saves the read of it.
  void add(const Commit& commit);
  size_t size() const { return size_.load(std::memory_order_relaxed); }
  size_t memory() const { return memory_.load(std::memory_order_relaxed); }

  /// One question to the graph. Threads: one. Counts what it had to read, and has all rows read when that is much.
  class Reader {
   public:
    explicit Reader(std::shared_ptr<CommitGraph> graph) : graph_(std::move(graph)) {}
    /// Errors of both: kNotFound "commit" (its row is not there), kCorrupt, kUnavailable, kDeadline, kCancelled.
    Result<Index> find(const Context& ctx, const CommitId& id);
    Result<const Node*> load(const Context& ctx, Index index);
    /// The node if nothing has to be read for it, else nullptr.
    const Node* loaded(Index index) const {
      const Node& node = graph_->node(index);
      return graph_->is_loaded(node) ? &node : nullptr;
    }
    /// Asks the processor for what a walk down the history will want soon.
    void fetch_ahead(Index index) const {
      if (index >= kAhead) __builtin_prefetch(&graph_->node(index - kAhead));
    }

   private:
    Result<void> read_all(const Context& ctx);
    std::shared_ptr<CommitGraph> graph_;
    size_t reads_ = 0;
  };

  /// Reads all rows; for one that is asked while another does so: waits for that. Errors: as Reader. Cost: one scan.
  Result<void> scan(const Context& ctx);

 private:
  struct Links;
  static constexpr Index kAhead = 12;
  static constexpr size_t kFirstChunk = 256;  ///< nodes of the first chunk; each further one is twice as big

  Node& node(Index index) const {
    const uint64_t shifted = uint64_t{index} + kFirstChunk;
    const int chunk = 63 - __builtin_clzll(shifted) - 8;
    return chunks_[static_cast<size_t>(chunk)][shifted - (kFirstChunk << chunk)];
  }
  static bool is_loaded(const Node& node) { return __atomic_load_n(&node.line, __ATOMIC_ACQUIRE) != 0; }
  Result<void> read(const Context& ctx, const CommitId& id, Index& index);
  Index find_locked(const CommitId& id) const;
  Index number_locked(const CommitId& id);  ///< a new one when it has none
  Index add_locked(const CommitId& id, const Links& links);
  char* blob_locked(size_t size);
  void grow_locked(size_t count);

  kv::Store& kv_;
  base::Clock& clock_;
  const std::string repository_id_, name_;

  base::Mutex mutex_;  ///< guards what follows, but for the nodes that a number was given out for
  base::Condition scanned_;
  bool scanning_ = false, complete_ = false;  ///< complete: every row that was there at some moment is here
  std::array<Node*, 25> chunks_{};
  std::array<std::unique_ptr<char[]>, 25> memories_{};
  std::vector<Index> table_;  ///< open addressing by the first bytes of the id
  std::vector<std::unique_ptr<char[]>> blobs_;
  size_t blob_used_ = 0, blob_size_ = 0;
  Index count_ = 0;
  std::atomic<size_t> size_{0}, memory_{0};
};

/// All best common ancestors of two commits: common ancestors from which no other one can be reached. The one that
/// merges choose comes first: of the greatest generation, then the newest, then the smallest id. Empty: there is none.
/// Cost: about 30 ns for each commit that only one of them reaches, and for those between the best ancestors.
Result<std::vector<CommitGraph::Index>> best_common_ancestors(const Context& ctx, base::Clock& clock,
                                                              CommitGraph::Reader& graph, CommitGraph::Index a,
                                                              CommitGraph::Index b);

}  // namespace tarn::versioning::detail
