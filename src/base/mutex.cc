// What blocks, and what begins a thread: as the operating system does it.
#include "base/mutex.h"

namespace tarn::base {

void Mutex::lock_contended() { mutex_.lock(); }

void Condition::wait_once(Lock& lock) {
  std::unique_lock<std::mutex> inner(lock.mutex_.mutex_, std::adopt_lock);
  condition_.wait(inner);
  inner.release();
}

bool Condition::wait_once_until(Lock& lock, std::chrono::steady_clock::time_point until) {
  std::unique_lock<std::mutex> inner(lock.mutex_.mutex_, std::adopt_lock);
  const bool in_time = condition_.wait_until(inner, until) == std::cv_status::no_timeout;
  inner.release();
  return in_time;
}

void Condition::notify_one() { condition_.notify_one(); }
void Condition::notify_all() { condition_.notify_all(); }

Thread::Thread(std::function<void()> body) : thread_(std::move(body)) {}

void Thread::join() {
  if (thread_.joinable()) thread_.join();
}

}  // namespace tarn::base
