// Three maps, key by key: two diffs against the base, side by side.
#include "tree/tree.h"

namespace tarn::tree {
namespace {

bool same(const std::optional<Entry>& a, const std::optional<Entry>& b) {
  return a.has_value() == b.has_value() && (!a || same_identity(*a, *b));
}

ChangeType type_of(const std::optional<Entry>& left, const std::optional<Entry>& right) {
  if (!left) return ChangeType::kAdded;
  return right ? ChangeType::kChanged : ChangeType::kRemoved;
}

}  // namespace

Result<Merged> merge(const Context& ctx, const std::shared_ptr<Packs>& packs, const Root& base, const Root& source,
                     const Root& destination, const StrategyOf& strategy, PackBuilder& into) {
  Merged merged;
  const auto theirs = diff(packs, base, source), ours = diff(packs, base, destination);
  TRY_LET(std::optional<Change> s, theirs->next(ctx));
  TRY_LET(std::optional<Change> d, ours->next(ctx));
  const auto take = [&](std::optional<Entry> left, std::optional<Entry> right, std::string key) {
    const ChangeType type = type_of(left, right);
    merged.changes.push_back({std::move(key), type, std::move(left), std::move(right)});
  };
  while (s) {
    if (d && d->key < s->key) {  // only the destination changed it
      TRY_LET(d, ours->next(ctx));
      continue;
    }
    if (!d || s->key < d->key) {  // only the source changed it
      take(std::move(s->left), std::move(s->right), std::move(s->key));
    } else {
      if (!same(s->right, d->right)) {
        switch (strategy(s->key)) {
          case Strategy::kNone:
            merged.conflicts.push_back(
                {std::move(s->key), std::move(s->left), std::move(s->right), std::move(d->right)});
            break;
          case Strategy::kSourceWins:
            take(std::move(d->right), std::move(s->right), std::move(s->key));
            break;
          case Strategy::kDestinationWins:
            break;
        }
      }
      TRY_LET(d, ours->next(ctx));
    }
    TRY_LET(s, theirs->next(ctx));
  }
  if (!merged.conflicts.empty()) return merged;
  std::vector<Edit> edits;
  edits.reserve(merged.changes.size());
  for (const Change& change : merged.changes) edits.push_back({change.key, change.right});
  TRY_LET(merged.root, apply(ctx, packs, destination, edits, into));
  return merged;
}

}  // namespace tarn::tree
