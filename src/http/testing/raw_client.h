#pragma once
// A bare socket for tests: it can be rude.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <string_view>

namespace tarn::http::testing {

class RawClient {
 public:
  explicit RawClient(uint16_t port) : descriptor_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = ::connect(descriptor_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  }
  ~RawClient() { close(); }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  bool connected() const { return connected_; }
  void close() {
    if (descriptor_ >= 0) ::close(descriptor_);
    descriptor_ = -1;
  }
  void half_close() { ::shutdown(descriptor_, SHUT_WR); }
  /// @return false when the connection broke.
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(n));
    }
    return true;
  }
  /// One piece; empty when the peer closed, reset, or nothing came in time.
  std::string receive(int timeout_ms = 5000) {
    pollfd one{descriptor_, POLLIN, 0};
    if (::poll(&one, 1, timeout_ms) <= 0) return {};
    char buffer[65536];
    const ssize_t n = ::recv(descriptor_, buffer, sizeof buffer, 0);
    reset_ = n < 0;
    ended_ = n == 0;
    return n > 0 ? std::string(buffer, static_cast<size_t>(n)) : std::string();
  }
  /// Everything until the peer closes.
  std::string receive_all(int timeout_ms = 5000) {
    std::string all;
    for (std::string piece = receive(timeout_ms); !piece.empty(); piece = receive(timeout_ms)) all += piece;
    return all;
  }
  /// One whole answer with Content-Length; what follows it stays for the next call.
  std::string response(int timeout_ms = 5000, bool head_only = false) {
    for (;;) {
      const size_t end = pending_.find("\r\n\r\n");
      if (end != std::string::npos) {
        size_t length = 0;
        if (const size_t at = pending_.find("Content-Length: "); at < end && !head_only)
          length = std::stoul(pending_.substr(at + 16));
        if (pending_.size() >= end + 4 + length) {
          const std::string out = pending_.substr(0, end + 4 + length);
          pending_.erase(0, out.size());
          return out;
        }
      }
      const std::string piece = receive(timeout_ms);
      if (piece.empty()) return std::exchange(pending_, {});
      pending_ += piece;
    }
  }
  /// The peer closed in good order.
  bool closed(int timeout_ms = 5000) {
    receive(timeout_ms);
    return ended_;
  }
  bool reset() const { return reset_; }

 private:
  int descriptor_;
  bool connected_ = false;
  bool ended_ = false;
  bool reset_ = false;
  std::string pending_;
};

inline int status_of(std::string_view response) {
  return response.size() > 12 && response.starts_with("HTTP/1.1 ") ? std::atoi(response.data() + 9) : 0;
}

inline std::string body_of(std::string_view response) {
  const size_t end = response.find("\r\n\r\n");
  return end == std::string_view::npos ? std::string() : std::string(response.substr(end + 4));
}

}  // namespace tarn::http::testing
