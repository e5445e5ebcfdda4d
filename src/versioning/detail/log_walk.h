#pragma once
// The order of a log: newest date first, each commit behind one that leads to it.
#include <list>
#include <optional>
#include <queue>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "versioning/detail/commit_graph.h"

namespace tarn::versioning::detail {

/// Walks what a commit reaches. The order follows from the start and the rule alone. Threads: one.
class LogWalk {
 public:
  struct Rule {
    bool first_parent = false;
    std::optional<base::WallMs> since_ms;  ///< older commits are left out, and what only they lead to
  };
  LogWalk(std::shared_ptr<CommitGraph> graph, Rule rule) : graph_(std::move(graph)), rule_(rule) {}
  Result<void> start(const Context& ctx, CommitGraph::Index from) { return enter(ctx, from); }
  /// Goes on to a commit, or less far, as long as the history is one line: then what is left is all behind it. Only
  /// before the first next() and without `since_ms`. Cost: some nanoseconds a commit, or nothing where they are
  /// numbered one after another.
  Result<void> skip_towards(const Context& ctx, CommitGraph::Index target);
  /// The next commit, or kNone. Errors: as CommitGraph::Reader. Cost: about 20 ns where the history is one line.
  Result<CommitGraph::Index> next(const Context& ctx);
  const CommitGraph::Node& node(CommitGraph::Index index) const { return *graph_.loaded(index); }
  /// Bytes that it holds.
  size_t memory() const { return sizeof *this + waiting_.size() * sizeof(Waiting) + seen_.capacity() * 8; }

 private:
  struct Waiting {
    base::WallMs date_ms;
    const CommitGraph::Node* node;
    CommitGraph::Index index;
    /// Of equal dates the greater id comes first.
    bool operator<(const Waiting& other) const {
      return date_ms != other.date_ms ? date_ms < other.date_ms : node->id < other.node->id;
    }
  };
  Result<void> enter(const Context& ctx, CommitGraph::Index index);

  CommitGraph::Reader graph_;
  Rule rule_;
  std::priority_queue<Waiting> waiting_;
  std::vector<uint64_t> seen_;  ///< a bit for each number
};

/// Where the last pages of logs ended, so that the next page goes on there. Losing one costs time only. Threads: any.
class LogPlaces {
 public:
  struct Place {
    LogWalk walk;
    CommitGraph::Index found;  ///< what the walk gave last: the first of the next page
  };
  /// Takes the place away. @param key  everything that the log depends on, and the last commit of the page before.
  std::optional<Place> take(const std::string& key);
  void put(std::string key, Place place);
  void clear();

 private:
  static constexpr size_t kPlacesMax = 64, kBytesMax = 16u << 20;
  base::Mutex mutex_;
  std::list<std::pair<std::string, Place>> places_;  ///< the newest first
  size_t bytes_ = 0;
};

}  // namespace tarn::versioning::detail
