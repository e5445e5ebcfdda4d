#pragma once
// The only locks and threads of the house, so that a simulation can pass one baton among them (decision D2).
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include "base/run_token.h"

namespace tarn::base {

class Mutex {
 public:
  void lock() { mutex_.lock(); }
  void unlock() { mutex_.unlock(); }
  bool try_lock() { return mutex_.try_lock(); }

 private:
  friend class Condition;
  std::mutex mutex_;
};

/// Holds a Mutex for a scope.
class [[nodiscard]] Lock {
 public:
  explicit Lock(Mutex& mutex) : mutex_(mutex), held_(true) { mutex_.lock(); }
  ~Lock() {
    if (held_) mutex_.unlock();
  }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;
  void unlock() {
    mutex_.unlock();
    held_ = false;
  }
  void lock() {
    mutex_.lock();
    held_ = true;
  }

 private:
  friend class Condition;
  Mutex& mutex_;
  bool held_;
};

/// Who waits gives its run token back meanwhile.
class Condition {
 public:
  /// Waits until notified or `predicate()`; the lock is held before and after.
  template <class Predicate>
  void wait(Lock& lock, Predicate predicate) {
    if (predicate()) return;
    RunToken::Pause pause;
    std::unique_lock<std::mutex> inner(lock.mutex_.mutex_, std::adopt_lock);
    condition_.wait(inner, predicate);
    inner.release();
  }
  /// @return false when `timeout` passed and the predicate is still false.
  template <class Predicate>
  bool wait_for(Lock& lock, std::chrono::nanoseconds timeout, Predicate predicate) {
    if (predicate()) return true;
    RunToken::Pause pause;
    std::unique_lock<std::mutex> inner(lock.mutex_.mutex_, std::adopt_lock);
    const bool met = condition_.wait_for(inner, timeout, predicate);
    inner.release();
    return met;
  }
  void notify_one() { condition_.notify_one(); }
  void notify_all() { condition_.notify_all(); }

 private:
  std::condition_variable condition_;
};

/// A thread that is joined when its owner goes.
class Thread {
 public:
  Thread() = default;
  explicit Thread(std::function<void()> body) : thread_(std::move(body)) {}
  Thread(Thread&&) = default;
  Thread& operator=(Thread&& other) {
    join();
    thread_ = std::move(other.thread_);
    return *this;
  }
  ~Thread() { join(); }
  void join() {
    if (thread_.joinable()) thread_.join();
  }
  bool joinable() const { return thread_.joinable(); }

 private:
  std::thread thread_;
};

}  // namespace tarn::base
