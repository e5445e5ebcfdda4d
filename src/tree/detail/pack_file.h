#pragma once
// Opening, tail index and closing of a pack: docs/formats/pack.md.
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tree/detail/header.h"
#include "tree/tree.h"

namespace tarn::tree::detail {

inline constexpr size_t kOpeningSize = 16, kClosingSize = 32;
inline constexpr size_t kTailRead = 64 * 1024;         ///< bytes read to open a pack
inline constexpr uint64_t kPackSizeMax = 64ull << 20;  ///< nodes beyond go to another pack

inline constexpr uint32_t kAlone = UINT32_MAX;
inline constexpr size_t kShortId = 8;  ///< bytes of an id that the index of a folded pack keeps

struct Slot {
  std::string id;  ///< of a node or a commit: 32 bytes, in a folded pack its first 8
  uint64_t offset = 0;
  uint32_t length = 0;
  uint32_t member = kAlone;  ///< of the bundle in that frame; kAlone: the frame is the thing itself
};

/// The index of a pack, plain or folded.
struct Tail {
  std::string pack_id;
  bool folded = false;
  std::vector<std::string> replaces;  ///< of a folded pack
  /// By offset in a plain pack; by id in a folded one.
  std::vector<Slot> nodes, commits, change_sets, filters;
  size_t weight() const {
    return nodes.size() + commits.size() + change_sets.size() + filters.size() + replaces.size() + 1;
  }
  /// Slots that may hold `id`: in a folded pack the thing itself has to be asked, since two ids may begin alike.
  static std::span<const Slot> find(const std::vector<Slot>& slots, std::string_view id);
};

/// What a frame of a folded pack holds: its members' lists ('n' node, 'r' record, 'c' change-set, 'f' filter) and ids.
struct FoldedFrame {
  uint32_t length = 0;
  bool bundle = false;
  std::vector<std::pair<char, std::string>> members;
};

std::string opening();
/// Appends the tail frame and the closing to a pack.
Result<void> append_tail(std::string& pack, const Tail& tail, Codec codec);
/// The same for a folded pack, whose frames lie one after the other behind the opening.
Result<void> append_folded_tail(std::string& pack, std::string_view pack_id, std::span<const std::string> replaces,
                                std::span<const FoldedFrame> frames);
/// Of a plain or a folded pack. Errors: kCorrupt, kUnsupported.
Result<Tail> parse_tail(std::string_view body);
/// The whole id of what a folded pack holds in one of its lists. Errors: kCorrupt when it is not what `slot` says.
Result<std::string> whole_id(char list, const Slot& slot, std::string_view body);

struct Closing {
  uint64_t tail_offset = 0;
  uint32_t tail_length = 0;
  bool folded = false;
};
/// @param bytes  the last kClosingSize bytes of a pack of `pack_size` bytes.
Result<Closing> parse_closing(std::string_view bytes, uint64_t pack_size);
/// The record in the body of a commit record's frame. Errors: kCorrupt (also when it belongs to another commit).
Result<std::string_view> commit_record(std::string_view body, std::string_view commit_id32);
/// The index of a pack whose bytes are all here. Errors: kCorrupt, kUnsupported.
Result<Tail> read_tail(std::string_view bytes, std::string_view pack_id);
/// Checks every byte of a pack. Errors: kCorrupt, kUnsupported.
Result<void> check_pack(std::string_view bytes, std::string_view pack_id);

/// Whether a text can be a pack's id: hints are not covered by a hash and must not name other objects.
bool is_pack_id(std::string_view text);

}  // namespace tarn::tree::detail
