#pragma once
// The part of DuckDB's C API that the worker uses, declared by hand: the library is opened at run time and ships no
// header. Source: DuckDB 1.5 C API (stable part); checked by the version that the library reports.
#include <cstdint>
#include <string>

#include "base/result.h"

namespace tarn::quality {

using DuckIndex = uint64_t;
using DuckHandle = void*;  ///< database, connection, config, statements: all are opaque pointers
enum DuckState : int { kDuckOk = 0, kDuckError = 1 };

/// `duckdb_result`: six words of which only the library knows the meaning.
struct DuckResult {
  DuckIndex words[3] = {};
  void* pointers[3] = {};
};

/// `duckdb_type` as far as JSON cares.
enum DuckType : int {
  kDuckBoolean = 1,
  kDuckTinyint = 2,
  kDuckSmallint = 3,
  kDuckInteger = 4,
  kDuckBigint = 5,
  kDuckUtinyint = 6,
  kDuckUsmallint = 7,
  kDuckUinteger = 8,
  kDuckUbigint = 9,
  kDuckFloat = 10,
  kDuckDouble = 11,
  kDuckHugeint = 16,
  kDuckDecimal = 19,
};
constexpr int kDuckStatementSelect = 1;

/// Function pointers, all set when loading succeeded. The library stays open for the life of the process.
struct DuckApi {
  const char* (*duckdb_library_version)();
  DuckState (*duckdb_create_config)(DuckHandle* config);
  DuckState (*duckdb_set_config)(DuckHandle config, const char* name, const char* option);
  void (*duckdb_destroy_config)(DuckHandle* config);
  DuckState (*duckdb_open_ext)(const char* path, DuckHandle* database, DuckHandle config, char** error);
  void (*duckdb_close)(DuckHandle* database);
  DuckState (*duckdb_connect)(DuckHandle database, DuckHandle* connection);
  void (*duckdb_disconnect)(DuckHandle* connection);
  void (*duckdb_interrupt)(DuckHandle connection);
  void (*duckdb_free)(void* memory);
  DuckState (*duckdb_query)(DuckHandle connection, const char* sql, DuckResult* result);
  DuckIndex (*duckdb_extract_statements)(DuckHandle connection, const char* sql, DuckHandle* statements);
  const char* (*duckdb_extract_statements_error)(DuckHandle statements);
  DuckState (*duckdb_prepare_extracted_statement)(DuckHandle connection, DuckHandle statements, DuckIndex index,
                                                  DuckHandle* statement);
  void (*duckdb_destroy_extracted)(DuckHandle* statements);
  int (*duckdb_prepared_statement_type)(DuckHandle statement);
  const char* (*duckdb_prepare_error)(DuckHandle statement);
  void (*duckdb_destroy_prepare)(DuckHandle* statement);
  const char* (*duckdb_result_error)(DuckResult* result);
  void (*duckdb_destroy_result)(DuckResult* result);
  DuckIndex (*duckdb_column_count)(DuckResult* result);
  DuckIndex (*duckdb_row_count)(DuckResult* result);
  const char* (*duckdb_column_name)(DuckResult* result, DuckIndex column);
  DuckType (*duckdb_column_type)(DuckResult* result, DuckIndex column);
  bool (*duckdb_value_is_null)(DuckResult* result, DuckIndex column, DuckIndex row);
  bool (*duckdb_value_boolean)(DuckResult* result, DuckIndex column, DuckIndex row);
  char* (*duckdb_value_varchar)(DuckResult* result, DuckIndex column, DuckIndex row);
};

/// Opens the library and finds every function. Errors: kUnavailable saying what to do.
Result<const DuckApi*> load_duckdb(const std::string& path);

}  // namespace tarn::quality
