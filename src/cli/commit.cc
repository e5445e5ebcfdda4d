#include <fmt/format.h>

#include "base/clock.h"
#include "cli/commands.h"

namespace tarn::cli {
namespace {

Result<int> commit(Call& call) {
  TRY_LET(const Uri uri, parse_uri(call.operand("BRANCH"), UriPart::kRef));
  TRY_LET(Json metadata, call.pairs("meta"));
  if (call.get("message").empty() && !call.has("allow-empty-message"))
    return usage_error("a commit needs a message: add -m TEXT");
  Json body = Json::object({{"message", call.get("message")}, {"metadata", std::move(metadata)}});
  if (call.has("allow-empty")) body.set("allow_empty", true);
  if (call.has("date")) {
    const auto at = base::parse_rfc3339(call.get("date"));
    if (!at)
      return usage_error(fmt::format("--date takes a time like 2013-10-25T06:00:00Z, not '{}'", call.get("date")));
    body.set("date", *at / 1000);
  }
  TRY_LET(const Json made,
          call.api->post(path_of({"repositories", uri.repository, "branches", uri.ref, "commits"}), body));
  if (call.out->as_json(made)) return kDone;
  call.out->line(fmt::format("{}  {}", short_id(made["id"].as_string()), printable(made["message"].as_string())));
  return kDone;
}

}  // namespace

std::vector<Command> commit_commands() {
  return {{.words = "commit",
           .summary = "Commits what was changed on a branch",
           .operands = {{"BRANCH", "repository/branch"}},
           .options = {kMessage,
                       kMeta,
                       {"allow-empty", "", "also when nothing changed"},
                       {"allow-empty-message", "", "without a message"},
                       {"date", "TIME", "the commit's time, RFC 3339 (now)"}},
           .run = commit}};
}

}  // namespace tarn::cli
