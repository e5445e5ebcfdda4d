#pragma once
// Moving about in a tree of nodes.
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tree/detail/node.h"
#include "tree/tree.h"

namespace tarn::tree::detail {

using NodePtr = std::shared_ptr<const Node>;

/// The root node; the empty map's is made on the spot. Errors: kCorrupt (also a level that does not fit).
Result<NodePtr> load_root(const Context& ctx, Packs& packs, const Root& root);
Result<NodePtr> load_child(const Context& ctx, Packs& packs, const Node& parent, uint32_t index);
/// What packs can do beyond Packs: every one that Packs::open() gives does.
class SiblingReader {
 public:
  virtual ~SiblingReader() = default;
  /// Children of `parent` from `index` on, at most `most`: those that lie beside each other in one pack, read at once.
  /// Empty when they do not, or when a single load would do as well. Errors: none; whoever loads them one by one hears.
  virtual std::vector<NodePtr> read_siblings(const Context& ctx, const Node& parent, uint32_t index, uint32_t most) = 0;
};

/// A row of `leaf` as an entry; loads spilled metadata.
Result<Entry> load_entry(const Context& ctx, Packs& packs, const Node& leaf, const Row& row);
/// The first key that is above all keys with this prefix; nullopt when there is none.
std::optional<std::string> end_of_prefix(std::string_view prefix);

/// The nodes of one level of a tree, in order.
class LevelWalk {
 public:
  LevelWalk(const Context& ctx, Packs& packs, const Root& root, uint32_t level)
      : ctx_(ctx), packs_(packs), root_(root), level_(level) {}
  /// Goes to the node that would hold `key`: the first that ends at or above it, else the last.
  Result<void> seek(std::string_view key);
  /// @return false, and stays, at the last node.
  Result<bool> next();
  bool is_first() const;
  bool is_last() const;
  /// The node as its parent sees it. Its key is that of the node's last item, also for the root.
  const Ref& ref() const { return ref_; }
  Result<NodePtr> load();

 private:
  struct Step {
    NodePtr node;
    uint32_t index;
  };
  Result<void> read_ref();
  const Context& ctx_;
  Packs& packs_;
  const Root& root_;
  const uint32_t level_;
  std::vector<Step> path_;  ///< from the root down to the parent of the node
  Ref ref_;
};

/// One side of a comparison: moves over subtrees without opening them.
class TreeWalk {
 public:
  TreeWalk(Packs& packs, const Root& root) : packs_(packs), root_(root) {}
  /// To the whole tree, unopened; or, when `from` is not empty, to the first row at or above it.
  Result<void> start(const Context& ctx, std::string_view from);
  bool at_end() const { return !at_root_ && path_.empty(); }
  bool at_row() const { return !path_.empty() && path_.back().node->is_leaf(); }
  /// Of a subtree.
  uint32_t level() const { return at_root_ ? root_.level : path_.back().node->level() - 1; }
  NodeId id() const { return at_root_ ? root_.id : path_.back().node->internal().id(path_.back().index); }
  /// The last key of a subtree. Cost: up to 16 steps. Errors: kCorrupt. Not for the unopened root.
  Result<std::string> last_key() const { return path_.back().node->internal().keys().at(path_.back().index); }
  bool at_root() const { return at_root_; }
  const Row& row() const { return row_; }
  const Node& leaf() const { return *path_.back().node; }
  /// Opens the subtree. Errors: as Packs::load.
  Result<void> open(const Context& ctx);
  /// Goes behind the subtree or row.
  Result<void> skip();

 private:
  struct Step {
    NodePtr node;
    uint32_t index = 0;
  };
  Result<void> settle();
  Packs& packs_;
  const Root root_;
  bool at_root_ = false;
  std::vector<Step> path_;
  Leaf::Walk walk_;
  Row row_;
};

}  // namespace tarn::tree::detail
