#include "http/detail/workers.h"

#include <algorithm>
#include <system_error>

#include "base/log.h"

namespace tarn::http::detail {
namespace {
using std::chrono::milliseconds;
// A request waits this long for a token, then runs without: no request that blocks unannounced can stop the others.
constexpr milliseconds kTokenPatience{5};
constexpr milliseconds kIdleThread{10'000};
constexpr size_t kSpare = 4;
}  // namespace

Workers::Workers(size_t threads_max, int tokens) : tokens_(tokens), threads_max_(std::max<size_t>(threads_max, 1)) {
  tokens_.on_release([this] {
    // The lock orders this against a waiter that has looked at the tokens and is about to sleep.
    base::Lock lock(mutex_);
    if (!queue_.empty()) ready_.notify_one();
  });
}

Workers::~Workers() { close(); }

void Workers::submit(std::function<void()> job) {
  std::list<base::Thread> gone;
  {
    base::Lock lock(mutex_);
    queue_.push_back(std::move(job));
    spawn_if_short();
    gone.swap(gone_);
  }
  ready_.notify_one();
}

size_t Workers::threads() const {
  base::Lock lock(mutex_);
  return threads_.size();
}

// A few threads always stand by while there is work; each that takes a job sees to its successor.
void Workers::spawn_if_short() {
  if (idle_ >= std::min(queue_.size(), kSpare) || threads_.size() >= threads_max_) return;
  threads_.emplace_front();
  const auto self = threads_.begin();
  ++idle_;
  try {
    *self = base::Thread([this, self] { run(self); });
  } catch (const std::system_error& error) {
    threads_.erase(self);
    --idle_;
    base::log(base::Level::kError, "no thread for a request", {{"reason", error.what()}});
  }
}

bool Workers::next_job(base::Lock& lock, std::function<void()>& job) {
  for (;;) {
    if (queue_.empty()) {
      if (closing_) return false;
      const bool met = ready_.wait_for(lock, kIdleThread, [this] { return closing_ || !queue_.empty(); });
      if (!met && idle_ > 1) return false;
      continue;
    }
    if (!tokens_.try_acquire()) {
      tokens_.wanted(true);
      const bool met =
          ready_.wait_for(lock, kTokenPatience, [this] { return queue_.empty() || tokens_.available() > 0; });
      tokens_.wanted(false);
      if (met || queue_.empty()) continue;
      tokens_.acquire_now();
    }
    job = std::move(queue_.front());
    queue_.pop_front();
    return true;
  }
}

void Workers::run(std::list<base::Thread>::iterator self) {
  base::Lock lock(mutex_);
  std::function<void()> job;
  while (next_job(lock, job)) {
    --idle_;
    spawn_if_short();
    if (!queue_.empty() && tokens_.available() > 0) ready_.notify_one();
    lock.unlock();
    {
      base::RunToken token(tokens_);
      job();
      job = nullptr;
    }
    lock.lock();
    ++idle_;
  }
  --idle_;
  if (!closing_) gone_.splice(gone_.begin(), threads_, self);
}

void Workers::close() {
  for (;;) {
    std::list<base::Thread> threads;
    std::list<base::Thread> gone;
    base::Lock lock(mutex_);
    closing_ = true;
    if (threads_.empty() && gone_.empty()) return;
    // While closing no thread moves itself to `gone_`, so the list may be taken; queued work keeps its threads.
    threads.swap(threads_);
    gone.swap(gone_);
    lock.unlock();
    ready_.notify_all();
  }
}

}  // namespace tarn::http::detail
