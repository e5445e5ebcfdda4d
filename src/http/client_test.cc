#include "http/client.h"

#include <gtest/gtest.h>

#include "base/mutex.h"
#include "http/server.h"
#include "http/testing/raw_client.h"

namespace tarn::http {
namespace {

class Unsized final : public BodySource {
 public:
  explicit Unsized(size_t pieces) : left_(pieces) {}
  Result<size_t> read(char* buffer, size_t size) override {
    if (left_ == 0) return size_t{0};
    --left_;
    const size_t n = std::min<size_t>(size, 1000);
    std::fill(buffer, buffer + n, 'u');
    return n;
  }
  std::optional<uint64_t> size() const override { return std::nullopt; }

 private:
  size_t left_;
};

class ClientTest : public ::testing::Test {
 protected:
  void SetUp() override {
    Server::Options options;
    options.listen = "127.0.0.1:0";
    server_ = std::make_unique<Server>(options);
    ASSERT_TRUE(server_->start([](const Context& ctx, Request& request) { return handle(ctx, request); }));
    base_ = "http://" + server_->address();
  }

  static Response handle(const Context& ctx, Request& request) {
    if (request.path == "/slow") {
      while (!ctx.cancelled()) base::system_clock().sleep_ms(5);
      return empty(500);
    }
    if (request.path == "/large") return text(200, std::string(1 << 20, 'l'));
    if (request.path == "/missing") return text(404, "not here");
    if (request.path == "/moved") {
      Response response = empty(302);
      response.headers.add("Location", "/large");
      return response;
    }
    auto body = request.read_body(64 << 20);
    if (!body) return text(400, body.error().text());
    Response response = text(200, std::to_string(body->size()) + " " + body->substr(0, 5));
    response.headers.add("X-Method", request.method_text);
    response.headers.add("X-Target", request.target);
    response.headers.add("X-Framing", request.content_length ? "length" : "chunked");
    for (const Header& field : request.headers)
      if (field.name.starts_with("X-In")) response.headers.add("X-Out", field.name + "=" + field.value);
    return response;
  }

  Result<ClientResponse> send(std::string method, std::string path, std::string body = {}) {
    ClientRequest request;
    request.method = std::move(method);
    request.url = base_ + path;
    request.body = std::move(body);
    return client_.send(Context(), request);
  }

  std::unique_ptr<Server> server_;
  CurlClient client_;
  std::string base_;
};

TEST_F(ClientTest, SendsEveryMethodAndTheTargetAsGiven) {
  for (const char* method : {"GET", "PUT", "POST", "DELETE", "PATCH", "OPTIONS"}) {
    const auto response = send(method, "/a%2Fb/../c?x=%20y");
    ASSERT_TRUE(response) << response.error().text();
    EXPECT_EQ(response->status, 200);
    EXPECT_EQ(response->headers.find("x-method"), method);
    EXPECT_EQ(response->headers.find("X-Target"), "/a%2Fb/../c?x=%20y");
    EXPECT_EQ(response->body, "0 ");
  }
  const auto head = send("HEAD", "/large");
  ASSERT_TRUE(head);
  EXPECT_EQ(head->headers.find("Content-Length"), "1048576");
  EXPECT_EQ(head->body, "");
}

TEST_F(ClientTest, SendsBodiesFromMemoryAndFromSources) {
  for (const char* method : {"PUT", "POST", "DELETE"}) {
    const auto response = send(method, "/", "hello world");
    ASSERT_TRUE(response);
    EXPECT_EQ(response->body, "11 hello");
    EXPECT_EQ(response->headers.find("X-Framing"), "length");
  }
  ClientRequest request;
  request.method = "PUT";
  request.url = base_ + "/";
  StringSource sized(std::string(3'000'000, 's'));
  request.source = &sized;
  EXPECT_EQ(client_.send(Context(), request)->body, "3000000 sssss");
  Unsized chunked(50);
  request.source = &chunked;
  const auto response = client_.send(Context(), request);
  EXPECT_EQ(response->body, "50000 uuuuu");
  EXPECT_EQ(response->headers.find("X-Framing"), "chunked");
}

TEST_F(ClientTest, SendsHeadersWithEmptyValuesAndRefusesLineBreaks) {
  ClientRequest request;
  request.url = base_ + "/";
  request.headers.add("X-In-A", "1");
  request.headers.add("X-In-B", "");
  const auto response = client_.send(Context(), request);
  ASSERT_TRUE(response);
  EXPECT_EQ(response->headers.all("X-Out"), (std::vector<std::string_view>{"X-In-A=1", "X-In-B="}));
  request.headers.add("X-In-C", "a\r\nX-Evil: 1");
  EXPECT_EQ(client_.send(Context(), request).error().code(), Code::kInvalid);
}

TEST_F(ClientTest, GivesTheBodyToASinkOnlyWhenTheAnswerIsGood) {
  ClientRequest request;
  size_t bytes = 0;
  request.sink = [&](std::string_view piece) -> Result<void> {
    bytes += piece.size();
    return {};
  };
  request.url = base_ + "/large";
  EXPECT_EQ(client_.send(Context(), request)->body, "");
  EXPECT_EQ(bytes, 1U << 20);
  request.url = base_ + "/missing";
  EXPECT_EQ(client_.send(Context(), request)->body, "not here");
  EXPECT_EQ(bytes, 1U << 20);
  request.url = base_ + "/large";
  request.sink = [](std::string_view) -> Result<void> { return Error(Code::kNoSpace, "disk", "full"); };
  EXPECT_EQ(client_.send(Context(), request).error().code(), Code::kNoSpace);
}

TEST_F(ClientTest, FailuresSayWhetherTheyMayHaveHappened) {
  ClientRequest request;
  request.url = base_ + "/large";
  request.body_limit = 1000;
  EXPECT_EQ(client_.send(Context(), request).error().code(), Code::kTooLarge);
  request.url = "http://127.0.0.1:1/";
  EXPECT_EQ(client_.send(Context(), request).error().code(), Code::kUnavailable);
  request.method = "POST";
  EXPECT_EQ(client_.send(Context(), request).error().code(), Code::kUnavailable);
  request.url = base_ + "/slow";
  request.timeout_ms = 100;
  EXPECT_EQ(client_.send(Context(), request).error().code(), Code::kUnknownOutcome);
  request.method = "GET";
  EXPECT_EQ(client_.send(Context(), request).error().code(), Code::kDeadline);
  request.timeout_ms = 10'000;
  EXPECT_EQ(client_.send(Context().with_timeout(base::system_clock(), 50), request).error().code(), Code::kDeadline);
  request.url = "file:///etc/hosts";
  EXPECT_EQ(client_.send(Context(), request).error().code(), Code::kInvalid);
  server_->stop(0);
}

TEST_F(ClientTest, ACancelledContextEndsTheWait) {
  ClientRequest request;
  request.url = base_ + "/slow";
  const Context ctx;
  base::Thread canceller([ctx] {
    base::system_clock().sleep_ms(50);
    ctx.cancel();
  });
  EXPECT_EQ(client_.send(ctx, request).error().code(), Code::kCancelled);
  server_->stop(0);
}

TEST_F(ClientTest, AsksBeforeItConnectsAndFollowsNoRedirect) {
  EXPECT_EQ(send("GET", "/moved")->status, 302);
  ClientRequest request;
  request.url = base_ + "/";
  std::string seen;
  request.allow_address = [&](std::string_view address) -> Result<void> {
    seen = address;
    return Error(Code::kForbidden, "address", "private network");
  };
  EXPECT_EQ(client_.send(Context(), request).error().code(), Code::kForbidden);
  EXPECT_EQ(seen, "127.0.0.1");
}

TEST_F(ClientTest, ReusesConnectionsAmongThreads) {
  std::vector<base::Thread> threads;
  std::atomic<int> good{0};
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 100; ++i) {
        const auto response = send("PUT", "/", "x");
        if (response && response->status == 200) ++good;
      }
    });
  threads.clear();
  EXPECT_EQ(good.load(), 400);
  EXPECT_LE(server_->counts().connections, 5U);
}

}  // namespace
}  // namespace tarn::http
