#pragma once
// The edge: one thread with epoll that owns every connection no worker has.
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "http/detail/connection.h"
#include "http/detail/listener.h"
#include "http/detail/workers.h"

namespace tarn::http::detail {

using Shared = std::shared_ptr<Connection>;

/// Accepts, reads heads, keeps time. Passes a complete head to `dispatch`, which runs on the edge thread and must not
/// block. Threads: start, drain, cut, close from the owner's; hand_back and linger from workers.
class Edge {
 public:
  struct Calls {
    /// A head is complete in connection->head; the connection is busy. @return true when the answer was given at once
    /// and the edge shall go on reading.
    std::function<bool(const Shared&)> dispatch;
    /// Answers without a handler; the connection is closed after it.
    std::function<std::string(const Refusal&)> refusal_text;
  };

  Edge(const Server::Options& options, Calls calls);
  ~Edge();
  Result<void> start(Listener listener, TlsContext tls);
  /// Closes the listener and every connection that no worker has.
  void drain() { command(kDrain); }
  /// Cancels and cuts what workers have.
  void cut() { command(kDrain | kCut); }
  /// Ends the thread and closes everything; workers must be gone.
  void close();

  /// The connection goes to a worker: epoll says no more about it. On the edge thread.
  void release(Connection& connection);
  /// A worker is done with a request: wait for the next one.
  void hand_back(const Shared& connection);
  /// A worker has said goodbye: read the rest away for a moment, then close.
  void linger(const Shared& connection);
  /// Drops a connection without goodbye (RST), so that half an answer is never taken for a whole one.
  void abort(const Shared& connection);

  size_t connections() const { return count_.load(std::memory_order_relaxed); }
  bool draining() const { return (commands_.load() & kDrain) != 0; }

 private:
  static constexpr unsigned kDrain = 1, kCut = 2, kClose = 4;
  void command(unsigned bits);
  void run();
  void obey(unsigned commands);
  void accept_some();
  void refuse_arrival(int descriptor);
  void on_ready(int descriptor);
  void shake(const Shared& connection);
  void read_heads(const Shared& connection);
  bool take_head(const Shared& connection);
  void refuse(const Shared& connection, const Refusal& refusal);
  void left(const Shared& connection);
  void read_away(const Shared& connection);
  void arm(Connection& connection, uint32_t events);
  void wait_on(const Shared& connection);
  void wait_in(const Shared& connection, Connection::Phase phase, int64_t ms, uint32_t events);
  void drop(int descriptor);
  void check_deadlines();
  int64_t tick_ms() const;

  const Limits& limits_;
  base::Clock& clock_;
  Calls calls_;
  Listener listener_;
  TlsContext tls_;
  int epoll_ = -1;
  int wake_ = -1;
  int reserve_ = -1;  // given up for a moment when descriptors run out, so that arrivals can be told
  bool accepting_ = false;
  base::SteadyMs accept_again_ = 0;
  base::SteadyMs checked_ = 0;
  std::vector<Shared> table_;  // by descriptor; the edge thread's alone
  std::map<std::string, size_t> per_address_;
  std::atomic<size_t> count_{0};
  std::atomic<unsigned> commands_{0};
  base::Thread thread_;
};

}  // namespace tarn::http::detail
