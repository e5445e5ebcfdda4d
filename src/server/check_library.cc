#include "server/check_library.h"

#include <fmt/format.h>

namespace tarn::server {
namespace {

constexpr std::string_view kCure =
    "./run setup makes one, or name a libduckdb.so of version 1.5 in duckdb.library (TARN_DUCKDB_LIBRARY)";

}  // namespace

Result<std::string> find_check_library(base::Disk& disk, const std::string& setting, const std::string& program) {
  if (!setting.empty()) {
    if (disk.stat(setting)) return setting;
    return Error(Code::kUnavailable, "duckdb",
                 fmt::format("the DuckDB library {} that duckdb.library names is not there: {}", setting, kCure));
  }
  const std::string folder = program.substr(0, program.rfind('/'));
  const std::string above = folder.substr(0, folder.rfind('/'));
  std::string tried;
  for (const std::string& path :
       {folder + "/libduckdb.so", above + "/lib/libduckdb.so", above + "/.deps/duckdb/libduckdb.so"}) {
    if (disk.stat(path)) return path;
    tried += (tried.empty() ? "" : ", ") + path;
  }
  return Error(
      Code::kUnavailable, "duckdb",
      fmt::format("no DuckDB library is there to run the checks of contracts; looked for {}: {}", tried, kCure));
}

}  // namespace tarn::server
