#include "tree/detail/walk.h"

namespace tarn::tree::detail {
namespace {

Result<NodePtr> check_level(Result<NodePtr> node, uint32_t level) {
  if (node && ((*node)->level() != level || (*node)->kind() == Kind::kMetadata))
    return corrupt("node", "it is not at the level that its parent says");
  return node;
}

}  // namespace

Result<NodePtr> load_root(const Context& ctx, Packs& packs, const Root& root) {
  if (root.count == 0 && root.level == 0) return Node::make(encode_leaf({}), {});
  if (auto node = packs.find_cached(root.id)) return check_level(std::move(node), root.level);
  return check_level(packs.load(ctx, root.id, root.location), root.level);
}

Result<NodePtr> load_child(const Context& ctx, Packs& packs, const Node& parent, uint32_t index) {
  const NodeId id = parent.internal().id(index);
  if (auto node = packs.find_cached(id)) return check_level(std::move(node), parent.level() - 1);
  return check_level(packs.load(ctx, id, parent.location(index)), parent.level() - 1);
}

Result<Entry> load_entry(const Context& ctx, Packs& packs, const Node& leaf, const Row& row) {
  if (!row.spill) return entry_of(row, row.metadata);
  TRY_LET(const NodePtr chunk, packs.load(ctx, row.spill->id, leaf.spill_location(row.spill->id)));
  if (chunk->kind() != Kind::kMetadata || chunk->metadata().size() != row.spill->length)
    return corrupt("entry", "its metadata chunk does not fit");
  return entry_of(row, chunk->metadata());
}

std::optional<std::string> end_of_prefix(std::string_view prefix) {
  std::string end(prefix);
  while (!end.empty() && static_cast<unsigned char>(end.back()) == 0xff) end.pop_back();
  if (end.empty()) return std::nullopt;
  end.back() = static_cast<char>(static_cast<unsigned char>(end.back()) + 1);
  return end;
}

Result<void> LevelWalk::seek(std::string_view key) {
  const size_t depth = root_.level - level_;
  bool same = true;  // so far the way is the one that was gone last
  for (size_t d = 0; d < depth; ++d) {
    NodePtr node;
    if (same && d < path_.size()) {
      node = path_[d].node;
    } else if (d == 0) {
      TRY_LET(node, load_root(ctx_, packs_, root_));
    } else {
      const Step& above = path_[d - 1];
      TRY_LET(node, load_child(ctx_, packs_, *above.node, above.index));
    }
    TRY_LET(const Keys::Found found, node->internal().keys().lower_bound(key));
    const uint32_t index = std::min(found.index, node->count() - 1);
    same = same && d < path_.size() && path_[d].index == index;
    if (same) continue;
    path_.resize(d);
    path_.push_back({std::move(node), index});
  }
  return read_ref();
}

Result<bool> LevelWalk::next() {
  size_t d = path_.size();
  while (d > 0 && path_[d - 1].index + 1 == path_[d - 1].node->count()) --d;
  if (d == 0) return false;
  std::vector<Step> path(path_.begin(), path_.begin() + static_cast<ptrdiff_t>(d));
  ++path.back().index;
  while (path.size() < path_.size()) {
    TRY_LET(NodePtr node, load_child(ctx_, packs_, *path.back().node, path.back().index));
    path.push_back({std::move(node), 0});
  }
  path_ = std::move(path);
  TRY(read_ref());
  return true;
}

bool LevelWalk::is_first() const {
  for (const Step& step : path_)
    if (step.index != 0) return false;
  return true;
}

bool LevelWalk::is_last() const {
  for (const Step& step : path_)
    if (step.index + 1 != step.node->count()) return false;
  return true;
}

Result<void> LevelWalk::read_ref() {
  if (path_.empty()) {
    TRY_LET(const NodePtr node, load_root(ctx_, packs_, root_));
    const Keys& keys = node->is_leaf() ? node->leaf().keys() : node->internal().keys();
    std::string key;
    if (keys.count() > 0) {
      TRY_LET(key, keys.at(keys.count() - 1));
    }
    ref_ = {std::move(key), root_.id, root_.location, root_.count, root_.bytes};
    return {};
  }
  const Step& parent = path_.back();
  TRY_LET(std::string key, parent.node->internal().keys().at(parent.index));
  ref_ = parent.node->child(parent.index, std::move(key));
  return {};
}

Result<NodePtr> LevelWalk::load() {
  if (path_.empty()) return load_root(ctx_, packs_, root_);
  return load_child(ctx_, packs_, *path_.back().node, path_.back().index);
}

Result<void> TreeWalk::start(const Context& ctx, std::string_view from) {
  path_.clear();
  at_root_ = root_.count > 0;
  if (!at_root_ || from.empty()) return {};
  TRY_LET(NodePtr node, load_root(ctx, packs_, root_));
  at_root_ = false;
  for (;;) {
    const Keys& keys = node->is_leaf() ? node->leaf().keys() : node->internal().keys();
    TRY_LET(const Keys::Found found, keys.lower_bound(from));
    const bool leaf = node->is_leaf();
    path_.push_back({node, found.index});
    if (leaf || found.index == node->count()) break;
    TRY_LET(node, load_child(ctx, packs_, *node, found.index));
  }
  return settle();
}

Result<void> TreeWalk::open(const Context& ctx) {
  NodePtr node;
  if (at_root_) {
    TRY_LET(node, load_root(ctx, packs_, root_));
    at_root_ = false;
  } else {
    TRY_LET(node, load_child(ctx, packs_, *path_.back().node, path_.back().index));
  }
  path_.push_back({std::move(node), 0});
  return settle();
}

Result<void> TreeWalk::skip() {
  if (at_root_) {
    at_root_ = false;
    return {};
  }
  Step& top = path_.back();
  ++top.index;
  if (top.node->is_leaf() && top.index < top.node->count()) return walk_.step(row_);
  return settle();
}

/// Leaves nodes that are used up, and reads the row when it stands on one that was just entered.
Result<void> TreeWalk::settle() {
  while (!path_.empty() && path_.back().index >= path_.back().node->count()) {
    path_.pop_back();
    if (!path_.empty()) ++path_.back().index;
  }
  if (!at_row()) return {};
  TRY_LET(walk_, path_.back().node->leaf().walk(path_.back().index));
  return walk_.step(row_);
}

}  // namespace tarn::tree::detail
