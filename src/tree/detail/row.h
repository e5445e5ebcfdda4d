#pragma once
// An entry as views into stored bytes or an arena: no allocation on the way from leaf to leaf.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tree/detail/header.h"
#include "tree/detail/parser.h"
#include "tree/entry.h"
#include "tree/tree.h"

namespace tarn::tree::detail {

struct AddressRow {
  AddressKind kind = AddressKind::kOwn;
  uint64_t partition = 0, sequence = 0;
  std::string_view head, tail, pin;  ///< foreign: the URI is head followed by tail
};

/// Metadata that lies in a chunk of its own.
struct Spill {
  NodeId id;
  uint64_t length = 0;
  Location at;
};

struct Row {
  std::string_view key;
  uint64_t size = 0;
  int64_t mtime_ms = 0;
  EtagKind etag_kind = EtagKind::kMd5;
  uint32_t etag_parts = 0;
  std::string_view etag;
  AddressRow address;
  std::vector<AddressRow> parts;
  std::vector<uint64_t> part_sizes;
  std::string_view content_type;
  std::string_view metadata;   ///< encoded; empty: none, or in `spill`
  std::optional<Spill> spill;  ///< how the row is stored already; implies an empty `metadata`
  std::string_view tagged;     ///< encoded; empty: none
};

/// Whether two rows are the same object, without loading spilled metadata (both follow the same spill rule).
/// @param id_of_spill  of a row whose metadata is longer than kSpillAbove and not spilled yet, it is computed.
bool same_identity(const Row& a, const Row& b);

/// Views into `entry`, `key` and `arena`; all must outlive the row.
Row row_of(std::string_view key, const Entry& entry, Arena& arena);
/// A row of a stored leaf whose key is about to go: it is kept in the arena, all else stays in the leaf.
Row keep_row(const Row& row, Arena& arena);
/// @param metadata  the encoded metadata, loaded by the caller when it was spilled.
/// Errors: kCorrupt.
Result<Entry> entry_of(const Row& row, std::string_view metadata);

/// Canonical bytes of the chunk of spilled metadata.
std::string metadata_chunk(std::string_view metadata);

std::string encode_metadata(const std::map<std::string, std::string>& metadata);
Result<std::map<std::string, std::string>> decode_metadata(std::string_view bytes);
std::string encode_tagged(const std::vector<TaggedField>& fields);
Result<std::vector<TaggedField>> decode_tagged(std::string_view bytes);

inline constexpr uint8_t kFlagEtagMask = 0x03, kFlagAddressShift = 2, kFlagMetadata = 0x10, kFlagSpilled = 0x20,
                         kFlagTagged = 0x40, kFlagEtagText = 0x80;
inline constexpr size_t kEtagSize = 16;

}  // namespace tarn::tree::detail
