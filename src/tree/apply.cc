// Edits to a map: only touched leaves are read and written, and the result is what a build from scratch would give.
//
// Level by level, from the leaves up: nodes that an edit falls into are cut anew, from their start, until a new
// boundary meets an old one (boundaries depend on keys only, so from there on the old nodes are right). What was
// replaced at one level is the list of edits of the next.
#include "tree/detail/level_writer.h"
#include "tree/detail/walk.h"
#include "tree/tree.h"

namespace tarn::tree {
namespace {

using detail::NodePtr;
using detail::Ref;

struct Replaced {
  std::vector<Ref> removed, added;  ///< nodes of one level, in key order
  bool whole_level = false;         ///< no other node is left on this level
};

/// Level 0: rows of leaves against the caller's edits.
class LeafLevel {
 public:
  LeafLevel(const detail::Target& target, std::span<const Edit> edits) : writer_(target), edits_(edits) {}
  size_t edit_count() const { return edits_.size(); }
  std::string_view edit_key(size_t i) const { return edits_[i].key; }
  detail::LeafWriter& writer() { return writer_; }

  Result<void> open(NodePtr node) {
    node_ = std::move(node);
    at_ = 0;
    TRY_LET(walk_, node_->leaf().walk(0));
    return advance();
  }
  bool done() const { return at_ > node_->count(); }
  std::string_view key() const { return row_.key; }
  Result<void> advance() { return ++at_ <= node_->count() ? walk_.step(row_) : base::ok(); }
  Result<void> keep() { return writer_.add_stored(node_, row_); }
  Result<void> insert(size_t i) {
    if (!edits_[i].entry) return {};
    return writer_.add(detail::row_of(edits_[i].key, *edits_[i].entry, writer_.arena()));
  }
  Result<void> replace(size_t i) {
    if (!edits_[i].entry) return {};
    detail::Row row = detail::row_of(edits_[i].key, *edits_[i].entry, writer_.arena());
    if (detail::same_identity(row, row_)) return keep();
    return writer_.add(std::move(row));
  }

 private:
  detail::LeafWriter writer_;
  std::span<const Edit> edits_;
  NodePtr node_;
  detail::Leaf::Walk walk_;
  detail::Row row_;
  uint32_t at_ = 0;
};

struct RefEdit {
  std::string key;
  std::optional<Ref> ref;
};

/// Level 1 and above: children against what was replaced below.
class InternalLevel {
 public:
  InternalLevel(const detail::Target& target, uint32_t level, std::vector<RefEdit> edits)
      : writer_(target, level), edits_(std::move(edits)) {}
  size_t edit_count() const { return edits_.size(); }
  std::string_view edit_key(size_t i) const { return edits_[i].key; }
  detail::InternalWriter& writer() { return writer_; }

  Result<void> open(NodePtr node) {
    node_ = std::move(node);
    at_ = 0;
    TRY_LET(walk_, node_->internal().keys().walk(0));
    return advance();
  }
  bool done() const { return at_ > node_->count(); }
  std::string_view key() const { return walk_.key(); }
  Result<void> advance() { return ++at_ <= node_->count() ? walk_.step() : base::ok(); }
  Result<void> keep() { return writer_.add(node_->child(at_ - 1, walk_.key())); }
  Result<void> insert(size_t i) {
    if (!edits_[i].ref) return {};
    return writer_.add(*edits_[i].ref);
  }
  Result<void> replace(size_t i) { return insert(i); }

 private:
  detail::InternalWriter writer_;
  std::vector<RefEdit> edits_;
  NodePtr node_;
  detail::Keys::Walk walk_;
  uint32_t at_ = 0;
};

/// Cuts one level anew where edits fall. The level has at least one edit and one node.
template <class Level>
Result<Replaced> edit_level(detail::LevelWalk& walk, Level& level) {
  Replaced out;
  size_t edit = 0;
  const size_t edits = level.edit_count();
  TRY(walk.seek(level.edit_key(0)));
  out.whole_level = walk.is_first();
  for (;;) {
    const bool last = walk.is_last();
    out.removed.push_back(walk.ref());
    level.writer().known().emplace(walk.ref().id, walk.ref().at);
    TRY_LET(NodePtr node, walk.load());
    TRY(level.open(std::move(node)));
    while (!level.done()) {
      while (edit < edits && level.edit_key(edit) < level.key()) TRY(level.insert(edit++));
      if (edit < edits && level.edit_key(edit) == level.key())
        TRY(level.replace(edit++));
      else
        TRY(level.keep());
      TRY(level.advance());
    }
    if (last) {
      while (edit < edits) TRY(level.insert(edit++));
      TRY(level.writer().flush());
      break;
    }
    TRY_LET(const bool moved, walk.next());
    if (!moved) return detail::corrupt("tree", "a level ends before its parents say");
    if (!level.writer().closed()) continue;  // no boundary yet: the next node is cut anew too
    if (edit == edits) {
      out.whole_level = false;
      break;
    }
    if (walk.ref().key < level.edit_key(edit) && !walk.is_last()) {
      out.whole_level = false;
      TRY(walk.seek(level.edit_key(edit)));
    }
  }
  out.added = std::move(level.writer().refs());
  return out;
}

/// What was replaced, as edits of the level above. Nodes that came out the same are no edits.
std::vector<RefEdit> edits_above(Replaced& replaced) {
  std::vector<RefEdit> edits;
  size_t r = 0, a = 0;
  auto& removed = replaced.removed;
  auto& added = replaced.added;
  while (r < removed.size() || a < added.size()) {
    if (a == added.size() || (r < removed.size() && removed[r].key < added[a].key)) {
      edits.push_back({std::move(removed[r++].key), std::nullopt});
    } else if (r == removed.size() || added[a].key < removed[r].key) {
      edits.push_back({added[a].key, added[a]});
      ++a;
    } else {
      if (removed[r].id != added[a].id) edits.push_back({added[a].key, added[a]});
      ++r;
      ++a;
    }
  }
  return edits;
}

/// A root with one child is no root: the child is.
Result<Root> without_single_children(const Context& ctx, Packs& packs, Root root) {
  while (root.level > 0) {
    TRY_LET(const NodePtr node, detail::load_root(ctx, packs, root));
    if (node->count() > 1) break;
    root = detail::root_of(root.parameters, node->child(0, {}), root.level - 1);
  }
  return root;
}

Result<void> check_edits(std::span<const Edit> edits) {
  static const Entry kNone;
  for (size_t i = 0; i < edits.size(); ++i) {
    if (i > 0 && edits[i].key <= edits[i - 1].key)
      return Error(Code::kInvalid, "path",
                   "edits must come in ascending order: '" + edits[i].key + "' came after '" + edits[i - 1].key + "'");
    TRY(detail::check_item(edits[i].key, edits[i].entry ? *edits[i].entry : kNone));
  }
  return {};
}

Result<Root> apply_edits(const Context& ctx, Packs& packs, const Root& root, std::span<const Edit> edits,
                         const detail::Target& target) {
  std::vector<RefEdit> above;
  for (uint32_t level = 0; level <= root.level; ++level) {
    detail::LevelWalk walk(ctx, packs, root, level);
    Replaced replaced;
    if (level == 0) {
      LeafLevel leaves(target, edits);
      TRY_LET(replaced, edit_level(walk, leaves));
    } else {
      InternalLevel internals(target, level, std::move(above));
      TRY_LET(replaced, edit_level(walk, internals));
    }
    if (replaced.whole_level) {
      if (replaced.added.empty()) return empty_root(root.parameters);
      TRY_LET(const Root built, detail::build_above(target, std::move(replaced.added), level));
      return without_single_children(ctx, packs, built);
    }
    above = edits_above(replaced);
    if (above.empty()) return root;
  }
  return Error(Code::kInternal, "tree", "the root level was not whole");
}

}  // namespace

Result<Root> apply(const Context& ctx, std::shared_ptr<Packs> packs, const Root& root, std::span<const Edit> edits,
                   PackBuilder& into) {
  TRY(detail::check(root.parameters));
  TRY(check_edits(edits));
  detail::NodeSink& sink = detail::sink_of(into);
  Root result = root;
  if (root.count == 0) {
    size_t at = 0;
    const ItemSource present = [&]() -> Result<std::optional<Item>> {
      while (at < edits.size() && !edits[at].entry) ++at;
      if (at == edits.size()) return std::optional<Item>{};
      const Edit& edit = edits[at++];
      return std::optional(Item{edit.key, *edit.entry});
    };
    TRY_LET(result, build(ctx, root.parameters, present, into));
  } else if (!edits.empty()) {
    const detail::Target target{ctx, sink, root.parameters, detail::NodeSink::Keep::kYes};
    TRY_LET(result, apply_edits(ctx, *packs, root, edits, target));
  }
  sink.set_entries(result.count);
  return result;
}

}  // namespace tarn::tree
