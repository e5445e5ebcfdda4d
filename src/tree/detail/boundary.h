#pragma once
// Where nodes end: a function of keys only. docs/formats/tree.md#boundaries
#include <string_view>

#include "base/hash.h"
#include "tree/tree.h"

namespace tarn::tree::detail {

/// Counts the items of the open node of one level.
class Boundary {
 public:
  Boundary(const Parameters& p, uint32_t level)
      : seed_(p.seed + level),
        min_(level == 0 ? p.leaf_min : p.node_min),
        target_(level == 0 ? p.leaf_target : p.node_target),
        max_(level == 0 ? p.leaf_max : p.node_max) {}

  /// Adds an item. @return true when the node ends after it.
  bool add(std::string_view key) {
    ++count_;
    if (count_ < min_) return false;
    if (count_ >= max_ || base::xxh3_64(key, seed_) % (count_ < target_ ? 2 * target_ : target_ / 8) == 0) {
      count_ = 0;
      return true;
    }
    return false;
  }
  /// No node is open.
  bool closed() const { return count_ == 0; }
  void reset() { count_ = 0; }

 private:
  uint64_t seed_;
  uint32_t min_, target_, max_;
  uint32_t count_ = 0;
};

/// Errors: kInvalid. Valid sets are in docs/formats/tree.md#parameters.
Result<void> check(const Parameters& parameters);

}  // namespace tarn::tree::detail
