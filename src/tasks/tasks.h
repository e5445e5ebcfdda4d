#pragma once
// Durable background work and timers: what must happen even if the server dies in between.
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/context.h"
#include "base/executor.h"
#include "base/json.h"
#include "base/random.h"
#include "kv/store.h"

namespace tarn::tasks {

enum class State { kWaiting, kRunning, kDone, kFailed, kCancelled };

struct Task {
  std::string id;    ///< uuid v7, or the caller's own key (then starting twice gives the same task)
  std::string kind;  ///< which runner: "import", "alert-delivery", …
  State state = State::kWaiting;
  Json input;               ///< what to do; never changes
  Json cursor;              ///< how far it came: the runner's own
  Json progress;            ///< for people: {"objects": 12000}
  std::string error;        ///< why it failed, or why the last step is being repeated
  base::WallMs due_ms = 0;  ///< not before this wall time
  base::WallMs created_ms = 0, updated_ms = 0;
  int attempts = 0;
  bool cancel_requested = false;
};

/// What a runner says at the end of a step.
struct Step {
  enum class Next { kDone, kAgain, kFailed };
  Next next = Next::kDone;
  int64_t after_ms = 0;  ///< for kAgain: pause before the next step
  Json cursor, progress;
  std::string error;  ///< for kFailed
  kv::Batch also;     ///< written in the same batch as the task's new state
};

/// What is over is kept for a while, so that whoever asks hears how it ended; then it is forgotten: after `age_ms`, or
/// when more than `count` are over (but none within the first hour).
struct Kept {
  int64_t age_ms = int64_t{7} * 24 * 3600 * 1000;
  size_t count = 10'000;
};

/// Runs kinds of tasks. No kind takes the last free thread, so that slow work never keeps short work waiting for ever
/// (given two threads or more). A step must be idempotent: after a crash the last one is repeated from its stored
/// cursor. An Error from a runner is retried with a growing pause (1 s … 60 s); only Next::kFailed ends a task as
/// failed.
class Tasks {
 public:
  /// `task` is what the store holds; its cursor is the last one stored. Threads: steps of one task never overlap.
  /// A `Step::also` whose precondition fails writes nothing and the step is repeated.
  using Runner = std::function<Result<Step>(const Context&, const Task&)>;

  Tasks(kv::Store& store, base::Clock& clock, base::Random& random, size_t threads, Kept kept = {});
  ~Tasks();

  void register_kind(std::string kind, Runner runner);  ///< before start()
  Result<void> start(const Context& ctx);               ///< resumes every unfinished task
  void stop();                                          ///< lets running steps finish

  /// Adds a task to `batch`, so that it exists if and only if the batch lands; call wake() after apply.
  /// @param id  empty for a new one; the whole batch is a kConflict when the caller's own id exists. @return the id.
  std::string add(kv::Batch& batch, std::string kind, Json input, base::WallMs due_ms = 0, std::string id = {});
  /// Looks at once for tasks that a batch has added; without it they are found within ten seconds.
  void wake();
  /// add + apply + wake. An existing id is fine: its task is returned.
  Result<Task> submit(const Context& ctx, std::string kind, Json input, base::WallMs due_ms = 0, std::string id = {});
  Result<Task> get(const Context& ctx, std::string_view id);
  /// All tasks of a kind, finished ones too, by id. Cost: linear in all tasks.
  Result<std::vector<Task>> list(const Context& ctx, std::string_view kind);
  /// Forgets what has been over for long enough; by itself at the start and every hour. A key of the caller's own that
  /// is forgotten is free again. @return how many. Cost: linear in all tasks.
  Result<size_t> prune(const Context& ctx);
  /// Asks the runner to stop at its next step. Errors: kNotFound, kConflict (already over).
  Result<void> cancel(const Context& ctx, std::string_view id);
  /// Waits until the task is over or the context's deadline; for tests and synchronous callers.
  /// Errors: kNotFound, kDeadline (the task goes on).
  Result<Task> wait(const Context& ctx, std::string_view id, int64_t timeout_ms);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tarn::tasks
