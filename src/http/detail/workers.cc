#include "http/detail/workers.h"

#include <algorithm>
#include <system_error>

#include "base/log.h"

namespace tarn::http::detail {
namespace {
using std::chrono::milliseconds;
// When no request could start for this long, one runs without a token: none that blocks unannounced stops the others.
constexpr milliseconds kTokenPatience{5};
constexpr milliseconds kIdleThread{10'000};
constexpr size_t kSpare = 4;
}  // namespace

Workers::Workers(size_t threads_max, int tokens) : tokens_(tokens), threads_max_(std::max<size_t>(threads_max, 1)) {
  tokens_.on_release([this] {
    bool wake = false;
    {
      // The lock orders this against a waiter that has looked at the tokens and is about to sleep.
      base::Lock lock(mutex_);
      wake = !queue_.empty();
    }
    if (wake) ready_.notify_one();
  });
}

Workers::~Workers() { close(); }

void Workers::submit(std::function<void()> job) {
  std::list<base::Thread> gone;
  bool wake = false;
  {
    base::Lock lock(mutex_);
    queue_.push_back(std::move(job));
    spawn_if_short();
    gone.swap(gone_);
    wake = may_start();
  }
  if (wake) ready_.notify_one();
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

// One thread at most waits for a token; the others sleep until there is one, or until that thread has gone ahead.
bool Workers::may_start() const { return !queue_.empty() && (patient_ == 0 || tokens_.available() > 0); }

bool Workers::next_job(base::Lock& lock, std::function<void()>& job, bool has_token) {
  for (;;) {
    if (has_token && !queue_.empty()) break;
    if (!may_start()) {
      if (queue_.empty() && closing_) return false;
      const bool met =
          ready_.wait_for(lock, kIdleThread, [this] { return may_start() || (closing_ && queue_.empty()); });
      if (!met && queue_.empty() && idle_ > 1) return false;
      continue;
    }
    if (tokens_.try_acquire()) break;
    const uint64_t started = started_;
    ++patient_;
    tokens_.wanted(true);
    const bool met =
        ready_.wait_for(lock, kTokenPatience, [this] { return queue_.empty() || tokens_.available() > 0; });
    tokens_.wanted(false);
    --patient_;
    // While others start, the tokens do their work; when none does, their holders block without having said so.
    if (met || queue_.empty() || started != started_) continue;
    tokens_.acquire_now();
    break;
  }
  ++started_;
  job = std::move(queue_.front());
  queue_.pop_front();
  return true;
}

void Workers::run(std::list<base::Thread>::iterator self) {
  // Kept from one job to the next: giving it up in between would wake a thread only to let it sleep again.
  std::optional<base::RunToken> token;
  std::function<void()> job;
  base::Lock lock(mutex_);
  for (;;) {
    if (token && (queue_.empty() || tokens_.available() < 0)) {
      lock.unlock();
      token.reset();
      lock.lock();
    }
    if (!next_job(lock, job, token.has_value())) break;
    if (!token) token.emplace(tokens_);
    --idle_;
    spawn_if_short();
    const bool wake = may_start();
    lock.unlock();
    if (wake) ready_.notify_one();
    job();
    job = nullptr;
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
