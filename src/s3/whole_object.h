#pragma once
// The checksum of a whole object that was uploaded in parts.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html,
//         https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html
#include <cstdint>
#include <optional>
#include <string>

#include "block/store.h"
#include "http/headers.h"
#include "s3/checksums.h"

namespace tarn::s3 {

/// What CompleteMultipartUpload says about the object: x-amz-checksum-*, x-amz-checksum-type, x-amz-mp-object-size.
struct WholeObject {
  enum class Type { kFullObject, kComposite };  ///< over all bytes; over the checksums of the parts
  std::optional<ChecksumValue> checksum;
  Type type = Type::kFullObject;
  size_t parts = 0;  ///< composite: the N of "…-N"; 0: not said
  std::optional<uint64_t> size;

  /// Errors: InvalidRequest (no base64 of the right length, two checksums, unknown type, a size that is no number).
  static Result<WholeObject> parse(const http::Headers& headers);
};

/// A client's "AAAA==" or, composite, "AAAA==-3", as it goes back to it.
std::string checksum_text(const WholeObject& said);

/// Computes `said.checksum` from the parts' bytes, one reader after the other, and compares.
class WholeObjectCheck {
 public:
  explicit WholeObjectCheck(const WholeObject& said) : said_(said), all_(said.checksum->kind) {}
  /// Reads one part to its end. Errors: the reader's.
  Result<void> add(block::ByteReader& part);
  /// Errors: BadDigest.
  Result<void> finish() const;

 private:
  const WholeObject& said_;
  Checksum all_;
  size_t parts_ = 0;
};

}  // namespace tarn::s3
