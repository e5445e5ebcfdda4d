#pragma once
// Leaves: docs/formats/tree.md#leaf.
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tree/detail/hints.h"
#include "tree/detail/keys.h"
#include "tree/detail/row.h"

namespace tarn::tree::detail {

/// Canonical bytes of a leaf. Rows in key order; metadata longer than kSpillAbove must be in `spill` already unless the
/// map is a change-set's.
std::string encode_leaf(std::span<const Row> rows);

/// A new row for the key at `index`.
struct Replacement {
  uint32_t index = 0;
  Row row;
};

/// A leaf read in place. Views into its bytes; cheap to move. Reads never leave the bytes; damage is kCorrupt.
class Leaf {
 public:
  Leaf() = default;
  /// @param hints  of the spilled metadata; ignored (and spills have no location) when `check_hints` is false.
  static Result<Leaf> parse(std::string_view bytes);
  uint32_t count() const { return keys_.count(); }
  uint64_t total_bytes() const { return total_bytes_; }
  const Keys& keys() const { return keys_; }
  void set_index(const KeyIndex* index) { keys_.set_index(index); }

  /// The record of a key into `row`, which keeps `key`; false when there is none. Cost: one search, up to 16 records
  /// skipped.
  Result<bool> find(std::string_view key, Row& row) const;

  /// Walks the records of one leaf from an index on.
  class Walk {
   public:
    /// Reads the next record into `row`; `row.key` is valid until the next step, other views as long as the leaf.
    Result<void> step(Row& row);

   private:
    friend class Leaf;
    const Leaf* leaf_ = nullptr;
    Keys::Walk keys_;
    Parser records_;
    uint32_t next_ = 0;
  };
  /// Cost: up to 16 records are skipped.
  Result<Walk> walk(uint32_t index) const;
  /// The ids of spilled metadata in entry order. Cost: reads every record.
  Result<std::vector<NodeId>> spills() const;

 private:
  friend class Walk;
  friend class LeafSplice;
  struct Partition {
    uint64_t id, base;
  };
  Result<Parser> record_group(uint32_t number) const;
  bool read(Parser& in, uint32_t index, std::string_view key, Row& row) const;
  /// Goes behind a record.
  static void skip(Parser& in);
  void read_address(Parser& in, std::string_view key, AddressRow& address) const;

  Keys keys_;
  uint64_t total_bytes_ = 0;
  int64_t mtime_base_ = 0;
  const char* record_groups_ = nullptr;
  std::string_view records_, etags_;
  std::vector<std::string_view> types_, heads_;
  std::vector<Partition> partitions_;
};

/// Canonical bytes of `leaf` with some rows replaced, in the order of their index; no row of either has spilled
/// metadata. Cost: one pass that copies records and keys as they are; rarely, when the numbers of types and partitions
/// change, as encode_leaf(). Errors: kCorrupt.
Result<std::string> replace_in_leaf(const Leaf& leaf, std::span<const Replacement> with);
/// The one pass; nullopt when it will not do.
std::optional<std::string> splice_leaf(const Leaf& leaf, std::span<const Replacement> with);

}  // namespace tarn::tree::detail
