#pragma once
// The 8 bytes that begin every hashed structure: docs/formats/tree.md#header-and-identity.
#include <string>
#include <string_view>

#include "tree/detail/parser.h"
#include "tree/tree.h"

namespace tarn::tree::detail {

enum class Kind : char {
  kLeaf = 'L',
  kInternal = 'I',
  kMetadata = 'M',
  kIdentity = 'E',
  kChangeSet = 'C',
  kFilter = 'F',
  kCommit = 'R',
  kTail = 'T',
  kBundle = 'B',
  kFoldedTail = 'D',
  kVersion = 'V',
};

inline constexpr size_t kHeaderSize = 8;
inline constexpr uint8_t kFormatVersion = 1;
inline constexpr uint8_t kAlgorithmSha256 = 1;
inline constexpr size_t kGroup = 16;                ///< keys between two restarts
inline constexpr size_t kSpillAbove = 1024;         ///< bytes of metadata that stay in the leaf
inline constexpr size_t kKeySizeMax = 65'535;       ///< bytes
inline constexpr size_t kBodySizeMax = 256u << 20;  ///< bytes of body and hints of a frame

inline void put_header(std::string& out, Kind kind, uint8_t level = 0) {
  const char header[kHeaderSize] = {
      'T', 'A', 'R', 'N', static_cast<char>(kind), kFormatVersion, kAlgorithmSha256, static_cast<char>(level)};
  out.append(header, sizeof header);
}

/// The kind of a structure. Errors: kCorrupt (no header), kUnsupported (unknown version or algorithm).
Result<Kind> kind_of(std::string_view bytes);
/// The same, when only one kind will do.
Result<void> expect_kind(std::string_view bytes, Kind kind);

}  // namespace tarn::tree::detail
