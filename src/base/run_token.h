#pragma once
// Run tokens: about as many workers run at once as there are cores; who blocks gives its token back (decision D1).
#include <atomic>
#include <functional>

namespace tarn::base {

/// Counts how many threads may run. Tokens tame, they do not guard: taking one back after a pause never waits, so a
/// thread may hold locks across a Pause without any risk of deadlock. Threads: any.
class RunTokens {
 public:
  explicit RunTokens(int count) : available_(count) {}
  bool try_acquire();
  /// Takes a token even when none is left: the count goes below zero and new work waits a little longer.
  void acquire_now() { available_.fetch_sub(1); }
  void release();
  int available() const { return available_.load(); }

  /// Called after a release while `wanted(true)` holds. Set once, before threads start.
  void on_release(std::function<void()> listener) { listener_ = std::move(listener); }
  /// Says that somebody waits for a token; calls nest.
  void wanted(bool yes) { wanted_.fetch_add(yes ? 1 : -1); }

 private:
  std::atomic<int> available_;
  std::atomic<int> wanted_{0};
  std::function<void()> listener_;
};

/// Marks the running thread as the holder of one token of `tokens` for a scope, and returns the token at its end.
class RunToken {
 public:
  explicit RunToken(RunTokens& tokens);
  ~RunToken();
  RunToken(const RunToken&) = delete;
  RunToken& operator=(const RunToken&) = delete;

  /// Put it around anything that blocks: fsync, a network read, a wait for another thread. Costs two atomic operations;
  /// does nothing on a thread without a token, and nests.
  class Pause {
   public:
    Pause();
    ~Pause();
    Pause(const Pause&) = delete;
    Pause& operator=(const Pause&) = delete;
  };

 private:
  RunTokens* outer_;
};

}  // namespace tarn::base
