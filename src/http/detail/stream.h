#pragma once
// One accepted socket as a worker sees it: blocking calls over a non-blocking socket, with a minimum rate.
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "http/body.h"
#include "http/server.h"

struct ssl_st;

namespace tarn::http::detail {

/// Used by one thread at a time. Waiting gives the run token back. Only time spent waiting for the peer counts against
/// its rate, so a slow handler is never blamed on the client.
class Stream {
 public:
  Stream(int descriptor, ssl_st* tls, const Limits& limits, base::Clock& clock)
      : descriptor_(descriptor), tls_(tls), limits_(limits), clock_(clock) {}

  /// 0 means that the peer closed. Errors: kCancelled (connection lost), kDeadline (too slow).
  Result<size_t> read_some(char* buffer, size_t size);
  /// As read_some, without waiting: nullopt when nothing is there.
  Result<std::optional<size_t>> read_now(char* buffer, size_t size);
  enum class More { kNo, kYes };
  Result<void> write_all(std::string_view first, std::string_view second = {}, More more = More::kNo);
  /// How many bytes left without waiting.
  Result<size_t> write_now(std::string_view bytes);
  /// Errors: those of write_all; kCorrupt when the file is shorter than the span.
  Result<void> send_file(FileSpan span);
  bool has_tls() const { return tls_ != nullptr; }

 private:
  struct Rate {
    int64_t waited_ms = 0;
    uint64_t bytes = 0;
  };
  enum class Want { kRead, kWrite };
  struct Io {
    ssize_t count = 0;  // < 0: `want` says what to wait for
    Want want = Want::kRead;
  };
  Result<Io> receive(char* buffer, size_t size);
  Result<Io> send(std::string_view first, std::string_view second, More more);
  Result<void> wait(Want want, Rate& rate);

  int descriptor_;
  ssl_st* tls_;
  const Limits& limits_;
  base::Clock& clock_;
  Rate in_;
  Rate out_;
};

}  // namespace tarn::http::detail
