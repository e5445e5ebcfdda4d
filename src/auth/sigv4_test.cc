// Goal: only what its key's holder signed comes in. Method: the vectors of the AWS documentation against a memory store
// and a clock of their day; then each rule broken once.
#include "auth/sigv4.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "kv/memory.h"

namespace tarn::auth {
namespace {

constexpr std::string_view kKey = "AKIAIOSFODNN7EXAMPLE";
constexpr std::string_view kSecret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
constexpr std::string_view kEmptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const Scope kScope{"20130524", "us-east-1", "s3"};

http::Request request(http::Method method, const std::string& target, http::Headers headers) {
  http::Request out;
  out.method = method;
  out.method_text = std::string(http::name_of(method));
  out.target = target;
  const size_t question = target.find('?');
  out.raw_path = target.substr(0, question);
  out.path = *http::percent_decode(out.raw_path);
  if (question != std::string::npos) {
    out.raw_query = target.substr(question + 1);
    out.query = *http::parse_query(out.raw_query);
  }
  out.headers = std::move(headers);
  return out;
}

void authorize(http::Request& request, const std::string& signed_headers, const std::string& signature) {
  request.headers.add("Authorization",
                      fmt::format("AWS4-HMAC-SHA256 Credential={}/20130524/us-east-1/s3/aws4_request,SignedHeaders={},"
                                  "Signature={}",
                                  kKey, signed_headers, signature));
}

http::Request get_test_txt() {
  return request(http::Method::kGet, "/test.txt",
                 {{"Host", "examplebucket.s3.amazonaws.com"},
                  {"Range", "bytes=0-9"},
                  {"x-amz-content-sha256", std::string(kEmptyHash)},
                  {"x-amz-date", "20130524T000000Z"}});
}
constexpr auto kGetSigned = "host;range;x-amz-content-sha256;x-amz-date";
constexpr auto kGetSignature = "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41";

class SigV4 : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/tarn-sigv4-XXXXXX";
    folder_ = mkdtemp(name);
    auth_ = std::move(*Auth::open(*store_, base::system_disk(), folder_ + "/auth.key", clock_, random_));
    ASSERT_TRUE(
        auth_->set_up(ctx_, "admin", KeyPair{std::string(kKey), base::Secret<std::string>(std::string(kSecret))}));
    clock_.set(*base::parse_amz_date("20130524T000000Z"));
  }
  void TearDown() override { (void)base::system_disk().remove_all(folder_); }

  Result<SignedRequest> verify(const http::Request& r) { return verify_sigv4(ctx_, r, *auth_, clock_); }
  /// Signs with the right key whatever the request says, then verifies.
  Result<SignedRequest> signed_and_verified(http::Request r, const std::vector<std::string>& names) {
    const std::string hash(r.headers.find("x-amz-content-sha256").value_or(""));
    std::string list;
    for (const auto& name : names) list += (list.empty() ? "" : ";") + name;
    authorize(r, list,
              signature(signing_key(kSecret, kScope),
                        string_to_sign("20130524T000000Z", kScope, canonical_request(r, names, hash))));
    return verify(r);
  }
  void expect_refused(const Result<SignedRequest>& got, Code code, const std::string& subject) {
    ASSERT_FALSE(got);
    EXPECT_EQ(got.error().code(), code) << got.error().text();
    EXPECT_EQ(got.error().subject(), subject) << got.error().text();
  }

  Context ctx_;
  std::unique_ptr<kv::Store> store_ = kv::make_memory_store();
  base::FakeClock clock_;
  base::SeededRandom random_{7};
  std::string folder_;
  std::unique_ptr<Auth> auth_;
};

TEST_F(SigV4, HoldsForTheDocumentedGetOfARange) {
  auto r = get_test_txt();
  authorize(r, kGetSigned, kGetSignature);
  const auto got = verify(r);
  ASSERT_TRUE(got) << got.error().text();
  EXPECT_EQ(got->principal.user, "admin");
  EXPECT_EQ(got->payload, PayloadKind::kHash);
  EXPECT_EQ(got->payload_sha256, kEmptyHash);
  EXPECT_FALSE(got->presigned);
}

TEST_F(SigV4, HoldsForTheDocumentedPutWithADollarInItsKey) {
  auto r = request(http::Method::kPut, "/test$file.text",
                   {{"Host", "examplebucket.s3.amazonaws.com"},
                    {"Date", "Fri, 24 May 2013 00:00:00 GMT"},
                    {"x-amz-date", "20130524T000000Z"},
                    {"x-amz-storage-class", "REDUCED_REDUNDANCY"},
                    {"x-amz-content-sha256", "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"}});
  authorize(r, "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
  EXPECT_TRUE(verify(r));
  // The same key as most clients write it.
  r.raw_path = "/test%24file.text";
  EXPECT_TRUE(verify(r));
}

TEST_F(SigV4, HoldsForTheDocumentedQueries) {
  const http::Headers headers{{"Host", "examplebucket.s3.amazonaws.com"},
                              {"x-amz-date", "20130524T000000Z"},
                              {"x-amz-content-sha256", std::string(kEmptyHash)}};
  auto lifecycle = request(http::Method::kGet, "/?lifecycle", headers);
  authorize(lifecycle, "host;x-amz-content-sha256;x-amz-date",
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
  EXPECT_TRUE(verify(lifecycle));
  auto list = request(http::Method::kGet, "/?prefix=J&max-keys=2", headers);
  authorize(list, "host;x-amz-content-sha256;x-amz-date",
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
  EXPECT_TRUE(verify(list));
}

http::Request presigned(const std::string& more = "") {
  return request(
      http::Method::kGet,
      "/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1"
      "%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&"
      "X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404" +
          more,
      {{"Host", "examplebucket.s3.amazonaws.com"}});
}

TEST_F(SigV4, HoldsForAPresignedUrlUntilItsOwnExpiry) {
  const auto got = verify(presigned());
  ASSERT_TRUE(got) << got.error().text();
  EXPECT_TRUE(got->presigned);
  EXPECT_EQ(got->payload, PayloadKind::kUnsigned);
  clock_.advance(23 * 3600 * 1000);
  EXPECT_TRUE(verify(presigned())) << "the 15 minutes of header signatures do not bound it";
  clock_.advance(2 * 3600 * 1000);
  expect_refused(verify(presigned()), Code::kForbidden, "expired");
  clock_.set(*base::parse_amz_date("20130523T234400Z"));
  expect_refused(verify(presigned()), Code::kForbidden, "expired");
}

TEST_F(SigV4, TakesNoUnsignedAmzHeaderOnAPresignedUrl) {
  auto r = presigned();
  r.headers.add("X-Amz-Copy-Source", "/secret/key");
  expect_refused(verify(r), Code::kForbidden, "headers");
}

TEST_F(SigV4, TakesOneMechanismOnlyAndEachParameterOnce) {
  auto both = presigned();
  authorize(both, "host", kGetSignature);
  expect_refused(verify(both), Code::kInvalid, "authorization");
  expect_refused(verify(presigned("&X-Amz-Expires=86400")), Code::kInvalid, "query");
  expect_refused(verify(presigned("&x=1&x=2")), Code::kUnauthenticated, "signature");
  auto twice = get_test_txt();
  authorize(twice, kGetSigned, kGetSignature);
  authorize(twice, kGetSigned, kGetSignature);
  expect_refused(verify(twice), Code::kInvalid, "authorization");
}

TEST_F(SigV4, AllowsAQuarterOfAnHourBothWays) {
  auto r = get_test_txt();
  authorize(r, kGetSigned, kGetSignature);
  const auto at = *base::parse_amz_date("20130524T000000Z");
  for (const int64_t off : {-900'000, 900'000}) {
    clock_.set(at + off);
    EXPECT_TRUE(verify(r));
    clock_.set(at + off + (off < 0 ? -1000 : 1000));
    expect_refused(verify(r), Code::kForbidden, "clock");
  }
}

TEST_F(SigV4, RefusesWhatWasChanged) {
  const auto changed = [&](auto change) {
    auto r = get_test_txt();
    authorize(r, kGetSigned, kGetSignature);
    change(r);
    return verify(r);
  };
  expect_refused(changed([](auto& r) { r.raw_path = "/test.txT"; }), Code::kUnauthenticated, "signature");
  expect_refused(changed([](auto& r) { r.raw_path = "//test.txt"; }), Code::kUnauthenticated, "signature");
  expect_refused(changed([](auto& r) { r.method_text = "PUT"; }), Code::kUnauthenticated, "signature");
  expect_refused(changed([](auto& r) { r.query.add("acl", ""); }), Code::kUnauthenticated, "signature");
  expect_refused(changed([](auto& r) { r.headers.set("Range", "bytes=0-8"); }), Code::kUnauthenticated, "signature");
  expect_refused(changed([](auto& r) { r.headers.add("Range", "bytes=0-8"); }), Code::kUnauthenticated, "signature");
  expect_refused(changed([](auto& r) { r.headers.set("Host", "other"); }), Code::kUnauthenticated, "signature");
  expect_refused(changed([](auto& r) { r.headers.remove("Range"); }), Code::kInvalid, "authorization");
  expect_refused(changed([](auto& r) { r.headers.add("x-amz-acl", "private"); }), Code::kForbidden, "headers");
  expect_refused(changed([](auto& r) { r.headers.add("x-amz-date", "20130524T000000Z"); }), Code::kInvalid,
                 "authorization");
}

TEST_F(SigV4, NamesWhatIsWrongWithAHeader) {
  const auto with = [&](const std::string& value) {
    auto r = get_test_txt();
    r.headers.add("Authorization", value);
    return verify(r);
  };
  const std::string credential = "Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request";
  const std::string rest = std::string(",SignedHeaders=") + kGetSigned + ",Signature=" + kGetSignature;
  expect_refused(with("AWS4-HMAC-SHA256"), Code::kInvalid, "authorization");
  expect_refused(with("AWS4-HMAC-SHA256 " + credential), Code::kInvalid, "authorization");
  expect_refused(with("AWS4-HMAC-SHA256 Credential=a/b" + rest), Code::kInvalid, "authorization");
  expect_refused(with("AWS4-HMAC-SHA256 " + credential + ",SignedHeaders=range;host,Signature=" + kGetSignature),
                 Code::kInvalid, "authorization");
  expect_refused(with("AWS4-HMAC-SHA256 " + credential + ",SignedHeaders=range,Signature=" + kGetSignature),
                 Code::kInvalid, "authorization");
  expect_refused(with("AWS4-HMAC-SHA256 " + credential + ",SignedHeaders=host,Signature=zz"), Code::kInvalid,
                 "authorization");
  expect_refused(with("AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130523/us-east-1/s3/aws4_request" + rest),
                 Code::kInvalid, "authorization");
  expect_refused(with("AWS4-HMAC-SHA256 Credential=AKIAUNKNOWN/20130524/us-east-1/s3/aws4_request" + rest),
                 Code::kUnauthenticated, "access_key");
  expect_refused(with("AWS AKIAIOSFODNN7EXAMPLE:qgk2+6Sv9/oM7G3qLEjTH1a1l1g="), Code::kInvalid, "sigv2");
  expect_refused(with("AWS4-ECDSA-P256-SHA256 Credential=x"), Code::kUnsupported, "sigv4a");
  expect_refused(verify(get_test_txt()), Code::kUnauthenticated, "anonymous");
}

TEST_F(SigV4, ReadsThePayloadKind) {
  const auto with = [&](const std::string& hash) {
    auto r = get_test_txt();
    r.headers.set("x-amz-content-sha256", hash);
    return signed_and_verified(r, {"host", "range", "x-amz-content-sha256", "x-amz-date"});
  };
  EXPECT_EQ(with("UNSIGNED-PAYLOAD")->payload, PayloadKind::kUnsigned);
  EXPECT_EQ(with("STREAMING-UNSIGNED-PAYLOAD-TRAILER")->payload, PayloadKind::kUnsignedTrailer);
  EXPECT_FALSE(with("STREAMING-UNSIGNED-PAYLOAD-TRAILER")->chain);
  EXPECT_TRUE(with("STREAMING-AWS4-HMAC-SHA256-PAYLOAD")->chain);
  EXPECT_TRUE(with("STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER")->chain);
  expect_refused(with("STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD"), Code::kUnsupported, "sigv4a");
  expect_refused(with("123"), Code::kInvalid, "payload_hash");
}

TEST_F(SigV4, CanonicalFormJoinsCollapsesAndSorts) {
  auto r = request(http::Method::kGet, "/a%2fb/c+d/%C3%A9?b=2&a=x%20y&b=1&empty&plus=%2B",
                   {{"Host", "h"}, {"X-Amz-Meta-A", "  one   two "}, {"x-amz-meta-a", "three"}});
  EXPECT_EQ(canonical_request(r, {"host", "x-amz-meta-a"}, "H"),
            "GET\n/a/b/c%2Bd/%C3%A9\na=x%20y&b=1&b=2&empty=&plus=%2B\nhost:h\nx-amz-meta-a:one two,three\n\n"
            "host;x-amz-meta-a\nH");
}

TEST_F(SigV4, ChainsTheDocumentedChunksAndTrailer) {
  const std::string big(65536, 'a'), small(1024, 'a');
  ChunkChain chain(signing_key(kSecret, kScope), "20130524T000000Z", kScope.text(),
                   "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9");
  EXPECT_TRUE(
      chain.accept_chunk(base::sha256_hex(big), "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648"));
  EXPECT_FALSE(
      chain.accept_chunk(base::sha256_hex(big), "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497"));
  EXPECT_TRUE(
      chain.accept_chunk(base::sha256_hex(small), "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497"));
  EXPECT_TRUE(chain.accept_chunk(kEmptyHash, "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"));

  ChunkChain trailer(signing_key(kSecret, kScope), "20130524T000000Z", kScope.text(),
                     "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e");
  EXPECT_TRUE(
      trailer.accept_chunk(base::sha256_hex(big), "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2"));
  EXPECT_TRUE(trailer.accept_chunk(base::sha256_hex(small),
                                   "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7"));
  EXPECT_TRUE(trailer.accept_chunk(kEmptyHash, "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992"));
  EXPECT_TRUE(trailer.accept_trailer("x-amz-checksum-crc32c:sOO8/Q==\n",
                                     "d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435"));
}

}  // namespace
}  // namespace tarn::auth
