#pragma once
// The checksums that S3 knows besides MD5.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html
#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/hash.h"
#include "base/result.h"

namespace tarn::s3 {

enum class ChecksumKind { kCrc32, kCrc32c, kCrc64Nvme, kSha1, kSha256 };
inline constexpr std::array kChecksumKinds = {ChecksumKind::kCrc32, ChecksumKind::kCrc32c, ChecksumKind::kCrc64Nvme,
                                              ChecksumKind::kSha1, ChecksumKind::kSha256};

/// "x-amz-checksum-crc32" and so on.
std::string_view header_of(ChecksumKind kind);
/// Of a header or trailer name, without regard to case.
std::optional<ChecksumKind> checksum_of_header(std::string_view name);
/// Where an object's entry keeps it (tree/entry.h).
uint32_t tag_of(ChecksumKind kind);
/// Raw bytes from base64. Errors: InvalidRequest when it is no base64 of the right length.
Result<std::string> decode_checksum(ChecksumKind kind, std::string_view base64);

/// Incremental. Threads: one. Cost: CRCs several GB/s, hashes as OpenSSL's.
class Checksum {
 public:
  explicit Checksum(ChecksumKind kind);
  void update(std::string_view bytes);
  /// Raw bytes, most significant first.
  std::string finish() const;
  ChecksumKind kind() const { return kind_; }

 private:
  ChecksumKind kind_;
  uint64_t crc_ = 0;
  std::unique_ptr<base::Hasher> hasher_;
};

/// A checksum that a client sent and that the bytes have.
struct ChecksumValue {
  ChecksumKind kind;
  std::string raw;
};

}  // namespace tarn::s3
