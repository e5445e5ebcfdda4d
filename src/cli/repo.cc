#include <fmt/format.h>

#include "cli/commands.h"

namespace tarn::cli {
namespace {

Result<int> create(Call& call) {
  TRY_LET(const Uri uri, parse_uri(call.operand("REPO"), UriPart::kRepository));
  std::string space = call.operand("NAMESPACE");
  if (space.empty()) space = "local://" + uri.repository;
  const Json body = Json::object({{"name", uri.repository},
                                  {"storage_namespace", space},
                                  {"default_branch", call.get_or("default-branch", "main")}});
  TRY_LET(const Json made, call.api->post("/repositories", body));
  if (call.out->as_json(made)) return kDone;
  call.out->line(fmt::format("repository {} with branch {}", uri.repository, body["default_branch"].as_string()));
  return kDone;
}

Result<int> list(Call& call) {
  TRY_LET(const int64_t amount, call.number("amount", 0));
  TRY_LET(const Json body, call.api->list("/repositories", query_of({{"prefix", call.get("prefix")}}), amount));
  if (call.out->as_json(body)) return kDone;
  Table table({{"REPOSITORY"}, {"CREATED"}, {"DEFAULT"}, {"NAMESPACE"}});
  for (const Json& repo : body["results"].items())
    table.row({repo["id"].as_string(), time_text(repo["creation_date"].as_int()), repo["default_branch"].as_string(),
               printable(repo["storage_namespace"].as_string())});
  table.print(*call.out);
  return kDone;
}

Result<int> show(Call& call) {
  TRY_LET(const Uri uri, parse_uri(call.operand("REPO"), UriPart::kRepository));
  TRY_LET(const Json repo, call.api->get(path_of({"repositories", uri.repository})));
  if (call.out->as_json(repo)) return kDone;
  print_fields(*call.out, {{"repository", repo["id"].as_string()},
                           {"created", time_text(repo["creation_date"].as_int())},
                           {"default branch", repo["default_branch"].as_string()},
                           {"namespace", printable(repo["storage_namespace"].as_string())},
                           {"read-only", repo["read_only"].as_bool() ? "yes" : ""}});
  return kDone;
}

Result<int> remove(Call& call) {
  TRY_LET(const Uri uri, parse_uri(call.operand("REPO"), UriPart::kRepository));
  TRY(confirm(call, fmt::format("Repository {} and its history go.", uri.repository)));
  TRY_LET(const Json gone, call.api->remove(path_of({"repositories", uri.repository}),
                                            query_of({{"force", call.has("force") ? "true" : ""}})));
  call.out->remark(fmt::format("deleted repository {}", uri.repository));
  return kDone;
}

Result<int> fold(Call& call) {
  TRY_LET(const Uri uri, parse_uri(call.operand("REPO"), UriPart::kRepository));
  TRY_LET(const Json report, call.api->post(path_of({"repositories", uri.repository, "fold"}), Json::object({})));
  if (call.out->as_json(report)) return kDone;
  print_fields(*call.out,
               {{"packs", fmt::format("{} -> {}", report["packs_before"].as_int(), report["packs_after"].as_int())},
                {"bytes", fmt::format("{} -> {}", report["bytes_before"].as_int(), report["bytes_after"].as_int())}});
  return kDone;
}

}  // namespace

std::vector<Command> repo_commands() {
  const Operand repo{"REPO", "the repository's name: 3 to 63 of a-z, 0-9 and -"};
  return {
      {.words = "repo create",
       .summary = "Makes a repository with an empty first commit",
       .operands = {repo, {"NAMESPACE", "where its objects lie (local://NAME)", Operand::Count::kOptional}},
       .options = {{"default-branch", "NAME", "the first branch (main)", 'd'}},
       .run = create},
      {.words = "repo list", .summary = "Lists repositories", .options = {kPrefix, kAmount}, .run = list},
      {.words = "repo show", .summary = "Shows one repository", .operands = {repo}, .run = show},
      {.words = "repo delete",
       .summary = "Deletes a repository; its objects stay in the store",
       .operands = {repo},
       .options = {kYes, {"force", "", "also when it is read-only"}},
       .run = remove},
      {.words = "repo fold",
       .summary = "Folds the small packs of many commits into few (the server does so now and then)",
       .operands = {repo},
       .run = fold},
  };
}

}  // namespace tarn::cli
