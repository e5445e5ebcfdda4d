#include "base/log.h"

#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"

namespace tarn::base {
namespace {

Level least_level = Level::kInfo;
LogStyle log_style = LogStyle::kText;

std::string_view word(Level level) {
  switch (level) {
    case Level::kDebug:
      return "debug";
    case Level::kInfo:
      return "info";
    case Level::kWarning:
      return "warning";
    case Level::kError:
      return "error";
  }
  return "info";
}

void emit(Level level, std::string_view message, std::initializer_list<LogField> fields, std::string_view request_id) {
  if (level < least_level) return;
  std::string line;
  if (log_style == LogStyle::kJson) {
    JsonWriter w;
    w.begin_object().key("time").value(rfc3339(system_clock().wall_ms())).key("level").value(word(level));
    w.key("message").value(message);
    if (!request_id.empty()) w.key("request_id").value(request_id);
    for (const auto& f : fields) w.key(f.key).value(f.value);
    line = w.end_object().take();
  } else {
    line = rfc3339(system_clock().wall_ms());
    line.append(" ").append(word(level)).append(" ").append(message);
    for (const auto& f : fields) {
      line.append(" ").append(f.key).append("=");
      if (f.value.find_first_of(" \"\n") == std::string::npos && !f.value.empty())
        line.append(f.value);
      else
        append_json_string(line, f.value);
    }
    if (!request_id.empty()) line.append(" request_id=").append(request_id);
  }
  line.push_back('\n');
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace

void configure_log(Level least, LogStyle style) {
  least_level = least;
  log_style = style;
}

void log(Level level, std::string_view message, std::initializer_list<LogField> fields) {
  emit(level, message, fields, {});
}

void log(const Context& ctx, Level level, std::string_view message, std::initializer_list<LogField> fields) {
  emit(level, message, fields, ctx.request_id());
}

bool parse_level(std::string_view text, Level& level) {
  for (const Level l : {Level::kDebug, Level::kInfo, Level::kWarning, Level::kError}) {
    if (text == word(l)) {
      level = l;
      return true;
    }
  }
  return false;
}

}  // namespace tarn::base
