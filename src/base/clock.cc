#include "base/clock.h"

#include <ctime>
#include <thread>

#include <fmt/core.h>

#include "base/run_token.h"

namespace tarn::base {
namespace {

class SystemClock final : public Clock {
 public:
  WallMs wall_ms() override {
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch())
        .count();
  }
  SteadyMs steady_ms() override {
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
  }
  void sleep_ms(int64_t duration_ms) override {
    RunToken::Pause pause;
    std::this_thread::sleep_for(std::chrono::milliseconds(duration_ms));
  }
};

struct Parts {
  std::tm tm{};
  int ms = 0;
};

Parts parts_of(WallMs ms) {
  Parts p;
  int64_t seconds = ms / 1000;
  int rest = static_cast<int>(ms % 1000);
  if (rest < 0) {
    rest += 1000;
    --seconds;
  }
  const std::time_t t = static_cast<std::time_t>(seconds);
  gmtime_r(&t, &p.tm);
  p.ms = rest;
  return p;
}

/// Reads exactly `width` digits at `pos`.
std::optional<int> digits(std::string_view text, size_t pos, size_t width) {
  if (pos + width > text.size()) return std::nullopt;
  int value = 0;
  for (size_t i = pos; i < pos + width; ++i) {
    if (text[i] < '0' || text[i] > '9') return std::nullopt;
    value = value * 10 + (text[i] - '0');
  }
  return value;
}

std::optional<WallMs> from_parts(int year, int month, int day, int hour, int minute, int second, int ms) {
  static constexpr int kDays[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  if (month < 1 || month > 12 || day < 1 || day > kDays[month - 1]) return std::nullopt;
  if (month == 2 && day == 29 && !(year % 4 == 0 && (year % 100 != 0 || year % 400 == 0))) return std::nullopt;
  if (hour > 23 || minute > 59 || second > 60) return std::nullopt;
  std::tm tm{};
  tm.tm_year = year - 1900;
  tm.tm_mon = month - 1;
  tm.tm_mday = day;
  tm.tm_hour = hour;
  tm.tm_min = minute;
  tm.tm_sec = second;
  return static_cast<WallMs>(timegm(&tm)) * 1000 + ms;
}

constexpr std::string_view kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
constexpr std::string_view kWeekdays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};

}  // namespace

Clock& system_clock() {
  static SystemClock clock;
  return clock;
}

std::string rfc3339(WallMs ms) {
  const Parts p = parts_of(ms);
  std::string text = fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", p.tm.tm_year + 1900, p.tm.tm_mon + 1,
                                 p.tm.tm_mday, p.tm.tm_hour, p.tm.tm_min, p.tm.tm_sec);
  if (p.ms != 0) text += fmt::format(".{:03}", p.ms);
  return text + "Z";
}

std::optional<WallMs> parse_rfc3339(std::string_view text) {
  const auto year = digits(text, 0, 4), month = digits(text, 5, 2), day = digits(text, 8, 2);
  if (!year || !month || !day || text[4] != '-' || text[7] != '-') return std::nullopt;
  if (text.size() == 10) return from_parts(*year, *month, *day, 0, 0, 0, 0);
  if (text[10] != 'T' && text[10] != 't' && text[10] != ' ') return std::nullopt;
  const auto hour = digits(text, 11, 2), minute = digits(text, 14, 2);
  if (!hour || !minute || text[13] != ':') return std::nullopt;
  size_t pos = 16;
  int second = 0, ms = 0;
  if (pos < text.size() && text[pos] == ':') {
    const auto s = digits(text, pos + 1, 2);
    if (!s) return std::nullopt;
    second = *s;
    pos += 3;
    if (pos < text.size() && text[pos] == '.') {
      int scale = 100;
      for (++pos; pos < text.size() && text[pos] >= '0' && text[pos] <= '9'; ++pos, scale /= 10)
        ms += (text[pos] - '0') * scale;
    }
  }
  int64_t offset_minutes = 0;
  if (pos < text.size()) {
    const char sign = text[pos];
    if (sign == 'Z' || sign == 'z') {
      if (pos + 1 != text.size()) return std::nullopt;
    } else if (sign == '+' || sign == '-') {
      const auto oh = digits(text, pos + 1, 2);
      const bool colon = pos + 3 < text.size() && text[pos + 3] == ':';
      const auto om = digits(text, pos + (colon ? 4 : 3), 2);
      if (!oh || !om || pos + (colon ? 6 : 5) != text.size()) return std::nullopt;
      offset_minutes = (*oh * 60 + *om) * (sign == '+' ? 1 : -1);
    } else {
      return std::nullopt;
    }
  }
  const auto base = from_parts(*year, *month, *day, *hour, *minute, second, ms);
  if (!base) return std::nullopt;
  return *base - offset_minutes * 60'000;
}

std::string amz_date(WallMs ms) {
  const Parts p = parts_of(ms);
  return fmt::format("{:04}{:02}{:02}T{:02}{:02}{:02}Z", p.tm.tm_year + 1900, p.tm.tm_mon + 1, p.tm.tm_mday,
                     p.tm.tm_hour, p.tm.tm_min, p.tm.tm_sec);
}

std::optional<WallMs> parse_amz_date(std::string_view text) {
  if (text.size() != 16 || text[8] != 'T' || text[15] != 'Z') return std::nullopt;
  const auto year = digits(text, 0, 4), month = digits(text, 4, 2), day = digits(text, 6, 2);
  const auto hour = digits(text, 9, 2), minute = digits(text, 11, 2), second = digits(text, 13, 2);
  if (!year || !month || !day || !hour || !minute || !second) return std::nullopt;
  return from_parts(*year, *month, *day, *hour, *minute, *second, 0);
}

std::string http_date(WallMs ms) {
  const Parts p = parts_of(ms);
  return fmt::format("{}, {:02} {} {:04} {:02}:{:02}:{:02} GMT", kWeekdays[p.tm.tm_wday], p.tm.tm_mday,
                     kMonths[p.tm.tm_mon], p.tm.tm_year + 1900, p.tm.tm_hour, p.tm.tm_min, p.tm.tm_sec);
}

std::optional<WallMs> parse_http_date(std::string_view text) {
  // "Fri, 25 Oct 2013 06:00:00 GMT"
  if (text.size() != 29 || text.substr(25) != " GMT") return std::nullopt;
  const auto day = digits(text, 5, 2), year = digits(text, 12, 4);
  const auto hour = digits(text, 17, 2), minute = digits(text, 20, 2), second = digits(text, 23, 2);
  int month = 0;
  for (int i = 0; i < 12; ++i)
    if (text.substr(8, 3) == kMonths[i]) month = i + 1;
  if (!day || !year || !hour || !minute || !second || month == 0) return std::nullopt;
  return from_parts(*year, month, *day, *hour, *minute, *second, 0);
}

}  // namespace tarn::base
