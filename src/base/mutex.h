#pragma once
// The only locks and threads of the house, so that a simulation can pass one baton among them (decision D2).
// All that blocks or begins a thread is in mutex.cc and nothing else is: the simulation links base/testing/baton.cc in
// its place, so that the product carries no switch for it.
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include "base/run_token.h"

namespace tarn::base {

class Mutex {
 public:
  void lock() {
    if (!mutex_.try_lock()) lock_contended();
  }
  void unlock() { mutex_.unlock(); }
  bool try_lock() { return mutex_.try_lock(); }

 private:
  friend class Condition;
  void lock_contended();
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
  /// Waits until `predicate()`, which is asked at once and whenever notified; the lock is held before and after.
  template <class Predicate>
  void wait(Lock& lock, Predicate predicate) {
    if (predicate()) return;
    RunToken::Pause pause;
    do wait_once(lock);
    while (!predicate());
  }
  /// @return false when `timeout` passed and the predicate is still false.
  template <class Predicate>
  bool wait_for(Lock& lock, std::chrono::nanoseconds timeout, Predicate predicate) {
    if (predicate()) return true;
    RunToken::Pause pause;
    const auto until = std::chrono::steady_clock::now() + timeout;
    while (wait_once_until(lock, until))
      if (predicate()) return true;
    return predicate();
  }
  void notify_one();
  void notify_all();

 private:
  void wait_once(Lock& lock);
  /// @return false when it is past `until`.
  bool wait_once_until(Lock& lock, std::chrono::steady_clock::time_point until);
  std::condition_variable condition_;
};

/// A thread that is joined when its owner goes.
class Thread {
 public:
  Thread() = default;
  explicit Thread(std::function<void()> body);
  Thread(Thread&&) = default;
  Thread& operator=(Thread&& other) {
    join();
    thread_ = std::move(other.thread_);
    return *this;
  }
  ~Thread() { join(); }
  void join();
  bool joinable() const { return thread_.joinable(); }

 private:
  std::thread thread_;
};

}  // namespace tarn::base
