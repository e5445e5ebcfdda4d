// The small parts: addresses, ranges, conditions, XML, errors.
#include <gtest/gtest.h>

#include "s3/address.h"
#include "s3/conditions.h"
#include "s3/errors.h"
#include "s3/handler.h"
#include "s3/xml.h"
#include "s3/xml_bodies.h"

namespace tarn::s3 {
namespace {

http::Request request(const std::string& host, const std::string& raw_path) {
  http::Request out;
  out.raw_path = raw_path;
  out.headers.add("Host", host);
  return out;
}

std::string name_of(const Error& error) { return std::string(code_of(error).name); }

TEST(Address, IsReadInPathAndVirtualHostStyle) {
  const std::vector<std::string> domains{"s3.localhost", "s3.example.com:8000"};
  const auto at = [&](const std::string& host, const std::string& path) {
    const auto a = parse_address(request(host, path), domains);
    return a ? a->bucket + "|" + a->key + "|" + a->ref + "|" + a->path : name_of(a.error());
  };
  EXPECT_EQ(at("127.0.0.1:8000", "/"), "|||");
  EXPECT_EQ(at("127.0.0.1:8000", "/repo"), "repo|||");
  EXPECT_EQ(at("127.0.0.1:8000", "/repo/"), "repo|||");
  EXPECT_EQ(at("127.0.0.1:8000", "/repo/main"), "repo|main|main|");
  EXPECT_EQ(at("127.0.0.1:8000", "/repo/main/a/b"), "repo|main/a/b|main|a/b");
  EXPECT_EQ(at("[::1]:8000", "/repo/main//a"), "repo|main//a|main|/a");
  EXPECT_EQ(at("x", "/repo/main/a%2Fb%20%2B+c"), "repo|main/a/b ++c|main|a/b ++c");
  EXPECT_EQ(at("x", "/repo/main/a%252Fb"), "repo|main/a%2Fb|main|a%2Fb") << "decoded once";
  EXPECT_EQ(at("repo.s3.localhost:9", "/main/a"), "repo|main/a|main|a");
  EXPECT_EQ(at("s3.localhost", "/repo/main/a"), "repo|main/a|main|a");
  EXPECT_EQ(at("repo.S3.Example.com", "/"), "repo|||");
  EXPECT_EQ(at("x", "/repo/%zz"), "InvalidURI");
  EXPECT_EQ(at("x", "/repo/a%00b"), "InvalidURI");
  EXPECT_EQ(at("x", "/repo/%ff"), "InvalidURI");
  EXPECT_EQ(at("x", "/repo/" + std::string(2000, 'a')), "KeyTooLongError");
}

TEST(Address, OfACopySourceIsDecodedOnce) {
  const auto at = [](std::string_view text) {
    const auto a = parse_copy_source(text);
    return a ? a->bucket + "|" + a->ref + "|" + a->path : name_of(a.error());
  };
  EXPECT_EQ(at("/repo/main/a%20b"), "repo|main|a b");
  EXPECT_EQ(at("repo%2Fmain%2Fa"), "repo|main|a");
  EXPECT_EQ(at("repo/main/a%2520b?versionId=null"), "repo|main|a%20b");
  EXPECT_EQ(at("repo/main/a?versionId=7"), "NotImplemented");
  for (const auto* bad : {"", "/", "repo", "repo/", "/repo/main", "repo/main/", "//main/a", "repo/%z"})
    EXPECT_EQ(at(bad), "InvalidArgument") << bad;
}

TEST(S3Request, IsKnownBySignatureOrHost) {
  const std::vector<std::string> domains{"s3.localhost"};
  auto plain = request("localhost:8000", "/");
  EXPECT_FALSE(is_s3_request(plain, domains));
  plain.headers.add("Authorization", "Basic x");
  EXPECT_FALSE(is_s3_request(plain, domains));
  auto v4 = request("localhost", "/");
  v4.headers.add("Authorization", "AWS4-HMAC-SHA256 x");
  EXPECT_TRUE(is_s3_request(v4, domains));
  auto query = request("localhost", "/");
  query.query.add("X-Amz-Signature", "x");
  EXPECT_TRUE(is_s3_request(query, domains));
  EXPECT_TRUE(is_s3_request(request("a.s3.localhost:1", "/"), domains));
  EXPECT_FALSE(is_s3_request(request("nots3.localhost", "/"), domains));
}

TEST(Ranges, FollowTheRfc) {
  const auto range = [](std::string_view text, uint64_t size) {
    const auto r = resolve_range(text, size);
    if (!r) return name_of(r.error());
    return *r ? std::to_string((*r)->offset) + "+" + std::to_string((*r)->length) : std::string("all");
  };
  EXPECT_EQ(range("bytes=0-0", 10), "0+1");
  EXPECT_EQ(range("bytes=3-", 10), "3+7");
  EXPECT_EQ(range("bytes=3-99", 10), "3+7");
  EXPECT_EQ(range("bytes=-4", 10), "6+4");
  EXPECT_EQ(range("bytes=-40", 10), "0+10");
  EXPECT_EQ(range("bytes=10-", 10), "InvalidRange");
  EXPECT_EQ(range("bytes=-0", 10), "InvalidRange");
  EXPECT_EQ(range("bytes=0-", 0), "InvalidRange");
  for (const auto* ignored :
       {"bytes=4-3", "bytes=", "bytes=-", "bytes=a-b", "bytes=1-2,4-5", "lines=1-2", "bytes=99999999999999999999-"})
    EXPECT_EQ(range(ignored, 10), "all") << ignored;
}

TEST(CopyRanges, AreExact) {
  EXPECT_EQ(resolve_copy_range("bytes=2-5", 10)->length, 4);
  EXPECT_EQ(name_of(resolve_copy_range("bytes=2-10", 10).error()), "InvalidRange");
  for (const auto* bad : {"bytes=2-", "bytes=-2", "2-5", "bytes=5-2", "bytes=a-b"})
    EXPECT_EQ(name_of(resolve_copy_range(bad, 10).error()), "InvalidArgument") << bad;
}

TEST(Conditions, FollowTheRfc) {
  tree::Entry entry;
  entry.etag = tree::Etag::md5(std::string(16, '\x11'));
  entry.mtime_ms = 1'700'000'000'500;
  const std::string etag = "\"" + entry.etag.text() + "\"", at = base::http_date(entry.mtime_ms),
                    before = base::http_date(entry.mtime_ms - 60'000);
  const auto verdict = [&](http::Headers headers) {
    const auto v = check_read(headers, entry);
    return v ? (*v == Verdict::kGo ? 200 : 304) : code_of(v.error()).status;
  };
  EXPECT_EQ(verdict({}), 200);
  EXPECT_EQ(verdict({{"If-Match", etag}}), 200);
  EXPECT_EQ(verdict({{"If-Match", "*"}}), 200);
  EXPECT_EQ(verdict({{"If-Match", "\"a\", " + etag}}), 200);
  EXPECT_EQ(verdict({{"If-Match", "\"a\""}}), 412);
  EXPECT_EQ(verdict({{"If-None-Match", etag}}), 304);
  EXPECT_EQ(verdict({{"If-None-Match", "W/" + etag}}), 304);
  EXPECT_EQ(verdict({{"If-None-Match", "\"a\""}}), 200);
  EXPECT_EQ(verdict({{"If-Modified-Since", at}}), 304);
  EXPECT_EQ(verdict({{"If-Modified-Since", before}}), 200);
  EXPECT_EQ(verdict({{"If-Unmodified-Since", before}}), 412);
  EXPECT_EQ(verdict({{"If-Unmodified-Since", at}}), 200);
  EXPECT_EQ(verdict({{"If-Match", etag}, {"If-Unmodified-Since", before}}), 200) << "the ETag is stronger";
  EXPECT_EQ(verdict({{"If-None-Match", "\"a\""}, {"If-Modified-Since", at}}), 200);
  EXPECT_EQ(verdict({{"If-Modified-Since", "nonsense"}}), 200);
}

TEST(XmlWriter, Escapes) {
  XmlWriter xml("A", XmlWriter::Namespace::kNone);
  xml.text("K", std::string_view("a<b>&\"\x01\n\xc3\xa9", 10));
  EXPECT_EQ(xml.finish(),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<A><K>a&lt;b&gt;&amp;&quot;&#x1;&#xA;\xc3\xa9</K></A>");
}

TEST(XmlBodies, AreReadWithAndWithoutNamespace) {
  const auto request = parse_delete(
      "<?xml version=\"1.0\"?><Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Quiet>true</Quiet>"
      "<Object><Key>main/a &amp; b</Key></Object><Object><Key> </Key><ETag>\"e\"</ETag></Object></Delete>");
  ASSERT_TRUE(request) << request.error().text();
  EXPECT_TRUE(request->quiet);
  ASSERT_EQ(request->objects.size(), 2);
  EXPECT_EQ(request->objects[0].key, "main/a & b");
  EXPECT_EQ(request->objects[1].key, " ");
  EXPECT_EQ(request->objects[1].etag, "e");
  const auto parts = parse_complete(
      "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>&quot;ABCDEF&quot;</ETag></Part>"
      "<Part><ETag>b</ETag><PartNumber> 2 </PartNumber></Part></CompleteMultipartUpload>");
  ASSERT_TRUE(parts) << parts.error().text();
  EXPECT_EQ((*parts)[0].etag, "abcdef");
  EXPECT_EQ((*parts)[1].number, 2);
}

TEST(XmlBodies, RefuseBombsAndNonsense) {
  std::string deep;
  for (int i = 0; i < 100; ++i) deep += "<Delete>";
  std::string many = "<Delete>";
  for (int i = 0; i < 1001; ++i) many += "<Object><Key>k</Key></Object>";
  for (const std::string& bad :
       {std::string(), std::string("x"), std::string("<Delete>"), std::string("<Delete/>"), std::string("<Other/>"),
        std::string("<Delete><Object/></Delete>"), deep, many + "</Delete>",
        std::string("<!DOCTYPE a [<!ENTITY x \"y\">]><Delete><Object><Key>&x;</Key></Object></Delete>"),
        std::string("<Delete><Object><Key>\xff</Key></Object></Delete>"),
        std::string("<Delete><Object><Key>a\0b</Key></Object></Delete>", 43)}) {
    const auto got = parse_delete(bad);
    ASSERT_FALSE(got) << bad.substr(0, 80);
    EXPECT_EQ(name_of(got.error()), "MalformedXML");
  }
  EXPECT_FALSE(parse_complete("<CompleteMultipartUpload><Part><ETag>a</ETag></Part></CompleteMultipartUpload>"));
  EXPECT_FALSE(parse_complete("<CompleteMultipartUpload></CompleteMultipartUpload>"));
}

TEST(Errors, HaveS3Names) {
  const auto of = [](Code code, const char* subject) {
    const S3Code c = code_of(Error(code, subject, ""));
    return std::string(c.name) + " " + std::to_string(c.status);
  };
  EXPECT_EQ(of(Code::kNotFound, "repository"), "NoSuchBucket 404");
  EXPECT_EQ(of(Code::kNotFound, "ref"), "NoSuchKey 404");
  EXPECT_EQ(of(Code::kForbidden, "branch"), "AccessDenied 403");
  EXPECT_EQ(of(Code::kConflict, "precondition"), "PreconditionFailed 412");
  EXPECT_EQ(of(Code::kBusy, "branch"), "SlowDown 503");
  EXPECT_EQ(of(Code::kUnauthenticated, "signature"), "SignatureDoesNotMatch 403");
  EXPECT_EQ(of(Code::kInvalid, "entity_too_small"), "EntityTooSmall 400");
  EXPECT_EQ(of(Code::kUnknownOutcome, "x"), "ServiceUnavailable 503");
  EXPECT_EQ(name_of(refuse("NotImplemented", "")), "NotImplemented");
  EXPECT_EQ(name_of(refuse("Misspelled", "")), "InternalError");
}

}  // namespace
}  // namespace tarn::s3
