#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include "base/disk.h"
#include "http/client.h"
#include "http/server.h"
#include "http/testing/certificate.h"
#include "http/testing/raw_client.h"

namespace tarn::http {
namespace {

class TlsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = ::testing::TempDir() + "tarn_tls_" + std::to_string(::getpid());
    ASSERT_TRUE(base::system_disk().make_directories(folder_));
    options_.listen = "127.0.0.1:0";
    options_.tls_certificate_file = folder_ + "/certificate.pem";
    options_.tls_key_file = folder_ + "/key.pem";
    ASSERT_TRUE(testing::make_certificate(options_.tls_certificate_file, options_.tls_key_file));
  }
  void TearDown() override { static_cast<void>(base::system_disk().remove_all(folder_)); }

  Server::Options options_;
  std::string folder_;
};

class Span final : public BodySource {
 public:
  explicit Span(std::string bytes) : inner_(std::move(bytes)) {}
  Result<size_t> read(char* buffer, size_t size) override { return inner_.read(buffer, size); }
  std::optional<uint64_t> size() const override { return inner_.size(); }
  // Over TLS the span must not be used: the descriptor is no file.
  std::optional<FileSpan> file() const override { return FileSpan{-1, 0, *inner_.size()}; }

 private:
  StringSource inner_;
};

TEST_F(TlsTest, CarriesBodiesBothWaysOverOneConnection) {
  Server server(options_);
  ASSERT_TRUE(server.start([](const Context&, Request& request) {
    EXPECT_TRUE(request.secure);
    auto body = request.read_body(64 << 20);
    if (!body) return text(400, body.error().text());
    return stream(200, "text/plain", std::make_unique<Span>(*body));
  }));
  CurlClient client;
  for (const size_t size : {0, 1, 100, 16'384, 100'000, 5'000'000}) {
    ClientRequest request;
    request.method = "PUT";
    request.url = "https://" + server.address() + "/";
    request.ca_file = options_.tls_certificate_file;
    request.body = std::string(size, 's');
    const auto response = client.send(Context(), request);
    ASSERT_TRUE(response) << response.error().text();
    EXPECT_EQ(response->body, request.body);
  }
  EXPECT_LE(server.counts().connections, 1U);
  ClientRequest unknown;
  unknown.url = "https://" + server.address() + "/";
  EXPECT_EQ(client.send(Context(), unknown).error().code(), Code::kUnavailable);
}

TEST_F(TlsTest, SilentAndWrongClientsDoNotDisturb) {
  options_.limits.header_deadline_ms = 200;
  Server server(options_);
  ASSERT_TRUE(server.start([](const Context&, Request&) { return text(200, "ok"); }));
  testing::RawClient silent(server.port());
  testing::RawClient plain(server.port());
  plain.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  ClientRequest request;
  request.url = "https://" + server.address() + "/";
  request.ca_file = options_.tls_certificate_file;
  EXPECT_EQ(CurlClient().send(Context(), request)->body, "ok");
  plain.receive_all();
  EXPECT_EQ(silent.receive(3000), "");
  for (int i = 0; i < 400 && server.counts().connections > 0; ++i) base::system_clock().sleep_ms(5);
  EXPECT_EQ(server.counts().connections, 0U);
}

TEST_F(TlsTest, AnUnusableCertificateIsNamed) {
  options_.tls_certificate_file = folder_ + "/absent.pem";
  const auto started = Server(options_).start({});
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().code(), Code::kInvalid);
  EXPECT_NE(started.error().message().find("absent.pem"), std::string::npos);
}

}  // namespace
}  // namespace tarn::http
