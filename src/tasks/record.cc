#include "tasks/record.h"

#include <array>

#include <fmt/core.h>

#include "kv/record.h"

namespace tarn::tasks {
namespace {

constexpr std::array<std::string_view, 5> kStates = {"waiting", "running", "done", "failed", "cancelled"};

}  // namespace

std::string record_key(std::string_view id) { return std::string(kRecordPrefix).append(id); }
std::string open_key(std::string_view id) { return std::string(kOpenPrefix).append(id); }

std::string_view name_of(State state) { return kStates[static_cast<size_t>(state)]; }

bool is_over(State state) { return state != State::kWaiting && state != State::kRunning; }

std::string encode(const Task& task) {
  Json json = Json::object({{"id", task.id}, {"kind", task.kind}, {"state", name_of(task.state)}});
  json.set("input", task.input).set("cursor", task.cursor).set("progress", task.progress);
  json.set("error", task.error).set("due_ms", task.due_ms).set("created_ms", task.created_ms);
  json.set("updated_ms", task.updated_ms).set("attempts", task.attempts);
  json.set("cancel_requested", task.cancel_requested);
  return kv::encode_record(json);
}

Result<Task> decode(std::string_view value) {
  TRY_LET(const Json json, kv::decode_record(value, "task"));
  Task task;
  const auto state = std::find(kStates.begin(), kStates.end(), json["state"].as_string());
  if (state == kStates.end())
    return Error(
        Code::kCorrupt, "task",
        fmt::format("task {} has the unknown state \"{}\"", json["id"].as_string(), json["state"].as_string()));
  task.state = static_cast<State>(state - kStates.begin());
  task.id = json["id"].as_string();
  task.kind = json["kind"].as_string();
  task.input = json["input"];
  task.cursor = json["cursor"];
  task.progress = json["progress"];
  task.error = json["error"].as_string();
  task.due_ms = json["due_ms"].as_int();
  task.created_ms = json["created_ms"].as_int();
  task.updated_ms = json["updated_ms"].as_int();
  task.attempts = static_cast<int>(json["attempts"].as_int());
  task.cancel_requested = json["cancel_requested"].as_bool();
  return task;
}

}  // namespace tarn::tasks
