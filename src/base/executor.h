#pragma once
// The door for background work.
#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "base/mutex.h"

namespace tarn::base {

/// Runs closures later. Threads: any may submit.
class Executor {
 public:
  virtual ~Executor() = default;
  /// @return false when it is closing and the work was not taken.
  virtual bool submit(std::function<void()> work) = 0;
};

/// A fixed number of threads over one queue; the destructor finishes what was taken.
class ThreadPool final : public Executor {
 public:
  explicit ThreadPool(size_t threads);
  ~ThreadPool() override;
  bool submit(std::function<void()> work) override;

 private:
  void run();
  Mutex mutex_;
  Condition ready_;
  std::deque<std::function<void()>> queue_;
  bool closing_ = false;
  std::vector<Thread> threads_;
};

/// Runs the work at once on the caller's thread: for tests.
class InlineExecutor final : public Executor {
 public:
  bool submit(std::function<void()> work) override {
    work();
    return true;
  }
};

}  // namespace tarn::base
