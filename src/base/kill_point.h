#pragma once
// Named places where a crash test may stop the process. Off unless TARN_KILL_POINT names one: the cost is one load.
#include <string_view>

namespace tarn::base {

/// Ends the process at once (no flush, no destructors) when the environment variable TARN_KILL_POINT equals `name`,
/// or `name:N` on the N-th passage. Kill points stand before and after every durable step of a conductor.
void kill_point(std::string_view name);

}  // namespace tarn::base

#define KILL_POINT(name) ::tarn::base::kill_point(name)
