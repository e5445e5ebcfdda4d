// Goal: what comes out is what was signed, or an error; never a short or longer object. Method: the bodies of the AWS
// documentation and random ones, whole, cut at random places, and with single bytes changed.
#include "s3/aws_chunked.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/bytes.h"
#include "base/random.h"
#include "s3/body.h"
#include "s3/errors.h"

namespace tarn::s3 {
namespace {

constexpr std::string_view kDate = "20130524T000000Z";
const auth::Scope kScope{"20130524", "us-east-1", "s3"};

base::Secret<std::string> key() { return auth::signing_key("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", kScope); }
auth::ChunkChain chain(const std::string& seed) { return {key(), std::string(kDate), kScope.text(), seed}; }

size_t below(base::Random& random, size_t limit) { return static_cast<size_t>(random.u64() % limit); }

/// Gives its text in pieces of random sizes.
class Pieces final : public http::BodyReader {
 public:
  Pieces(std::string text, uint64_t seed) : text_(std::move(text)), random_(seed) {}
  Result<size_t> read(char* buffer, size_t size) override {
    const size_t most = std::min<size_t>(size, 1 + below(random_, 3000));
    const size_t n = text_.copy(buffer, most, at_);
    at_ += n;
    return n;
  }

 private:
  std::string text_;
  size_t at_ = 0;
  base::SeededRandom random_;
};

Result<std::string> decode(const std::string& wire, AwsChunkedReader::Form form, uint64_t seed = 1) {
  Pieces in(wire, seed);
  AwsChunkedReader reader(in, std::move(form));
  return http::read_all(reader, 10 << 20);
}

std::string s3_code(const Error& error) { return std::string(code_of(error).name); }

const std::string kSeed = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9";
const std::string kTrailerSeed = "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e";

std::string documented() {
  return "10000;chunk-signature=ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648\r\n" +
         std::string(65536, 'a') +
         "\r\n400;chunk-signature=0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497\r\n" +
         std::string(1024, 'a') +
         "\r\n0;chunk-signature=b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9\r\n\r\n";
}

std::string documented_trailer(const std::string& ends = "\n\r\n") {
  return "10000;chunk-signature=b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2\r\n" +
         std::string(65536, 'a') +
         "\r\n400;chunk-signature=1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7\r\n" +
         std::string(1024, 'a') +
         "\r\n0;chunk-signature=2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992\r\n"
         "x-amz-checksum-crc32c:sOO8/Q==" +
         ends + "x-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n";
}

TEST(AwsChunked, DecodesTheDocumentedSignedBody) {
  auto signatures = chain(kSeed);
  const auto got = decode(documented(), {&signatures, false, 66560, {}});
  ASSERT_TRUE(got) << got.error().text();
  EXPECT_EQ(*got, std::string(66560, 'a'));
}

TEST(AwsChunked, DecodesTheDocumentedSignedTrailerWithEitherLineEnd) {
  for (const auto* ends : {"\n\r\n", "\r\n"}) {
    auto signatures = chain(kTrailerSeed);
    const auto got = decode(documented_trailer(ends), {&signatures, true, 66560, {"x-amz-checksum-crc32c"}});
    ASSERT_TRUE(got) << got.error().text();
    EXPECT_EQ(got->size(), 66560);
  }
}

TEST(AwsChunked, DecodesAnUnsignedBodyWithItsTrailer) {
  Pieces in("5\r\nhello\r\n6\r\n world\r\n0\r\nX-Amz-Checksum-Crc32: AAAAAA==\r\n\r\n", 3);
  AwsChunkedReader reader(in, {nullptr, true, 11, {"x-amz-checksum-crc32"}});
  EXPECT_EQ(*http::read_all(reader, 100), "hello world");
  EXPECT_EQ(reader.trailer().at("x-amz-checksum-crc32"), "AAAAAA==");
}

// Every cut gives an error, in every form.
TEST(AwsChunked, ATruncatedBodyIsAnErrorWhereverItIsCut) {
  const std::string plain =
      "4000\r\n" + std::string(16384, 'b') + "\r\n3\r\nxyz\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n";
  base::SeededRandom random(11);
  for (int i = 0; i < 400; ++i) {
    const std::string signed_body = documented(), with_trailer = documented_trailer();
    auto a = chain(kSeed), b = chain(kTrailerSeed);
    // The very last line ends are not needed to know that all is there.
    const size_t cut_a = below(random, signed_body.size() - 3), cut_b = below(random, with_trailer.size() - 3);
    const size_t cut_c = i < 100 ? plain.size() - 4 - i % 60 : below(random, plain.size() - 3);
    EXPECT_FALSE(decode(signed_body.substr(0, cut_a), {&a, false, 66560, {}}, i)) << cut_a;
    EXPECT_FALSE(decode(with_trailer.substr(0, cut_b), {&b, true, 66560, {"x-amz-checksum-crc32c"}}, i)) << cut_b;
    EXPECT_FALSE(decode(plain.substr(0, cut_c), {nullptr, true, 16387, {"x-amz-checksum-crc32"}}, i)) << cut_c;
  }
}

TEST(AwsChunked, AChangedByteIsAnErrorOfASignedBody) {
  base::SeededRandom random(12);
  const std::string whole = documented_trailer();
  for (int i = 0; i < 300; ++i) {
    std::string changed = whole;
    const size_t at = i < 150 ? whole.size() - 2 - below(random, 400) : below(random, whole.size() - 2);
    changed[at] = static_cast<char>(changed[at] ^ (1 << below(random, 7)));
    auto signatures = chain(kTrailerSeed);
    const auto got = decode(changed, {&signatures, true, 66560, {"x-amz-checksum-crc32c"}}, i);
    // Case of hex digits and of names, and kinds of blanks, may change without meaning.
    if (got) {
      EXPECT_EQ(*got, std::string(66560, 'a')) << at;
    }
  }
}

TEST(AwsChunked, NamesWhatIsWrong) {
  const auto unsigned_error = [](const std::string& wire, uint64_t length, std::vector<std::string> names = {}) {
    const auto got = decode(wire, {nullptr, true, length, std::move(names)});
    return got ? std::string("fine") : s3_code(got.error());
  };
  EXPECT_EQ(unsigned_error("5\r\nhello\r\n0\r\n\r\n", 5), "fine");
  EXPECT_EQ(unsigned_error("0\r\n\r\n", 0), "fine");
  EXPECT_EQ(unsigned_error("5\r\nhello\r\n0\r\n\r\n", 6), "IncompleteBody");
  EXPECT_EQ(unsigned_error("5\r\nhello\r\n0\r\n\r\n", 4), "IncompleteBody");
  EXPECT_EQ(unsigned_error("ffffffffffffffff\r\nhello\r\n0\r\n\r\n", 5), "IncompleteBody");
  EXPECT_EQ(unsigned_error("5x\r\nhello\r\n0\r\n\r\n", 5), "InvalidRequest");
  EXPECT_EQ(unsigned_error("\r\nhello\r\n0\r\n\r\n", 5), "InvalidRequest");
  EXPECT_EQ(unsigned_error("4\r\nhello\r\n0\r\n\r\n", 5), "InvalidRequest");
  EXPECT_EQ(unsigned_error(std::string(3000, '0') + "\r\n", 5), "InvalidRequest");
  EXPECT_EQ(unsigned_error("0\r\n\r\n", 0, {"x-amz-checksum-crc32"}), "MalformedTrailerError");
  EXPECT_EQ(unsigned_error("0\r\nx-amz-checksum-sha1:a\r\n\r\n", 0, {"x-amz-checksum-crc32"}), "MalformedTrailerError");
  EXPECT_EQ(unsigned_error("0\r\nx-amz-acl:public\r\n\r\n", 0), "MalformedTrailerError");
  EXPECT_EQ(unsigned_error("0\r\nmore\r\n", 0), "MalformedTrailerError");
  EXPECT_EQ(unsigned_error("0\r\n" + std::string(9000, 'a'), 0), "MalformedTrailerError");

  auto signatures = chain(kSeed);
  const auto unsigned_chunk = decode("5\r\nhello\r\n0\r\n\r\n", {&signatures, false, 5, {}});
  EXPECT_EQ(s3_code(unsigned_chunk.error()), "InvalidRequest");
  auto again = chain(kTrailerSeed);
  const auto wrong = decode(documented(), {&again, false, 66560, {}});
  EXPECT_EQ(s3_code(wrong.error()), "SignatureDoesNotMatch");
}

TEST(AwsChunked, SmallSignedChunksInTheMiddleAreRefused) {
  auto signer = key();
  std::string previous = kSeed, wire;
  for (int i = 0; i < 3; ++i) {
    const std::string data = i < 2 ? "tiny" : "";
    previous = auth::signature(signer, fmt::format("AWS4-HMAC-SHA256-PAYLOAD\n{}\n{}\n{}\n{}\n{}", kDate, kScope.text(),
                                                   previous, base::sha256_hex(""), base::sha256_hex(data)));
    wire += fmt::format("{:x};chunk-signature={}\r\n{}\r\n", data.size(), previous, data);
  }
  auto signatures = chain(kSeed);
  EXPECT_EQ(s3_code(decode(wire, {&signatures, false, 8, {}}).error()), "InvalidChunkSizeError");
}

// ---- the body around it
struct Wire {
  http::Request request;
  auth::SignedRequest signature;
  std::unique_ptr<http::StringReader> reader;
};

std::unique_ptr<Wire> wire(std::string body, auth::PayloadKind kind, http::Headers headers) {
  auto out = std::make_unique<Wire>();
  out->reader = std::make_unique<http::StringReader>(std::move(body));
  out->request.body = out->reader.get();
  out->request.headers = std::move(headers);
  out->signature.payload = kind;
  return out;
}

std::string outcome(std::string text, auth::PayloadKind kind, http::Headers headers, std::string sha256 = "") {
  const auto w = wire(std::move(text), kind, std::move(headers));
  w->signature.payload_sha256 = std::move(sha256);
  auto body = Body::open(w->request, w->signature);
  if (!body) return s3_code(body.error());
  const auto all = (*body)->text(1000);
  return all ? *all : s3_code(all.error());
}

TEST(Body, VerifiesWhatItsSenderSaid) {
  using auth::PayloadKind;
  EXPECT_EQ(outcome("abc", PayloadKind::kUnsigned, {}), "abc");
  EXPECT_EQ(outcome("abc", PayloadKind::kHash, {}, base::sha256_hex("abc")), "abc");
  EXPECT_EQ(outcome("abd", PayloadKind::kHash, {}, base::sha256_hex("abc")), "XAmzContentSHA256Mismatch");
  EXPECT_EQ(outcome("ab", PayloadKind::kHash, {}, base::sha256_hex("abc")), "XAmzContentSHA256Mismatch");
  const auto crc = [](std::string_view text) {
    Checksum sum(ChecksumKind::kCrc64Nvme);
    sum.update(text);
    return base::to_base64(sum.finish());
  };
  EXPECT_EQ(outcome("abc", PayloadKind::kUnsigned, {{"x-amz-checksum-crc64nvme", crc("abc")}}), "abc");
  EXPECT_EQ(outcome("abd", PayloadKind::kUnsigned, {{"x-amz-checksum-crc64nvme", crc("abc")}}), "BadDigest");
  EXPECT_EQ(outcome("abc", PayloadKind::kUnsigned, {{"x-amz-checksum-crc64nvme", "x"}}), "InvalidRequest");
  EXPECT_EQ(outcome("abc", PayloadKind::kUnsigned,
                    {{"x-amz-checksum-crc64nvme", crc("abc")}, {"x-amz-checksum-crc32", "AAAAAA=="}}),
            "InvalidRequest");
  EXPECT_EQ(outcome("abc", PayloadKind::kUnsigned, {{"Content-MD5", base::to_base64(base::md5("abc"))}}), "abc");
  EXPECT_EQ(outcome("abd", PayloadKind::kUnsigned, {{"Content-MD5", base::to_base64(base::md5("abc"))}}), "BadDigest");
  EXPECT_EQ(outcome("abc", PayloadKind::kUnsigned, {{"Content-MD5", "abc"}}), "InvalidDigest");
}

TEST(Body, VerifiesTheChecksumOfATrailer) {
  using auth::PayloadKind;
  Checksum sum(ChecksumKind::kSha256);
  sum.update("abc");
  const std::string good = base::to_base64(sum.finish());
  const http::Headers headers{{"x-amz-decoded-content-length", "3"}, {"x-amz-trailer", "x-amz-checksum-sha256"}};
  const auto text = [&](const std::string& data) {
    return "3\r\n" + data + "\r\n0\r\nx-amz-checksum-sha256:" + good + "\r\n\r\n";
  };
  EXPECT_EQ(outcome(text("abc"), PayloadKind::kUnsignedTrailer, headers), "abc");
  EXPECT_EQ(outcome(text("abd"), PayloadKind::kUnsignedTrailer, headers), "BadDigest");
  EXPECT_EQ(outcome("3\r\nabc\r\n0\r\n\r\n", PayloadKind::kUnsignedTrailer, headers), "MalformedTrailerError");
  EXPECT_EQ(outcome(text("abc"), PayloadKind::kUnsignedTrailer, {{"x-amz-trailer", "x-amz-checksum-sha256"}}),
            "MissingContentLength");
  EXPECT_EQ(outcome(text("abc"), PayloadKind::kUnsignedTrailer,
                    {{"x-amz-decoded-content-length", "3"}, {"x-amz-trailer", "x-amz-acl"}}),
            "InvalidRequest");
}

}  // namespace
}  // namespace tarn::s3
