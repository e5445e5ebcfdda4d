#include "tasks/tasks.h"

#include <algorithm>
#include <set>
#include <unordered_map>

#include <fmt/core.h>

#include "base/ids.h"
#include "base/kill_point.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/mutex.h"
#include "kv/record.h"
#include "tasks/record.h"

namespace tarn::tasks {
namespace {

constexpr int64_t kPauseFirstMs = 1'000;
constexpr int64_t kPauseMostMs = 60'000;
/// The clock may jump or be a test's own, so sleeps are short; and a caller may die between apply and wake().
constexpr int64_t kSleepMostMs = 200;
constexpr int64_t kRescanMs = 10'000;
constexpr int64_t kPruneMs = 3600 * 1000;
constexpr int64_t kKeptAtLeastMs = 3600 * 1000;  ///< somebody may be waiting for the end of a task
constexpr size_t kPruneBatch = 256;

int64_t pause_ms(int attempts) {
  const int doublings = std::clamp(attempts - 1, 0, 6);
  return std::min(kPauseMostMs, kPauseFirstMs << doublings);
}

}  // namespace

struct Tasks::Impl {
  /// What the scheduler knows of a task that is not over.
  struct Timer {
    std::string kind;
    base::WallMs due_ms = 0;
    bool running = false;
    int store_failures = 0;
  };

  Impl(kv::Store& s, base::Clock& c, base::Random& r, size_t t, Kept k)
      : store(s), clock(c), random(r), threads(std::max<size_t>(1, t)), kept(k) {}

  Result<void> rescan();
  Result<size_t> prune(const Context& ctx);
  void run();
  std::vector<std::string> take_due(int64_t& sleep_ms);
  void step(const std::string& id);
  Result<std::optional<base::WallMs>> run_step(const std::string& id);
  Result<void> save(const Task& before, kv::Sequence version, const Task& after, const kv::Batch& also);
  Result<std::optional<std::pair<Task, kv::Sequence>>> load(const Context& ctx, std::string_view id);
  void mark_running(Task& task);
  void finished_something();

  kv::Store& store;
  base::Clock& clock;
  base::Random& random;
  const size_t threads;
  const Kept kept;
  std::map<std::string, Runner, std::less<>> runners;  ///< constant after start()

  base::Mutex mutex;  ///< guards all below but the threads
  base::Condition changed_timers, changed_tasks;
  std::unordered_map<std::string, Timer> timers;
  std::set<std::pair<base::WallMs, std::string>> queue;  ///< timers that do not run, by due time
  std::map<std::string, size_t> running;                 ///< steps by kind
  std::set<std::string> unknown_kinds;                   ///< already complained about
  uint64_t generation = 0;                               ///< counts steps that ended
  bool rescan_wanted = false, look_again = false, stopping = false;

  std::unique_ptr<base::ThreadPool> pool;
  base::Thread scheduler;
};

Result<std::optional<std::pair<Task, kv::Sequence>>> Tasks::Impl::load(const Context& ctx, std::string_view id) {
  TRY_LET(const auto row, store.get(ctx, record_key(id)));
  if (!row) return std::optional<std::pair<Task, kv::Sequence>>();
  TRY_LET(Task task, decode(row->value));
  return std::optional(std::make_pair(std::move(task), row->version));
}

void Tasks::Impl::mark_running(Task& task) {
  base::Lock lock(mutex);
  const auto it = timers.find(task.id);
  if (task.state == State::kWaiting && it != timers.end() && it->second.running) task.state = State::kRunning;
}

void Tasks::Impl::finished_something() {
  {
    base::Lock lock(mutex);
    ++generation;
  }
  changed_tasks.notify_all();
}

/// Finds open tasks that have no timer yet.
Result<void> Tasks::Impl::rescan() {
  const Context ctx;
  TRY_LET(const auto view, store.view(ctx));
  const auto rows = view->scan(kOpenPrefix);
  while (true) {
    TRY_LET(const auto row, rows->next());
    if (!row) return {};
    const std::string id = row->key.substr(kOpenPrefix.size());
    {
      base::Lock lock(mutex);
      if (timers.contains(id)) continue;
    }
    TRY_LET(const auto record, view->get(record_key(id)));
    if (!record) return Error(Code::kCorrupt, "task", fmt::format("task {} is marked as open and has no record", id));
    TRY_LET(const Task task, decode(record->value));
    base::Lock lock(mutex);
    // A view older than the task's last step would bring it back: its timer is then gone, and the next load sees it.
    if (timers.try_emplace(id, Timer{task.kind, task.due_ms}).second) queue.emplace(task.due_ms, id);
  }
}

Result<size_t> Tasks::Impl::prune(const Context& ctx) {
  struct Over {
    base::WallMs at = 0;
    std::string key;
    kv::Sequence version = 0;
  };
  std::vector<Over> over;
  {
    const auto rows = store.scan(ctx, kRecordPrefix);
    while (true) {
      TRY_LET(const auto row, rows->next());
      if (!row) break;
      TRY_LET(const Task task, decode(row->row.value));
      if (is_over(task.state)) over.push_back({task.updated_ms, row->key, row->row.version});
    }
  }
  std::sort(over.begin(), over.end(), [](const Over& a, const Over& b) { return a.at > b.at; });
  const base::WallMs now = clock.wall_ms();
  size_t forgotten = 0;
  kv::Batch batch;
  for (size_t i = 0; i < over.size(); ++i) {
    const int64_t age = now - over[i].at;
    if (age <= kKeptAtLeastMs || (i < kept.count && age <= kept.age_ms)) continue;
    batch.erase_if_version(over[i].key, over[i].version);
    ++forgotten;
    if (batch.steps().size() < kPruneBatch) continue;
    TRY(store.apply(ctx, batch));
    batch = {};
  }
  if (!batch.empty()) TRY(store.apply(ctx, batch));
  return forgotten;
}

/// Moves due tasks from the queue to running. Holds the lock itself.
std::vector<std::string> Tasks::Impl::take_due(int64_t& sleep_ms) {
  std::vector<std::string> due;
  const base::WallMs now = clock.wall_ms();
  sleep_ms = kSleepMostMs;
  base::Lock lock(mutex);
  size_t busy = 0;
  for (const auto& [kind, count] : running) busy += count;
  const size_t most = threads > 1 ? threads - 1 : 1;
  for (auto it = queue.begin(); it != queue.end() && busy < threads;) {
    if (it->first > now) {
      sleep_ms = std::min(sleep_ms, it->first - now);
      break;
    }
    Timer& timer = timers.at(it->second);
    if (!runners.contains(timer.kind)) {
      if (unknown_kinds.insert(timer.kind).second)
        base::log(base::Level::kWarning, "a task waits for a runner that this server does not have",
                  {{"kind", timer.kind}, {"task", it->second}});
      ++it;
      continue;
    }
    if (running[timer.kind] >= most) {
      ++it;
      continue;
    }
    timer.running = true;
    ++running[timer.kind];
    ++busy;
    due.push_back(it->second);
    it = queue.erase(it);
  }
  return due;
}

void Tasks::Impl::run() {
  base::SteadyMs scanned = clock.steady_ms(), pruned = scanned - kPruneMs;
  while (true) {
    if (clock.steady_ms() - pruned >= kPruneMs) {
      pruned = clock.steady_ms();
      pool->submit([this] {
        if (const auto done = prune({}); !done)
          base::log(base::Level::kWarning, "finished tasks could not be forgotten, trying again in an hour",
                    {{"error", done.error().text()}});
      });
    }
    bool scan = clock.steady_ms() - scanned >= kRescanMs;
    {
      base::Lock lock(mutex);
      if (stopping) return;
      scan |= std::exchange(rescan_wanted, false);
    }
    if (scan) {
      scanned = clock.steady_ms();
      if (auto found = rescan(); !found)
        base::log(base::Level::kError, "looking for new tasks failed, trying again", {{"error", found.error().text()}});
    }
    int64_t sleep_ms = 0;
    for (const std::string& id : take_due(sleep_ms)) pool->submit([this, id] { step(id); });
    base::Lock lock(mutex);
    changed_timers.wait_for(lock, std::chrono::milliseconds(std::max<int64_t>(1, sleep_ms)),
                            [this] { return stopping || rescan_wanted || look_again; });
    look_again = false;
  }
}

void Tasks::Impl::step(const std::string& id) {
  auto next = run_step(id);
  {
    base::Lock lock(mutex);
    const auto it = timers.find(id);
    Timer& timer = it->second;
    --running[timer.kind];
    timer.running = false;
    if (next && !*next) {
      timers.erase(it);
    } else {
      timer.store_failures = next ? 0 : timer.store_failures + 1;
      timer.due_ms = next ? **next : clock.wall_ms() + pause_ms(timer.store_failures);
      queue.emplace(timer.due_ms, id);
    }
    look_again = true;
  }
  if (!next)
    base::log(base::Level::kWarning, "a task's step could not be stored and will be repeated",
              {{"task", id}, {"error", next.error().text()}});
  changed_timers.notify_all();
  finished_something();
}

/// One step, from the stored cursor to the stored result. Holds no lock.
/// @return when the next one is due; nullopt when the task is over. Errors: of the store.
Result<std::optional<base::WallMs>> Tasks::Impl::run_step(const std::string& id) {
  static base::Counter& steps = base::metrics().counter("tarn_task_steps_total");
  static base::Counter& failures = base::metrics().counter("tarn_task_step_errors_total");
  const Context ctx;
  TRY_LET(const auto loaded, load(ctx, id));
  if (!loaded || is_over(loaded->first.state)) return std::optional<base::WallMs>();
  const auto& [task, version] = *loaded;
  Task after = task;
  after.state = State::kWaiting;
  kv::Batch also;
  if (task.cancel_requested) {
    after.state = State::kCancelled;
  } else {
    steps.add();
    KILL_POINT("tasks.before_step");
    auto said = runners.find(task.kind)->second(ctx.with_request("task-" + id), task);
    KILL_POINT("tasks.after_step");
    if (!said) {
      failures.add();
      ++after.attempts;
      after.error = said.error().text();
      after.due_ms = clock.wall_ms() + pause_ms(after.attempts);
      base::log(
          base::Level::kWarning, "a task's step failed and will be repeated",
          {{"task", id}, {"kind", task.kind}, {"attempts", std::to_string(after.attempts)}, {"error", after.error}});
    } else {
      after.attempts = 0;
      after.error = std::move(said->error);
      after.cursor = std::move(said->cursor);
      after.progress = std::move(said->progress);
      also = std::move(said->also);
      if (said->next == Step::Next::kAgain) after.due_ms = clock.wall_ms() + said->after_ms;
      if (said->next == Step::Next::kDone) after.state = State::kDone;
      if (said->next == Step::Next::kFailed) after.state = State::kFailed;
    }
  }
  after.updated_ms = clock.wall_ms();
  TRY(save(task, version, after, also));
  KILL_POINT("tasks.after_save");
  if (is_over(after.state)) return std::optional<base::WallMs>();
  return std::optional<base::WallMs>(after.due_ms);
}

/// Stores `after` over `before`; a request to cancel that came meanwhile is kept.
Result<void> Tasks::Impl::save(const Task& before, kv::Sequence version, const Task& after, const kv::Batch& also) {
  const Context ctx;
  Task next = after;
  while (true) {
    kv::Batch batch;
    batch.require_version(record_key(before.id), version).put(record_key(before.id), encode(next));
    if (is_over(next.state)) batch.erase(open_key(before.id));
    batch.append(also);
    auto landed = store.apply(ctx, batch);
    if (landed) return {};
    if (landed.error().code() != Code::kConflict) return landed.error();
    TRY_LET(const auto now, load(ctx, before.id));
    // Unchanged: it was the runner's own precondition that failed. Then the step is repeated from the stored cursor.
    if (!now || now->second == version || is_over(now->first.state)) return landed.error();
    version = now->second;
    next.cancel_requested = now->first.cancel_requested;
  }
}

Tasks::Tasks(kv::Store& store, base::Clock& clock, base::Random& random, size_t threads, Kept kept)
    : impl_(std::make_unique<Impl>(store, clock, random, threads, kept)) {}

Tasks::~Tasks() { stop(); }

void Tasks::register_kind(std::string kind, Runner runner) {
  ENSURE(!impl_->pool);
  impl_->runners[std::move(kind)] = std::move(runner);
}

Result<void> Tasks::start(const Context& ctx) {
  TRY(ctx.check(impl_->clock));
  ENSURE(!impl_->pool);
  TRY(impl_->rescan());
  impl_->stopping = false;
  impl_->pool = std::make_unique<base::ThreadPool>(impl_->threads);
  impl_->scheduler = base::Thread([impl = impl_.get()] { impl->run(); });
  return {};
}

void Tasks::stop() {
  if (!impl_->pool) return;
  {
    base::Lock lock(impl_->mutex);
    impl_->stopping = true;
  }
  impl_->changed_timers.notify_all();
  impl_->scheduler.join();
  impl_->pool.reset();
}

std::string Tasks::add(kv::Batch& batch, std::string kind, Json input, base::WallMs due_ms, std::string id) {
  Task task;
  task.id = id.empty() ? base::uuid7(impl_->clock, impl_->random) : std::move(id);
  task.kind = std::move(kind);
  task.input = std::move(input);
  task.created_ms = task.updated_ms = impl_->clock.wall_ms();
  task.due_ms = due_ms != 0 ? due_ms : task.created_ms;
  batch.require_absent(record_key(task.id)).put(record_key(task.id), encode(task));
  batch.put(open_key(task.id), kv::encode_record(Json::object({{"kind", task.kind}})));
  return task.id;
}

void Tasks::wake() {
  {
    base::Lock lock(impl_->mutex);
    impl_->rescan_wanted = true;
  }
  impl_->changed_timers.notify_all();
}

Result<Task> Tasks::submit(const Context& ctx, std::string kind, Json input, base::WallMs due_ms, std::string id) {
  kv::Batch batch;
  const std::string own = add(batch, std::move(kind), std::move(input), due_ms, std::move(id));
  auto landed = impl_->store.apply(ctx, batch);
  if (!landed && landed.error().code() != Code::kConflict) return landed.error();
  wake();
  return get(ctx, own);
}

Result<Task> Tasks::get(const Context& ctx, std::string_view id) {
  TRY_LET(auto loaded, impl_->load(ctx, id));
  if (!loaded) return Error(Code::kNotFound, "task", fmt::format("there is no task {}", id));
  impl_->mark_running(loaded->first);
  return std::move(loaded->first);
}

Result<std::vector<Task>> Tasks::list(const Context& ctx, std::string_view kind) {
  std::vector<Task> out;
  const auto rows = impl_->store.scan(ctx, kRecordPrefix);
  while (true) {
    TRY_LET(const auto row, rows->next());
    if (!row) return out;
    TRY_LET(Task task, decode(row->row.value));
    if (task.kind != kind) continue;
    impl_->mark_running(task);
    out.push_back(std::move(task));
  }
}

Result<size_t> Tasks::prune(const Context& ctx) { return impl_->prune(ctx); }

Result<void> Tasks::cancel(const Context& ctx, std::string_view id) {
  while (true) {
    TRY_LET(auto loaded, impl_->load(ctx, id));
    if (!loaded) return Error(Code::kNotFound, "task", fmt::format("there is no task {}", id));
    auto& [task, version] = *loaded;
    if (is_over(task.state))
      return Error(Code::kConflict, "task", fmt::format("task {} is over already: {}", id, name_of(task.state)));
    if (task.cancel_requested) return {};
    task.cancel_requested = true;
    task.due_ms = impl_->clock.wall_ms();
    auto landed =
        impl_->store.apply(ctx, kv::Batch().require_version(record_key(id), version).put(record_key(id), encode(task)));
    if (!landed && landed.error().code() == Code::kConflict) continue;
    TRY(std::move(landed));
    base::Lock lock(impl_->mutex);
    const auto it = impl_->timers.find(std::string(id));
    if (it != impl_->timers.end() && !it->second.running) {
      impl_->queue.erase({it->second.due_ms, it->first});
      it->second.due_ms = task.due_ms;
      impl_->queue.emplace(task.due_ms, it->first);
    }
    impl_->look_again = true;
    impl_->changed_timers.notify_all();
    return {};
  }
}

Result<Task> Tasks::wait(const Context& ctx, std::string_view id, int64_t timeout_ms) {
  constexpr int64_t kSliceMs = 20;
  const base::SteadyMs start = impl_->clock.steady_ms();
  int64_t waited_ms = 0;  // the clock may be one that stands still
  while (true) {
    uint64_t seen = 0;
    {
      base::Lock lock(impl_->mutex);
      seen = impl_->generation;
    }
    TRY_LET(Task task, get(ctx, id));
    if (is_over(task.state)) return task;
    if (waited_ms >= timeout_ms || impl_->clock.steady_ms() - start >= timeout_ms)
      return Error(Code::kDeadline, "task", fmt::format("task {} is still {}", id, name_of(task.state)));
    base::Lock lock(impl_->mutex);
    if (!impl_->changed_tasks.wait_for(lock, std::chrono::milliseconds(kSliceMs),
                                       [&] { return impl_->generation != seen; }))
      waited_ms += kSliceMs;
  }
}

}  // namespace tarn::tasks
