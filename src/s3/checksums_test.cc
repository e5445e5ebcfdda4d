#include "s3/checksums.h"

#include <gtest/gtest.h>

#include "base/bytes.h"

namespace tarn::s3 {
namespace {

std::string of(ChecksumKind kind, std::string_view text) {
  Checksum sum(kind);
  sum.update(text);
  return base::to_hex(sum.finish());
}

TEST(Checksums, HaveTheKnownCheckValues) {
  EXPECT_EQ(of(ChecksumKind::kCrc32, "123456789"), "cbf43926");
  EXPECT_EQ(of(ChecksumKind::kCrc32c, "123456789"), "e3069283");
  EXPECT_EQ(of(ChecksumKind::kCrc64Nvme, "123456789"), "ae8b14860a799888");
  EXPECT_EQ(of(ChecksumKind::kSha1, "abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
  EXPECT_EQ(of(ChecksumKind::kSha256, "abc"), base::sha256_hex("abc"));
  EXPECT_EQ(of(ChecksumKind::kCrc32, ""), "00000000");
  EXPECT_EQ(of(ChecksumKind::kCrc32c, std::string(66560, 'a')), base::to_hex(*base::from_base64("sOO8/Q==")));
}

TEST(Checksums, DoNotDependOnWhereTheBytesAreSplit) {
  std::string text(10'000, 'x');
  for (size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>(i * 131 >> 3);
  for (const ChecksumKind kind : kChecksumKinds) {
    Checksum pieces(kind);
    for (size_t at = 0, step = 1; at < text.size(); at += step, step = step * 3 % 997 + 1)
      pieces.update(std::string_view(text).substr(at, step));
    EXPECT_EQ(base::to_hex(pieces.finish()), of(kind, text)) << header_of(kind);
  }
}

TEST(Checksums, AreReadFromBase64OfTheRightLengthOnly) {
  EXPECT_EQ(base::to_hex(*decode_checksum(ChecksumKind::kCrc32c, "sOO8/Q==")), "b0e3bcfd");
  EXPECT_FALSE(decode_checksum(ChecksumKind::kCrc32c, "sOO8"));
  EXPECT_FALSE(decode_checksum(ChecksumKind::kSha1, "sOO8/Q=="));
  EXPECT_FALSE(decode_checksum(ChecksumKind::kCrc32c, "?"));
  EXPECT_EQ(checksum_of_header("X-Amz-Checksum-CRC64NVME"), ChecksumKind::kCrc64Nvme);
  EXPECT_FALSE(checksum_of_header("x-amz-checksum-mode"));
}

}  // namespace
}  // namespace tarn::s3
