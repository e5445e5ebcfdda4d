#include <fmt/format.h>

#include "cli/commands.h"

namespace tarn::cli {
namespace {

/// A source may be written as an address or as a ref of the same repository.
Result<std::string> source_of(const Uri& target, const std::string& text) {
  if (text.empty()) return std::string("main");
  if (!has_scheme(text) && text.find('/') == std::string::npos) return text;
  TRY_LET(const Uri source, parse_uri(text, UriPart::kRef));
  if (source.repository != target.repository)
    return usage_error(fmt::format("a branch starts in its own repository, and {} is in {}", text, source.repository));
  return source.ref;
}

Result<int> create(Call& call) {
  TRY_LET(const Uri uri, parse_uri(call.operand("BRANCH"), UriPart::kRef));
  TRY_LET(const std::string source, source_of(uri, call.get("from")));
  const Json body = Json::object({{"name", uri.ref}, {"source", source}});
  // The answer is the commit's id as plain text.
  TRY_LET(const Answer made, call.api->ask("POST", path_of({"repositories", uri.repository, "branches"}), {}, &body));
  if (!made.ok()) return error_of(made);
  if (call.out->as_json(Json::object({{"id", uri.ref}, {"commit_id", made.text}}))) return kDone;
  call.out->line(fmt::format("branch {} at {}", uri.text(), short_id(made.text)));
  return kDone;
}

Result<int> list(Call& call) {
  TRY_LET(const Uri uri, parse_uri(call.operand("REPO"), UriPart::kRepository));
  TRY_LET(const int64_t amount, call.number("amount", 0));
  const auto query = query_of({{"prefix", call.get("prefix")}, {"show_hidden", call.has("hidden") ? "true" : ""}});
  TRY_LET(const Json body, call.api->list(path_of({"repositories", uri.repository, "branches"}), query, amount));
  if (call.out->as_json(body)) return kDone;
  Table table({{"BRANCH"}, {"COMMIT"}});
  for (const Json& branch : body["results"].items())
    table.row({branch["id"].as_string(), short_id(branch["commit_id"].as_string())});
  table.print(*call.out);
  return kDone;
}

Result<int> show(Call& call) {
  TRY_LET(const Uri uri, parse_uri(call.operand("BRANCH"), UriPart::kRef));
  TRY_LET(const Json branch, call.api->get(path_of({"repositories", uri.repository, "branches", uri.ref})));
  if (call.out->as_json(branch)) return kDone;
  print_fields(*call.out, {{"branch", branch["id"].as_string()}, {"commit", branch["commit_id"].as_string()}});
  return kDone;
}

Result<int> remove(Call& call) {
  TRY_LET(const Uri uri, parse_uri(call.operand("BRANCH"), UriPart::kRef));
  TRY(confirm(call, fmt::format("Branch {} and what is not committed on it go.", uri.text())));
  TRY_LET(const Json gone, call.api->remove(path_of({"repositories", uri.repository, "branches", uri.ref})));
  call.out->remark(fmt::format("deleted branch {}", uri.text()));
  return kDone;
}

Result<int> reset(Call& call) {
  TRY_LET(const Uri uri, parse_prefix_uri(call.operand("BRANCH")));
  TRY(confirm(call, fmt::format("What is not committed on {} goes.", uri.text())));
  Json body = Json::object({{"type", "reset"}});
  if (!uri.path.empty())
    body = Json::object({{"type", uri.path.ends_with('/') ? "common_prefix" : "object"}, {"path", uri.path}});
  if (call.has("to")) {
    TRY_LET(const std::string ref, source_of(uri, call.get("to")));
    TRY_LET(const Json done,
            call.api->call("PUT", path_of({"repositories", uri.repository, "branches", uri.ref, "hard_reset"}),
                           query_of({{"ref", ref}})));
  } else {
    TRY_LET(const Json done, call.api->put(path_of({"repositories", uri.repository, "branches", uri.ref}), body));
  }
  call.out->remark(fmt::format("reset {}", uri.text()));
  return kDone;
}

}  // namespace

std::vector<Command> branch_commands() {
  const Operand branch{"BRANCH", "repository/branch"};
  return {
      {.words = "branch create",
       .summary = "Makes a branch; nothing is copied",
       .operands = {branch},
       .options = {{"from", "REF", "where it starts (main)"}, {"source", "REF", "the same as --from", 's'}},
       .run =
           [](Call& call) {
             if (call.has("source")) call.options["from"] = {call.get("source")};
             return create(call);
           }},
      {.words = "branch list",
       .summary = "Lists branches and their heads",
       .operands = {{"REPO", "the repository"}},
       .options = {kPrefix, kAmount, {"hidden", "", "also those that the system made"}},
       .run = list},
      {.words = "branch show", .summary = "Shows a branch's head", .operands = {branch}, .run = show},
      {.words = "branch delete", .summary = "Deletes a branch", .operands = {branch}, .options = {kYes}, .run = remove},
      {.words = "branch reset",
       .summary = "Drops what is not committed, or moves the head",
       .operands = {{"BRANCH", "repository/branch, with a path to reset an object, or a prefix that ends with /"}},
       .options = {{"to", "REF", "move the branch's head to this commit"}, kYes},
       .run = reset},
  };
}

}  // namespace tarn::cli
