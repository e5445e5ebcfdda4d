#include "http/server.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include "base/memory_only.h"
#include "base/mutex.h"
#include "base/random.h"
#include "http/detail/head.h"
#include "http/testing/raw_client.h"

namespace tarn::http {
namespace {

using testing::body_of;
using testing::RawClient;
using testing::status_of;

// Counts to `size` in bytes that can be checked; of unknown size if asked.
class Pattern final : public BodySource {
 public:
  explicit Pattern(uint64_t size, bool known = true, bool fails = false) : size_(size), known_(known), fails_(fails) {}
  Result<size_t> read(char* buffer, size_t size) override {
    const auto n = static_cast<size_t>(std::min<uint64_t>(size, size_ - at_));
    if (n == 0 && fails_) return Error(Code::kUnavailable, "store", "the disk went away");
    for (size_t i = 0; i < n; ++i) buffer[i] = byte(at_ + i);
    at_ += n;
    return n;
  }
  std::optional<uint64_t> size() const override { return known_ ? std::optional(size_) : std::nullopt; }
  static char byte(uint64_t i) { return static_cast<char>('a' + i % 23); }
  static std::string text(uint64_t size) {
    std::string out(size, '\0');
    for (uint64_t i = 0; i < size; ++i) out[i] = byte(i);
    return out;
  }

 private:
  uint64_t size_, at_ = 0;
  bool known_, fails_;
};

// More than any socket buffer holds, at no cost.
class Endless final : public BodySource {
 public:
  Result<size_t> read(char* buffer, size_t size) override {
    std::memset(buffer, 'e', size);
    return size;
  }
  std::optional<uint64_t> size() const override { return std::nullopt; }
};

class File final : public BodySource {
 public:
  File(int descriptor, uint64_t offset, uint64_t length) : span_{descriptor, offset, length} {}
  Result<size_t> read(char*, size_t) override { return Error(Code::kInternal, "file", "sendfile was expected"); }
  std::optional<uint64_t> size() const override { return span_.length; }
  std::optional<FileSpan> file() const override { return span_; }

 private:
  FileSpan span_;
};

class ServerTest : public ::testing::Test {
 protected:
  void SetUp() override { start({}); }
  void TearDown() override {
    gate_.store(true);
    server_.reset();
    if (file_ >= 0) ::close(file_);
  }

  void start(Limits limits, int run_tokens = 0) {
    gate_.store(true);
    server_.reset();
    gate_.store(false);
    Server::Options options;
    options.listen = "127.0.0.1:0";
    options.limits = limits;
    options.run_tokens = run_tokens;
    options.answers_at_once = [](const Request& request) { return request.path.starts_with("/at-once"); };
    server_ = std::make_unique<Server>(options);
    const auto started = server_->start([this](const Context& ctx, Request& request) { return handle(ctx, request); });
    ASSERT_TRUE(started) << started.error().text();
  }

  Response handle(const Context& ctx, Request& request) {
    handled_.fetch_add(1);
    if (request.path == "/echo") {
      auto body = request.read_body(8 << 20);
      if (!body) {
        last_error_ = static_cast<int>(body.error().code());
        return text(body.error().code() == Code::kTooLarge ? 413 : 400, body.error().text());
      }
      return text(200, *body);
    }
    if (request.path == "/at-once/on-disk") {
      if (base::MemoryOnly::active()) return text(500, base::MemoryOnly::miss().text());
      return text(200, request.query.find("q") == "1" ? "read" : "lost");
    }
    if (request.path == "/count") {
      uint64_t total = 0;
      char buffer[65536];
      for (;;) {
        const auto n = request.body->read(buffer, sizeof buffer);
        if (!n) return text(400, n.error().text());
        if (*n == 0) return text(200, std::to_string(total));
        total += *n;
      }
    }
    if (request.path == "/until-cancelled") {
      while (!ctx.cancelled()) base::system_clock().sleep_ms(1);
      return text(499, "cancelled");
    }
    if (request.path == "/stream") return stream(200, "text/plain", std::make_unique<Pattern>(1'000'000));
    if (request.path == "/chunked") return stream(200, "text/plain", std::make_unique<Pattern>(300'000, false));
    if (request.path == "/breaks") return stream(200, "text/plain", std::make_unique<Pattern>(100'000, false, true));
    if (request.path == "/big") return stream(200, "text/plain", std::make_unique<Endless>());
    if (request.path == "/file") return stream(200, "text/plain", std::make_unique<File>(file_, 10, 200'000));
    if (request.path == "/wait") {
      while (!gate_.load() && !ctx.cancelled()) base::system_clock().sleep_ms(1);
      return text(ctx.cancelled() ? 500 : 200, "waited");
    }
    if (request.path == "/throw") throw std::runtime_error("oops");
    if (request.path == "/split") {
      Response response = text(200, "x");
      response.headers.add("X-Meta", "a\r\nSet-Cookie: evil");
      return response;
    }
    if (request.path == "/nothing") return empty(204);
    if (request.path == "/peer") return text(200, request.peer_address + (request.peer_is_loopback ? " loopback" : ""));
    return text(200, std::string(name_of(request.method)) + " " + request.path);
  }

  std::string ask(std::string_view bytes) {
    RawClient client(server_->port());
    client.send(bytes);
    return client.response();
  }
  int status(std::string_view bytes) { return status_of(ask(bytes)); }
  /// The answer's status, which must be followed by a close.
  int status_and_close(std::string_view bytes) {
    RawClient client(server_->port());
    client.send(bytes);
    const std::string answer = client.response();
    EXPECT_TRUE(client.closed()) << answer;
    EXPECT_NE(answer.find("Connection: close"), std::string::npos) << answer;
    return status_of(answer);
  }
  static std::string get(std::string_view path, std::string_view more = "") {
    return "GET " + std::string(path) + " HTTP/1.1\r\nHost: x\r\n" + std::string(more) + "\r\n";
  }

  std::unique_ptr<Server> server_;
  std::atomic<bool> gate_{false};
  std::atomic<int> handled_{0};
  std::atomic<int> last_error_{-1};
  int file_ = -1;
};

TEST_F(ServerTest, AnswersWithItsOwnHeaders) {
  const std::string answer = ask(get("/a%20b?x=1"));
  EXPECT_EQ(status_of(answer), 200);
  EXPECT_EQ(body_of(answer), "GET /a b");
  for (const char* header : {"\r\nDate: ", "\r\nServer: tarn\r\n", "\r\nX-Request-ID: ", "\r\nContent-Length: 8\r\n"})
    EXPECT_NE(answer.find(header), std::string::npos) << header;
  EXPECT_EQ(answer.find("Connection:"), std::string::npos);
  EXPECT_EQ(body_of(ask(get("/peer"))), "127.0.0.1 loopback");
}

TEST_F(ServerTest, KeepsAliveAndAnswersPipelinedRequestsInOrder) {
  RawClient client(server_->port());
  std::string all;
  for (int i = 0; i < 50; ++i) all += get("/" + std::to_string(i)) + (i % 10 == 0 ? get("/at-once") : "");
  client.send(all);
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(body_of(client.response()), "GET /" + std::to_string(i));
    if (i % 10 == 0) {
      EXPECT_EQ(body_of(client.response()), "GET /at-once");
    }
  }
  EXPECT_EQ(server_->counts().requests_total, 55U);
}

TEST_F(ServerTest, WhatMemoryDoesNotAnswerOnTheEdgeAWorkerDoes) {
  RawClient client(server_->port());
  for (int i = 0; i < 200; ++i) {
    client.send(get("/at-once/on-disk?q=1"));
    EXPECT_EQ(body_of(client.response()), "read");
    client.send(get("/at-once"));
    EXPECT_EQ(body_of(client.response()), "GET /at-once");
    client.send(get("/at-once"));
    EXPECT_EQ(body_of(client.response()), "GET /at-once");
  }
}

TEST_F(ServerTest, SplitAnywhereGivesTheSameAnswer) {
  const std::string request =
      "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n";
  for (size_t cut = 1; cut < request.size(); cut += 3) {
    RawClient client(server_->port());
    client.send(request.substr(0, cut));
    base::system_clock().sleep_ms(1);
    client.send(request.substr(cut));
    EXPECT_EQ(body_of(client.response()), "hello") << cut;
  }
}

TEST_F(ServerTest, HonoursCloseAndHttp10) {
  EXPECT_EQ(status_and_close(get("/", "Connection: close\r\n")), 200);
  EXPECT_EQ(status_and_close("GET / HTTP/1.0\r\n\r\n"), 200);
  RawClient client(server_->port());
  client.send("GET /1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /2 HTTP/1.0\r\n\r\n");
  EXPECT_NE(client.response().find("Connection: keep-alive"), std::string::npos);
  EXPECT_EQ(body_of(client.response()), "GET /2");
  // The end of a body of unknown size is the close for HTTP/1.0.
  RawClient old(server_->port());
  old.send("GET /chunked HTTP/1.0\r\n\r\n");
  EXPECT_EQ(body_of(old.receive_all()), Pattern::text(300'000));
}

TEST_F(ServerTest, HeadSendsNoBodyButItsLength) {
  RawClient client(server_->port());
  client.send("HEAD /stream HTTP/1.1\r\nHost: x\r\n\r\n" + get("/after"));
  EXPECT_NE(client.response(5000, true).find("Content-Length: 1000000\r\n"), std::string::npos);
  EXPECT_EQ(body_of(client.response()), "GET /after");
  const std::string nothing = ask(get("/nothing"));
  EXPECT_EQ(status_of(nothing), 204);
  EXPECT_EQ(nothing.find("Content-Length"), std::string::npos);
}

TEST_F(ServerTest, StreamsOutKnownAndUnknownSizes) {
  EXPECT_EQ(body_of(ask(get("/stream"))), Pattern::text(1'000'000));
  RawClient client(server_->port());
  client.send(get("/chunked", "Connection: close\r\n"));
  const std::string answer = client.receive_all();
  EXPECT_NE(answer.find("Transfer-Encoding: chunked"), std::string::npos);
  detail::Head unused;
  std::string raw = body_of(answer), whole;
  for (size_t at = 0;;) {
    const size_t size = std::stoul(raw.substr(at), nullptr, 16);
    at = raw.find("\r\n", at) + 2;
    whole += raw.substr(at, size);
    at += size + 2;
    if (size == 0) {
      EXPECT_EQ(at, raw.size());
      break;
    }
  }
  EXPECT_EQ(whole, Pattern::text(300'000));
}

TEST_F(ServerTest, AFailingSourceIsNeverTakenForTheEnd) {
  RawClient client(server_->port());
  client.send(get("/breaks"));
  const std::string answer = client.receive_all();
  EXPECT_TRUE(client.reset());
  EXPECT_FALSE(answer.ends_with("0\r\n\r\n"));
}

TEST_F(ServerTest, SendsAFileSpan) {
  file_ = ::memfd_create("span", 0);
  const std::string bytes = Pattern::text(300'000);
  ASSERT_EQ(::write(file_, bytes.data(), bytes.size()), 300'000);
  EXPECT_EQ(body_of(ask(get("/file"))), bytes.substr(10, 200'000));
  // A file that became shorter cuts the connection.
  ASSERT_EQ(::ftruncate(file_, 1000), 0);
  RawClient client(server_->port());
  client.send(get("/file"));
  EXPECT_LT(body_of(client.receive_all()).size(), 200'000U);
}

TEST_F(ServerTest, StreamsInFixedAndChunkedBodies) {
  const std::string body = Pattern::text(3'000'000);
  RawClient client(server_->port());
  client.send("PUT /count HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n" + body);
  EXPECT_EQ(body_of(client.response()), "3000000");
  std::string chunks = "PUT /count HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (size_t at = 0, size = 1; at < body.size(); at += size, size = size * 3 + 1) {
    size = std::min(size, body.size() - at);
    char line[32];
    std::snprintf(line, sizeof line, "%zx\r\n", size);
    chunks += line + body.substr(at, size) + "\r\n";
  }
  client.send(chunks + "0\r\n\r\n" + get("/next"));
  EXPECT_EQ(body_of(client.response()), "3000000");
  EXPECT_EQ(body_of(client.response()), "GET /next");
}

TEST_F(ServerTest, SaysContinueOnlyWhenTheBodyIsWanted) {
  RawClient client(server_->port());
  client.send("PUT /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(client.response(), "HTTP/1.1 100 Continue\r\n\r\n");
  client.send("hello");
  EXPECT_EQ(body_of(client.response()), "hello");
  client.send("PUT /refuses HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
  const std::string answer = client.response();
  EXPECT_EQ(status_of(answer), 200);
  EXPECT_TRUE(client.closed());
  EXPECT_EQ(status("PUT /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: magic\r\n\r\n"), 417);
}

TEST_F(ServerTest, DrainsASmallUnreadBodyAndClosesOnALargeOne) {
  RawClient client(server_->port());
  client.send("PUT /ignores HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n" + std::string(60'000, 'b') +
              get("/2"));
  EXPECT_EQ(body_of(client.response()), "PUT /ignores");
  EXPECT_EQ(body_of(client.response()), "GET /2");
  // A client that sends everything before it listens still gets to see the answer.
  EXPECT_EQ(status_and_close("PUT /ignores HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000\r\n\r\n" +
                             std::string(2'000'000, 'b')),
            200);
  EXPECT_EQ(status("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\n\r\n"), 413);
}

TEST_F(ServerTest, ACutBodyIsAnErrorAndNotTheEnd) {
  for (const char* head : {"Content-Length: 10\r\n\r\nhel", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"}) {
    last_error_ = -1;
    RawClient client(server_->port());
    client.send(std::string("POST /echo HTTP/1.1\r\nHost: x\r\n") + head);
    client.half_close();
    EXPECT_EQ(status_of(client.response()), 400);
    EXPECT_EQ(last_error_, static_cast<int>(Code::kCancelled));
  }
}

TEST_F(ServerTest, AnExceptionIsA500AndTheServerLives) {
  EXPECT_EQ(status(get("/throw")), 500);
  EXPECT_EQ(status(get("/fine")), 200);
}

TEST_F(ServerTest, NeverSendsASplitHeader) {
  const std::string answer = ask(get("/split"));
  EXPECT_EQ(status_of(answer), 500);
  EXPECT_EQ(answer.find("evil"), std::string::npos);
}

TEST_F(ServerTest, APortInUseIsSaidClearly) {
  Server::Options options;
  options.listen = server_->address();
  Server second(options);
  const auto started = second.start([](const Context&, Request&) { return empty(200); });
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().code(), Code::kUnavailable);
  EXPECT_NE(started.error().message().find(server_->address() + " is in use"), std::string::npos);
  EXPECT_NE(started.error().message().find("--listen"), std::string::npos);
  options.listen = "nonsense";
  EXPECT_EQ(Server(options).start({}).error().code(), Code::kInvalid);
}

TEST_F(ServerTest, AThousandIdleConnectionsDoNotDisturb) {
  std::vector<std::unique_ptr<RawClient>> idle;
  for (int i = 0; i < 1000; ++i) {
    idle.push_back(std::make_unique<RawClient>(server_->port()));
    ASSERT_TRUE(idle.back()->connected());
    if (i % 2 == 0) idle.back()->send("GET /half HTTP/1.1\r\nHos");
  }
  EXPECT_EQ(status(get("/")), 200);
  EXPECT_GE(server_->counts().connections, 1000U);
  EXPECT_LE(server_->counts().worker_threads, 8U);
  idle[10]->send("t: x\r\n\r\n");
  EXPECT_EQ(body_of(idle[10]->response()), "GET /half");
  idle.clear();
  for (int i = 0; i < 500 && server_->counts().connections > 1; ++i) base::system_clock().sleep_ms(5);
  EXPECT_LE(server_->counts().connections, 1U);
}

TEST_F(ServerTest, StalledReadersAndWritersDoNotBlockOthers) {
  std::vector<std::unique_ptr<RawClient>> slow;
  for (int i = 0; i < 100; ++i) {
    slow.push_back(std::make_unique<RawClient>(server_->port()));
    slow.back()->send(i % 2 == 0 ? get("/big") : "PUT /count HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nabc");
  }
  for (int i = 0; i < 20; ++i) {
    const auto begin = base::system_clock().steady_ms();
    EXPECT_EQ(status(get("/")), 200);
    EXPECT_LT(base::system_clock().steady_ms() - begin, 3000);
  }
}

TEST_F(ServerTest, BlockingHandlersThatDoNotPauseStillLetOthersThrough) {
  start({}, 1);
  std::vector<std::unique_ptr<RawClient>> waiting;
  for (int i = 0; i < 8; ++i) {
    waiting.push_back(std::make_unique<RawClient>(server_->port()));
    waiting.back()->send(get("/wait"));
  }
  EXPECT_EQ(status(get("/")), 200);
  gate_.store(true);
  for (auto& client : waiting) EXPECT_EQ(body_of(client->response()), "waited");
}

TEST_F(ServerTest, StopLetsARequestFinish) {
  RawClient busy(server_->port());
  RawClient idle(server_->port());
  busy.send(get("/wait"));
  while (server_->counts().requests_in_flight == 0) base::system_clock().sleep_ms(1);
  base::Thread opener([&] {
    base::system_clock().sleep_ms(100);
    gate_.store(true);
  });
  EXPECT_TRUE(server_->stop(5000));
  const std::string answer = busy.response();
  EXPECT_EQ(body_of(answer), "waited");
  EXPECT_NE(answer.find("Connection: close"), std::string::npos);
  EXPECT_TRUE(idle.closed());
  EXPECT_FALSE(RawClient(server_->port()).connected());
}

TEST_F(ServerTest, AClientThatLeavesCancelsItsHandler) {
  RawClient leaving(server_->port());
  RawClient staying(server_->port());
  leaving.send(get("/until-cancelled"));
  staying.send(get("/wait"));
  while (server_->counts().requests_in_flight < 2) base::system_clock().sleep_ms(1);
  leaving.close();
  const auto begin = base::system_clock().steady_ms();
  while (server_->counts().requests_in_flight > 1 && base::system_clock().steady_ms() - begin < 5000)
    base::system_clock().sleep_ms(5);
  EXPECT_EQ(server_->counts().requests_in_flight, 1U) << "the handler still waits for a gate that never opens";
  gate_.store(true);
  EXPECT_EQ(body_of(staying.response()), "waited") << "a client that stays is not disturbed";
}

TEST_F(ServerTest, StopCutsWhatDoesNotFinish) {
  RawClient busy(server_->port());
  busy.send(get("/wait"));
  while (server_->counts().requests_in_flight == 0) base::system_clock().sleep_ms(1);
  EXPECT_FALSE(server_->stop(50));
}

}  // namespace
}  // namespace tarn::http
