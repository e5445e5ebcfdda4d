#include "cli/output.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>

namespace tarn::cli {
namespace {

constexpr int64_t kDrawEveryMs = 100;
constexpr int64_t kLineEveryMs = 5000;

std::string cut(std::string_view text, size_t width) {
  if (width_of(text) <= width) return std::string(text);
  size_t bytes = 0, characters = 0;
  while (bytes < text.size() && characters + 1 < width) {
    ++bytes;
    while (bytes < text.size() && (static_cast<unsigned char>(text[bytes]) & 0xC0) == 0x80) ++bytes;
    ++characters;
  }
  return std::string(text.substr(0, bytes)) + "…";
}

}  // namespace

Output::Output(bool json, bool quiet, bool no_color)
    : json_(json), quiet_(quiet), terminal_(::isatty(STDOUT_FILENO) == 1), err_terminal_(::isatty(STDERR_FILENO) == 1) {
  color_ = terminal_ && !no_color && std::getenv("NO_COLOR") == nullptr;
  winsize size{};
  if (terminal_ && ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= 40) columns_ = size.ws_col;
  if (!terminal_) columns_ = 1 << 20;
}

void Output::raw(std::string_view bytes) { std::fwrite(bytes.data(), 1, bytes.size(), stdout); }

void Output::line(std::string_view text) {
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  raw(text);
  raw("\n");
}

void Output::print_json(const Json& json) { line(json.dump_pretty()); }

bool Output::as_json(const Json& json) {
  if (json_) print_json(json);
  return json_;
}

void Output::remark(std::string_view text) {
  if (quiet_ || json_) return;
  std::fflush(stdout);
  std::fprintf(stderr, "%.*s\n", static_cast<int>(text.size()), text.data());
}

std::string Output::paint(Paint paint, std::string_view text) const {
  if (!color_ || paint == Paint::kNone) return std::string(text);
  constexpr const char* kCodes[] = {"0", "32", "31", "33", "2", "1"};
  return fmt::format("\x1b[{}m{}\x1b[0m", kCodes[static_cast<int>(paint)], text);
}

Result<void> Output::flush() {
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0)
    return Error(Code::kUnavailable, "stdout", "the output could not be written");
  return {};
}

void Table::print(Output& out, std::string_view indent) const {
  std::vector<size_t> widths;
  for (const Column& column : columns_) widths.push_back(width_of(column.title));
  for (const auto& row : rows_)
    for (size_t i = 0; i < row.size() && i < widths.size(); ++i) widths[i] = std::max(widths[i], width_of(row[i]));
  size_t total = indent.size();
  for (const size_t width : widths) total += width + 2;
  total -= 2;
  if (const auto limit = static_cast<size_t>(out.columns()); total > limit) {
    size_t widest = widths.size();
    for (size_t i = 0; i < widths.size(); ++i)
      if (columns_[i].align == Align::kLeft && (widest == widths.size() || widths[i] > widths[widest])) widest = i;
    if (widest < widths.size())
      widths[widest] -= std::min(widths[widest] - std::min<size_t>(widths[widest], 8), total - limit);
  }
  const auto show = [&](const std::vector<std::string>& cells, Paint paint) {
    std::string text(indent);
    for (size_t i = 0; i < columns_.size(); ++i) {
      const std::string cell = i < cells.size() ? cut(cells[i], widths[i]) : std::string();
      const std::string gap(widths[i] - std::min(widths[i], width_of(cell)), ' ');
      text += columns_[i].align == Align::kRight ? gap + cell : cell + gap;
      if (i + 1 < columns_.size()) text += "  ";
    }
    while (!text.empty() && text.back() == ' ') text.pop_back();
    out.line(out.paint(paint, text));
  };
  std::vector<std::string> titles;
  for (const Column& column : columns_) titles.push_back(column.title);
  show(titles, Paint::kBold);
  for (const auto& row : rows_) show(row, Paint::kNone);
}

Progress::Progress(Output& out, std::string_view what, int64_t total)
    : out_(out), what_(what), total_(total), began_(base::system_clock().steady_ms()), shown_(began_) {}

Progress::~Progress() { finish(); }

void Progress::add(int64_t objects, int64_t bytes) {
  base::Lock lock(mutex_);
  objects_ += objects;
  bytes_ += bytes;
  show(false);
}

void Progress::set(int64_t objects) {
  base::Lock lock(mutex_);
  objects_ = objects;
  show(false);
}

void Progress::finish() {
  base::Lock lock(mutex_);
  if (finished_) return;
  finished_ = true;
  if (drawn_) show(true);
}

void Progress::show(bool last) {
  if (out_.quiet()) return;
  const base::SteadyMs now = base::system_clock().steady_ms();
  const bool terminal = out_.stderr_is_terminal();
  if (!last && now - shown_ < (terminal ? kDrawEveryMs : kLineEveryMs)) return;
  shown_ = now;
  drawn_ = true;
  const double seconds = static_cast<double>(std::max<int64_t>(now - began_, 1)) / 1000;
  std::string text =
      total_ > 0 ? fmt::format("{} {}/{}", what_, objects_, total_) : fmt::format("{} {}", what_, objects_);
  if (bytes_ > 0)
    text += fmt::format(", {}, {}/s", bytes_text(bytes_),
                        bytes_text(static_cast<int64_t>(static_cast<double>(bytes_) / seconds)));
  if (terminal && total_ > 0) {
    constexpr int64_t kWidth = 24;
    const int64_t full = std::min(kWidth, objects_ * kWidth / total_);
    text = fmt::format("[{:-<{}}] {}", std::string(static_cast<size_t>(full), '#'), kWidth, text);
  }
  if (terminal)
    std::fprintf(stderr, "\r\x1b[K%s%s", text.c_str(), last ? "\n" : "");
  else if (!last || objects_ > 0)
    std::fprintf(stderr, "%s\n", text.c_str());
  std::fflush(stderr);
}

std::string bytes_text(int64_t bytes) {
  constexpr const char* kUnits[] = {"B", "kB", "MB", "GB", "TB", "PB"};
  auto value = static_cast<double>(bytes);
  size_t unit = 0;
  while (std::abs(value) >= 999.5 && unit + 1 < std::size(kUnits)) {
    value /= 1000;
    ++unit;
  }
  if (unit == 0) return fmt::format("{} B", bytes);
  return value < 10 ? fmt::format("{:.1f} {}", value, kUnits[unit]) : fmt::format("{:.0f} {}", value, kUnits[unit]);
}

std::string time_text(int64_t epoch_s) {
  std::string text = base::rfc3339(epoch_s * 1000);
  std::replace(text.begin(), text.end(), 'T', ' ');
  if (!text.empty() && text.back() == 'Z') text.pop_back();
  return text;
}

std::string short_id(std::string_view hex) { return std::string(hex.substr(0, 12)); }

std::string number_text(const Json& value) {
  if (value.is_string()) return printable(value.as_string());
  if (value.is_null()) return "-";
  if (value.is_number() && !value.is_int()) return fmt::format("{:.6g}", value.as_double());
  return printable(value.dump());
}

std::string printable(std::string_view text) {
  std::string out(text);
  for (size_t i = 0; i < out.size(); ++i) {
    const auto c = static_cast<unsigned char>(out[i]);
    const bool c1 = c == 0xC2 && i + 1 < out.size() && static_cast<unsigned char>(out[i + 1]) < 0xA0;
    if (c < 0x20 || c == 0x7F) out[i] = '?';
    if (c1) out[i] = out[i + 1] = '?';
  }
  return out;
}

size_t width_of(std::string_view text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

}  // namespace tarn::cli
