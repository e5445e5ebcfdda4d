#pragma once
// One baton among real threads: of all tasks of a simulation only one runs, and a seed decides which.
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"

namespace tarn::base::testing {

/// A deterministic scheduler. The program links base/testing/baton.cc, which takes the place of base/mutex.cc: there
/// every wait of a base::Condition, every contended base::Mutex and every base::Thread is the scheduler's matter, and
/// tasks change only there and at yield(). So one seed gives one run, as long as the code under it asks nothing that
/// differs between runs (addresses, the real clock).
///
/// Threads that are no tasks (the test's own) wait as ever. Cost: some microseconds a change of tasks.
class Simulation {
 public:
  /// How the next task is chosen.
  enum class Choice {
    kUniform,    ///< any that can run
    kSticky,     ///< mostly the same one again
    kPriorities  ///< the one of the highest priority; at a few steps it loses its own (PCT)
  };
  struct Options {
    uint64_t seed = 1;
    Choice choice = Choice::kUniform;
    int64_t steps_max = 2'000'000;  ///< more is taken for a run that never ends
  };
  explicit Simulation(const Options& options);
  ~Simulation();

  /// Runs `body` as the first task, and returns when it and all that it began are done.
  /// A run in which nothing can go on, or that goes on for ever, prints what each task waits for and ends the process
  /// with kStuck: its threads cannot be taken back.
  void run(std::function<void()> body);
  static constexpr int kStuck = 3;

  /// The one whose task the calling thread is; nullptr when it is none.
  static Simulation* current();
  /// A place where another task may go on. Nothing for a thread that is no task.
  static void yield();
  /// A name for reports.
  static void name_task(std::string name);

  int64_t steps() const { return steps_; }
  /// Tells two runs apart: a hash over all choices.
  uint64_t trace() const { return trace_; }
  /// A draw from the seed, for faults and latencies.
  uint64_t draw();

  struct Task;  // what follows is for baton.cc

  Task* begin(std::function<void()> body, std::thread& thread);
  void join(std::thread::id thread);
  void block_on_lock(std::mutex& mutex);
  /// Gives `mutex` back meanwhile. @return whether it was notified.
  bool wait_on(const void* condition, bool timed, std::mutex& mutex);
  void notify(const void* condition, bool all);

 private:
  bool can_run(const Task& task) const;
  Task* choose();
  void change();
  [[noreturn]] void stuck(const char* why);
  void finish();

  const Options options_;
  std::vector<std::unique_ptr<Task>> tasks_;
  Task* running_ = nullptr;
  int64_t steps_ = 0, fruitless_ = 0;
  uint64_t trace_ = 0, random_ = 0;
  std::vector<int64_t> drops_;
  int64_t lowest_ = 0;
};

/// A clock of simulated time: a millisecond for every few steps, so that time passes and stays the seed's.
class SimulatedClock final : public Clock {
 public:
  explicit SimulatedClock(Simulation& simulation) : simulation_(simulation) {}
  WallMs wall_ms() override { return 1'700'000'000'000 + steady_ms(); }
  SteadyMs steady_ms() override {
    Simulation::yield();
    return slept_ + simulation_.steps() / 8;
  }
  void sleep_ms(int64_t duration_ms) override {
    slept_ += duration_ms;
    Simulation::yield();
  }

 private:
  Simulation& simulation_;
  int64_t slept_ = 0;
};

}  // namespace tarn::base::testing
