#pragma once
// Small Parquet files for tests, made by the same DuckDB in this process.
#include <cstdlib>
#include <string>

#include <fmt/core.h>

#include "base/disk.h"
#include "base/hash.h"
#include "base/random.h"
#include "quality/duckdb_api.h"
#include "quality/pool.h"

namespace tarn::quality::testing {

/// The library named by the environment; empty when there is none (such tests are skipped with a message).
inline std::string duckdb_library() {
  const char* named = std::getenv("TARN_DUCKDB_LIBRARY");
  return named ? named : "";
}

/// A DuckDB with every right, for making test data.
class Duck {
 public:
  Duck() {
    auto loaded = load_duckdb(duckdb_library());
    ENSURE(loaded.ok());
    api_ = *loaded;
    ENSURE(api_->duckdb_open_ext(":memory:", &database_, nullptr, nullptr) == kDuckOk);
    ENSURE(api_->duckdb_connect(database_, &connection_) == kDuckOk);
    run("SET threads = 1");
  }
  ~Duck() {
    api_->duckdb_disconnect(&connection_);
    api_->duckdb_close(&database_);
  }
  /// Stops the program when the statement fails: a broken test.
  void run(const std::string& sql) {
    DuckResult result;
    const bool fine = api_->duckdb_query(connection_, sql.c_str(), &result) == kDuckOk;
    const std::string error = fine ? "" : api_->duckdb_result_error(&result);
    api_->duckdb_destroy_result(&result);
    if (!fine) base::fail_assertion(fmt::format("{}: {}", sql, error).c_str(), __FILE__, __LINE__);
  }

 private:
  const DuckApi* api_ = nullptr;
  DuckHandle database_ = nullptr;
  DuckHandle connection_ = nullptr;
};

inline Duck& duck() {
  static Duck it;
  return it;
}

/// A scratch folder that lives as long as the program.
inline const std::string& scratch() {
  struct Folder {
    std::string path = fmt::format("{}/tarn-quality-{}", P_tmpdir, base::system_random().hex(6));
    Folder() { ENSURE(base::system_disk().make_directories(path).ok()); }
    ~Folder() { (void)base::system_disk().remove_all(path); }
  };
  static Folder folder;
  return folder.path;
}

inline ObjectBytes object_of(std::string path, std::string bytes) {
  std::string sum = base::sha256_hex(bytes);
  return {std::move(path), std::move(sum), [bytes = std::move(bytes)]() -> Result<std::string> { return bytes; }};
}

inline std::string parquet_bytes(const std::string& query) {
  const std::string file = scratch() + "/made.parquet";
  duck().run(fmt::format("COPY ({}) TO '{}' (FORMAT parquet, COMPRESSION zstd)", query, file));
  auto bytes = base::system_disk().read_all(file);
  ENSURE(bytes.ok());
  return *std::move(bytes);
}

/// The rows of `query` as one Parquet object at the logical `path`.
inline ObjectBytes parquet(const std::string& path, const std::string& query) {
  return object_of(path, parquet_bytes(query));
}

}  // namespace tarn::quality::testing
