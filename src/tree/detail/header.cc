#include "tree/detail/header.h"

namespace tarn::tree::detail {

Result<Kind> kind_of(std::string_view bytes) {
  if (bytes.size() < kHeaderSize || bytes.substr(0, 4) != "TARN") return corrupt("node", "its header is missing");
  const auto version = static_cast<uint8_t>(bytes[5]), algorithm = static_cast<uint8_t>(bytes[6]);
  if (version != kFormatVersion) return unsupported("node", "node format version", version);
  if (algorithm != kAlgorithmSha256) return unsupported("node", "hash algorithm", algorithm);
  const Kind kind = static_cast<Kind>(bytes[4]);
  switch (kind) {
    case Kind::kLeaf:
    case Kind::kInternal:
    case Kind::kMetadata:
    case Kind::kIdentity:
    case Kind::kChangeSet:
    case Kind::kFilter:
    case Kind::kCommit:
    case Kind::kTail:
    case Kind::kBundle:
    case Kind::kFoldedTail:
    case Kind::kVersion:
      break;
    default:
      return unsupported("node", "kind of node", static_cast<uint8_t>(bytes[4]));
  }
  if (kind != Kind::kInternal && bytes[7] != 0) return corrupt("node", "only internal nodes have a level");
  if (kind == Kind::kInternal && bytes[7] == 0) return corrupt("node", "an internal node at level 0");
  return kind;
}

Result<void> expect_kind(std::string_view bytes, Kind kind) {
  TRY_LET(const Kind found, kind_of(bytes));
  if (found != kind) {
    std::string what = "a structure of kind 'x' stands where 'x' belongs";
    what[21] = static_cast<char>(found);
    what[38] = static_cast<char>(kind);
    return corrupt("node", what);
  }
  return {};
}

}  // namespace tarn::tree::detail
