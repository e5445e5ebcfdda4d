// Three maps, key by key: what the source changed, against what the destination has at those keys.
#include "tree/tree.h"

namespace tarn::tree {
namespace {

constexpr size_t kFewChanges = 256;  ///< of the source: each is looked up, however much the destination changed

ChangeType type_of(const std::optional<Entry>& left, const std::optional<Entry>& right) {
  if (!left) return ChangeType::kAdded;
  return right ? ChangeType::kChanged : ChangeType::kRemoved;
}

/// What the destination has where the source changed something, in key order: by look-ups, or by a walk over what the
/// destination changed itself.
class Ours {
 public:
  Ours(const Context& ctx, const std::shared_ptr<Packs>& packs, const Root& base, const Root& destination, bool walks)
      : ctx_(ctx), packs_(packs), destination_(destination) {
    if (walks) changes_ = diff(packs, base, destination);
  }
  Result<std::optional<Entry>> at(const Change& theirs) {
    if (!changes_) return get(ctx_, *packs_, destination_, theirs.key);
    while (!ended_ && (!change_ || change_->key < theirs.key)) {
      TRY_LET(change_, changes_->next(ctx_));
      ended_ = !change_;
    }
    return change_ && change_->key == theirs.key ? change_->right : theirs.left;
  }

 private:
  const Context& ctx_;
  const std::shared_ptr<Packs>& packs_;
  const Root& destination_;
  std::unique_ptr<ChangeCursor> changes_;
  std::optional<Change> change_;
  bool ended_ = false;
};

}  // namespace

Result<Merged> merge(const Context& ctx, const std::shared_ptr<Packs>& packs, const Root& base, const Root& source,
                     const Root& destination, const StrategyOf& strategy, PackBuilder& into) {
  Merged merged;
  const auto theirs = diff(packs, base, source);
  std::vector<Change> first;
  bool all = false;
  while (!all && first.size() <= kFewChanges) {
    TRY_LET(std::optional<Change> change, theirs->next(ctx));
    if (change)
      first.push_back(std::move(*change));
    else
      all = true;
  }
  Ours ours(ctx, packs, base, destination, !all);
  const auto decide = [&](Change change) -> Result<void> {
    TRY_LET(std::optional<Entry> mine, ours.at(change));
    if (!same_identity(mine, change.left)) {  // both sides changed it
      if (same_identity(mine, change.right)) return {};
      switch (strategy(change.key)) {
        case Strategy::kNone:
          merged.conflicts.push_back(
              {std::move(change.key), std::move(change.left), std::move(change.right), std::move(mine)});
          return {};
        case Strategy::kDestinationWins:
          return {};
        case Strategy::kSourceWins:
          change.left = std::move(mine);
          change.type = type_of(change.left, change.right);
      }
    }
    merged.changes.push_back(std::move(change));
    return {};
  };
  for (Change& change : first) TRY(decide(std::move(change)));
  while (!all) {
    TRY_LET(std::optional<Change> change, theirs->next(ctx));
    if (!change) break;
    TRY(decide(std::move(*change)));
  }
  if (!merged.conflicts.empty()) return merged;
  std::vector<Edit> edits;
  edits.reserve(merged.changes.size());
  for (const Change& change : merged.changes) edits.push_back({change.key, change.right});
  TRY_LET(merged.root, apply(ctx, packs, destination, edits, into));
  return merged;
}

}  // namespace tarn::tree
