#pragma once
// What every part of the mesh needs: the doors, the records, the business clock, one lock a branch, the event list.
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "auth/auth.h"
#include "base/clock.h"
#include "base/context.h"
#include "base/disk.h"
#include "base/mutex.h"
#include "base/random.h"
#include "catalog/catalog.h"
#include "http/client.h"
#include "mesh/records.h"
#include "quality/engine.h"
#include "tasks/tasks.h"
#include "versioning/engine.h"

namespace tarn::mesh {

/// In whose name something is done.
struct Actor {
  std::string user;
  bool administrator = false;
};

struct Options {
  int64_t heartbeat_limit_ms = 600'000;  ///< an attempt that sent one and then none for so long is failed
  int64_t landed_runs_kept = 32;         ///< of each repository; branches of older landed runs are deleted
};

/// Outlives the mesh. `checks` may be null (the check library is missing): then no gate passes.
struct Doors {
  kv::Store& kv;
  catalog::Catalog& catalog;
  versioning::Engine& engine;
  tasks::Tasks& tasks;
  auth::Auth& auth;
  quality::Engine* checks;
  http::Client& http;
  base::Disk& disk;
  base::Clock& clock;
  base::Random& random;
  std::string export_root;  ///< exports go below this folder
  Options options = {};
  /// Why `checks` is not there, with the cure; told to whoever needs a check.
  std::string checks_missing = "no DuckDB library: set TARN_DUCKDB_LIBRARY to the path of libduckdb.so";
};

/// Locks by name, so that proposals on one branch stand in line while others go on. First come, first served.
class NamedLocks {
 public:
  class Held {
   public:
    Held(NamedLocks& locks, std::string name);
    ~Held();
    Held(const Held&) = delete;
    Held& operator=(const Held&) = delete;

   private:
    NamedLocks& locks_;
    std::string name_;
  };

 private:
  struct Line {
    uint64_t next_ticket = 0, serving = 0;
  };
  base::Mutex mutex_;
  base::Condition turn_;
  std::map<std::string, Line> lines_;
};

/// Threads: any.
class World {
 public:
  explicit World(Doors given) : doors(given), records(given.kv) {}

  /// The mesh's business time: the wall clock's unless somebody set it. Decides freshness, schedules, waiver expiry.
  Result<base::WallMs> now(const Context& ctx) const;
  Result<bool> clock_is_set(const Context& ctx) const;
  Result<void> set_clock(const Context& ctx, std::optional<base::WallMs> at);

  /// Adds an event to the batch; ids are in order of time. `data` gets nothing added.
  void add_event(kv::Batch& batch, std::string_view type, std::string_view subject, Json data) const;

  /// The product behind a repository: Errors: kNotFound subject "product".
  Result<Record> product_of(const Context& ctx, std::string_view repository) const;
  /// The owner or an administrator. Errors: kForbidden.
  Result<void> need_owner(const Context& ctx, const Actor& actor, std::string_view repository) const;

  Doors doors;
  Records records;
  NamedLocks branch_locks;
};

}  // namespace tarn::mesh
