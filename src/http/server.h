#pragma once
// The HTTP/1.1 server: an epoll edge holds idle connections and partial heads, blocking workers run the handlers.
#include <cstdint>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/random.h"
#include "base/run_token.h"
#include "http/response.h"

namespace tarn::http {

/// Sizes in bytes, times in milliseconds.
struct Limits {
  size_t request_line = 16 * 1024;      ///< 414
  size_t header_field = 16 * 1024;      ///< 431
  size_t header_bytes = 64 * 1024;      ///< 431, all fields together
  size_t header_count = 128;            ///< 431
  int64_t header_deadline_ms = 30'000;  ///< first byte to the end of the head: 408
  int64_t idle_ms = 75'000;             ///< between requests: close
  uint64_t body_rate_min = 1024;        ///< bytes a second, both ways, while the peer is waited for
  int64_t body_rate_window_ms = 30'000;
  size_t connections = 16'384;
  size_t connections_per_address = 512;  ///< not counted on loopback
  size_t requests_in_flight = 2'048;     ///< 503 with Retry-After
  size_t drain_bytes = 64 * 1024;        ///< an unread body larger than this closes the connection
  size_t chunk_extension = 256;
  size_t trailer_bytes = 8 * 1024;
};

/// Lifecycle: construct, start, stop; the destructor stops with no grace. Threads: start and stop from one thread.
class Server {
 public:
  struct Options {
    std::string listen = "127.0.0.1:8000";  ///< port 0 takes a free one
    size_t workers_max = 2'048;             ///< threads, made on demand; each runs one request
    int run_tokens = 0;                     ///< how many run at once; 0: cores + 1
    std::string tls_certificate_file;       ///< PEM chain; empty: plain HTTP
    std::string tls_key_file;
    std::string server_name = "tarn";  ///< Server header
    Limits limits;
    /// True for a request whose handler never waits for a disk or another thread, or says so (base::MemoryOnly): it is
    /// answered on the edge thread. What was missed there is asked again on a worker, so it must be a read.
    std::function<bool(const Request&)> answers_at_once;
    base::Clock* clock = &base::system_clock();
    base::Random* random = &base::system_random();
  };

  explicit Server(Options options);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// Binds and begins to serve; `handler` runs on many threads at once and must not throw (what it throws is a 500).
  /// Errors: kInvalid (address, certificate), kUnavailable (the address is in use or may not be bound).
  Result<void> start(Handler handler);
  /// The bound port; 0 before start.
  uint16_t port() const;
  /// "127.0.0.1:8000" as bound.
  std::string address() const;
  /// Accepts nothing more, lets running requests finish for at most `grace_ms`, then cancels their contexts and cuts
  /// their connections. Returns when every thread is gone. @return false when it had to cut.
  bool stop(int64_t grace_ms);

  struct Counts {
    size_t connections = 0;
    size_t requests_in_flight = 0;
    size_t worker_threads = 0;
    uint64_t requests_total = 0;
  };
  Counts counts() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tarn::http
