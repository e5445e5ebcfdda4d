#pragma once
// What people and programs see: tables, remarks, JSON, progress. Results go to stdout, all else to stderr.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/json.h"
#include "base/mutex.h"

namespace tarn::cli {

enum class Paint { kNone, kGood, kBad, kWarn, kDim, kBold };

class Output {
 public:
  Output(bool json, bool quiet, bool no_color);
  bool json() const { return json_; }
  bool quiet() const { return quiet_; }
  bool stderr_is_terminal() const { return err_terminal_; }
  int columns() const { return columns_; }

  /// One line of result.
  void line(std::string_view text);
  void raw(std::string_view bytes);
  void print_json(const Json& json);
  /// JSON when asked for, and then true: the caller is done.
  bool as_json(const Json& json);
  /// A remark for people: stderr, silent with --quiet and --json.
  void remark(std::string_view text);
  std::string paint(Paint paint, std::string_view text) const;
  /// Errors: kUnavailable when stdout cannot take the bytes (full disk, closed pipe).
  Result<void> flush();

 private:
  bool json_, quiet_, color_, terminal_, err_terminal_;
  int columns_ = 80;
};

/// Columns are as wide as their widest cell; on a terminal the widest text column is cut so that lines fit.
class Table {
 public:
  enum class Align { kLeft, kRight };
  struct Column {
    std::string title;
    Align align = Align::kLeft;
  };
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
  void row(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  bool empty() const { return rows_.empty(); }
  void print(Output& out, std::string_view indent = "") const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

/// Shows how far long work is: a bar on a terminal, else a line every few seconds. Threads: add() from any.
class Progress {
 public:
  /// @param total  objects expected; 0: unknown.
  Progress(Output& out, std::string_view what, int64_t total);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  void add(int64_t objects, int64_t bytes);
  void set(int64_t objects);
  void finish();

 private:
  void show(bool last);
  Output& out_;
  std::string what_;
  base::Mutex mutex_;
  int64_t total_, objects_ = 0, bytes_ = 0;
  base::SteadyMs began_, shown_ = 0;
  bool drawn_ = false, finished_ = false;
};

std::string bytes_text(int64_t bytes);       ///< "1.5 MB"
std::string time_text(int64_t epoch_s);      ///< "2013-10-25 06:00:00" UTC
std::string short_id(std::string_view hex);  ///< the first 12 digits
std::string number_text(const Json& value);  ///< a number or a text, as people write it
/// Control characters of names and messages from elsewhere become "?", so that no one paints on the terminal.
std::string printable(std::string_view text);
size_t width_of(std::string_view text);  ///< characters of UTF-8

}  // namespace tarn::cli
