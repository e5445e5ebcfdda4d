#pragma once
// What the measures of the engine share: rows with bars, rounds, the limits of the machine in the same minute.
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace tarn::bench {

using base::Json;

/// The value of a Result; an error ends this measure with its text, and the row then says so.
template <class T>
T must(Result<T> result) {
  if (!result) {
    std::fprintf(stderr, "bench: %s\n", result.error().text().c_str());
    std::exit(3);
  }
  return std::move(result).value();
}
inline void must(const Result<void>& result) {
  if (!result) {
    std::fprintf(stderr, "bench: %s\n", result.error().text().c_str());
    std::exit(3);
  }
}
[[noreturn]] void give_up(const std::string& why);

struct Options {
  std::string folder;             ///< scratch, on a disk
  uint64_t entries = 10'000'000;  ///< of the big tree; the middle one has a tenth
  bool quick = false;             ///< fewer rounds
  uint64_t big() const { return entries; }
  uint64_t middle() const { return entries / 10; }
  int rounds() const { return quick ? 3 : 5; }
};

/// Seconds on a clock that never jumps.
inline double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}
template <class F>
double seconds(F&& action) {
  const double start = now();
  action();
  return now() - start;
}

/// What several rounds of one measure gave.
struct Spread {
  double median = 0, min = 0, max = 0;
  int rounds = 0;
  Spread times(double factor) const { return {median * factor, min * factor, max * factor, rounds}; }
};
double quantile(std::vector<double> values, double q);
Spread spread(const std::vector<double>& rounds);
/// The p50 in seconds of `count` single operations, `rounds` times. `operation` gets a number that never repeats.
Spread latency(int rounds, int count, const std::function<void(uint64_t)>& operation);

enum class Bar { kNone, kAtMost, kAtLeast };

struct Row {
  std::string name;
  Spread value;
  std::string unit;
  Bar kind = Bar::kNone;
  double bar = 0;
  std::optional<double> limit;  ///< in the row's unit
  std::string limit_name;       ///< what the limit is
  std::string note;
  std::optional<bool> pass;  ///< overrides the comparison, for rows whose bar is no number
  bool measured = true;      ///< false: `note` says why not
  bool passes() const;
  Json to_json() const;
};
/// "10^6", "3*10^5", "123".
std::string power(uint64_t n);
/// A table for people.
void print(const Json& rows);

/// Bytes that this process has handed to write calls so far, on all its threads, log and background included.
uint64_t bytes_written();

// The machine's limits, measured when asked.
struct Limit {
  double value = 0;
  std::string name;
};
Limit synced_append(const std::string& folder);  ///< seconds: p50 of 200 bytes appended to a file and fdatasync
Limit synced_put(const std::string& folder);     ///< seconds: p50 of one row of 100 bytes put into RocksDB, synced
Limit synced_puts(const std::string& folder);    ///< rows/s of the same with 16 writers that share syncs
Limit copy_rate();                               ///< bytes/s of memcpy, 64 MiB
Limit codec_rate();                              ///< entries/s: SHA-256 and zstd-1 of 44 bytes an entry
Limit search_rate(uint64_t n);                   ///< searches/s: binary search among n sorted 64-bit numbers
Limit file_write(const std::string& folder, uint64_t bytes);  ///< seconds: that many bytes written and synced

struct Measure {
  std::string name;   ///< of --only
  std::string about;  ///< one line
  std::function<void(const Options&, std::vector<Row>&)> run;
  bool needs_big = false, needs_middle = false, needs_history = false;
};
std::vector<Measure> tree_measures();
std::vector<Measure> commit_measures();
std::vector<Measure> branch_measures();
std::vector<Measure> list_measures();
std::vector<Measure> history_measures();

/// One line of a log-log picture.
struct Curve {
  std::string picture, name, x, unit;  ///< x: "entries", "branches", "commits"
  std::vector<std::pair<double, double>> points;
};
void curves_of_entries(const Options&, std::vector<Curve>&);
void curves_of_branches(const Options&, std::vector<Curve>&);
void curves_of_commits(const Options&, std::vector<Curve>&);

}  // namespace tarn::bench
