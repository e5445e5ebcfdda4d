// Every limit and every smuggling rule, over a raw socket.
#include <gtest/gtest.h>

#include "http/server.h"
#include "http/testing/raw_client.h"

namespace tarn::http {
namespace {

using testing::body_of;
using testing::RawClient;
using testing::status_of;

class LimitsTest : public ::testing::Test {
 protected:
  void SetUp() override { start({}); }

  void start(const Limits& limits) {
    server_.reset();
    gate_.store(false);
    handled_ = 0;
    Server::Options options;
    options.listen = "127.0.0.1:0";
    options.limits = limits;
    server_ = std::make_unique<Server>(options);
    const auto started = server_->start([this](const Context& ctx, Request& request) {
      handled_.fetch_add(1);
      if (request.path == "/wait")
        while (!gate_.load() && !ctx.cancelled()) base::system_clock().sleep_ms(1);
      if (request.path == "/big") return text(200, std::string(32 << 20, 'x'));
      const auto body = request.read_body(1 << 20);
      if (!body) return text(body.error().code() == Code::kDeadline ? 408 : 400, body.error().message());
      return text(200, *body + "|" + request.target + "|" + std::string(request.headers.find("X-Value").value_or("")));
    });
    ASSERT_TRUE(started) << started.error().text();
  }
  void TearDown() override { gate_.store(true); }

  std::string ask(std::string_view bytes) {
    RawClient client(server_->port());
    client.send(bytes);
    return client.response();
  }
  int status(std::string_view bytes) { return status_of(ask(bytes)); }

  /// The request is refused, its connection closed, and what follows it is never taken for a request.
  void expect_refused(int expected, const std::string& bytes) {
    const int before = handled_;
    RawClient client(server_->port());
    client.send(bytes + "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n");
    const std::string all = client.receive_all();
    EXPECT_EQ(status_of(all), expected) << bytes.substr(0, 200) << "\n--\n" << all;
    EXPECT_NE(all.find("Connection: close"), std::string::npos) << bytes.substr(0, 200);
    EXPECT_EQ(all.find("HTTP/1.1 2"), std::string::npos) << "a second answer: " << bytes.substr(0, 200);
    EXPECT_EQ(handled_, before) << bytes.substr(0, 200);
  }

  std::unique_ptr<Server> server_;
  std::atomic<bool> gate_{false};
  std::atomic<int> handled_{0};
};

std::string post(const std::string& headers, const std::string& body = "") {
  return "POST / HTTP/1.1\r\nHost: x\r\n" + headers + "\r\n" + body;
}
std::string get(const std::string& headers) { return "GET / HTTP/1.1\r\nHost: x\r\n" + headers + "\r\n"; }

TEST_F(LimitsTest, LengthAndEncodingTogetherAreRefused) {
  expect_refused(400, post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"));
  expect_refused(400, post("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n", "0\r\n\r\n"));
}

TEST_F(LimitsTest, ADoubtfulLengthIsRefused) {
  for (const char* value :
       {"+5", "-5", "5,5", "5, 5", "0x5", "5 5", "", "five", "5.0", "18446744073709551616", "99999999999999999999999"})
    expect_refused(400, post(std::string("Content-Length: ") + value + "\r\n", "hello"));
  expect_refused(400, post("Content-Length: 5\r\nContent-Length: 6\r\n", "hello"));
  expect_refused(400, post("Content-Length: 5\r\nContent-Length: 5\r\n", "hello"));
}

TEST_F(LimitsTest, AnyOtherEncodingThanChunkedIsRefused) {
  for (const char* value :
       {"xchunked", "chunked, identity", "gzip, chunked", "identity", "chunked, chunked", "\"chunked\"", ""})
    expect_refused(501, post(std::string("Transfer-Encoding: ") + value + "\r\n", "0\r\n\r\n"));
  expect_refused(400, post("Transfer-Encoding: \tchunked\r\n", "0\r\n\r\n"));
  expect_refused(400, post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"));
  expect_refused(400, "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
  EXPECT_EQ(body_of(ask(post("transfer-encoding: Chunked\r\n", "1\r\na\r\n0\r\n\r\n"))), "a|/|");
}

TEST_F(LimitsTest, MalformedLinesAreRefused) {
  expect_refused(400, "GET / HTTP/1.1\nHost: x\r\n\r\n");
  expect_refused(400, "GET / HTTP/1.1\r\nHost: x\n\r\n");
  expect_refused(400, get("A: b\rc\r\n"));
  expect_refused(400, get("A: b\r\n folded\r\n"));
  expect_refused(400, get("A: b\r\n\tfolded\r\n"));
  expect_refused(400, get(std::string("A: b\0c\r\n", 8)));
  expect_refused(400, get("A: b\x01\r\n"));
  expect_refused(400, get("A: b\x7f\r\n"));
  expect_refused(400, get("A : b\r\n"));
  expect_refused(400, get("A\t: b\r\n"));
  expect_refused(400, get(": b\r\n"));
  expect_refused(400, get("no colon\r\n"));
  expect_refused(400, get("A(b): c\r\n"));
  expect_refused(400, " GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  expect_refused(400, "GET  / HTTP/1.1\r\nHost: x\r\n\r\n");
  expect_refused(400, "GET / HTTP/1.1 \r\nHost: x\r\n\r\n");
  expect_refused(400, "GET /a b HTTP/1.1\r\nHost: x\r\n\r\n");
  expect_refused(400, "GET /\x01 HTTP/1.1\r\nHost: x\r\n\r\n");
  expect_refused(400, "GET relative HTTP/1.1\r\nHost: x\r\n\r\n");
  expect_refused(400, "GET * HTTP/1.1\r\nHost: x\r\n\r\n");
  expect_refused(400, "\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(status("\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n"), 200);
}

TEST_F(LimitsTest, HeaderValuesAreNeverDecoded) {
  EXPECT_EQ(body_of(ask(get("X-Value: a%0d%0aSet-Cookie: b \r\n"))), "|/|a%0d%0aSet-Cookie: b");
  EXPECT_EQ(status("GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n"), 400);
  EXPECT_EQ(status("GET /?a=%1 HTTP/1.1\r\nHost: x\r\n\r\n"), 400);
}

TEST_F(LimitsTest, TheHostMustBeOneAndAgreeWithTheTarget) {
  expect_refused(400, "GET / HTTP/1.1\r\n\r\n");
  expect_refused(400, "GET / HTTP/1.1\r\nHost:\r\n\r\n");
  expect_refused(400, "GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n");
  for (const char* host : {"a b", "user@x", "x/y", "x,y", "x?", "x\"", "x\\y"})
    expect_refused(400, std::string("GET / HTTP/1.1\r\nHost: ") + host + "\r\n\r\n");
  expect_refused(400, "GET http://y/ HTTP/1.1\r\nHost: x\r\n\r\n");
  expect_refused(400, "GET http://u@x/ HTTP/1.1\r\nHost: x\r\n\r\n");
  expect_refused(400, "GET ftp://x/ HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(status("GET http://X:80/p?q HTTP/1.1\r\nHost: x:80\r\n\r\n"), 200);
  EXPECT_EQ(status("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n"), 200);
  EXPECT_EQ(status("GET / HTTP/1.1\r\nHost: [::1]:8000\r\n\r\n"), 200);
}

TEST_F(LimitsTest, UnknownMethodsAndVersionsAreRefused) {
  for (const char* method : {"TRACE", "CONNECT", "get", "PROPFIND"})
    expect_refused(501, std::string(method) + " / HTTP/1.1\r\nHost: x\r\n\r\n");
  expect_refused(501, std::string(1024, 'M') + " / HTTP/1.1\r\nHost: x\r\n\r\n");
  for (const char* version : {"HTTP/9.9", "HTTP/2.0", "HTTP/1.2", "HTTP/0.9"})
    expect_refused(505, std::string("GET / ") + version + "\r\nHost: x\r\n\r\n");
  for (const char* version : {"HTTP/1.1x", "http/1.1", "HTTP/11", "XTTP/1.1"})
    expect_refused(400, std::string("GET / ") + version + "\r\nHost: x\r\n\r\n");
  EXPECT_EQ(status("GET /\r\n"), 400);
  EXPECT_EQ(status(std::string("\x16\x03\x01\x02\x00\x01\x00", 7)), 400);
  EXPECT_EQ(status("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 505);
  EXPECT_EQ(status(get("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAA\r\n")), 200);
}

TEST_F(LimitsTest, BrokenChunksEndTheConnection) {
  const std::vector<std::string> bodies = {"g\r\n",
                                           "\r\n",
                                           "-1\r\n",
                                           "0x5\r\nhello\r\n0\r\n\r\n",
                                           "5 \r\nhello\r\n0\r\n\r\n",
                                           "5\nhello\n",
                                           "5\r\nhello0\r\n\r\n",
                                           "5\r\nhelloo\r\n0\r\n\r\n",
                                           "5\r\nhell\r\n0\r\n\r\n",
                                           "ffffffffffffffff\r\n",
                                           "5;" + std::string(257, 'e') + "\r\nhello\r\n0\r\n\r\n",
                                           "5;a\nb\r\nhello\r\n0\r\n\r\n",
                                           "0\r\n folded\r\n\r\n",
                                           "0\r\nA: b\n\r\n",
                                           "0\r\n" + std::string(9000, 't') + "\r\n\r\n",
                                           "0\r\nA: \x01\r\n\r\n"};
  for (const std::string& body : bodies) {
    RawClient client(server_->port());
    client.send(post("Transfer-Encoding: chunked\r\n", body) + "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n");
    const std::string all = client.receive_all();
    EXPECT_EQ(status_of(all), 400) << body.substr(0, 60);
    EXPECT_EQ(all.find("smuggled"), std::string::npos) << body.substr(0, 60);
    EXPECT_NE(all.find("Connection: close"), std::string::npos) << body.substr(0, 60);
  }
  EXPECT_EQ(body_of(ask(post("Transfer-Encoding: chunked\r\n",
                             "5;" + std::string(255, 'e') + "\r\nhello\r\n00\r\nA: b\r\n\r\n"))),
            "hello|/|");
}

TEST_F(LimitsTest, SizesOfTheHead) {
  const auto line_of = [](size_t size) {
    return "GET /" + std::string(size - 14, 'a') + " HTTP/1.1\r\nHost: x\r\n\r\n";
  };
  EXPECT_EQ(status(line_of(16 * 1024)), 200);
  expect_refused(414, line_of(16 * 1024 + 1));
  const auto field_of = [](size_t size) { return get("A: " + std::string(size - 3, 'a') + "\r\n"); };
  EXPECT_EQ(status(field_of(16 * 1024)), 200);
  expect_refused(431, field_of(16 * 1024 + 1));
  const auto all_of = [](size_t size) {
    std::string headers;  // "Host: x" and its line end are 9 of the bytes
    for (size_t left = size - 9; left > 0;) {
      const size_t n = left > 8200 ? 8192 : left;
      headers += "A: " + std::string(n - 5, 'a') + "\r\n";
      left -= n;
    }
    return get(headers);
  };
  EXPECT_EQ(status(all_of(64 * 1024)), 200);
  expect_refused(431, all_of(64 * 1024 + 1));
  const auto count_of = [](size_t count) {
    std::string headers;
    for (size_t i = 1; i < count; ++i) headers += "A: b\r\n";
    return get(headers);
  };
  EXPECT_EQ(status(count_of(128)), 200);
  expect_refused(431, count_of(129));
  expect_refused(431, count_of(20'000));
}

TEST_F(LimitsTest, ALineWithoutEndIsRefusedBeforeItEnds) {
  RawClient client(server_->port());
  client.send("GET /" + std::string(17 * 1024, 'a'));
  EXPECT_EQ(status_of(client.response()), 414);
  RawClient other(server_->port());
  other.send("GET / HTTP/1.1\r\nA: " + std::string(17 * 1024, 'a'));
  EXPECT_EQ(status_of(other.response()), 431);
}

TEST_F(LimitsTest, ASlowHeadIsAnswered408AndAnIdleConnectionClosed) {
  Limits limits;
  limits.header_deadline_ms = 200;
  limits.idle_ms = 400;
  start(limits);
  RawClient slow(server_->port());
  const auto begin = base::system_clock().steady_ms();
  std::string answer;
  for (int i = 0; i < 100 && answer.empty(); ++i) {
    if (!slow.send("G")) break;
    answer = slow.receive(20);
  }
  EXPECT_EQ(status_of(answer), 408);
  EXPECT_LT(base::system_clock().steady_ms() - begin, 1500);
  RawClient idle(server_->port());
  EXPECT_EQ(idle.receive(3000), "");
  EXPECT_TRUE(idle.closed(10));
  RawClient kept(server_->port());
  kept.send(get(""));
  EXPECT_EQ(status_of(kept.response()), 200);
  EXPECT_TRUE(kept.closed(3000));
}

TEST_F(LimitsTest, ASlowBodyAndASlowReaderAreCut) {
  Limits limits;
  limits.body_rate_window_ms = 300;
  start(limits);
  RawClient slow(server_->port());
  slow.send(post("Content-Length: 100000\r\n"));
  const auto begin = base::system_clock().steady_ms();
  std::string answer;
  while (answer.empty() && base::system_clock().steady_ms() - begin < 5000) {
    if (!slow.send("b")) break;
    answer = slow.receive(30);
  }
  EXPECT_EQ(status_of(answer), 408);
  EXPECT_LT(base::system_clock().steady_ms() - begin, 2000);
  // A reader that takes nothing loses its connection; one that takes a little at the least rate keeps it.
  RawClient reader(server_->port());
  reader.send("GET /big HTTP/1.1\r\nHost: x\r\n\r\n");
  for (int i = 0; i < 300 && server_->counts().requests_in_flight > 0; ++i) base::system_clock().sleep_ms(10);
  EXPECT_EQ(server_->counts().requests_in_flight, 0U);
  RawClient steady(server_->port());
  steady.send(post("Content-Length: 12000\r\n"));
  for (int i = 0; i < 12; ++i) {
    steady.send(std::string(1000, 's'));
    base::system_clock().sleep_ms(60);
  }
  EXPECT_EQ(status_of(steady.response()), 200);
}

TEST_F(LimitsTest, TooManyConnectionsAreToldSo) {
  Limits limits;
  limits.connections = 20;
  limits.connections_per_address = 2;  // not for loopback
  start(limits);
  std::vector<std::unique_ptr<RawClient>> held;
  for (int i = 0; i < 20; ++i) {
    held.push_back(std::make_unique<RawClient>(server_->port()));
    held.back()->send(get(""));
    EXPECT_EQ(status_of(held.back()->response()), 200);
  }
  RawClient refused(server_->port());
  const std::string answer = refused.response();
  EXPECT_EQ(status_of(answer), 503);
  EXPECT_NE(answer.find("Retry-After: "), std::string::npos);
  held.pop_back();
  for (int i = 0; i < 200 && server_->counts().connections >= 20; ++i) base::system_clock().sleep_ms(5);
  EXPECT_EQ(status(get("")), 200);
}

TEST_F(LimitsTest, TooManyRequestsInFlightAreToldSo) {
  Limits limits;
  limits.requests_in_flight = 4;
  start(limits);
  std::vector<std::unique_ptr<RawClient>> waiting;
  for (int i = 0; i < 4; ++i) {
    waiting.push_back(std::make_unique<RawClient>(server_->port()));
    waiting.back()->send("GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
  }
  for (int i = 0; i < 500 && handled_ < 4; ++i) base::system_clock().sleep_ms(2);
  const std::string answer = ask(get(""));
  EXPECT_EQ(status_of(answer), 503);
  EXPECT_NE(answer.find("Retry-After: "), std::string::npos);
  gate_.store(true);
  for (auto& client : waiting) EXPECT_EQ(status_of(client->response()), 200);
  for (int i = 0; i < 200 && server_->counts().requests_in_flight > 0; ++i) base::system_clock().sleep_ms(2);
  EXPECT_EQ(status(get("")), 200);
}

}  // namespace
}  // namespace tarn::http
