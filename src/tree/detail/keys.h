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

/// What the first keys of groups begin with, side by side: a search of many groups touches few lines of memory.
/// Made once for a node that stays in memory.
struct KeyIndex {
  std::string_view shared;       ///< what the first keys of all groups begin with; lies in the node
  std::vector<uint64_t> firsts;  ///< the 8 bytes behind them, big-endian, zeros behind the end
  /// Begins to bring it near: the reads of a search wait for each other otherwise.
  void fetch_ahead() const {
    __builtin_prefetch(shared.data());
    for (size_t i = 0; i < firsts.size(); i += 8) __builtin_prefetch(&firsts[i]);
  }
};

/// A view of stored keys; cheap to copy. Reads never leave the bytes; damage is kCorrupt.
class Keys {
 public:
  Keys() = default;
  /// @param groups  u32 start of each group, unaligned.
  Keys(uint32_t count, const char* groups, std::string_view bytes) : count_(count), groups_(groups), bytes_(bytes) {}

  uint32_t count() const { return count_; }
  uint32_t groups() const { return static_cast<uint32_t>((count_ + kGroup - 1) / kGroup); }
  uint32_t start_of(uint32_t group) const { return load_le<uint32_t>(groups_ + size_t{4} * group); }
  std::string_view bytes() const { return bytes_; }
  /// Empty when keys are damaged or few.
  KeyIndex make_index() const;
  /// @param index  outlives this; nullptr: none.
  void set_index(const KeyIndex* index) { index_ = index; }

  /// The first index whose key is >= `key` (count() if none) and whether they are equal.
  struct Found {
    uint32_t index = 0;
    bool equal = false;
  };
  Result<Found> lower_bound(std::string_view key) const;
  /// The same in two steps: the group in which the search ends, and the search in it.
  Result<uint32_t> group_for(std::string_view key) const;
  Result<Found> lower_bound_in(uint32_t group, std::string_view key) const;
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
  Result<std::string_view> first_of(uint32_t group) const;
  uint32_t count_ = 0;
  const char* groups_ = nullptr;
  std::string_view bytes_;
  const KeyIndex* index_ = nullptr;
};

}  // namespace tarn::tree::detail
