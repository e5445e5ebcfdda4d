#pragma once
// The check library for tests that need one, and small Parquet files of one column `a`.
#include <memory>
#include <string>

#include "quality/engine.h"
#include "quality/testing/parquet.h"
#include "versioning/testing/world.h"

namespace tarn::mesh::testing {

/// One for the program; nullptr when the environment names no library.
inline quality::Engine* checks() {
  static const std::unique_ptr<quality::Engine> engine = [] {
    if (quality::testing::duckdb_library().empty()) return std::unique_ptr<quality::Engine>();
    quality::PoolOptions options;
    options.library_path = quality::testing::duckdb_library();
    return versioning::testing::must(quality::Engine::start(std::move(options)));
  }();
  return engine.get();
}

/// "20), (NULL" are two rows.
inline std::string rows(const std::string& values) {
  return quality::testing::parquet_bytes("SELECT a::INTEGER AS a FROM (VALUES (" + values + ")) t(a)");
}

}  // namespace tarn::mesh::testing
