#include "http/detail/edge.h"

#include <fmt/core.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <cerrno>

#include "base/log.h"
#include "base/metrics.h"

namespace tarn::http::detail {
namespace {

using Phase = Connection::Phase;
constexpr int64_t kLingerMs = 3'000;
constexpr size_t kLingerBytes = 8 << 20;
constexpr size_t kReadPiece = 16 * 1024;
constexpr int kTurn = 64;  // answers to one connection before others get their turn

void cut_socket(int descriptor) { ::shutdown(descriptor, SHUT_RDWR); }

}  // namespace

Edge::Edge(const Server::Options& options, Calls calls)
    : limits_(options.limits), clock_(*options.clock), calls_(std::move(calls)) {}

Edge::~Edge() { close(); }

Result<void> Edge::start(Listener listener, TlsContext tls) {
  listener_ = std::move(listener);
  tls_ = std::move(tls);
  epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
  wake_ = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  reserve_ = ::eventfd(0, EFD_CLOEXEC);
  if (epoll_ < 0 || wake_ < 0 || reserve_ < 0)
    return Error(Code::kUnavailable, "listen", fmt::format("no descriptors left: {}", std::strerror(errno)));
  for (const int descriptor : {wake_, listener_.descriptor}) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = descriptor;
    ::epoll_ctl(epoll_, EPOLL_CTL_ADD, descriptor, &event);
  }
  accepting_ = true;
  thread_ = base::Thread([this] { run(); });
  return {};
}

void Edge::command(unsigned bits) {
  commands_.fetch_or(bits);
  const uint64_t one = 1;
  if (wake_ >= 0) static_cast<void>(!::write(wake_, &one, sizeof one));
}

void Edge::close() {
  if (thread_.joinable()) {
    command(kDrain | kCut | kClose);
    thread_.join();
  }
  table_.clear();
  count_ = 0;
  for (int* descriptor : {&listener_.descriptor, &epoll_, &wake_, &reserve_}) {
    if (*descriptor >= 0) ::close(*descriptor);
    *descriptor = -1;
  }
}

int64_t Edge::tick_ms() const {
  const int64_t least = std::min({limits_.header_deadline_ms, limits_.idle_ms, kLingerMs});
  return std::clamp<int64_t>(least / 4, 10, 1000);
}

void Edge::run() {
  std::vector<epoll_event> events(512);
  unsigned obeyed = 0;
  const int64_t tick = tick_ms();
  for (;;) {
    const int n = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), static_cast<int>(tick));
    const unsigned commands = commands_.load();
    if ((commands & kClose) != 0) return;
    for (int i = 0; i < n; ++i) {
      const int descriptor = events[static_cast<size_t>(i)].data.fd;
      if (descriptor == wake_) {
        uint64_t count = 0;
        static_cast<void>(!::read(wake_, &count, sizeof count));
      } else if (descriptor == listener_.descriptor) {
        accept_some();
      } else {
        on_ready(descriptor);
      }
    }
    if (commands != obeyed) obey(commands);
    obeyed = commands;
    const base::SteadyMs now = clock_.steady_ms();
    if (now - checked_ >= tick) {
      checked_ = now;
      check_deadlines();
      if (!accepting_ && listener_.descriptor >= 0 && now >= accept_again_) {
        accepting_ = true;
        epoll_event event{};
        event.events = EPOLLIN;
        event.data.fd = listener_.descriptor;
        ::epoll_ctl(epoll_, EPOLL_CTL_MOD, listener_.descriptor, &event);
      }
    }
  }
}

void Edge::obey(unsigned commands) {
  if (listener_.descriptor >= 0) {
    ::close(listener_.descriptor);
    listener_.descriptor = -1;
  }
  for (size_t i = 0; i < table_.size(); ++i) {
    const Shared connection = table_[i];
    if (!connection) continue;
    base::Lock lock(connection->mutex);
    if (connection->phase == Phase::kBusy) {
      if ((commands & kCut) == 0) continue;
      if (connection->running) connection->running->cancel();
      cut_socket(connection->descriptor);
      continue;
    }
    lock.unlock();
    if (connection->phase != Phase::kLinger) drop(static_cast<int>(i));
  }
}

void Edge::accept_some() {
  for (int i = 0; i < 64; ++i) {
    Arrival arrival = accept_on(listener_.descriptor);
    if (arrival.descriptor < 0) {
      if (errno == ECONNABORTED || errno == EINTR) continue;
      if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        // Tell one arrival with the descriptor kept for it, then rest: a level-triggered listener would spin.
        ::close(reserve_);
        arrival = accept_on(listener_.descriptor);
        if (arrival.descriptor >= 0) refuse_arrival(arrival.descriptor);
        reserve_ = ::eventfd(0, EFD_CLOEXEC);
        epoll_event none{};
        none.data.fd = listener_.descriptor;
        ::epoll_ctl(epoll_, EPOLL_CTL_MOD, listener_.descriptor, &none);
        accepting_ = false;
        accept_again_ = clock_.steady_ms() + 100;
        base::log(base::Level::kWarning, "no descriptor for a connection: raise the limit of open files");
      }
      return;
    }
    const bool full = count_.load() >= limits_.connections;
    const auto same = per_address_.find(arrival.address);
    const bool crowd = same != per_address_.end() && same->second >= limits_.connections_per_address;
    if (full || crowd) {
      refuse_arrival(arrival.descriptor);
      continue;
    }
    Tls session;
    if (tls_) {
      session = make_tls(tls_.get(), arrival.descriptor);
      if (!session) {
        ::close(arrival.descriptor);
        continue;
      }
    }
    const auto index = static_cast<size_t>(arrival.descriptor);
    auto connection = std::make_shared<Connection>(arrival.descriptor, std::move(session), limits_, clock_);
    connection->peer = arrival.address;
    connection->loopback = arrival.loopback;
    if (!arrival.loopback) ++per_address_[arrival.address];
    if (table_.size() <= index) table_.resize(index + 64);
    table_[index] = connection;
    count_.fetch_add(1);
    epoll_event event{};
    event.events = 0;
    event.data.fd = arrival.descriptor;
    ::epoll_ctl(epoll_, EPOLL_CTL_ADD, arrival.descriptor, &event);
    if (connection->tls) {
      wait_in(connection, Phase::kHandshake, limits_.header_deadline_ms, EPOLLIN);
    } else {
      wait_in(connection, Phase::kIdle, limits_.idle_ms, EPOLLIN);
    }
  }
}

void Edge::refuse_arrival(int descriptor) {
  base::metrics().counter("tarn_http_connections_refused_total").add();
  if (!tls_) {
    const std::string text = calls_.refusal_text({503, "too many connections: retry in a moment"});
    static_cast<void>(!::send(descriptor, text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL));
  }
  ::shutdown(descriptor, SHUT_WR);
  ::close(descriptor);
}

void Edge::arm(Connection& connection, uint32_t events) {
  epoll_event event{};
  event.events = events | EPOLLRDHUP | EPOLLONESHOT;
  event.data.fd = connection.descriptor;
  ::epoll_ctl(epoll_, EPOLL_CTL_MOD, connection.descriptor, &event);
}

void Edge::release(Connection& connection) {
  if (!connection.armed_for_good) return;
  connection.armed_for_good = false;
  epoll_event none{};
  none.events = EPOLLONESHOT;
  none.data.fd = connection.descriptor;
  ::epoll_ctl(epoll_, EPOLL_CTL_MOD, connection.descriptor, &none);
}

// For the next request of a connection whose latest one was answered on this thread: the more of them, the fewer
// system calls.
void Edge::wait_on(const Shared& connection) {
  base::Lock lock(connection->mutex);
  connection->deadline = clock_.steady_ms() + limits_.idle_ms;
  connection->phase = Phase::kIdle;
  if (connection->armed_for_good) return;
  connection->armed_for_good = true;
  epoll_event event{};
  event.events = EPOLLIN | EPOLLRDHUP;
  event.data.fd = connection->descriptor;
  ::epoll_ctl(epoll_, EPOLL_CTL_MOD, connection->descriptor, &event);
}

// After this call the connection is the edge's, if it was not before: a worker must not touch it again.
void Edge::wait_in(const Shared& connection, Phase phase, int64_t ms, uint32_t events) {
  base::Lock lock(connection->mutex);
  // The time allowed for a head runs from its first byte, not from its latest.
  if (connection->phase != phase || phase == Phase::kIdle) connection->deadline = clock_.steady_ms() + ms;
  connection->phase = phase;
  connection->running.reset();
  connection->watched = false;
  connection->armed_for_good = false;
  arm(*connection, events);
}

void Edge::hand_back(const Shared& connection) {
  if (draining()) {
    linger(connection);
    return;
  }
  connection->input.shrink();
  const bool fresh = connection->input.view().empty();
  wait_in(connection, fresh ? Phase::kIdle : Phase::kHead, fresh ? limits_.idle_ms : limits_.header_deadline_ms,
          EPOLLIN);
}

void Edge::linger(const Shared& connection) {
  if (connection->tls) close_notify(connection->tls.get());
  ::shutdown(connection->descriptor, SHUT_WR);
  wait_in(connection, Phase::kLinger, kLingerMs, EPOLLIN);
}

void Edge::abort(const Shared& connection) {
  const ::linger none{1, 0};
  ::setsockopt(connection->descriptor, SOL_SOCKET, SO_LINGER, &none, sizeof none);
  connection->lingered = kLingerBytes;
  wait_in(connection, Phase::kLinger, 0, EPOLLIN | EPOLLOUT);
}

void Edge::drop(int descriptor) {
  const auto index = static_cast<size_t>(descriptor);
  Shared connection = std::move(table_[index]);
  table_[index] = nullptr;
  if (!connection) return;
  count_.fetch_sub(1);
  if (!connection->loopback) {
    const auto it = per_address_.find(connection->peer);
    if (it != per_address_.end() && --it->second == 0) per_address_.erase(it);
  }
  // Closing takes it out of epoll. No worker holds it, so this is the last owner.
}

void Edge::on_ready(int descriptor) {
  const auto index = static_cast<size_t>(descriptor);
  const Shared connection = index < table_.size() ? table_[index] : nullptr;
  if (!connection) return;
  Phase phase;
  {
    base::Lock lock(connection->mutex);
    phase = connection->phase;
  }
  switch (phase) {
    case Phase::kHandshake:
      return shake(connection);
    case Phase::kIdle:
    case Phase::kHead:
      return read_heads(connection);
    case Phase::kLinger:
      return read_away(connection);
    case Phase::kBusy:
      return left(connection);
  }
}

// The client closed while a handler runs for it: nobody waits for the answer any more. A client that closes only its
// sending half looks the same; it gets whatever the handler makes of the cancellation.
void Edge::left(const Shared& connection) {
  base::Lock lock(connection->mutex);
  if (connection->phase != Phase::kBusy || !connection->running || !connection->watched) return;
  connection->running->cancel();
  base::metrics().counter("tarn_http_clients_left_total").add();
}

void Edge::shake(const Shared& connection) {
  switch (shake_hands(connection->tls.get())) {
    case Handshake::kDone:
      return read_heads(connection);
    case Handshake::kWantRead:
      return wait_in(connection, Phase::kHandshake, limits_.header_deadline_ms, EPOLLIN);
    case Handshake::kWantWrite:
      return wait_in(connection, Phase::kHandshake, limits_.header_deadline_ms, EPOLLOUT);
    case Handshake::kFailed:
      return drop(connection->descriptor);
  }
}

// Scans what is there; true when the connection has left for a worker or for good.
bool Edge::take_head(const Shared& connection) {
  // One empty line before a request is forgiven (RFC 9112, 2.2).
  if (connection->input.view().starts_with("\r\n")) connection->input.consume(2);
  switch (connection->scanner.scan(connection->input.view(), limits_)) {
    case HeadScanner::Verdict::kMore:
      return false;
    case HeadScanner::Verdict::kRefused:
      refuse(connection, connection->scanner.refusal());
      return true;
    case HeadScanner::Verdict::kComplete:
      break;
  }
  const size_t size = connection->scanner.size();
  auto parsed = parse_head(connection->input.view().substr(0, size));
  connection->input.consume(size);
  connection->scanner.reset();
  if (const auto* refusal = std::get_if<Refusal>(&parsed)) {
    refuse(connection, *refusal);
    return true;
  }
  connection->head = std::move(std::get<Head>(parsed));
  {
    base::Lock lock(connection->mutex);
    connection->phase = Phase::kBusy;
  }
  return !calls_.dispatch(connection);
}

void Edge::read_heads(const Shared& connection) {
  char piece[kReadPiece];
  int answered = 0;
  bool emptied = false;  // the socket, as far as one knows: epoll tells when more comes
  for (;;) {
    while (!connection->input.view().empty()) {
      const bool gone = take_head(connection);
      if (gone) return;
      if (connection->scanner.pending()) break;
      ++answered;
    }
    if (emptied || answered >= kTurn) break;
    const auto got = connection->stream.read_now(piece, sizeof piece);
    if (!got || *got == std::optional<size_t>(0)) return drop(connection->descriptor);
    if (!*got) break;
    connection->input.append({piece, **got});
    emptied = !connection->tls && **got < sizeof piece;
  }
  if (connection->input.view().empty()) {
    if (answered > 0 && !connection->tls) return wait_on(connection);
    wait_in(connection, Phase::kIdle, limits_.idle_ms, EPOLLIN);
  } else {
    wait_in(connection, Phase::kHead, limits_.header_deadline_ms, EPOLLIN);
  }
}

void Edge::refuse(const Shared& connection, const Refusal& refusal) {
  base::metrics().counter("tarn_http_requests_refused_total", fmt::format("status=\"{}\"", refusal.status)).add();
  const auto sent = connection->stream.write_now(calls_.refusal_text(refusal));
  if (!sent) return drop(connection->descriptor);
  linger(connection);
}

void Edge::read_away(const Shared& connection) {
  char piece[kReadPiece];
  for (int i = 0; i < 16 && connection->lingered < kLingerBytes; ++i) {
    const ssize_t n = ::recv(connection->descriptor, piece, sizeof piece, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return wait_in(connection, Phase::kLinger, kLingerMs, EPOLLIN);
    if (n <= 0) return drop(connection->descriptor);
    connection->lingered += static_cast<size_t>(n);
  }
  if (connection->lingered >= kLingerBytes) return drop(connection->descriptor);
  wait_in(connection, Phase::kLinger, kLingerMs, EPOLLIN);
}

void Edge::check_deadlines() {
  const base::SteadyMs now = clock_.steady_ms();
  for (size_t i = 0; i < table_.size(); ++i) {
    if (!table_[i]) continue;
    Phase phase;
    {
      base::Lock lock(table_[i]->mutex);
      phase = table_[i]->phase;
      // Only a request that lasts is watched, so that a short one costs no system call for it.
      if (phase == Phase::kBusy && table_[i]->running && !table_[i]->watched) {
        table_[i]->watched = true;
        arm(*table_[i], 0);
      }
      if (phase == Phase::kBusy || now < table_[i]->deadline) continue;
    }
    if (phase == Phase::kHead) {
      refuse(Shared(table_[i]), {408, "the request head did not arrive in time"});
    } else {
      drop(static_cast<int>(i));
    }
  }
}

}  // namespace tarn::http::detail
