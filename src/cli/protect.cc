#include <fmt/format.h>

#include "cli/commands.h"

namespace tarn::cli {
namespace {

Result<std::string> rules_path(const Call& call) {
  TRY_LET(const Uri uri, parse_uri(call.operand("REPO"), UriPart::kRepository));
  return path_of({"repositories", uri.repository, "settings", "branch_protection"});
}

Result<int> list(Call& call) {
  TRY_LET(const std::string path, rules_path(call));
  TRY_LET(const Json rules, call.api->get(path));
  if (call.out->as_json(rules)) return kDone;
  Table table({{"PATTERN"}});
  for (const Json& rule : rules.items()) table.row({printable(rule["pattern"].as_string())});
  table.print(*call.out);
  return kDone;
}

/// Reads the rules, changes them, and writes them if nobody else did in between.
Result<void> edit(Call& call, const std::function<Result<Json>(const Json& rules)>& change) {
  TRY_LET(const std::string path, rules_path(call));
  for (int attempt = 0;; ++attempt) {
    TRY_LET(const Answer now, call.api->ask("GET", path));
    if (!now.ok()) return error_of(now);
    TRY_LET(const Json next, change(now.body));
    http::ClientRequest request;
    request.method = "PUT";
    request.url = path;
    request.body = next.dump();
    request.headers.set("Content-Type", "application/json");
    if (const auto etag = now.headers.find("ETag")) request.headers.set("If-Match", *etag);
    TRY_LET(auto response, call.api->send(std::move(request)));
    if (response.status == 412 && attempt < 5) continue;
    Answer answer{response.status, {}, std::move(response.body), {}};
    if (answer.ok()) return {};
    if (auto json = Json::parse(answer.text)) answer.body = std::move(*json);
    return error_of(answer);
  }
}

Result<int> add(Call& call) {
  const std::string& pattern = call.operand("PATTERN");
  TRY(edit(call, [&](const Json& rules) -> Result<Json> {
    Json next = Json::array();
    for (const Json& rule : rules.items())
      if (rule["pattern"].as_string() != pattern) next.push(rule);
    next.push(Json::object({{"pattern", pattern}}));
    return next;
  }));
  call.out->remark(fmt::format("protected {}", pattern));
  return kDone;
}

Result<int> remove(Call& call) {
  const std::string& pattern = call.operand("PATTERN");
  TRY(edit(call, [&](const Json& rules) -> Result<Json> {
    Json next = Json::array();
    for (const Json& rule : rules.items())
      if (rule["pattern"].as_string() != pattern) next.push(rule);
    if (next.size() == rules.size())
      return Error(Code::kNotFound, "rule", fmt::format("no rule has the pattern '{}'", pattern));
    return next;
  }));
  call.out->remark(fmt::format("no longer protected: {}", pattern));
  return kDone;
}

}  // namespace

std::vector<Command> protect_commands() {
  const Operand repo{"REPO", "the repository"};
  const Operand pattern{"PATTERN", "a branch, or a glob like release-*"};
  return {
      {.words = "protect list", .summary = "Lists patterns of protected branches", .operands = {repo}, .run = list},
      {.words = "protect add",
       .summary = "Protects branches from direct writes, commits and deletion",
       .operands = {repo, pattern},
       .run = add},
      {.words = "protect remove", .summary = "Takes a protection back", .operands = {repo, pattern}, .run = remove},
  };
}

}  // namespace tarn::cli
