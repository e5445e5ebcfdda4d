#include "http/server.h"

#include <fmt/core.h>

#include <csignal>
#include <cstring>
#include <thread>

#include "base/ids.h"
#include "base/json.h"
#include "base/log.h"
#include "base/memory_only.h"
#include "base/metrics.h"
#include "http/detail/edge.h"
#include "http/detail/response_writer.h"

namespace tarn::http {
namespace {

using detail::Connection;
using detail::Envelope;
using detail::Head;
using detail::Refusal;
using detail::RequestBody;
using detail::Shared;

// Pipelined requests that one worker answers before others get their turn.
constexpr int kTurn = 16;
// Requests that go to a worker untried after many that had to wait for the disk.
constexpr size_t kUntriedMax = 64;

/// Random bytes by the page: one system call for 256 request ids.
class PagedRandom final : public base::Random {
 public:
  explicit PagedRandom(base::Random& source) : source_(source) {}
  void fill(void* bytes, size_t count) override {
    base::Lock lock(mutex_);
    if (count > left_) {
      source_.fill(page_.data(), page_.size());
      left_ = page_.size();
    }
    std::memcpy(bytes, page_.data() + page_.size() - left_, count);
    left_ -= count;
  }

 private:
  base::Random& source_;
  base::Mutex mutex_;  ///< guards what follows
  size_t left_ = 0;
  std::array<char, 4096> page_{};
};

Response refusal_response(const Refusal& refusal) {
  Response response = json(refusal.status, "{\"message\":\"" + refusal.message + "\"}");
  if (refusal.status == 503) response.headers.add("Retry-After", "1");
  return response;
}

Request request_of(Head& head, const Connection& connection) {
  Request request;
  request.method = head.method;
  request.method_text = std::move(head.method_text);
  request.target = std::move(head.target);
  request.headers = std::move(head.headers);
  request.content_length = head.content_length;
  request.peer_address = connection.peer;
  request.peer_is_loopback = connection.loopback;
  request.secure = connection.tls != nullptr;
  return request;
}

}  // namespace

class Server::Impl {
 public:
  explicit Impl(Options options)
      : options_(std::move(options)),
        ids_(*options_.random),
        edge_(options_,
              {[this](const Shared& c) { return dispatch(c); }, [this](const Refusal& r) { return refused(r); }}),
        workers_(options_.workers_max, tokens_of(options_)) {}
  ~Impl() { stop(0); }

  Result<void> start(Handler handler) {
    ENSURE(!started_);
    std::signal(SIGPIPE, SIG_IGN);  // sendfile and OpenSSL know no MSG_NOSIGNAL
    detail::raise_file_limit();
    handler_ = std::move(handler);
    detail::TlsContext tls;
    if (!options_.tls_certificate_file.empty()) {
      TRY_LET(tls, detail::make_tls_context(options_.tls_certificate_file, options_.tls_key_file));
    }
    TRY_LET(detail::Listener listener, detail::listen_on(options_.listen));
    port_ = listener.port;
    address_ = listener.address;
    TRY(edge_.start(std::move(listener), std::move(tls)));
    started_ = true;
    return {};
  }

  bool stop(int64_t grace_ms) {
    if (!started_) return true;
    edge_.drain();
    base::Lock lock(mutex_);
    const bool finished = quiet_.wait_for(lock, std::chrono::milliseconds(grace_ms), [&] { return in_flight_ == 0; });
    lock.unlock();
    if (!finished) edge_.cut();
    workers_.close();
    edge_.close();
    started_ = false;
    return finished;
  }

  uint16_t port() const { return port_; }
  std::string address() const { return address_; }
  Counts counts() const { return {edge_.connections(), in_flight_.load(), workers_.threads(), total_.load()}; }

 private:
  static int tokens_of(const Options& options) {
    if (options.run_tokens > 0) return options.run_tokens;
    return static_cast<int>(std::max(1U, std::thread::hardware_concurrency())) + 1;
  }

  Envelope envelope(std::string_view request_id) const {
    Envelope out;
    out.server_name = options_.server_name;
    out.request_id = request_id;
    out.now = options_.clock->wall_ms();
    return out;
  }

  std::string new_request_id() { return base::uuid7(*options_.clock, ids_); }

  std::string refused(const Refusal& refusal) {
    const std::string id = new_request_id();
    Envelope out = envelope(id);
    out.keep_alive = false;
    return detail::small_response(refusal_response(refusal), out);
  }

  // On the edge thread.
  bool dispatch(const Shared& connection) {
    total_.fetch_add(1, std::memory_order_relaxed);
    if (options_.answers_at_once && connection->head->content_length == 0) {
      Request& request = connection->request.emplace(request_of(*connection->head, *connection));
      connection->target_is_fine = detail::fill_target(request);
      if (connection->target_is_fine && options_.answers_at_once(request) && may_try()) {
        if (const auto goes_on = answer_at_once(connection, request)) return *goes_on;
      }
    }
    edge_.release(*connection);
    const bool busy = in_flight_.fetch_add(1) >= options_.limits.requests_in_flight;
    // Counted first, then asked: stop() does the same the other way round, so that none slips between.
    if (busy || edge_.draining()) {
      const auto sent = connection->stream.write_now(
          refused({503, busy ? "too many requests at once: retry in a moment" : "the server is stopping"}));
      leave();
      if (sent) {
        edge_.linger(connection);
      } else {
        edge_.abort(connection);
      }
      return false;
    }
    workers_.submit([this, connection] { serve(connection); });
    return false;
  }

  // What lies on the disk costs a try: while tries fail, fewer are made.
  bool may_try() {
    if (untried_ == 0) return true;
    --untried_;
    return false;
  }

  // @return nullopt when the disk must be waited for, else whether the edge goes on.
  std::optional<bool> answer_at_once(const Shared& connection, Request& request) {
    request.request_id = new_request_id();
    StringReader nothing{std::string()};
    request.body = &nothing;
    Envelope out = envelope(request.request_id);
    out.minor_version = connection->head->minor_version;
    out.keep_alive = connection->head->keep_alive && !edge_.draining();
    out.head_only = request.method == Method::kHead;
    Response response;
    {
      const base::MemoryOnly memory;
      response = run_handler(Context().with_request(request.request_id), request);
      if (memory.missed() || response.source) {
        untried_ = misses_in_row_ = std::min<size_t>(2 * misses_in_row_ + 1, kUntriedMax);
        request.body = nullptr;
        return std::nullopt;
      }
    }
    misses_in_row_ = 0;
    answered_[std::clamp(response.status / 100, 1, 5)]->add();
    const std::string text = detail::small_response(response, out);
    connection->head.reset();
    connection->request.reset();
    const auto sent = connection->stream.write_now(text);
    if (!sent) {
      edge_.abort(connection);
      return false;
    }
    if (*sent == text.size() && out.keep_alive) return true;
    // The socket is full, or it must be closed: a worker may wait for it.
    connection->unsent = text.substr(*sent);
    connection->close_after_unsent = !out.keep_alive;
    edge_.release(*connection);
    in_flight_.fetch_add(1);
    workers_.submit([this, connection] { serve(connection); });
    return false;
  }

  // On a worker: requests of one connection, one after the other.
  void serve(const Shared& connection) {
    bool mine = true;
    if (!connection->unsent.empty() || connection->close_after_unsent) mine = finish_unsent(connection);
    for (int turn = 0; mine; ++turn) {
      if (connection->head) {
        mine = exchange(connection);
        if (!mine) break;
      }
      mine = next_head(connection);
      if (mine && turn >= kTurn) {
        workers_.submit([this, connection] { serve(connection); });
        return;  // still in flight
      }
    }
    leave();
  }

  bool finish_unsent(const Shared& connection) {
    const auto sent = connection->stream.write_all(connection->unsent);
    connection->unsent = std::string();
    if (!sent) {
      edge_.abort(connection);
      return false;
    }
    if (!connection->close_after_unsent) return true;
    edge_.linger(connection);
    return false;
  }

  // Looks for a pipelined request. @return false when the connection went back to the edge.
  bool next_head(const Shared& connection) {
    if (edge_.draining()) {
      edge_.linger(connection);
      return false;
    }
    auto& input = connection->input;
    if (connection->tls) {
      // OpenSSL may hold decrypted bytes that epoll does not know of.
      char piece[16 * 1024];
      const auto got = connection->stream.read_now(piece, sizeof piece);
      if (!got || *got == std::optional<size_t>(0)) {
        edge_.linger(connection);
        return false;
      }
      if (*got) input.append({piece, **got});
    }
    if (input.view().starts_with("\r\n")) input.consume(2);
    if (!input.view().empty()) {
      using Verdict = detail::HeadScanner::Verdict;
      const Verdict verdict = connection->scanner.scan(input.view(), options_.limits);
      std::optional<Refusal> refusal;
      if (verdict == Verdict::kRefused) refusal = connection->scanner.refusal();
      if (verdict == Verdict::kComplete) {
        auto parsed = detail::parse_head(input.view().substr(0, connection->scanner.size()));
        input.consume(connection->scanner.size());
        connection->scanner.reset();
        if (auto* head = std::get_if<Head>(&parsed)) {
          connection->head = std::move(*head);
          total_.fetch_add(1, std::memory_order_relaxed);
          return true;
        }
        refusal = std::get<Refusal>(parsed);
      }
      if (refusal) {
        static_cast<void>(connection->stream.write_all(refused(*refusal)));
        edge_.linger(connection);
        return false;
      }
    }
    edge_.hand_back(connection);
    return false;
  }

  // One request and its answer. @return false when the connection was given away.
  bool exchange(const Shared& connection) {
    Head head = std::move(*connection->head);
    connection->head.reset();
    const bool keep_alive = head.keep_alive;
    RequestBody body(head, connection->input, connection->stream, options_.limits);
    Envelope out = envelope({});
    out.minor_version = head.minor_version;
    bool target_is_fine = connection->target_is_fine;
    Request request;
    if (connection->request) {
      request = std::move(*connection->request);
      connection->request.reset();
    } else {
      request = request_of(head, *connection);
      target_is_fine = detail::fill_target(request);
    }
    request.body = &body;
    request.request_id = new_request_id();
    out.request_id = request.request_id;
    out.head_only = request.method == Method::kHead;

    const Context ctx = Context().with_request(request.request_id);
    {
      base::Lock lock(connection->mutex);
      connection->running = ctx;
    }
    Response response = target_is_fine
                            ? run_handler(ctx, request)
                            : refusal_response({400, "the address holds a '%' without two hex digits after it"});
    {
      // From here on the socket itself tells whether the client is still there.
      base::Lock lock(connection->mutex);
      connection->running.reset();
    }
    out.keep_alive = keep_alive && body.worth_draining() && !edge_.draining();
    const auto written = detail::write_response(connection->stream, response, out);
    answered_[std::clamp(response.status / 100, 1, 5)]->add();
    if (!written) {
      ctx.cancel();
      const bool theirs = written.error().code() == Code::kCancelled || written.error().code() == Code::kDeadline;
      base::log(ctx, theirs ? base::Level::kDebug : base::Level::kError, "an answer was cut",
                {{"target", request.raw_path}, {"reason", written.error().text()}});
      response.source.reset();
      edge_.abort(connection);
      return false;
    }
    if (out.keep_alive && body.drain()) return true;
    edge_.linger(connection);
    return false;
  }

  Response run_handler(const Context& ctx, Request& request) {
    try {
      return handler_(ctx, request);
    } catch (const std::exception& error) {
      base::log(ctx, base::Level::kError, "a handler threw", {{"what", error.what()}, {"target", request.raw_path}});
    } catch (...) {
      base::log(ctx, base::Level::kError, "a handler threw", {{"target", request.raw_path}});
    }
    return json(500, R"({"message":"internal error: see the server's log under this request's X-Request-ID"})");
  }

  void leave() {
    if (in_flight_.fetch_sub(1) != 1) return;
    if (!edge_.draining()) return;
    base::Lock lock(mutex_);
    quiet_.notify_all();
  }

  static std::array<base::Counter*, 6> answer_counters() {
    std::array<base::Counter*, 6> counters{};
    for (size_t i = 1; i < counters.size(); ++i)
      counters[i] = &base::metrics().counter("tarn_http_answers_total", fmt::format("status=\"{}xx\"", i));
    return counters;
  }

  const Options options_;
  const std::array<base::Counter*, 6> answered_ = answer_counters();  // by the status's first digit
  PagedRandom ids_;
  Handler handler_;
  size_t untried_ = 0, misses_in_row_ = 0;  // the edge thread's
  std::atomic<size_t> in_flight_{0};
  std::atomic<uint64_t> total_{0};
  base::Mutex mutex_;
  base::Condition quiet_;
  uint16_t port_ = 0;
  std::string address_;
  bool started_ = false;
  detail::Edge edge_;
  detail::Workers workers_;
};

Server::Server(Options options) : impl_(std::make_unique<Impl>(std::move(options))) {}
Server::~Server() = default;
Result<void> Server::start(Handler handler) { return impl_->start(std::move(handler)); }
uint16_t Server::port() const { return impl_->port(); }
std::string Server::address() const { return impl_->address(); }
bool Server::stop(int64_t grace_ms) { return impl_->stop(grace_ms); }
Server::Counts Server::counts() const { return impl_->counts(); }

}  // namespace tarn::http
