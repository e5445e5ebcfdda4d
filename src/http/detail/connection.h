#pragma once
// One accepted connection. It is always in exactly one hand: the edge's or a worker's.
#include <sys/socket.h>
#include <unistd.h>

#include <optional>
#include <string>

#include "base/context.h"
#include "base/mutex.h"
#include "http/detail/head.h"
#include "http/detail/request_body.h"
#include "http/detail/stream.h"
#include "http/detail/tls.h"

namespace tarn::http::detail {

struct Connection {
  enum class Phase {
    kHandshake,  ///< edge: TLS not ready
    kIdle,       ///< edge: no byte of the next head yet
    kHead,       ///< edge: part of a head
    kBusy,       ///< worker
    kLinger,     ///< edge: we said goodbye and read the rest away, so that the client gets to see our answer
  };

  Connection(int fd, Tls session, const Limits& limits, base::Clock& clock)
      : descriptor(fd), tls(std::move(session)), stream(fd, tls.get(), limits, clock) {}
  ~Connection() {
    tls.reset();
    ::close(descriptor);
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  const int descriptor;
  Tls tls;
  Stream stream;
  std::string peer;
  bool loopback = false;

  // Of whoever holds the connection.
  Input input;
  HeadScanner scanner;
  std::optional<Head> head;        ///< complete, waiting for its worker
  std::optional<Request> request;  ///< made of the head already; without body and id
  bool target_is_fine = false;     ///< of `request`
  std::string unsent;              ///< of an answer given on the edge, for a worker to finish
  bool close_after_unsent = false;
  size_t lingered = 0;

  // Guarded by `mutex`, which passes the connection from hand to hand.
  base::Mutex mutex;
  Phase phase = Phase::kIdle;
  base::SteadyMs deadline = 0;
  std::optional<Context> running;  ///< of the handler at work, to cancel when the server stops or the client leaves
  bool watched = false;            ///< busy, and epoll tells when the client leaves
  bool armed_for_good = false;     ///< the edge's: epoll tells of every byte, and needs not be asked again
};

}  // namespace tarn::http::detail
