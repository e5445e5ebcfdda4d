#include <fmt/format.h>

#include "base/clock.h"
#include "cli/commands.h"

namespace tarn::cli {
namespace {

Result<int> show(Call& call, const Json& clock) {
  if (call.out->as_json(clock)) return kDone;
  call.out->line(fmt::format("{}  ({})", clock["now"].as_string(), clock["set"].as_bool() ? "set" : "the wall clock"));
  return kDone;
}

Result<int> get(Call& call) {
  TRY_LET(const Json clock, call.api->get("/mesh/clock"));
  return show(call, clock);
}

Result<int> set(Call& call) {
  const std::string& text = call.operand("TIME");
  Json at;
  if (text != "wall") {
    const auto ms = base::parse_rfc3339(text);
    if (!ms) return usage_error(fmt::format("TIME is like 2014-01-02T06:00:00Z, or wall; not '{}'", text));
    at = base::rfc3339(*ms);
  }
  TRY_LET(const Json clock, call.api->put("/mesh/clock", Json::object({{"at", std::move(at)}})));
  return show(call, clock);
}

}  // namespace

std::vector<Command> clock_commands() {
  return {
      {.words = "clock get", .summary = "Shows the mesh's business clock", .run = get},
      {.words = "clock set",
       .summary = "Sets the business clock: freshness, schedules, waivers and run keys follow it",
       .operands = {{"TIME", "RFC 3339, like 2014-01-02T06:00:00Z; wall goes back to the wall clock"}},
       .run = set,
       .more = "Signatures, log times and the lifetime of keys stay on the wall clock."},
  };
}

}  // namespace tarn::cli
