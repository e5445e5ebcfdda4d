#include "quality/pool.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>

#include <fmt/core.h>

#include "base/log.h"
#include "base/run_token.h"
#include "quality/worker.h"

namespace tarn::quality {
namespace {

constexpr int64_t kStartMsMax = 20'000;
constexpr int64_t kHousekeepingMsMax = 10'000;
/// From the polite interrupt to the kill.
constexpr int64_t kGraceMs = 2'000;

Error died(std::string_view how) {
  return Error(Code::kUnavailable, "worker", fmt::format("the check worker ended unexpectedly ({})", how));
}

}  // namespace

Result<std::unique_ptr<WorkerHandle>> WorkerHandle::start(const PoolOptions& options, base::Clock& clock) {
  std::unique_ptr<WorkerHandle> worker(new WorkerHandle(options, clock));
  TRY(worker->spawn());
  Json hello = Json::object({{"op", "hello"},
                             {"library", options.library_path},
                             {"memory_mb", options.memory_mb},
                             {"address_space_mb", options.address_space_mb},
                             {"cpu_seconds", options.cpu_seconds},
                             {"threads", options.threads}});
  auto answer = worker->ask(Context(), hello.dump(), {}, kStartMsMax);
  if (!answer) return answer.error().wrap(Code::kUnavailable, "worker", "the check worker does not start");
  if (answer->has("error")) return Error(Code::kUnavailable, "worker", (*answer)["error"].as_string());
  worker->version_ = (*answer)["version"].as_string();
  for (const Json& part : (*answer)["lacking"].items()) worker->lacking_.push_back(part.as_string());
  return worker;
}

WorkerHandle::~WorkerHandle() { kill(); }

void WorkerHandle::kill() {
  channel_.reset();
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
}

Result<void> WorkerHandle::spawn() {
  TRY_LET(auto ends, make_channel());
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends.second.get(), kWorkerChannel);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  std::string name = "tarn", flag = "--check-worker";
  char* arguments[] = {name.data(), flag.data(), nullptr};
  char* environment[] = {nullptr};  // nothing of the server's settings, least of all its secrets
  const int failed =
      posix_spawn(&pid_, options_.worker_executable.c_str(), &actions, &attributes, arguments, environment);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) {
    pid_ = -1;
    return Error(
        Code::kUnavailable, "worker",
        fmt::format("cannot start a check worker from {}: {}", options_.worker_executable, std::strerror(failed)));
  }
  channel_ = std::move(ends.first);
  return {};
}

Result<Json> WorkerHandle::ask(const Context& ctx, const std::string& text, const std::vector<int>& files,
                               int64_t limit_ms) {
  if (!alive()) return died("earlier");
  base::RunToken::Pause pause;  // the child does the work
  const base::SteadyMs start = clock_.steady_ms();
  if (auto sent = send_message(channel_.get(), text, files); !sent) {
    kill();
    return died("while it was asked");
  }
  std::optional<Error> given_up;
  while (!wait_readable(channel_.get(), 50)) {
    const int64_t waited = clock_.steady_ms() - start;
    if (!given_up) {
      if (waited > limit_ms)
        given_up = Error(Code::kDeadline, "check", fmt::format("stopped after the time limit of {} ms", limit_ms));
      else if (auto fine = ctx.check(clock_); !fine)
        given_up = fine.error();
      if (given_up) {
        limit_ms = waited;
        (void)send_message(channel_.get(), R"({"op":"interrupt"})");
      }
    } else if (waited > limit_ms + kGraceMs) {
      kill();
      return *given_up;
    }
  }
  auto message = receive_message(channel_.get());
  if (!message) {
    kill();
    if (given_up) return *given_up;
    return died("out of memory, CPU limit, or a crash");
  }
  if (given_up) return *given_up;
  return Json::parse(message->text);
}

Result<void> WorkerHandle::begin() {
  ++runs_;
  granted_ = 0;
  granted_bytes_ = 0;
  TRY_LET(const Json answer, ask(Context(), R"({"op":"begin"})", {}, kHousekeepingMsMax));
  if (answer.has("error")) return Error(Code::kUnavailable, "worker", answer["error"].as_string());
  return {};
}

Result<int> WorkerHandle::free_slot(int64_t bytes) {
  // Objects of the current run stay; the least recently used others make room.
  auto age = ages_.begin();
  while (age != ages_.end() && (kept_bytes_ + bytes > options_.kept_bytes_max ||
                                (slots_free_.empty() && slots_used_ >= static_cast<int>(kStoreSlots)))) {
    const auto victim = kept_.find(*age);
    ++age;
    if (victim->second.used_in_run == runs_) continue;
    kept_bytes_ -= victim->second.bytes;
    slots_free_.push_back(victim->second.slot);
    ages_.erase(victim->second.age);
    kept_.erase(victim);
  }
  if (!slots_free_.empty()) {
    const int slot = slots_free_.back();
    slots_free_.pop_back();
    return slot;
  }
  if (slots_used_ < static_cast<int>(kStoreSlots)) return slots_used_++;
  return Error(Code::kTooLarge, "check", fmt::format("one run may read at most {} objects", kStoreSlots));
}

Result<void> WorkerHandle::keep(const ObjectBytes& object, std::vector<int>& slots, std::vector<Descriptor>& files) {
  if (const auto found = kept_.find(object.checksum); found != kept_.end()) {
    found->second.used_in_run = runs_;
    ages_.splice(ages_.end(), ages_, found->second.age);
    return {};
  }
  TRY_LET(const std::string bytes, object.load());
  const auto size = static_cast<int64_t>(bytes.size());
  if (size > options_.object_bytes_max)
    return Error(Code::kTooLarge, "object",
                 fmt::format("{} has {} bytes; a check reads objects of at most {}: split it", object.path, size,
                             options_.object_bytes_max));
  TRY_LET(Descriptor file, make_sealed_memory(bytes));
  TRY_LET(const int slot, free_slot(size));
  kept_bytes_ += size;
  const auto age = ages_.insert(ages_.end(), object.checksum);
  kept_[object.checksum] = {slot, size, runs_, age};
  slots.push_back(slot);
  files.push_back(std::move(file));
  if (files.size() >= kMessageFilesMax) TRY(flush(slots, files));
  return {};
}

Result<void> WorkerHandle::flush(std::vector<int>& slots, std::vector<Descriptor>& files) {
  if (slots.empty()) return {};
  Json list = Json::array();
  std::vector<int> raw;
  for (size_t i = 0; i < slots.size(); ++i) {
    list.push(slots[i]);
    raw.push_back(files[i].get());
  }
  TRY_LET(const Json answer,
          ask(Context(), Json::object({{"op", "put"}, {"slots", std::move(list)}}).dump(), raw, kHousekeepingMsMax));
  slots.clear();
  files.clear();
  if (answer.has("error")) return Error(Code::kUnavailable, "worker", answer["error"].as_string());
  return {};
}

Result<std::string> WorkerHandle::grant(const ObjectBytes& object) {
  TRY_LET(auto paths, grant(std::vector<const ObjectBytes*>{&object}));
  return paths.front();
}

Result<std::vector<std::string>> WorkerHandle::grant(const std::vector<const ObjectBytes*>& objects) {
  if (granted_ + objects.size() > kGrantsMax)
    return Error(Code::kTooLarge, "check", fmt::format("one run may read at most {} objects", kGrantsMax));
  std::vector<int> slots;
  std::vector<Descriptor> files;
  std::optional<Error> failed;
  for (const ObjectBytes* object : objects) {
    const bool held = kept_.contains(object->checksum);
    auto kept = keep(*object, slots, files);
    if (!kept) {
      failed = kept.error();
      // What was not sent is not held: a later run must not believe it is.
      if (!held && kept_.contains(object->checksum)) this->kill();
      break;
    }
  }
  if (auto sent = flush(slots, files); !sent) {
    this->kill();
    return sent.error();
  }
  if (failed) return *failed;
  std::vector<std::string> paths;
  Json list = Json::array();
  const size_t first = granted_;
  for (const ObjectBytes* object : objects) {
    const Kept& held = kept_.at(object->checksum);
    list.push(held.slot);
    granted_bytes_ += held.bytes;
    paths.push_back(grant_path(granted_++));
  }
  const Json request = Json::object({{"op", "grant"}, {"first", first}, {"slots", std::move(list)}});
  TRY_LET(const Json answer, ask(Context(), request.dump(), {}, kHousekeepingMsMax));
  if (answer.has("error")) return Error(Code::kUnavailable, "worker", answer["error"].as_string());
  return paths;
}

Result<Rows> WorkerHandle::query(const Context& ctx, const std::string& sql, bool user, int64_t rows_max) {
  const Json request = Json::object({{"op", "query"}, {"sql", sql}, {"rows", rows_max}, {"user", user}});
  TRY_LET(const Json answer, ask(ctx, request.dump(), {}, options_.check_ms_max));
  if (answer.has("error")) {
    const std::string& text = answer["error"].as_string();
    // After such an error the engine answers nothing any more, or cannot be trusted to.
    if (text.starts_with("FATAL Error") || text.starts_with("INTERNAL Error") ||
        text.find("database has been invalidated") != std::string::npos) {
      kill();
      return died(text.substr(0, text.find('\n')));
    }
    return Error(Code::kInvalid, "query", text);
  }
  Rows out;
  for (const Json& name : answer["columns"].items()) out.columns.push_back(name.as_string());
  for (const Json& row : answer["rows"].items()) out.rows.push_back(row.items());
  out.more = answer["more"].as_bool();
  return out;
}

WorkerPool::WorkerPool(PoolOptions options, base::Clock& clock) : options_(std::move(options)), clock_(clock) {}

Result<std::unique_ptr<WorkerHandle>> WorkerPool::take(const Context& ctx) {
  {
    base::Lock lock(mutex_);
    while (taken_ >= options_.workers) {
      freed_.wait_for(lock, std::chrono::milliseconds(50), [this] { return taken_ < options_.workers; });
      TRY(ctx.check(clock_));
    }
    ++taken_;
    while (!idle_.empty()) {
      std::unique_ptr<WorkerHandle> worker = std::move(idle_.back());
      idle_.pop_back();
      if (worker->alive()) return worker;
    }
  }
  auto worker = WorkerHandle::start(options_, clock_);
  if (!worker) {
    base::Lock lock(mutex_);
    --taken_;
    freed_.notify_one();
  } else if (!(*worker)->lacking().empty()) {
    std::string parts;
    for (const std::string& part : (*worker)->lacking()) parts += (parts.empty() ? "" : ", ") + part;
    base::log(base::Level::kWarning, "the check worker's sandbox is not complete on this kernel", {{"lacking", parts}});
  }
  return worker;
}

void WorkerPool::give_back(std::unique_ptr<WorkerHandle> worker) {
  if (worker && (!worker->alive() || worker->runs() >= options_.runs_per_worker)) worker.reset();
  base::Lock lock(mutex_);
  --taken_;
  if (worker) idle_.push_back(std::move(worker));
  freed_.notify_one();
}

Result<std::unique_ptr<WorkerHandle>> WorkerPool::replace(std::unique_ptr<WorkerHandle> dead) {
  dead.reset();
  return WorkerHandle::start(options_, clock_);
}

}  // namespace tarn::quality
