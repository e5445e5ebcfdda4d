#include "quality/duckdb_api.h"

#include <dlfcn.h>

#include <fmt/core.h>

namespace tarn::quality {

Result<const DuckApi*> load_duckdb(const std::string& path) {
  static DuckApi api;
  constexpr std::string_view kCure =
      "set TARN_DUCKDB_LIBRARY to a libduckdb.so of version 1.5; contracts cannot be tested without it";
  if (path.empty()) return Error(Code::kUnavailable, "duckdb", fmt::format("no DuckDB library is named: {}", kCure));
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    const char* why = dlerror();
    return Error(Code::kUnavailable, "duckdb", fmt::format("cannot load DuckDB: {}: {}", why ? why : path, kCure));
  }
  std::string missing;
  const auto find = [&](const char* name, auto& target) {
    target = reinterpret_cast<std::remove_reference_t<decltype(target)>>(dlsym(library, name));
    if (!target) missing += std::string(missing.empty() ? "" : ", ") + name;
  };
#define TARN_DUCK(name) find(#name, api.name)
  TARN_DUCK(duckdb_library_version);
  TARN_DUCK(duckdb_create_config);
  TARN_DUCK(duckdb_set_config);
  TARN_DUCK(duckdb_destroy_config);
  TARN_DUCK(duckdb_open_ext);
  TARN_DUCK(duckdb_close);
  TARN_DUCK(duckdb_connect);
  TARN_DUCK(duckdb_disconnect);
  TARN_DUCK(duckdb_interrupt);
  TARN_DUCK(duckdb_free);
  TARN_DUCK(duckdb_query);
  TARN_DUCK(duckdb_extract_statements);
  TARN_DUCK(duckdb_extract_statements_error);
  TARN_DUCK(duckdb_prepare_extracted_statement);
  TARN_DUCK(duckdb_destroy_extracted);
  TARN_DUCK(duckdb_prepared_statement_type);
  TARN_DUCK(duckdb_prepare_error);
  TARN_DUCK(duckdb_destroy_prepare);
  TARN_DUCK(duckdb_result_error);
  TARN_DUCK(duckdb_destroy_result);
  TARN_DUCK(duckdb_column_count);
  TARN_DUCK(duckdb_row_count);
  TARN_DUCK(duckdb_column_name);
  TARN_DUCK(duckdb_column_type);
  TARN_DUCK(duckdb_value_is_null);
  TARN_DUCK(duckdb_value_boolean);
  TARN_DUCK(duckdb_value_varchar);
#undef TARN_DUCK
  if (!missing.empty())
    return Error(Code::kUnavailable, "duckdb", fmt::format("{} lacks the functions {}: {}", path, missing, kCure));
  return &api;
}

}  // namespace tarn::quality
