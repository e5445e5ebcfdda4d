#pragma once
// What the map maps to: one object's record. docs/formats/tree.md gives the bytes.
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/hash.h"
#include "base/result.h"

namespace tarn::tree {

enum class EtagKind : uint8_t {
  kMd5 = 0,       ///< bytes = 16 raw
  kMd5Parts = 1,  ///< bytes = 16 raw, parts = number of parts: "hex-3"
  kWeak = 2,      ///< bytes = 16 raw, from size and mtime in ns: a listing's word, not the content's
  kOther = 3,     ///< bytes = the text as the client or store gave it
};

struct Etag {
  EtagKind kind = EtagKind::kMd5;
  std::string bytes;
  uint32_t parts = 0;
  /// Lower-case hex, "hex-3", "weak-<hex>" or the text: what REST calls checksum and S3 puts in quotes.
  std::string text() const;
  static Etag md5(std::string raw16) { return {EtagKind::kMd5, std::move(raw16), 0}; }
  /// The kind that fits a text ("hex", "hex-3", anything else).
  static Etag parse(std::string_view text);
  bool operator==(const Etag&) const = default;
};

enum class AddressKind : uint8_t { kOwn = 0, kForeign = 1, kManifest = 2 };

/// Where the bytes are.
struct Address {
  AddressKind kind = AddressKind::kOwn;
  uint64_t partition = 0, sequence = 0;  ///< kOwn: data/<partition>/<sequence> below the repository's namespace
  std::string uri;                       ///< kForeign: "local:///abs/path", "local://other-namespace/data/…"
  std::string pin;                       ///< kForeign: version, ETag or "size:mtime_ns" that it had when it was linked
  std::vector<Address> parts;            ///< kManifest: own or foreign parts, in order (never nested)
  std::vector<uint64_t> part_sizes;      ///< kManifest: bytes of each part
  bool operator==(const Address&) const = default;
};

/// Fields with a number, for what later versions add; unknown ones are kept. Sorted by tag, each tag once.
struct TaggedField {
  uint32_t tag = 0;
  std::string value;
  bool operator==(const TaggedField&) const = default;
};
inline constexpr uint32_t kTagSha256 = 1;     ///< 32 raw bytes
inline constexpr uint32_t kTagCrc64Nvme = 2;  ///< 8 raw bytes, big-endian
inline constexpr uint32_t kTagObjectTags = 3;
inline constexpr uint32_t kTagCacheControl = 4;
inline constexpr uint32_t kTagContentEncoding = 5;
inline constexpr uint32_t kTagContentDisposition = 6;
inline constexpr uint32_t kTagExpiry = 7;  ///< ms since the epoch, varint
inline constexpr uint32_t kTagCrc32 = 8;   ///< 4 raw bytes, big-endian
inline constexpr uint32_t kTagCrc32c = 9;  ///< 4 raw bytes, big-endian
inline constexpr uint32_t kTagSha1 = 10;   ///< 20 raw bytes
inline constexpr uint32_t kTagContentLanguage = 11;

struct Entry {
  uint64_t size = 0;
  Etag etag;
  int64_t mtime_ms = 0;
  Address address;
  std::string content_type;
  std::map<std::string, std::string> metadata;
  std::vector<TaggedField> tagged;
  bool operator==(const Entry&) const = default;

  const std::string* find_tagged(uint32_t tag) const;
};

/// What makes two entries "the same object" for diff and merge: size, ETag, user metadata, content type.
/// Neither address nor mtime nor tagged fields count. Cost: one SHA-256 of about 100 bytes.
base::Digest identity(const Entry& entry);
/// identity(a) == identity(b) without hashing.
bool same_identity(const Entry& a, const Entry& b);
/// The same where an object may be absent.
inline bool same_identity(const std::optional<Entry>& a, const std::optional<Entry>& b) {
  return a.has_value() == b.has_value() && (!a || same_identity(*a, *b));
}

/// A self-contained form of an entry, for staging rows: version byte first.
std::string encode_entry(const Entry& entry);
Result<Entry> decode_entry(std::string_view bytes);

}  // namespace tarn::tree
