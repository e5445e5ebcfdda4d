#pragma once
// One run's hold on a worker: the tables it made, made again when the worker dies in between.
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "quality/pool.h"

namespace tarn::quality {

/// Objects read as one table; `name` is a SQL name without quotes.
struct TableObject {
  const ObjectBytes* bytes = nullptr;
  std::string partition;  ///< the value of the partition key in its path; may be empty
};

/// The value of `key` in a Hive path ("a/date=2013-10-25/b.parquet"), percent-decoded; empty when it is not there.
std::string partition_of(std::string_view path, std::string_view key);

/// Threads: one at a time.
class Session {
 public:
  static Result<std::unique_ptr<Session>> open(WorkerPool& pool, const Context& ctx);
  ~Session();

  /// Makes a view or (`copy`) a table in the worker's memory with the columns of the files and three more:
  /// tarn_object (index in `objects`), tarn_partition, tarn_row (in its file). When `hive_key` is no column of the
  /// files it becomes one, a DATE if every value is one. No objects: kInvalid.
  Result<void> define_objects(const std::string& name, const std::vector<TableObject>& objects,
                              const std::string& hive_key, bool hive_is_column, bool copy);
  /// Runs one statement now and again in every later worker of this session.
  Result<void> define(const std::string& sql);

  /// See WorkerHandle::query. After kUnavailable the next call works in a fresh worker.
  Result<Rows> query(const std::string& sql, bool user = false, int64_t rows_max = 1000);
  /// Paths for SQL. Errors: of the objects' load.
  Result<std::vector<std::string>> paths(const std::vector<const ObjectBytes*>& objects);
  /// Replaces the worker's path names in a message by the objects' own.
  std::string readable(std::string message) const;
  /// Bytes of the objects that this run was given so far.
  int64_t granted_bytes() const { return worker_ ? worker_->granted_bytes() : 0; }
  int worker_pid() const { return worker_ ? worker_->pid() : -1; }
  const std::string& version() const { return worker_->version(); }
  const Context& context() const { return ctx_; }

 private:
  using Definition = std::function<Result<void>(Session&)>;
  Session(WorkerPool& pool, const Context& ctx) : pool_(pool), ctx_(ctx) {}
  Result<void> revive();
  Result<void> keep(Definition definition);

  WorkerPool& pool_;
  const Context& ctx_;
  std::unique_ptr<WorkerHandle> worker_;
  std::vector<Definition> definitions_;
  std::map<std::string, std::string> granted_;  ///< checksum and occurrence -> path for SQL
  std::map<std::string, std::string> names_;    ///< path for SQL -> logical path
  bool taken_ = false;                          ///< a turn in the pool is held, with or without a live worker
  bool reviving_ = false;
};

}  // namespace tarn::quality
