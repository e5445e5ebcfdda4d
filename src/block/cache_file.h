#pragma once
// The bytes and names of the disk cache's files: one file holds one block of one object (docs/formats/disk-cache.md).
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/disk.h"
#include "block/store.h"

namespace tarn::block::cache_file {

/// Bytes of a block that share one check, so that a short read need not read the whole block.
inline constexpr uint64_t kChunkBytes = 16 << 10;
inline constexpr uint64_t kUnknownSize = UINT64_MAX;
inline constexpr size_t kStoreBytesMax = 64;

/// Which object of which store: the first 16 bytes of a SHA-256, so that nobody can make two names meet.
struct Key {
  uint64_t high = 0;
  uint64_t low = 0;
  auto operator<=>(const Key&) const = default;
  static Key of(std::string_view store, std::string_view name);
};
struct KeyHash {
  size_t operator()(const Key& key) const { return static_cast<size_t>(key.low); }
};

enum class Kind : char { kPack = 'p', kData = 'd' };

/// All that the file's name says; what the index holds of it.
struct FileName {
  Key key;
  uint64_t offset = 0;                  ///< of the block in its object
  uint64_t length = 0;                  ///< bytes of the object in this file
  uint64_t object_size = kUnknownSize;  ///< always known when the block is the last one
  Kind kind = Kind::kData;
  uint64_t serial = 0;  ///< no number is used twice in a folder

  /// With its folder of 2 hex digits: "3f/3f…-40000-1f00-41f00-p-2a-9c0f11e2".
  std::string path() const;
  /// Of the file in its folder. nullopt for a name that this cache did not give.
  static std::optional<FileName> parse(std::string_view name);
  /// What the file is counted with: not less than its length on a file system of 4 KiB pages.
  uint64_t charge() const;
};

/// Whose bytes the file must hold to be an answer.
struct Identity {
  std::string_view store;  ///< at most kStoreBytesMax
  std::string_view name;
};

/// The file's beginning; the bytes of the block follow it.
std::string header_of(const Identity& identity, const FileName& file, std::string_view bytes);

/// Bytes [from, to) of the block, `to` at most its length; checked against the header, and the header against the name.
/// Errors: kCorrupt (torn, flipped, of another object), the disk's own. Cost: two reads, whole chunks of 16 KiB.
Result<std::string> read(base::File& opened, const Identity& identity, const FileName& file, uint64_t from,
                         uint64_t to);

}  // namespace tarn::block::cache_file
