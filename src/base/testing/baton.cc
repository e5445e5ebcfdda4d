// Linked instead of base/mutex.cc: what blocks, and what begins a thread, is decided by the Simulation whose task the
// calling thread is. On any other thread it is the operating system's matter as in mutex.cc.
#include "base/testing/baton.h"

#include <pthread.h>

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <semaphore>

#include "base/mutex.h"

namespace tarn::base::testing {

struct Simulation::Task {
  enum class State { kReady, kLock, kCondition, kJoin, kDone };
  std::string name;
  State state = State::kReady;
  const void* condition = nullptr;
  bool notified = false, timed = false;
  const Task* joined = nullptr;
  int64_t tried_at = 0;  ///< kLock: the step of the last try
  int64_t priority = 0;
  std::thread::id thread;
  std::binary_semaphore go{0};
  std::function<void()> body;
};

namespace {

thread_local Simulation* of_thread = nullptr;

uint64_t mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

}  // namespace

Simulation::Simulation(const Options& options) : options_(options), random_(mix(options.seed)) {
  for (int i = 0; i < 3; ++i) drops_.push_back(static_cast<int64_t>(draw() % 4'000));
}
Simulation::~Simulation() = default;

Simulation* Simulation::current() { return of_thread; }

uint64_t Simulation::draw() {
  random_ += 0x9e3779b97f4a7c15;
  return mix(random_);
}

void Simulation::name_task(std::string name) {
  if (of_thread) of_thread->running_->name = std::move(name);
}

Simulation::Task* Simulation::begin(std::function<void()> body, std::thread& thread) {
  auto task = std::make_unique<Task>();
  task->name = "task " + std::to_string(tasks_.size());
  task->priority = static_cast<int64_t>(draw() % 1'000'000) + 1;
  task->body = std::move(body);
  Task* const at = task.get();
  tasks_.push_back(std::move(task));
  thread = std::thread([this, at] {
    at->go.acquire();
    of_thread = this;
    at->body();
    at->body = nullptr;
    finish();
  });
  at->thread = thread.get_id();
  return at;
}

void Simulation::run(std::function<void()> body) {
  std::thread thread;
  running_ = begin(std::move(body), thread);
  running_->name = "main";
  running_->go.release();
  thread.join();
}

bool Simulation::can_run(const Task& task) const {
  switch (task.state) {
    case Task::State::kReady:
      return true;
    case Task::State::kLock:
      return true;
    case Task::State::kCondition:
      return task.notified;
    case Task::State::kJoin:
      return task.joined->state == Task::State::kDone;
    case Task::State::kDone:
      return false;
  }
  return false;
}

Simulation::Task* Simulation::choose() {
  if (options_.choice == Choice::kSticky && can_run(*running_) && running_->state == Task::State::kReady && draw() % 8)
    return running_;
  for (const int64_t drop : drops_)
    if (options_.choice == Choice::kPriorities && drop == steps_) running_->priority = --lowest_;
  std::vector<Task*> ready, timed;
  for (const auto& task : tasks_) {
    if (can_run(*task))
      ready.push_back(task.get());
    else if (task->state == Task::State::kCondition && task->timed)
      timed.push_back(task.get());
  }
  // Who only waits for time to pass goes on when nobody else can, and now and then.
  if (!timed.empty() && (ready.empty() || draw() % 32 == 0)) return timed[draw() % timed.size()];
  if (ready.empty()) stuck("nothing can go on");
  if (options_.choice == Choice::kPriorities && draw() % 64) {
    Task* best = nullptr;
    for (Task* task : ready)  // a lock that is held is not tried again and again by the same one
      if (task->state != Task::State::kLock || task->tried_at + 8 < steps_)
        if (!best || task->priority > best->priority) best = task;
    if (best) return best;
  }
  return ready[draw() % ready.size()];
}

void Simulation::change() {
  if (++steps_ > options_.steps_max) stuck("it goes on for ever");
  Task* const self = running_;
  Task* const next = choose();
  size_t index = 0;
  while (tasks_[index].get() != next) ++index;
  trace_ = mix(trace_ ^ (index + 1));
  if (next == self) return;
  running_ = next;
  next->go.release();
  self->go.acquire();
}

void Simulation::yield() {
  Simulation* const simulation = of_thread;
  if (!simulation) return;
  simulation->fruitless_ = 0;
  simulation->change();
}

/// Waits for a lock whose holder may be no task but a thread of RocksDB's own: for a moment, then others have their
/// turn.
static bool lock_within_a_moment(std::mutex& mutex) {
  timespec until{};
  ::clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_nsec += 1'000'000;
  if (until.tv_nsec >= 1'000'000'000) {
    until.tv_nsec -= 1'000'000'000;
    ++until.tv_sec;
  }
  return ::pthread_mutex_clocklock(mutex.native_handle(), CLOCK_MONOTONIC, &until) == 0;
}

void Simulation::block_on_lock(std::mutex& mutex) {
  Task* const self = running_;
  self->state = Task::State::kLock;
  do {
    self->tried_at = steps_;
    if (++fruitless_ > 10'000) stuck("all wait for locks");
    if (fruitless_ > 1'000 && lock_within_a_moment(mutex)) break;
    change();
  } while (!mutex.try_lock());
  self->state = Task::State::kReady;
  fruitless_ = 0;
}

bool Simulation::wait_on(const void* condition, bool timed, std::mutex& mutex) {
  Task* const self = running_;
  self->state = Task::State::kCondition;
  self->condition = condition;
  self->notified = false;
  self->timed = timed;
  mutex.unlock();
  fruitless_ = 0;
  change();
  const bool notified = self->notified;
  self->state = Task::State::kReady;
  self->condition = nullptr;
  if (!mutex.try_lock()) block_on_lock(mutex);
  return notified;
}

void Simulation::notify(const void* condition, bool all) {
  std::vector<Task*> waiting;
  for (const auto& task : tasks_)
    if (task->state == Task::State::kCondition && task->condition == condition && !task->notified)
      waiting.push_back(task.get());
  if (waiting.empty()) return;
  if (!all) waiting = {waiting[draw() % waiting.size()]};
  for (Task* task : waiting) task->notified = true;
}

void Simulation::join(std::thread::id thread) {
  Task* const self = running_;
  for (const auto& task : tasks_)
    if (task->thread == thread) self->joined = task.get();
  if (!self->joined) return;
  fruitless_ = 0;
  if (self->joined->state != Task::State::kDone) {
    self->state = Task::State::kJoin;
    change();
    self->state = Task::State::kReady;
  }
  self->joined = nullptr;
}

void Simulation::finish() {
  running_->state = Task::State::kDone;
  running_->thread = std::thread::id();
  ++steps_;
  fruitless_ = 0;
  bool more = false;
  for (const auto& task : tasks_) more = more || task->state != Task::State::kDone;
  if (!more) return;
  running_ = choose();
  running_->go.release();
}

void Simulation::stuck(const char* why) {
  std::fprintf(stderr, "simulation: %s, after %lld steps\n", why, static_cast<long long>(steps_));
  for (const auto& task : tasks_) {
    const char* what = "";
    switch (task->state) {
      case Task::State::kReady:
        what = "can run";
        break;
      case Task::State::kLock:
        what = "waits for a lock";
        break;
      case Task::State::kCondition:
        what = "waits to be notified";
        break;
      case Task::State::kJoin:
        what = "waits for a thread to end";
        break;
      case Task::State::kDone:
        continue;
    }
    std::fprintf(stderr, "  %s %s\n", task->name.c_str(), what);
  }
  std::fflush(nullptr);
  std::_Exit(kStuck);
}

}  // namespace tarn::base::testing

namespace tarn::base {

using testing::Simulation;

void Mutex::lock_contended() {
  if (Simulation* simulation = Simulation::current())
    simulation->block_on_lock(mutex_);
  else
    mutex_.lock();
}

void Condition::wait_once(Lock& lock) {
  if (Simulation* simulation = Simulation::current()) {
    simulation->wait_on(this, false, lock.mutex_.mutex_);
    return;
  }
  std::unique_lock<std::mutex> inner(lock.mutex_.mutex_, std::adopt_lock);
  condition_.wait(inner);
  inner.release();
}

bool Condition::wait_once_until(Lock& lock, std::chrono::steady_clock::time_point until) {
  if (Simulation* simulation = Simulation::current()) return simulation->wait_on(this, true, lock.mutex_.mutex_);
  std::unique_lock<std::mutex> inner(lock.mutex_.mutex_, std::adopt_lock);
  const bool in_time = condition_.wait_until(inner, until) == std::cv_status::no_timeout;
  inner.release();
  return in_time;
}

void Condition::notify_one() {
  if (Simulation* simulation = Simulation::current()) simulation->notify(this, false);
  condition_.notify_one();
}
void Condition::notify_all() {
  if (Simulation* simulation = Simulation::current()) simulation->notify(this, true);
  condition_.notify_all();
}

Thread::Thread(std::function<void()> body) {
  if (Simulation* simulation = Simulation::current())
    simulation->begin(std::move(body), thread_);
  else
    thread_ = std::thread(std::move(body));
}

void Thread::join() {
  if (!thread_.joinable()) return;
  if (Simulation* simulation = Simulation::current()) simulation->join(thread_.get_id());
  thread_.join();
}

}  // namespace tarn::base
