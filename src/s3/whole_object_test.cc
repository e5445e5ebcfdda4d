// Goal: what a client says about a whole object made of parts is compared with the bytes, or refused by name.
// Method: the checksums of "hello, " + "world" were computed with Python's zlib and hashlib.
#include "s3/whole_object.h"

#include <gtest/gtest.h>

#include "base/bytes.h"
#include "s3/errors.h"

namespace tarn::s3 {
namespace {

class Text final : public block::ByteReader {
 public:
  explicit Text(std::string text) : text_(std::move(text)) {}
  Result<size_t> read(char* buffer, size_t size) override {
    const size_t n = text_.copy(buffer, size, at_);
    at_ += n;
    return n;
  }

 private:
  std::string text_;
  size_t at_ = 0;
};

http::Headers headers(std::initializer_list<std::pair<const char*, std::string>> list) {
  http::Headers out;
  for (const auto& [name, value] : list) out.add(name, value);
  return out;
}

std::string refusal(const http::Headers& said, const std::vector<std::string>& parts = {"hello, ", "world"}) {
  const auto whole = WholeObject::parse(said);
  if (!whole) return std::string(code_of(whole.error()).name);
  WholeObjectCheck check(*whole);
  for (const auto& part : parts) {
    Text reader(part);
    EXPECT_TRUE(check.add(reader));
  }
  const auto done = check.finish();
  return done ? "" : std::string(code_of(done.error()).name);
}

constexpr const char* kCrc32 = "x-amz-checksum-crc32";

TEST(WholeObject, HasTheChecksumOfAllItsBytes) {
  EXPECT_EQ(refusal(headers({{kCrc32, "/6tyOg=="}})), "");
  EXPECT_EQ(refusal(headers({{kCrc32, "/6tyOg=="}, {"x-amz-checksum-type", "FULL_OBJECT"}})), "");
  EXPECT_EQ(refusal(headers({{kCrc32, "/6tyOg=="}}), {"hello", ", world"}), "") << "however it was cut";
  EXPECT_EQ(refusal(headers({{kCrc32, "/6tyOw=="}})), "BadDigest");
}

TEST(WholeObject, OfTheCompositeKindHasTheChecksumOfItsPartsChecksums) {
  EXPECT_EQ(refusal(headers({{kCrc32, "BgbsJA=="}, {"x-amz-checksum-type", "COMPOSITE"}})), "");
  EXPECT_EQ(refusal(headers({{kCrc32, "BgbsJA==-2"}})), "");
  EXPECT_EQ(refusal(headers({{kCrc32, "BgbsJA==-3"}})), "BadDigest");
  EXPECT_EQ(refusal(headers({{kCrc32, "BgbsJA==-2"}}), {"hello", ", world"}), "BadDigest");
}

TEST(WholeObject, SaidWronglyIsRefused) {
  EXPECT_EQ(refusal(headers({{kCrc32, "AAA="}})), "InvalidRequest");
  EXPECT_EQ(refusal(headers({{kCrc32, "/6tyOg==-x"}})), "InvalidRequest");
  EXPECT_EQ(refusal(headers({{kCrc32, "/6tyOg==-2"}, {"x-amz-checksum-type", "FULL_OBJECT"}})), "InvalidRequest");
  EXPECT_EQ(refusal(headers({{kCrc32, "/6tyOg=="}, {"x-amz-checksum-type", "HALF"}})), "InvalidRequest");
  EXPECT_EQ(refusal(headers({{kCrc32, "/6tyOg=="}, {"x-amz-checksum-crc32c", "AAAAAA=="}})), "InvalidRequest");
  EXPECT_EQ(refusal(headers({{"x-amz-mp-object-size", "twelve"}})), "InvalidRequest");
}

}  // namespace
}  // namespace tarn::s3
