#pragma once
// Where the DuckDB library lies that runs the checks.
#include <string>

#include "base/disk.h"

namespace tarn::server {

/// The setting when it names a library; else the first that exists beside the program: libduckdb.so in its folder, in
/// ../lib, and in ../.deps/duckdb, where `./run setup` puts it.
///
/// @param setting  duckdb.library; a path that does not exist is an error, never passed over.
/// @param program  absolute path of the running binary.
/// Errors: kUnavailable, naming the places and the cure.
Result<std::string> find_check_library(base::Disk& disk, const std::string& setting, const std::string& program);

}  // namespace tarn::server
