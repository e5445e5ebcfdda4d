#pragma once
// What travels with every call: deadline, cancellation, who asks, and the id that ties log lines together.
#include <atomic>
#include <limits>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/result.h"

namespace tarn::base {

/// Cheap to copy. Threads: any may read; cancel() may be called from any thread.
class Context {
 public:
  Context() : cancelled_(std::make_shared<std::atomic<bool>>(false)) {}

  /// A copy whose deadline is at most `ms` from now.
  Context with_timeout(Clock& clock, int64_t ms) const {
    Context copy = *this;
    const SteadyMs at = clock.steady_ms() + ms;
    if (at < copy.deadline_) copy.deadline_ = at;
    return copy;
  }
  Context with_request(std::string id) const {
    Context copy = *this;
    copy.request_id_ = std::move(id);
    return copy;
  }
  Context with_principal(std::string name) const {
    Context copy = *this;
    copy.principal_ = std::move(name);
    return copy;
  }
  /// A context that outlives the request it came from: same ids, no deadline, own cancellation.
  Context detached() const {
    Context copy;
    copy.request_id_ = request_id_;
    copy.principal_ = principal_;
    return copy;
  }

  void cancel() const { cancelled_->store(true); }
  bool cancelled() const { return cancelled_->load(std::memory_order_relaxed); }
  SteadyMs deadline() const { return deadline_; }
  /// Errors: kCancelled, kDeadline. Call it before work that takes long and inside its loops.
  Result<void> check(Clock& clock) const {
    if (cancelled()) return Error(Code::kCancelled, "request", "the caller went away");
    if (deadline_ != kNoDeadline && clock.steady_ms() >= deadline_)
      return Error(Code::kDeadline, "request", "the time allowed for this request is over");
    return {};
  }
  const std::string& request_id() const { return request_id_; }
  /// The user in whose name this runs; empty for the server itself.
  const std::string& principal() const { return principal_; }

 private:
  static constexpr SteadyMs kNoDeadline = std::numeric_limits<SteadyMs>::max();
  SteadyMs deadline_ = kNoDeadline;
  std::shared_ptr<std::atomic<bool>> cancelled_;
  std::string request_id_;
  std::string principal_;
};

}  // namespace tarn::base

namespace tarn {
using base::Context;
}
