#pragma once
// Opening, tail index and closing of a pack: docs/formats/pack.md.
#include <string>
#include <string_view>
#include <vector>

#include "tree/detail/header.h"
#include "tree/tree.h"

namespace tarn::tree::detail {

inline constexpr size_t kOpeningSize = 16, kClosingSize = 32;
inline constexpr size_t kTailRead = 64 * 1024;         ///< bytes read to open a pack
inline constexpr uint64_t kPackSizeMax = 64ull << 20;  ///< nodes beyond go to another pack

struct Slot {
  std::string id;  ///< 32 bytes: of a node or a commit
  uint64_t offset = 0;
  uint32_t length = 0;
};

struct Tail {
  std::string pack_id;
  std::vector<Slot> nodes, commits, change_sets, filters;
  size_t weight() const { return nodes.size() + commits.size() + change_sets.size() + filters.size() + 1; }
  static const Slot* find(const std::vector<Slot>& slots, std::string_view id);
};

std::string opening();
/// Appends the tail frame and the closing to a pack.
Result<void> append_tail(std::string& pack, const Tail& tail, Codec codec);
/// Errors: kCorrupt, kUnsupported.
Result<Tail> parse_tail(std::string_view body);

struct Closing {
  uint64_t tail_offset = 0;
  uint32_t tail_length = 0;
};
/// @param bytes  the last kClosingSize bytes of a pack of `pack_size` bytes.
Result<Closing> parse_closing(std::string_view bytes, uint64_t pack_size);
/// The record in the body of a commit record's frame. Errors: kCorrupt (also when it belongs to another commit).
Result<std::string_view> commit_record(std::string_view body, std::string_view commit_id32);
/// Checks every byte of a pack. Errors: kCorrupt, kUnsupported.
Result<void> check_pack(std::string_view bytes, std::string_view pack_id);

/// Whether a text can be a pack's id: hints are not covered by a hash and must not name other objects.
bool is_pack_id(std::string_view text);

}  // namespace tarn::tree::detail
