#pragma once
// Cuts the items of one level into nodes, hands them to the pack and their refs to the level above.
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "tree/detail/boundary.h"
#include "tree/detail/node.h"
#include "tree/detail/pack_writer.h"
#include "tree/detail/row.h"

namespace tarn::tree::detail {

struct Target {
  const Context& ctx;
  NodeSink& sink;
  const Parameters& parameters;
  NodeSink::Keep keep;
};

/// Takes the nodes that a level is cut into, in key order.
using RefTaker = std::function<Result<void>(Ref)>;
/// Nodes that lie where the new ones come: one that comes out unchanged is not written again. May be nullptr.
using OldRefs = const std::deque<Ref>*;

/// Level 0. The views of a row must live until the leaf that it lands in is closed: hold() what owns them, or keep them
/// in arena().
class LeafWriter {
 public:
  LeafWriter(const Target& target, RefTaker taker, OldRefs old = nullptr);
  Result<void> add(Row row);
  /// A row of a stored leaf: its key is copied, the rest lives with `node`.
  Result<void> add_stored(const std::shared_ptr<const Node>& node, const Row& row);
  /// Keeps what a row to come refers to. At most one for each row that is added.
  const Item& hold(std::string key, Entry entry);
  Result<void> flush();
  bool closed() const { return rows_.empty(); }
  Arena& arena() { return arena_; }

 private:
  Result<void> close();
  const Target target_;
  const RefTaker taker_;
  const OldRefs old_;
  Boundary boundary_;
  std::vector<Row> rows_;
  Arena arena_;
  std::vector<Item> items_;
  std::vector<std::shared_ptr<const Node>> held_;
};

/// Level 1 and above.
class InternalWriter {
 public:
  InternalWriter(const Target& target, uint32_t level, RefTaker taker, OldRefs old = nullptr)
      : target_(target), level_(level), taker_(std::move(taker)), old_(old), boundary_(target.parameters, level) {}
  Result<void> add(Ref child);
  Result<void> flush();
  bool closed() const { return children_.empty(); }

 private:
  Result<void> close();
  const Target target_;
  const uint32_t level_;
  const RefTaker taker_;
  const OldRefs old_;
  Boundary boundary_;
  std::vector<Ref> children_;
};

/// The levels above the nodes of one level, as many as it takes. Memory: the open node of each.
class Tower {
 public:
  /// @param level  of the nodes that come.
  Tower(const Target& target, uint32_t level) : target_(target), level_(level) {}
  Result<void> add(Ref ref);
  /// The root; nullopt when no node came.
  Result<std::optional<Root>> finish();

 private:
  const Target target_;
  const uint32_t level_;
  std::optional<Ref> only_;
  std::unique_ptr<InternalWriter> parents_;
  std::unique_ptr<Tower> above_;
};

Root root_of(const Parameters& parameters, const Ref& ref, uint32_t level);
/// Errors: kInvalid (key too long, nested manifest).
Result<void> check_item(std::string_view key, const Entry& entry);
NodeSink& sink_of(PackBuilder& builder);

}  // namespace tarn::tree::detail
