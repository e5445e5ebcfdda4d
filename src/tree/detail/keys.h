#pragma once
// Front-coded keys with a restart every 16, searched in place.
#include <string>
#include <string_view>
#include <vector>

#include "tree/detail/header.h"

namespace tarn::tree::detail {

/// Writes keys in order.
class KeyWriter {
 public:
  void add(std::string_view key);
  const std::string& bytes() const { return bytes_; }
  const std::vector<uint32_t>& groups() const { return groups_; }

 private:
  std::string bytes_;
  std::vector<uint32_t> groups_;
  size_t count_ = 0;
  std::string_view last_;  ///< the caller keeps keys alive until the next add()
};

/// A view of stored keys; cheap to copy. Reads never leave the bytes; damage is kCorrupt.
class Keys {
 public:
  Keys() = default;
  /// @param groups  u32 start of each group, unaligned.
  Keys(uint32_t count, const char* groups, std::string_view bytes) : count_(count), groups_(groups), bytes_(bytes) {}

  uint32_t count() const { return count_; }
  /// The first index whose key is >= `key` (count() if none) and whether they are equal.
  struct Found {
    uint32_t index = 0;
    bool equal = false;
  };
  Result<Found> lower_bound(std::string_view key) const;
  /// Cost: up to 16 steps.
  Result<std::string> at(uint32_t index) const;

  /// Walks keys from `index` on.
  class Walk {
   public:
    /// The key just read; valid until the next step.
    const std::string& key() const { return key_; }
    /// Reads the next key. Errors: kCorrupt.
    Result<void> step();

   private:
    friend class Keys;
    Parser in_;
    std::string key_;
    uint32_t next_ = 0;
  };
  Result<Walk> walk(uint32_t index) const;

 private:
  Result<Parser> group(uint32_t number) const;
  uint32_t count_ = 0;
  const char* groups_ = nullptr;
  std::string_view bytes_;
};

}  // namespace tarn::tree::detail
