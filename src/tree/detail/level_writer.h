#pragma once
// Cuts the items of one level into nodes and hands them to the pack.
#include <span>
#include <unordered_map>
#include <vector>

#include "tree/detail/boundary.h"
#include "tree/detail/node.h"
#include "tree/detail/pack_writer.h"
#include "tree/detail/row.h"

namespace tarn::tree::detail {

/// Nodes that exist already, so that an unchanged one is not written again.
using Known = std::unordered_map<NodeId, Location, base::DigestHash>;

struct Target {
  const Context& ctx;
  NodeSink& sink;
  const Parameters& parameters;
  NodeSink::Keep keep;
};

/// Level 0. The views of a row must live until the leaf that it lands in is closed: hold() what owns them, or keep them
/// in arena().
class LeafWriter {
 public:
  explicit LeafWriter(const Target& target) : target_(target), boundary_(target.parameters, 0) {}
  Result<void> add(Row row);
  /// A row of a stored leaf: its key is copied, the rest lives with `node`.
  Result<void> add_stored(const std::shared_ptr<const Node>& node, const Row& row);
  Result<void> flush();
  bool closed() const { return rows_.empty(); }
  Arena& arena() { return arena_; }
  Known& known() { return known_; }
  std::vector<Ref>& refs() { return refs_; }

 private:
  Result<void> close();
  const Target target_;
  Boundary boundary_;
  std::vector<Row> rows_;
  Arena arena_;
  std::vector<std::shared_ptr<const Node>> held_;
  Known known_;
  std::vector<Ref> refs_;
};

/// Level 1 and above.
class InternalWriter {
 public:
  InternalWriter(const Target& target, uint32_t level)
      : target_(target), level_(level), boundary_(target.parameters, level) {}
  Result<void> add(Ref child);
  Result<void> flush();
  bool closed() const { return children_.empty(); }
  Known& known() { return known_; }
  std::vector<Ref>& refs() { return refs_; }

 private:
  Result<void> close();
  const Target target_;
  const uint32_t level_;
  Boundary boundary_;
  std::vector<Ref> children_;
  Known known_;
  std::vector<Ref> refs_;
};

/// Builds the levels above `refs` (nodes of `level`, at least one) up to the root.
Result<Root> build_above(const Target& target, std::vector<Ref> refs, uint32_t level);
Root root_of(const Parameters& parameters, const Ref& ref, uint32_t level);
/// Errors: kInvalid (key too long, nested manifest).
Result<void> check_item(std::string_view key, const Entry& entry);
NodeSink& sink_of(PackBuilder& builder);

}  // namespace tarn::tree::detail
