#pragma once
// Location hints beside a node: docs/formats/tree.md#location-hints.
#include <string>
#include <string_view>
#include <vector>

#include "tree/detail/header.h"

namespace tarn::tree::detail {

/// Writes hints in order.
std::string encode_hints(const std::vector<Location>& locations);

/// A view of stored hints.
class Hints {
 public:
  Hints() = default;
  /// Errors: kCorrupt, kUnsupported (codec).
  static Result<Hints> parse(std::string_view bytes, size_t expected);
  size_t count() const { return entries_.size() / kHintSize; }
  /// Errors: none; parse() checked all. @param index below count().
  Location at(size_t index) const;

 private:
  static constexpr size_t kHintSize = 15;
  std::vector<std::string_view> packs_;
  std::string_view entries_;
};

}  // namespace tarn::tree::detail
