#pragma once
// Structured log lines on standard error: one line, one write.
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include "base/context.h"

namespace tarn::base {

enum class Level { kDebug, kInfo, kWarning, kError };
enum class LogStyle { kText, kJson };

struct LogField {
  std::string_view key;
  std::string value;
};

/// Sets what is written for the whole process; call before threads start.
void configure_log(Level least, LogStyle style);

/// log(Level::kInfo, "server started", {{"address", address}}). Never pass a Secret's content.
/// Threads: any. Cost: one write(2).
void log(Level level, std::string_view message, std::initializer_list<LogField> fields = {});
void log(const Context& ctx, Level level, std::string_view message, std::initializer_list<LogField> fields = {});

/// nullopt for a word that is no level.
bool parse_level(std::string_view word, Level& level);

}  // namespace tarn::base
