#pragma once
// The stored form of a task: JSON under kv prefix "tasks/" (docs/formats/kv.md).
#include <string>
#include <string_view>

#include "tasks/tasks.h"

namespace tarn::tasks {

inline constexpr std::string_view kRecordPrefix = "tasks/record/";
/// One row for every task that is not over: what a start has to resume.
inline constexpr std::string_view kOpenPrefix = "tasks/open/";

std::string record_key(std::string_view id);
std::string open_key(std::string_view id);

std::string_view name_of(State state);
bool is_over(State state);

std::string encode(const Task& task);
/// Errors: kCorrupt.
Result<Task> decode(std::string_view value);

}  // namespace tarn::tasks
