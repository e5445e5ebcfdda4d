#include "base/executor.h"

namespace tarn::base {

ThreadPool::ThreadPool(size_t threads) {
  for (size_t i = 0; i < threads; ++i) threads_.emplace_back([this] { run(); });
}

ThreadPool::~ThreadPool() {
  {
    Lock lock(mutex_);
    closing_ = true;
  }
  ready_.notify_all();
  threads_.clear();
}

bool ThreadPool::submit(std::function<void()> work) {
  {
    Lock lock(mutex_);
    if (closing_) return false;
    queue_.push_back(std::move(work));
  }
  ready_.notify_one();
  return true;
}

void ThreadPool::run() {
  while (true) {
    std::function<void()> work;
    {
      Lock lock(mutex_);
      ready_.wait(lock, [this] { return closing_ || !queue_.empty(); });
      if (queue_.empty()) return;
      work = std::move(queue_.front());
      queue_.pop_front();
    }
    work();
  }
}

}  // namespace tarn::base
