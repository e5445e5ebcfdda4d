#pragma once
// Several stored things compressed as one, as folding writes them: docs/formats/pack.md#bundle.
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace tarn::tree::detail {

/// The body of a frame and its hints, as views.
struct Member {
  std::string_view body, hints;
};

std::string encode_bundle(std::span<const Member> members);

inline constexpr size_t kVersionsMax = 64;  ///< versions between a member and the whole leaf that it goes back to

/// A bundle read in place. Immutable. Threads: any.
class Bundle {
 public:
  /// Errors: kCorrupt, kUnsupported.
  static Result<std::shared_ptr<const Bundle>> open(std::string body);
  size_t count() const { return members_.size(); }
  const Member& member(size_t index) const { return members_[index]; }
  /// The body of a member as it was before folding: a version is rebuilt from its base. Errors: kCorrupt.
  /// Cost: up to kVersionsMax bases.
  Result<std::string> body(size_t index) const;
  size_t memory() const { return bytes_.capacity() + members_.capacity() * sizeof(Member); }

 private:
  explicit Bundle(std::string bytes) : bytes_(std::move(bytes)) {}
  const std::string bytes_;
  std::vector<Member> members_;
};

}  // namespace tarn::tree::detail
