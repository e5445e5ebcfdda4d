// Looks at what a command needs, one line each, and says the cure of the first thing that is missing.
#include <fmt/format.h>

#include "base/version.h"
#include "cli/commands.h"

namespace tarn::cli {
namespace {

void say(Output& out, bool good, std::string_view what) {
  out.line(fmt::format("{}  {}", out.paint(good ? Paint::kGood : Paint::kBad, good ? "ok  " : "FAIL"), what));
}

Result<int> doctor(Call& call) {
  const Target& target = call.api->target();
  Output& out = *call.out;
  say(out, true, fmt::format("server {} (from {})", target.server, target.server_origin));
  const auto health = call.api->ask("GET", "/healthcheck", {}, nullptr, 5'000);
  if (!health) return health.error();
  say(out, health->ok(), fmt::format("it answers {}", health->status));
  TRY_LET(const Json setup, call.api->get("/setup_lakefs"));
  const bool ready = setup["state"].as_string() == "initialized";
  say(out, ready, ready ? "it is set up" : "it is not set up: run 'tarn setup'");
  if (!ready) return kRefusedByServer;
  const bool keys = !target.access_key_id.empty();
  say(out, keys,
      keys ? fmt::format("access key {} (from {})", target.access_key_id, target.key_origin)
           : "no access key: set TARN_ACCESS_KEY_ID and TARN_SECRET_ACCESS_KEY");
  if (!keys) return kRefusedByServer;
  TRY_LET(const Answer user, call.api->ask("GET", "/user"));
  if (!user.ok()) {
    say(out, false, "the server does not take this key");
    return error_of(user);
  }
  say(out, true, fmt::format("it knows you as {}", printable(user.body["user"]["id"].as_string())));
  TRY_LET(const Json config, call.api->get("/config"));
  const std::string theirs = config["version_config"]["version"].as_string();
  say(out, true, fmt::format("versions: server {}, this tool {}", theirs, base::kVersion));
  return kDone;
}

}  // namespace

std::vector<Command> doctor_commands() {
  return {{.words = "doctor",
           .summary = "Checks address, server, keys and versions",
           .run = doctor,
           .needs = Needs::kAddress}};
}

}  // namespace tarn::cli
