// A tree against every promise of docs/formats/tree.md.
#include <unordered_map>

#include "tree/detail/boundary.h"
#include "tree/detail/walk.h"
#include "tree/tree.h"

namespace tarn::tree {
namespace {

using detail::NodePtr;

/// What a parent must say about a node.
struct Facts {
  std::string first, last;
  uint64_t count = 0, bytes = 0;
};

class TreeChecker final : public Checker {
 public:
  explicit TreeChecker(std::shared_ptr<Packs> packs) : packs_(std::move(packs)) {}

  Result<Checked> check(const Context& ctx, const Root& root,
                        const std::function<Result<void>(const Item&)>& each) override {
    TRY(detail::check(root.parameters));
    if (root.parameters != parameters_) {  // boundaries were checked for others
      seen_.clear();
      parameters_ = root.parameters;
    }
    checked_ = {};
    if (root.count == 0) {
      if (root.id != empty_root(root.parameters).id || root.level != 0 || root.bytes != 0)
        return lie(root.id, "it stands for the empty map and is not its root");
      return checked_;
    }
    TRY_LET(const NodePtr node, detail::load_root(ctx, *packs_, root));
    if (!node->is_leaf() && node->count() == 1) return lie(root.id, "a root with one child");
    TRY_LET(const Facts facts, visit(ctx, node, root.id, true, each));
    if (facts.count != root.count || facts.bytes != root.bytes)
      return lie(root.id, "its root states another count or sum of sizes");
    return checked_;
  }

 private:
  static Error lie(const NodeId& id, std::string_view what) {
    return Error(Code::kCorrupt, "node", "node " + id.hex() + ": " + std::string(what));
  }

  /// @param last  whether it is the last node of its level, which need not end at a boundary.
  Result<Facts> visit(const Context& ctx, const NodePtr& node, const NodeId& id, bool last,
                      const std::function<Result<void>(const Item&)>& each) {
    if (node->count() == 0) return lie(id, "it is empty");
    ++checked_.nodes;
    if (node->is_leaf()) return visit_leaf(ctx, node, id, last, each);
    Facts sum;
    detail::Boundary boundary(parameters_, node->level());
    TRY_LET(auto keys, node->internal().keys().walk(0));
    std::vector<detail::Ref> children;
    for (uint32_t i = 0; i < node->count(); ++i) {
      TRY(keys.step());
      children.push_back(node->child(i, keys.key()));
      const detail::Ref& ref = children.back();
      const bool last_child = i + 1 == node->count();
      TRY_LET(const Facts child, visit_child(ctx, node, i, last && last_child, each));
      if (child.last != ref.key) return lie(id, "it states another last key for a child");
      if (child.count != ref.count || child.bytes != ref.bytes)
        return lie(id, "it states another count or sum of sizes for a child");
      if (i > 0 && child.first <= sum.last) return lie(id, "its children are not in order");
      if (i == 0) sum.first = child.first;
      sum.last = child.last;
      sum.count += child.count;
      sum.bytes += child.bytes;
      if (boundary.add(ref.key) != last_child && !(last && last_child)) return lie(id, "it does not end at a boundary");
    }
    if (detail::encode_internal(static_cast<uint8_t>(node->level()), children) != node->body())
      return lie(id, "its bytes are not canonical");
    return sum;
  }

  Result<Facts> visit_child(const Context& ctx, const NodePtr& parent, uint32_t index, bool last,
                            const std::function<Result<void>(const Item&)>& each) {
    const NodeId id = parent->internal().id(index);
    // The last node of a level is checked less strictly, so it is not remembered for other places.
    if (const auto it = seen_.find(id); it != seen_.end()) return it->second;
    TRY_LET(const NodePtr node, detail::load_child(ctx, *packs_, *parent, index));
    TRY_LET(Facts facts, visit(ctx, node, id, last, each));
    if (!last) seen_.emplace(id, facts);
    return facts;
  }

  Result<Facts> visit_leaf(const Context& ctx, const NodePtr& node, const NodeId& id, bool last,
                           const std::function<Result<void>(const Item&)>& each) {
    Facts sum;
    detail::Boundary boundary(parameters_, 0);
    detail::Arena arena;
    std::vector<detail::Row> rows;
    TRY_LET(auto walk, node->leaf().walk(0));
    detail::Row row;
    for (uint32_t i = 0; i < node->count(); ++i) {
      TRY(walk.step(row));
      const bool last_row = i + 1 == node->count();
      if (i > 0 && row.key <= std::string_view(sum.last)) return lie(id, "its keys are not in order");
      TRY_LET(Entry entry, detail::load_entry(ctx, *packs_, *node, row));
      const Item item{std::string(row.key), std::move(entry)};
      TRY(each(item));
      ++checked_.entries;
      ++sum.count;
      sum.bytes += row.size;
      if (i == 0) sum.first = row.key;
      sum.last = row.key;
      if (boundary.add(row.key) != last_row && !(last && last_row)) return lie(id, "it does not end at a boundary");
      detail::Row again = detail::row_of(arena.keep(row.key), item.entry, arena);
      // Views into `item` end with it: the row's own live as long as the node.
      again.etag = row.etag;
      again.content_type = row.content_type;
      again.spill = row.spill;
      if (row.spill) again.metadata = {};
      again.address = row.address;
      again.parts = row.parts;
      const auto move_tail = [&](detail::AddressRow& a) {
        a.tail = again.key.substr(again.key.size() - a.tail.size());
      };
      move_tail(again.address);
      for (detail::AddressRow& part : again.parts) move_tail(part);
      rows.push_back(std::move(again));
    }
    if (sum.bytes != node->leaf().total_bytes()) return lie(id, "it states another sum of sizes");
    if (detail::encode_leaf(rows) != node->body()) return lie(id, "its bytes are not canonical");
    return sum;
  }

  const std::shared_ptr<Packs> packs_;
  Parameters parameters_;
  std::unordered_map<NodeId, Facts, base::DigestHash> seen_;
  Checked checked_;
};

}  // namespace

std::unique_ptr<Checker> Checker::make(std::shared_ptr<Packs> packs) {
  return std::make_unique<TreeChecker>(std::move(packs));
}

}  // namespace tarn::tree
