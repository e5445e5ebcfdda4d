#pragma once
// Runs another program as a child: signals go through to it, and a tick comes while it runs.
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"

namespace tarn::cli {

struct ChildEnd {
  int code = 0;    ///< exit code; 128 + signal when a signal ended it
  int signal = 0;  ///< the signal that ended it, or 0
};

/// Starts `command` (looked up in PATH) with this process's environment changed by `set` (an empty value takes the
/// variable away) and waits. SIGINT, SIGTERM, SIGHUP and SIGQUIT sent to this process go to the child (those of a
/// terminal reach it anyway). `tick` is called every `tick_ms`; when it returns false the child gets SIGTERM, and
/// SIGKILL ten seconds later.
///
/// Errors: kNotFound, kForbidden (the program cannot be started).
/// Threads: none may exist but the caller's; the signals named stay blocked afterwards.
Result<ChildEnd> run_child(const std::vector<std::string>& command,
                           const std::vector<std::pair<std::string, std::string>>& set, int64_t tick_ms,
                           const std::function<bool()>& tick);

}  // namespace tarn::cli
