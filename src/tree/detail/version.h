#pragma once
// A leaf as what differs from another version of it: docs/formats/pack.md#version.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace tarn::tree::detail {

/// The records of a leaf, each encoded on its own, in key order.
struct LeafRecords {
  struct Record {
    std::string key, entry;
    bool operator==(const Record&) const = default;
  };
  std::vector<Record> records;

  /// nullopt for what is not written this way: no leaf, or one with spilled metadata. Errors: kCorrupt.
  static Result<std::optional<LeafRecords>> of(std::string_view body);
  /// The canonical bytes of the leaf. Errors: kCorrupt.
  Result<std::string> leaf() const;
};

/// What turns `base` into `version`, for the member `distance` places behind that of the base.
std::string encode_version(const LeafRecords& base, const LeafRecords& version, uint64_t distance);
/// Records that encode_version() would name; stops counting at `limit`.
size_t differing(const LeafRecords& base, const LeafRecords& version, size_t limit);

bool is_version(std::string_view body);
/// How many places before it the base lies. Errors: kCorrupt.
Result<uint64_t> base_distance(std::string_view body);
/// Errors: kCorrupt.
Result<void> apply_version(LeafRecords& base, std::string_view body);

}  // namespace tarn::tree::detail
