#pragma once
// The server's side of the check workers: starting them, handing them objects, asking with a time limit.
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/context.h"
#include "base/json.h"
#include "base/mutex.h"
#include "quality/channel.h"

namespace tarn::quality {

struct PoolOptions {
  std::string library_path;                          ///< libduckdb.so 1.5
  std::string worker_executable = "/proc/self/exe";  ///< answers to `--check-worker`
  int workers = 1;
  int64_t memory_mb = 512;            ///< DuckDB's limit in one worker
  int64_t address_space_mb = 4096;    ///< the kernel's limit for one worker
  int64_t cpu_seconds = 3600;         ///< over one worker's life
  int64_t check_ms_max = 60'000;      ///< one query; then it is interrupted, then the worker killed
  int64_t runs_per_worker = 2000;     ///< a worker is replaced after so many
  int64_t kept_bytes_max = 96 << 20;  ///< objects kept in one worker between runs
  int64_t object_bytes_max = 256 << 20;
  int threads = 1;
};

struct ObjectBytes {
  std::string path;      ///< logical, for example "inputs/flights/date=2013-10-01/flights.parquet"
  std::string checksum;  ///< names the content: equal checksums are read once
  std::function<Result<std::string>()> load;
};

/// Rows of a query: names and plain values.
struct Rows {
  std::vector<std::string> columns;
  std::vector<Json::Array> rows;
  bool more = false;  ///< the cap cut something off
};

/// One worker process. Threads: one at a time.
class WorkerHandle {
 public:
  static Result<std::unique_ptr<WorkerHandle>> start(const PoolOptions& options, base::Clock& clock);
  ~WorkerHandle();

  /// Forgets tables and grants of the run before.
  Result<void> begin();
  /// Lets the run read an object; loads it only when the worker does not hold it. @return its path for SQL.
  /// Errors: of `load`; kTooLarge; kUnavailable (the worker died).
  Result<std::string> grant(const ObjectBytes& object);
  /// Many at once. @return one path an object.
  Result<std::vector<std::string>> grant(const std::vector<const ObjectBytes*>& objects);
  /// Errors: kInvalid (the engine refuses the query), kDeadline (time limit; the worker may be gone),
  /// kUnavailable (the worker died), and those of the context.
  Result<Rows> query(const Context& ctx, const std::string& sql, bool user = false, int64_t rows_max = 1000);

  bool alive() const { return static_cast<bool>(channel_); }
  int64_t runs() const { return runs_; }
  /// Bytes of the objects that the current run was given.
  int64_t granted_bytes() const { return granted_bytes_; }
  int pid() const { return pid_; }
  const std::string& version() const { return version_; }
  const std::vector<std::string>& lacking() const { return lacking_; }

 private:
  struct Kept {
    int slot = 0;
    int64_t bytes = 0;
    int64_t used_in_run = 0;
    std::list<std::string>::iterator age;
  };

  WorkerHandle(const PoolOptions& options, base::Clock& clock) : options_(options), clock_(clock) {}
  Result<void> spawn();
  Result<Json> ask(const Context& ctx, const std::string& text, const std::vector<int>& files, int64_t limit_ms);
  Result<void> keep(const ObjectBytes& object, std::vector<int>& slots, std::vector<Descriptor>& files);
  Result<void> flush(std::vector<int>& slots, std::vector<Descriptor>& files);
  Result<int> free_slot(int64_t bytes);
  void kill();

  const PoolOptions options_;
  base::Clock& clock_;
  Descriptor channel_;
  int pid_ = -1;
  int64_t runs_ = 0;
  size_t granted_ = 0;
  int64_t granted_bytes_ = 0;
  std::string version_;
  std::vector<std::string> lacking_;
  std::map<std::string, Kept> kept_;  ///< by checksum
  std::list<std::string> ages_;       ///< least recently used first
  int64_t kept_bytes_ = 0;
  int slots_used_ = 0;
  std::vector<int> slots_free_;
};

/// A few warm workers. Threads: any.
class WorkerPool {
 public:
  WorkerPool(PoolOptions options, base::Clock& clock);

  /// Takes a worker for one run, waiting for a free one; starts it when needed.
  /// Errors: kUnavailable (it does not start), and those of the context.
  Result<std::unique_ptr<WorkerHandle>> take(const Context& ctx);
  /// Gives it back; a dead or old one is dropped.
  void give_back(std::unique_ptr<WorkerHandle> worker);
  /// A fresh worker in place of a dead one, without giving up the turn.
  Result<std::unique_ptr<WorkerHandle>> replace(std::unique_ptr<WorkerHandle> dead);
  const PoolOptions& options() const { return options_; }

 private:
  const PoolOptions options_;
  base::Clock& clock_;
  base::Mutex mutex_;
  base::Condition freed_;
  int taken_ = 0;
  std::vector<std::unique_ptr<WorkerHandle>> idle_;
};

}  // namespace tarn::quality
