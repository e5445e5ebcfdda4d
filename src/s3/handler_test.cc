// Goal: the door as a whole: nobody comes in by any operation without the right secret, an attempt's key writes below
// its prefixes only, and a body that is cut or changed never becomes an object. Method: a memory world and requests
// signed here.
#include "s3/handler.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "auth/sigv4.h"
#include "base/bytes.h"
#include "base/hash.h"
#include "catalog/testing/world.h"

namespace tarn::s3 {
namespace {

using catalog::testing::World;
using versioning::testing::Backend;
using versioning::testing::must;

struct Key {
  std::string id, secret;
};

/// A body that ends early, as a connection does that breaks.
class Cut final : public http::BodyReader {
 public:
  Cut(std::string text, size_t at, bool error) : text_(text.substr(0, at)), error_(error) {}
  Result<size_t> read(char* buffer, size_t size) override {
    const size_t n = text_.copy(buffer, size, at_);
    at_ += n;
    if (n == 0 && error_) return Error(Code::kCancelled, "body", "the peer went away inside the body");
    return n;
  }

 private:
  std::string text_;
  size_t at_ = 0;
  bool error_;
};

class Door : public testing::Test {
 protected:
  void SetUp() override {
    auth_ =
        must(auth::Auth::open(*world_.kv, base::system_disk(), folder_.path("auth.key"), world_.clock, world_.random));
    const auto made = must(auth_->set_up(world_.ctx, "admin", {}));
    admin_ = {made.access_key_id, made.secret.reveal()};
    handler_ = make_handler({*catalog_, *auth_, world_.clock, "us-east-1", {"s3.localhost"}});
  }

  http::Response send(const Key& key, http::Method method, const std::string& target, std::string body = "",
                      http::Headers headers = {}, std::string hash = "UNSIGNED-PAYLOAD") {
    http::StringReader reader(std::move(body));
    return send(key, method, target, reader, std::move(headers), std::move(hash));
  }
  http::Response send(const Key& key, http::Method method, const std::string& target, http::BodyReader& body,
                      http::Headers headers, std::string hash) {
    http::Request r;
    r.method = method;
    r.method_text = std::string(http::name_of(method));
    r.target = target;
    const size_t question = target.find('?');
    r.raw_path = target.substr(0, question);
    r.path = *http::percent_decode(r.raw_path);
    if (question != std::string::npos) r.query = *http::parse_query(target.substr(question + 1));
    r.headers = std::move(headers);
    r.headers.add("Host", "localhost");
    const std::string date = base::amz_date(world_.clock.wall_ms());
    r.headers.add("x-amz-date", date);
    r.headers.add("x-amz-content-sha256", hash);
    r.body = &body;
    std::vector<std::string> names;
    for (const auto& header : r.headers) {
      std::string name = header.name;
      for (char& c : name) c = static_cast<char>(std::tolower(c));
      names.push_back(name);
    }
    std::sort(names.begin(), names.end());
    const auth::Scope scope{date.substr(0, 8), "us-east-1", "s3"};
    const std::string signature =
        auth::signature(auth::signing_key(key.secret, scope),
                        auth::string_to_sign(date, scope, auth::canonical_request(r, names, hash)));
    r.headers.add("Authorization", fmt::format("AWS4-HMAC-SHA256 Credential={}/{}, SignedHeaders={}, Signature={}",
                                               key.id, scope.text(), fmt::join(names, ";"), signature));
    return handler_(world_.ctx, r);
  }
  std::string code(const http::Response& response) {
    const size_t from = response.body.find("<Code>"), to = response.body.find("</Code>");
    return from == std::string::npos ? std::to_string(response.status) : response.body.substr(from + 6, to - from - 6);
  }
  int put(const Key& key, const std::string& target) { return send(key, http::Method::kPut, target, "x").status; }

  World world_{Backend::kMemory};
  base::testing::ScratchFolder folder_;
  versioning::Repository repository_ = world_.repository("data");
  catalog::Catalog* catalog_ = world_.catalog.get();
  std::unique_ptr<auth::Auth> auth_;
  Key admin_;
  http::Handler handler_;
};

TEST_F(Door, EveryOperationAndPayloadKindNeedsTheRightSecret) {
  const Key wrong{admin_.id, admin_.secret + "x"};
  struct Row {
    http::Method method;
    const char* target;
    http::Headers headers;
  };
  const std::vector<Row> rows = {
      {http::Method::kGet, "/", {}},
      {http::Method::kPut, "/data", {}},
      {http::Method::kHead, "/data", {}},
      {http::Method::kGet, "/data?location", {}},
      {http::Method::kGet, "/data?versioning", {}},
      {http::Method::kGet, "/data", {}},
      {http::Method::kGet, "/data?list-type=2", {}},
      {http::Method::kGet, "/data?uploads", {}},
      {http::Method::kPost, "/data?delete", {}},
      {http::Method::kGet, "/data/main/x", {}},
      {http::Method::kHead, "/data/main/x", {}},
      {http::Method::kGet, "/data/main/x?tagging", {}},
      {http::Method::kPut, "/data/main/x", {}},
      {http::Method::kPut, "/data/main/x", {{"x-amz-copy-source", "/data/main/y"}}},
      {http::Method::kDelete, "/data/main/x", {}},
      {http::Method::kPost, "/data/main/x?uploads", {}},
      {http::Method::kPut, "/data/main/x?partNumber=1&uploadId=u", {}},
      {http::Method::kPut, "/data/main/x?partNumber=1&uploadId=u", {{"x-amz-copy-source", "/data/main/y"}}},
      {http::Method::kPost, "/data/main/x?uploadId=u", {}},
      {http::Method::kDelete, "/data/main/x?uploadId=u", {}},
      {http::Method::kGet, "/data/main/x?uploadId=u", {}},
      {http::Method::kGet, "/data?acl", {}},
  };
  for (const auto& row : rows)
    for (const std::string& hash :
         {std::string("UNSIGNED-PAYLOAD"), base::sha256_hex(""), std::string("STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
          std::string("STREAMING-AWS4-HMAC-SHA256-PAYLOAD"),
          std::string("STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER")}) {
      EXPECT_EQ(code(send(wrong, row.method, row.target, "", row.headers, hash)), "SignatureDoesNotMatch")
          << http::name_of(row.method) << " " << row.target << " " << hash;
      EXPECT_NE(send(admin_, row.method, row.target, "", row.headers, hash).status, 403)
          << http::name_of(row.method) << " " << row.target << " " << hash;
    }
}

TEST_F(Door, AnAttemptWritesBelowItsPrefixesUntilItIsRevoked) {
  must(world_.engine->create_branch(world_.ctx, repository_, "run-1", "main"));
  world_.repository("other");
  kv::Batch batch;
  const auto made = must(auth_->add_temporary(batch, "admin",
                                              {.repository = "data",
                                               .branch = "run-1",
                                               .write_prefixes = {"out/"},
                                               .fence = "f",
                                               .expires_ms = world_.clock.wall_ms() + 3'600'000}));
  must(world_.kv->apply(world_.ctx, batch));
  const Key attempt{made.access_key_id, made.secret.reveal()};
  EXPECT_EQ(put(attempt, "/data/run-1/out/a"), 200);
  EXPECT_EQ(put(attempt, "/data/run-1/out%2Fb"), 200) << "the same path, written otherwise";
  EXPECT_EQ(put(attempt, "/data/run-1/in/a"), 403);
  EXPECT_EQ(put(attempt, "/data/run-1/outside"), 403);
  EXPECT_EQ(put(attempt, "/data/main/out/a"), 403);
  EXPECT_EQ(put(attempt, "/other/run-1/out/a"), 403);
  EXPECT_EQ(put(attempt, "/data/run-1/out/../in/a"), 400);
  EXPECT_EQ(send(attempt, http::Method::kGet, "/data/run-1/out/a").status, 200);
  EXPECT_EQ(send(attempt, http::Method::kGet, "/other/main/x").status, 403);
  EXPECT_EQ(send(attempt, http::Method::kPost, "/data/run-1/in/big?uploads").status, 403);
  EXPECT_EQ(send(attempt, http::Method::kPost, "/data/run-1/out/big?uploads").status, 200);
  EXPECT_EQ(
      send(attempt, http::Method::kPut, "/data/run-1/in/c", "", {{"x-amz-copy-source", "/data/run-1/out/a"}}).status,
      403);
  EXPECT_EQ(send(attempt, http::Method::kPut, "/data/run-1/out/c", "", {{"x-amz-copy-source", "/other/main/a"}}).status,
            403);
  const std::string both =
      "<Delete><Object><Key>run-1/out/a</Key></Object><Object><Key>main/out/a</Key></Object></Delete>";
  const auto deleted = send(attempt, http::Method::kPost, "/data?delete", both, {}, base::sha256_hex(both));
  EXPECT_NE(deleted.body.find("<Deleted><Key>run-1/out/a</Key></Deleted>"), std::string::npos) << deleted.body;
  EXPECT_NE(deleted.body.find("<Error><Key>main/out/a</Key><Code>AccessDenied</Code>"), std::string::npos);
  world_.clock.advance(3'700'000);
  EXPECT_EQ(code(send(attempt, http::Method::kGet, "/data/run-1/out/b")), "InvalidAccessKeyId");
}

TEST_F(Door, ABrokenBodyNeverBecomesAnObject) {
  const std::string data(70'000, 'd');
  const std::string framed = fmt::format("{:x}\r\n{}\r\n0\r\n\r\n", data.size(), data);
  const http::Headers length{{"x-amz-decoded-content-length", std::to_string(data.size())}};
  for (int i = 0; i < 60; ++i) {
    const size_t at = static_cast<size_t>(world_.random.u64() % data.size());
    for (const bool error : {true, false}) {
      Cut plain(data, at, error), chunked(framed, at, error);
      EXPECT_EQ(send(admin_, http::Method::kPut, "/data/main/a", plain, {}, base::sha256_hex(data)).status, 400);
      EXPECT_EQ(send(admin_, http::Method::kPut, "/data/main/b", chunked, length, "STREAMING-UNSIGNED-PAYLOAD-TRAILER")
                    .status,
                400);
    }
  }
  const auto listed = send(admin_, http::Method::kGet, "/data?list-type=2&prefix=main/");
  EXPECT_NE(listed.body.find("<KeyCount>0</KeyCount>"), std::string::npos) << listed.body;
  EXPECT_EQ(must(world_.blocks->stored_bytes(world_.ctx)) < data.size(), true) << "nothing of them is left behind";
  EXPECT_EQ(
      send(admin_, http::Method::kPut, "/data/main/b", framed, length, "STREAMING-UNSIGNED-PAYLOAD-TRAILER").status,
      200);
}

TEST_F(Door, AMismatchShowsWhatWasComputedAndAParameterTwiceIsRefused) {
  const auto wrong = send({admin_.id, "no"}, http::Method::kGet, "/data");
  EXPECT_NE(wrong.body.find("<StringToSign>AWS4-HMAC-SHA256"), std::string::npos);
  EXPECT_NE(wrong.body.find("<CanonicalRequest>GET"), std::string::npos);
  EXPECT_EQ(wrong.body.find(admin_.secret), std::string::npos);
  EXPECT_EQ(code(send(admin_, http::Method::kGet, "/data?prefix=a&prefix=b")), "InvalidArgument");
  EXPECT_EQ(code(send(admin_, http::Method::kGet, "/data?uploads&versions")), "InvalidRequest");
  EXPECT_EQ(code(send(admin_, http::Method::kGet, "/data?versions")), "NotImplemented");
  EXPECT_EQ(code(send(admin_, http::Method::kPut, "/data/main/x?tagging", "<x/>")), "NotImplemented");
  EXPECT_EQ(code(send(admin_, http::Method::kGet, "/data/main/x")), "NoSuchKey") << "?tagging did not write it";
  EXPECT_EQ(code(send(admin_, http::Method::kPatch, "/data/main/x")), "MethodNotAllowed");
}

}  // namespace
}  // namespace tarn::s3
