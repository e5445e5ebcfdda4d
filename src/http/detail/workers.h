#pragma once
// A pool that grows on demand and lets about as many of its threads run as there are run tokens.
#include <deque>
#include <functional>
#include <list>
#include <vector>

#include "base/mutex.h"
#include "base/run_token.h"

namespace tarn::http::detail {

/// Jobs start in the order of submission. Threads: any may submit.
class Workers {
 public:
  Workers(size_t threads_max, int tokens);
  ~Workers();
  void submit(std::function<void()> job);
  /// Finishes what was submitted, then ends all threads. Returns when they are gone.
  void close();
  size_t threads() const;

 private:
  void run(std::list<base::Thread>::iterator self);
  void spawn_if_short();
  bool may_start() const;
  bool next_job(base::Lock& lock, std::function<void()>& job, bool has_token);

  base::RunTokens tokens_;
  const size_t threads_max_;
  mutable base::Mutex mutex_;
  base::Condition ready_;
  std::deque<std::function<void()>> queue_;
  std::list<base::Thread> threads_;
  std::list<base::Thread> gone_;  // ended, to be joined by whoever comes next
  size_t idle_ = 0;
  size_t patient_ = 0;  // waiting for a token, or for the end of its patience
  uint64_t started_ = 0;
  bool closing_ = false;
};

}  // namespace tarn::http::detail
