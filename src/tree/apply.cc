// Edits to a map: only touched leaves are read and written, and the result is what a build from scratch would give.
//
// One pass. On each level, nodes that an edit falls into are cut anew, from their start, until a new boundary meets an
// old one (boundaries depend on keys only, so from there on the old nodes are right). What was replaced goes on at once
// as edits of the level above.
#include "tree/detail/level_writer.h"
#include "tree/detail/walk.h"
#include "tree/tree.h"

namespace tarn::tree {
namespace {

using detail::NodePtr;
using detail::Ref;

/// A leaf's edit: the caller's, or one that is ours to keep.
struct LeafEdit {
  std::string_view key;
  const Entry* entry = nullptr;  ///< nullptr: removes
  Edit* ours = nullptr;          ///< holds both; it goes when the call returns
};

struct RefEdit {
  std::string key;
  std::optional<Ref> ref;
};

/// What becomes of the nodes of one level, as edits of the level above. Nodes that come out the same are no edits.
class Replaced {
 public:
  using Taker = std::function<Result<void>(RefEdit)>;
  /// @param every  gives nodes that came out the same too, and not what went: for the level of the root.
  Replaced(Taker taker, bool every) : taker_(std::move(taker)), every_(every) {}
  detail::OldRefs old() const { return &removed_; }
  void remove(Ref ref) { removed_.push_back(std::move(ref)); }
  Result<void> add(Ref ref) {
    while (!removed_.empty() && removed_.front().key < ref.key) TRY(pass_removed());
    if (!removed_.empty() && removed_.front().key == ref.key) {
      const bool same = removed_.front().id == ref.id;
      removed_.pop_front();
      if (same && !every_) return {};
    }
    std::string key = ref.key;
    return taker_({std::move(key), std::move(ref)});
  }
  Result<void> finish() {
    while (!removed_.empty()) TRY(pass_removed());
    return {};
  }

 private:
  Result<void> pass_removed() {
    std::string key = std::move(removed_.front().key);
    removed_.pop_front();
    return every_ ? base::ok() : taker_({std::move(key), std::nullopt});
  }
  const Taker taker_;
  const bool every_;
  std::deque<Ref> removed_;  ///< opened, and no new node came at or behind them yet
};

/// Level 0: rows of leaves.
///
/// A leaf is not taken apart as long as its rows are only replaced: boundaries depend on keys, so it stays one leaf.
/// The first row that comes or goes takes it apart, and the next boundary that meets an old one ends that.
class LeafLevel {
 public:
  using Edit = LeafEdit;
  LeafLevel(const detail::Target& target, uint32_t, Replaced& replaced)
      : writer_(
            target, [&replaced](Ref ref) { return replaced.add(std::move(ref)); }, replaced.old()) {}
  detail::LeafWriter& writer() { return writer_; }

  Result<void> open(NodePtr node, const Ref& ref) {
    node_ = std::move(node);
    index_ = 0;
    whole_ = writer_.closed() && !node_->has_spills();
    if (whole_) {
      ref_ = ref;
      return {};
    }
    TRY_LET(walk_, node_->leaf().walk(0));
    return read();
  }
  bool done() const { return index_ == node_->count(); }
  Result<void> keep_before(std::string_view key) {
    if (whole_) {
      TRY_LET(const auto found, node_->leaf().keys().lower_bound(key));
      index_ = std::max(index_, found.index);
      equal_ = found.equal;
      return {};
    }
    while (!done() && row_.key < key) {
      TRY(writer_.add_stored(node_, row_));
      TRY(advance());
    }
    equal_ = !done() && row_.key == key;
    return {};
  }
  /// Whether keep_before() found its key.
  bool stands_at_key() const { return equal_; }
  Result<void> advance() {
    ++index_;
    return whole_ ? base::ok() : read();
  }
  Result<void> insert(LeafEdit& edit) {
    if (edit.entry == nullptr) return {};
    if (whole_) TRY(take_apart());
    return writer_.add(row_of(edit));
  }
  Result<void> replace(LeafEdit& edit) {
    if (edit.entry == nullptr) return whole_ ? take_apart() : base::ok();
    detail::Row row = row_of(edit);
    if (!whole_) {
      return detail::same_identity(row, row_) ? writer_.add_stored(node_, row_) : writer_.add(std::move(row));
    }
    TRY_LET(const bool found, node_->leaf().find(row.key, row_));
    if (!found) return detail::corrupt("leaf", "a key is found and not found");
    if (detail::same_identity(row, row_)) return {};
    if (row.metadata.size() > detail::kSpillAbove) {
      TRY(take_apart());
      return writer_.add(std::move(row));
    }
    ref_.bytes += row.size - row_.size;
    with_.push_back({index_, std::move(row)});
    return {};
  }
  /// To the end of the node.
  Result<void> leave() {
    if (whole_) {
      index_ = node_->count();
      whole_ = false;
      return with_.empty() ? writer_.pass(std::move(ref_))
                           : writer_.add_edited(node_, std::move(ref_), std::exchange(with_, {}));
    }
    while (!done()) {
      TRY(writer_.add_stored(node_, row_));
      TRY(advance());
    }
    return {};
  }

 private:
  Result<void> read() { return done() ? base::ok() : walk_.step(row_); }
  /// Gives the writer the rows before the current one.
  Result<void> take_apart() {
    const uint32_t upto = index_;
    const std::vector<detail::Replacement> with = std::exchange(with_, {});
    size_t next = 0;
    whole_ = false;
    index_ = 0;
    TRY_LET(walk_, node_->leaf().walk(0));
    TRY(read());
    while (index_ < upto) {
      const bool stays = next == with.size() || with[next].index != index_;
      TRY(stays ? writer_.add_stored(node_, row_) : writer_.add(with[next++].row));
      TRY(advance());
      // The rows to come lie with the open leaf.
      if (next < with.size() && writer_.closed()) return detail::corrupt("tree", "a leaf goes on behind its boundary");
    }
    return {};
  }
  detail::Row row_of(LeafEdit& edit) {
    if (edit.ours == nullptr) return detail::row_of(edit.key, *edit.entry, writer_.arena());
    const Item& item = writer_.hold(std::move(edit.ours->key), std::move(*edit.ours->entry));
    return detail::row_of(item.key, item.entry, writer_.arena());
  }
  detail::LeafWriter writer_;
  NodePtr node_;
  uint32_t index_ = 0;  ///< of the current row
  bool equal_ = false;
  // Of a leaf that is whole so far:
  bool whole_ = false;
  Ref ref_;
  std::vector<detail::Replacement> with_;
  // Of one that is taken apart:
  detail::Leaf::Walk walk_;
  detail::Row row_;  ///< the current one
};

/// Level 1 and above: children against what was replaced below.
class InternalLevel {
 public:
  using Edit = RefEdit;
  InternalLevel(const detail::Target& target, uint32_t level, Replaced& replaced)
      : writer_(
            target, level, [&replaced](Ref ref) { return replaced.add(std::move(ref)); }, replaced.old()) {}
  detail::InternalWriter& writer() { return writer_; }

  Result<void> open(NodePtr node, const Ref&) {
    node_ = std::move(node);
    at_ = 0;
    TRY_LET(walk_, node_->internal().keys().walk(0));
    return advance();
  }
  bool done() const { return at_ > node_->count(); }
  Result<void> keep_before(std::string_view key) {
    while (!done() && walk_.key() < key) TRY(keep());
    equal_ = !done() && walk_.key() == key;
    return {};
  }
  bool stands_at_key() const { return equal_; }
  Result<void> advance() { return ++at_ <= node_->count() ? walk_.step() : base::ok(); }
  Result<void> leave() {
    while (!done()) TRY(keep());
    return {};
  }
  Result<void> insert(RefEdit& edit) { return edit.ref ? writer_.add(std::move(*edit.ref)) : base::ok(); }
  Result<void> replace(RefEdit& edit) { return insert(edit); }

 private:
  Result<void> keep() {
    TRY(writer_.add(node_->child(at_ - 1, walk_.key())));
    return advance();
  }
  bool equal_ = false;
  detail::InternalWriter writer_;
  NodePtr node_;
  detail::Keys::Walk walk_;
  uint32_t at_ = 0;
};

/// Cuts one level anew where edits fall; the level has at least one node. Memory: the open node, old and new.
template <class Level>
class Editor {
 public:
  /// @param root  outlives the editor.
  Editor(const detail::Target& target, Packs& packs, const Root& root, uint32_t level, Replaced::Taker taker)
      : replaced_(std::move(taker), level == root.level),
        walk_(target.ctx, packs, root, level),
        level_(target, level, replaced_) {}
  Editor(const Editor&) = delete;
  Editor& operator=(const Editor&) = delete;

  bool touched() const { return open_; }

  Result<void> push(typename Level::Edit edit) {
    TRY(go_to(edit.key));
    if (!level_.stands_at_key()) return level_.insert(edit);
    TRY(level_.replace(edit));
    return level_.advance();
  }

  /// No edit follows.
  Result<void> finish() {
    if (!open_) return {};
    for (;;) {
      TRY(level_.leave());
      if (last_ || level_.writer().closed()) break;
      TRY(next());
      TRY(open());
    }
    TRY(level_.writer().flush());
    return replaced_.finish();
  }

 private:
  /// To the first item at or above `key`, or behind the last of all.
  Result<void> go_to(std::string_view key) {
    if (!open_) {
      TRY(walk_.seek(key));
      TRY(open());
    }
    for (;;) {
      TRY(level_.keep_before(key));
      if (!level_.done() || last_) return {};
      TRY(level_.leave());
      TRY(next());
      // Between two boundaries that met, old nodes stay as they are.
      if (level_.writer().closed() && walk_.ref().key < key && !walk_.is_last()) TRY(walk_.seek(key));
      TRY(open());
    }
  }
  Result<void> next() {
    TRY_LET(const bool moved, walk_.next());
    return moved ? base::ok() : detail::corrupt("tree", "a level ends before its parents say");
  }
  Result<void> open() {
    replaced_.remove(walk_.ref());
    last_ = walk_.is_last();
    TRY_LET(NodePtr node, walk_.load());
    TRY(level_.open(std::move(node), walk_.ref()));
    open_ = true;
    return {};
  }

  Replaced replaced_;
  detail::LevelWalk walk_;
  Level level_;
  bool open_ = false, last_ = false;
};

/// A root with one child is no root: the child is.
Result<Root> without_single_children(const Context& ctx, Packs& packs, Root root) {
  while (root.level > 0) {
    TRY_LET(const NodePtr node, detail::load_root(ctx, packs, root));
    if (node->count() > 1) break;
    root = detail::root_of(root.parameters, node->child(0, {}), root.level - 1);
  }
  return root;
}

/// An editor for each level of a tree, each feeding the next; above the root's level the tree grows as it must.
class TreeEditor {
 public:
  TreeEditor(const detail::Target& target, Packs& packs, const Root& root)
      : target_(target), packs_(packs), root_(root), tower_(target, root.level) {
    for (uint32_t level = 1; level <= root.level; ++level)
      internals_.push_back(std::make_unique<Editor<InternalLevel>>(target, packs, root, level, taker(level)));
    leaves_ = std::make_unique<Editor<LeafLevel>>(target, packs, root, 0, taker(0));
  }
  Result<void> push(const LeafEdit& edit) { return leaves_->push(edit); }
  Result<Root> finish() {
    TRY(leaves_->finish());
    for (const auto& level : internals_) TRY(level->finish());
    const bool touched = internals_.empty() ? leaves_->touched() : internals_.back()->touched();
    if (!touched) return root_;
    TRY_LET(const std::optional<Root> built, tower_.finish());
    if (!built) return empty_root(root_.parameters);
    if (built->id == root_.id) return root_;
    return without_single_children(target_.ctx, packs_, *built);
  }

 private:
  Replaced::Taker taker(uint32_t level) {
    if (level == root_.level) return [this](RefEdit edit) { return tower_.add(std::move(*edit.ref)); };
    return [this, level](RefEdit edit) { return internals_[level]->push(std::move(edit)); };
  }
  const detail::Target target_;
  Packs& packs_;
  const Root& root_;
  detail::Tower tower_;
  std::vector<std::unique_ptr<Editor<InternalLevel>>> internals_;  ///< from level 1 on
  std::unique_ptr<Editor<LeafLevel>> leaves_;
};

/// Gives the edits one by one. The edit is valid until the next call; nullopt: no more.
using Edits = std::function<Result<std::optional<LeafEdit>>()>;

Result<Root> apply_edits(const Context& ctx, Packs& packs, const Root& root, const Edits& edits, PackBuilder& into) {
  TRY(detail::check(root.parameters));
  detail::NodeSink& sink = detail::sink_of(into);
  const detail::Target target{ctx, sink, root.parameters, detail::NodeSink::Keep::kYes};
  static const Entry kNone;
  std::optional<TreeEditor> editor;
  std::optional<detail::Tower> tower;  // where the base is empty
  std::optional<detail::LeafWriter> leaves;
  if (root.count > 0) {
    editor.emplace(target, packs, root);
  } else {
    tower.emplace(target, 0);
    leaves.emplace(target, [&](Ref ref) { return tower->add(std::move(ref)); });
  }
  std::string last;
  bool first = true;
  for (;;) {
    TRY_LET(const std::optional<LeafEdit> edit, edits());
    if (!edit) break;
    if (!first && edit->key <= last)
      return Error(Code::kInvalid, "path",
                   "edits must come in ascending order: '" + std::string(edit->key) + "' came after '" + last + "'");
    TRY(detail::check_item(edit->key, edit->entry != nullptr ? *edit->entry : kNone));
    first = false;
    last.assign(edit->key);
    if (editor) {
      TRY(editor->push(*edit));
    } else if (edit->ours != nullptr && edit->entry != nullptr) {
      const Item& item = leaves->hold(std::move(edit->ours->key), std::move(*edit->ours->entry));
      TRY(leaves->add(detail::row_of(item.key, item.entry, leaves->arena())));
    } else if (edit->entry != nullptr) {
      TRY(leaves->add(detail::row_of(edit->key, *edit->entry, leaves->arena())));
    }
  }
  Root result = root;
  if (editor) {
    TRY_LET(result, editor->finish());
  } else {
    TRY(leaves->flush());
    TRY_LET(const std::optional<Root> built, tower->finish());
    if (built) result = *built;
  }
  sink.set_entries(result.count);
  return result;
}

}  // namespace

Result<Root> apply(const Context& ctx, const std::shared_ptr<Packs>& packs, const Root& root,
                   std::span<const Edit> edits, PackBuilder& into) {
  size_t at = 0;
  const Edits each = [&]() -> Result<std::optional<LeafEdit>> {
    if (at == edits.size()) return std::optional<LeafEdit>{};
    const Edit& edit = edits[at++];
    return std::optional(LeafEdit{edit.key, edit.entry ? &*edit.entry : nullptr, nullptr});
  };
  return apply_edits(ctx, *packs, root, each, into);
}

Result<Root> apply(const Context& ctx, const std::shared_ptr<Packs>& packs, const Root& root, const EditSource& source,
                   PackBuilder& into) {
  std::optional<Edit> edit;
  const Edits each = [&]() -> Result<std::optional<LeafEdit>> {
    TRY_LET(edit, source());
    if (!edit) return std::optional<LeafEdit>{};
    return std::optional(LeafEdit{edit->key, edit->entry ? &*edit->entry : nullptr, &*edit});
  };
  return apply_edits(ctx, *packs, root, each, into);
}

}  // namespace tarn::tree
