// Two maps compared by skipping equal hashes.
#include "tree/detail/walk.h"
#include "tree/tree.h"

namespace tarn::tree {
namespace {

using detail::TreeWalk;

class TreeDiff final : public ChangeCursor {
 public:
  TreeDiff(std::shared_ptr<Packs> left_packs, const Root& left, std::shared_ptr<Packs> right_packs, const Root& right,
           std::string_view prefix, std::string_view from)
      : left_packs_(std::move(left_packs)),
        right_packs_(std::move(right_packs)),
        left_(*left_packs_, left),
        right_(*right_packs_, right),
        from_(std::max(prefix, from)),
        end_(detail::end_of_prefix(prefix)) {}

  Result<std::optional<Change>> next(const Context& ctx) override {
    if (failed_) return *failed_;
    auto change = step(ctx);
    if (!change) failed_ = change.error();  // for good: what was skipped cannot be told from what was compared
    return change;
  }

 private:
  Result<std::optional<Change>> step(const Context& ctx) {
    if (!started_) {
      TRY(left_.start(ctx, from_));
      TRY(right_.start(ctx, from_));
      started_ = true;
    }
    for (;;) {
      if (past_end(left_)) left_done_ = true;
      if (past_end(right_)) right_done_ = true;
      if (left_done_ && right_done_) return std::optional<Change>{};
      const bool left_tree = !left_done_ && !left_.at_row(), right_tree = !right_done_ && !right_.at_row();
      if (left_tree && right_tree) {
        if (left_.id() == right_.id()) {
          TRY(skip_both());
        } else {
          // Equal nodes lie at equal levels: open the higher one, or both.
          const uint32_t left_level = left_.level(), right_level = right_.level();
          if (left_level >= right_level) TRY(left_.open(ctx));
          if (right_level >= left_level) TRY(right_.open(ctx));
        }
        continue;
      }
      if (left_tree) {
        TRY(left_.open(ctx));
        continue;
      }
      if (right_tree) {
        TRY(right_.open(ctx));
        continue;
      }
      if (right_done_ || (!left_done_ && left_.row().key < right_.row().key)) {
        Change change{std::string(left_.row().key), ChangeType::kRemoved, std::nullopt, std::nullopt};
        TRY_LET(change.left, load(ctx, *left_packs_, left_));
        TRY(left_.skip());
        return std::optional(std::move(change));
      }
      if (left_done_ || right_.row().key < left_.row().key) {
        Change change{std::string(right_.row().key), ChangeType::kAdded, std::nullopt, std::nullopt};
        TRY_LET(change.right, load(ctx, *right_packs_, right_));
        TRY(right_.skip());
        return std::optional(std::move(change));
      }
      std::optional<Change> found;
      if (!detail::same_identity(left_.row(), right_.row())) {
        found = Change{std::string(left_.row().key), ChangeType::kChanged, std::nullopt, std::nullopt};
        TRY_LET(found->left, load(ctx, *left_packs_, left_));
        TRY_LET(found->right, load(ctx, *right_packs_, right_));
      }
      TRY(left_.skip());
      TRY(right_.skip());
      if (found) return found;
    }
  }

  static Result<std::optional<Entry>> load(const Context& ctx, Packs& packs, const TreeWalk& side) {
    TRY_LET(Entry entry, detail::load_entry(ctx, packs, side.leaf(), side.row()));
    return std::optional(std::move(entry));
  }

  bool past_end(const TreeWalk& side) const {
    return side.at_end() || (end_ && side.at_row() && side.row().key >= std::string_view(*end_));
  }

  Result<void> skip_both() {
    if (end_ && !left_.at_root()) {
      TRY_LET(const std::string last, left_.last_key());
      if (last >= *end_) {
        left_done_ = right_done_ = true;
        return {};
      }
    }
    TRY(left_.skip());
    return right_.skip();
  }

  const std::shared_ptr<Packs> left_packs_, right_packs_;
  TreeWalk left_, right_;
  const std::string from_;
  const std::optional<std::string> end_;
  bool started_ = false, left_done_ = false, right_done_ = false;
  std::optional<Error> failed_;
};

}  // namespace

std::unique_ptr<ChangeCursor> diff(const std::shared_ptr<Packs>& packs, const Root& left, const Root& right,
                                   std::string_view prefix, std::string_view from) {
  return std::make_unique<TreeDiff>(packs, left, packs, right, prefix, from);
}

std::unique_ptr<ChangeCursor> diff(std::shared_ptr<Packs> left_packs, const Root& left,
                                   std::shared_ptr<Packs> right_packs, const Root& right, std::string_view prefix,
                                   std::string_view from) {
  return std::make_unique<TreeDiff>(std::move(left_packs), left, std::move(right_packs), right, prefix, from);
}

}  // namespace tarn::tree
