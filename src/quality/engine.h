#pragma once
// The face of this room: contracts tested on objects, profiles, and queries for comparison, all in child processes.
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "quality/contract.h"
#include "quality/pool.h"
#include "quality/report.h"

namespace tarn::quality {

struct Table {
  std::string name;
  std::vector<ObjectBytes> objects;
};

/// What a run reads. The partition of an object is that of its path (`date=2013-10-25/`).
struct CheckScope {
  Table changed;                  ///< the objects that the change adds or replaces; all of them to report on history
  Table baseline;                 ///< objects of the partitions before, for meshBaseline; others are ignored
  std::vector<Table> references;  ///< tables that rules name as ${reference.NAME}
  std::string now_rfc3339;        ///< business time, shown in the report's observed values only where a rule asks
};

struct ColumnProfile {
  std::string name;
  std::string type;
  int64_t nulls = 0;
  int64_t distinct = 0;
  Json minimum;  ///< null when there is no value
  Json maximum;
};
struct TableProfile {
  int64_t rows = 0;
  std::vector<ColumnProfile> columns;
  Json to_json() const;
};

/// What the footer of one object says.
struct Footer {
  int64_t rows = 0;
  std::vector<std::pair<std::string, std::string>> columns;  ///< name and DuckDB type, top level only
};

/// Threads: any. Owner: wiring; one an installation. When the library cannot be loaded, start() says kUnavailable with
/// the cure; the server lives on without checks, and every gate that needs one stays undecided.
class Engine {
 public:
  static Result<std::unique_ptr<Engine>> start(PoolOptions options, base::Clock& clock = base::system_clock());

  /// Tests the contract's table `scope.changed.name` (or its only one). A fault in the data is a finding; an object
  /// that cannot be loaded is an error, since nothing is known about it.
  ///
  /// Errors: kInvalid (no such table in the contract), kUnavailable (no worker, or an object's load), kDeadline,
  /// kCancelled, kTooLarge.
  /// Cost: a warm worker tests one day of flights in some 20 ms; objects are handed over and not kept here.
  Result<Report> run(const Context& ctx, const Contract& contract, const CheckScope& scope);
  /// Row count; nulls, distinct values, least and greatest of each column. Errors: as run; kInvalid (unreadable).
  Result<TableProfile> profile(const Context& ctx, const std::vector<ObjectBytes>& objects);
  /// One SELECT over tables by their names. @return {columns, rows, more}. Errors: kInvalid (the query), as run.
  Result<Json> query(const Context& ctx, const std::string& sql, const std::vector<Table>& tables,
                     int64_t rows_max = 1000);

  const std::string& version() const { return version_; }

  // For the parts of this room.
  WorkerPool& pool() { return pool_; }
  base::Clock& clock() { return clock_; }
  std::optional<Footer> find_footer(const std::string& checksum);
  void keep_footer(const std::string& checksum, const Footer& footer);

 private:
  Engine(PoolOptions options, base::Clock& clock) : clock_(clock), pool_(std::move(options), clock) {}
  base::Clock& clock_;
  WorkerPool pool_;
  std::string version_;
  base::Mutex mutex_;
  std::map<std::string, Footer> footers_;  ///< by checksum; emptied when it grows too large
};

}  // namespace tarn::quality
