// get, cursor, totals, positions.
#include "tree/detail/walk.h"
#include "tree/position.h"
#include "tree/tree.h"

namespace tarn::tree {
namespace {

using detail::NodePtr;

class TreeCursor final : public Cursor {
 public:
  TreeCursor(std::shared_ptr<Packs> packs, const Root& root)
      : packs_(std::move(packs)), siblings_(dynamic_cast<detail::SiblingReader*>(packs_.get())), root_(root) {}

  Result<std::optional<Item>> next(const Context& ctx) override {
    auto item = step(ctx);
    if (!item) {  // the next call begins where this one failed
      placed_ = false;
    } else if (*item) {
      resume_.assign((*item)->key);
      resume_.push_back('\0');
    }
    return item;
  }

  Result<void> seek(const Context& ctx, std::string_view key) override {
    resume_ = key;
    placed_ = false;
    return place(ctx);
  }

 private:
  Result<void> place(const Context& ctx) {
    path_.clear();
    ahead_.clear();
    window_ = 1;
    TRY_LET(NodePtr node, detail::load_root(ctx, *packs_, root_));
    for (;;) {
      const detail::Keys& keys = node->is_leaf() ? node->leaf().keys() : node->internal().keys();
      TRY_LET(const auto found, keys.lower_bound(resume_));
      path_.push_back({node, found.index});
      if (node->is_leaf()) {
        TRY_LET(walk_, node->leaf().walk(found.index));
        break;
      }
      if (found.index == node->count()) break;
      TRY_LET(node, detail::load_child(ctx, *packs_, *node, found.index));
    }
    placed_ = true;
    return {};
  }

  Result<std::optional<Item>> step(const Context& ctx) {
    if (!placed_) TRY(place(ctx));
    for (;;) {
      while (!path_.empty() && path_.back().index == path_.back().node->count()) {
        path_.pop_back();
        if (!path_.empty()) ++path_.back().index;
      }
      if (path_.empty()) return std::optional<Item>{};
      Step& top = path_.back();
      if (top.node->is_leaf()) break;
      TRY_LET(NodePtr node, load_child(ctx, top));
      if (node->is_leaf()) {
        TRY_LET(walk_, node->leaf().walk(0));
      }
      path_.push_back({std::move(node), 0});
    }
    Step& top = path_.back();
    TRY(walk_.step(row_));
    TRY_LET(Entry entry, detail::load_entry(ctx, *packs_, *top.node, row_));
    ++top.index;
    return std::optional(Item{std::string(row_.key), std::move(entry)});
  }

  struct Step {
    NodePtr node;
    uint32_t index;
  };

  /// The next node on the way. Who asks for leaf after leaf gets more with each read, so that a scan of a slow store
  /// does not wait for every leaf; who looks at one page reads little more than it.
  Result<NodePtr> load_child(const Context& ctx, const Step& parent) {
    if (parent.node->level() > 1 || siblings_ == nullptr)
      return detail::load_child(ctx, *packs_, *parent.node, parent.index);
    if (parent.node != ahead_of_ || parent.index < ahead_from_ || parent.index >= ahead_from_ + ahead_.size()) {
      ahead_.clear();
      ahead_of_ = parent.node;
      ahead_from_ = parent.index;
      if (window_ > 1 && !packs_->find_cached(parent.node->internal().id(parent.index)))
        ahead_ = siblings_->read_siblings(ctx, *parent.node, parent.index, window_);
      window_ = std::min(2 * window_, kWindowMax);
      if (ahead_.empty()) return detail::load_child(ctx, *packs_, *parent.node, parent.index);
    }
    return ahead_[parent.index - ahead_from_];
  }

  static constexpr uint32_t kWindowMax = 64;  ///< leaves
  const std::shared_ptr<Packs> packs_;
  detail::SiblingReader* const siblings_;  ///< the same packs
  NodePtr ahead_of_;
  uint32_t ahead_from_ = 0, window_ = 1;
  std::vector<NodePtr> ahead_;  ///< children of ahead_of_ from ahead_from_ on
  const Root root_;
  std::vector<Step> path_;
  detail::Leaf::Walk walk_;
  detail::Row row_;
  std::string resume_;  ///< the first key that was not given yet
  bool placed_ = false;
};

}  // namespace

Result<std::optional<Entry>> get(const Context& ctx, Packs& packs, const Root& root, std::string_view key) {
  TRY_LET(NodePtr node, detail::load_root(ctx, packs, root));
  while (!node->is_leaf()) {
    TRY_LET(const auto found, node->internal().keys().lower_bound(key));
    if (found.index == node->count()) return std::optional<Entry>{};
    TRY_LET(node, detail::load_child(ctx, packs, *node, found.index));
    node->fetch_ahead();
  }
  detail::Row row;
  TRY_LET(const bool found, node->leaf().find(key, row));
  if (!found) return std::optional<Entry>{};
  TRY_LET(Entry entry, detail::load_entry(ctx, packs, *node, row));
  return std::optional(std::move(entry));
}

Result<Totals> below(const Context& ctx, Packs& packs, const Root& root, std::string_view key) {
  Totals sum;
  TRY_LET(NodePtr node, detail::load_root(ctx, packs, root));
  while (!node->is_leaf()) {
    const detail::Internal& internal = node->internal();
    TRY_LET(const auto found, internal.keys().lower_bound(key));
    for (uint32_t i = 0; i < found.index; ++i) {
      sum.count += internal.entries(i);
      sum.bytes += internal.bytes(i);
    }
    if (found.index == node->count()) return sum;
    TRY_LET(node, detail::load_child(ctx, packs, *node, found.index));
  }
  TRY_LET(const auto found, node->leaf().keys().lower_bound(key));
  TRY_LET(auto walk, node->leaf().walk(0));
  detail::Row row;
  for (uint32_t i = 0; i < found.index; ++i) {
    TRY(walk.step(row));
    sum.bytes += row.size;
  }
  sum.count += found.index;
  return sum;
}

Result<std::optional<Item>> at_position(const Context& ctx, Packs& packs, const Root& root, uint64_t position) {
  if (position >= root.count) return std::optional<Item>{};
  const auto damaged = [] { return detail::corrupt("node", "its count is not that of its entries"); };
  TRY_LET(NodePtr node, detail::load_root(ctx, packs, root));
  while (!node->is_leaf()) {
    uint32_t i = 0;
    for (; i < node->count() && position >= node->internal().entries(i); ++i) position -= node->internal().entries(i);
    if (i == node->count()) return damaged();
    TRY_LET(node, detail::load_child(ctx, packs, *node, i));
  }
  if (position >= node->count()) return damaged();
  TRY_LET(auto walk, node->leaf().walk(static_cast<uint32_t>(position)));
  detail::Row row;
  TRY(walk.step(row));
  TRY_LET(Entry entry, detail::load_entry(ctx, packs, *node, row));
  return std::optional(Item{std::string(row.key), std::move(entry)});
}

std::unique_ptr<Cursor> cursor(std::shared_ptr<Packs> packs, const Root& root) {
  return std::make_unique<TreeCursor>(std::move(packs), root);
}

Result<Totals> totals(const Context& ctx, Packs& packs, const Root& root, std::string_view prefix) {
  if (prefix.empty()) return Totals{root.count, root.bytes};
  Totals upto{root.count, root.bytes};
  if (const auto end = detail::end_of_prefix(prefix)) {
    TRY_LET(upto, below(ctx, packs, root, *end));
  }
  TRY_LET(const Totals before, below(ctx, packs, root, prefix));
  return Totals{upto.count - before.count, upto.bytes - before.bytes};
}

}  // namespace tarn::tree
