#include <fmt/format.h>

#include "cli/commands.h"

namespace tarn::cli {
namespace {

std::string tag_of(const Uri& uri) { return uri.path.empty() ? uri.ref : uri.ref + "/" + uri.path; }

Result<int> create(Call& call) {
  TRY_LET(const Uri uri, parse_prefix_uri(call.operand("TAG")));  // a tag's name may hold slashes
  std::string ref = call.operand("REF");
  if (has_scheme(ref) || ref.starts_with(uri.repository + "/")) {
    TRY_LET(const Uri source, parse_uri(ref, UriPart::kRef));
    if (source.repository != uri.repository)
      return usage_error(fmt::format("{} is in another repository than the tag", ref));
    ref = source.ref;
  }
  const auto path = path_of({"repositories", uri.repository, "tags"});
  if (call.has("force")) {
    TRY_LET(const Answer old, call.api->ask("DELETE", path + path_of({tag_of(uri)})));
    if (!old.ok() && old.status != 404) return error_of(old);
  }
  TRY_LET(const Json made, call.api->post(path, Json::object({{"id", tag_of(uri)}, {"ref", ref}})));
  if (call.out->as_json(made)) return kDone;
  call.out->line(fmt::format("tag {} at {}", uri.text(), short_id(made["commit_id"].as_string())));
  return kDone;
}

Result<int> list(Call& call) {
  TRY_LET(const Uri uri, parse_uri(call.operand("REPO"), UriPart::kRepository));
  TRY_LET(const int64_t amount, call.number("amount", 0));
  TRY_LET(const Json body, call.api->list(path_of({"repositories", uri.repository, "tags"}),
                                          query_of({{"prefix", call.get("prefix")}}), amount));
  if (call.out->as_json(body)) return kDone;
  Table table({{"TAG"}, {"COMMIT"}});
  for (const Json& tag : body["results"].items())
    table.row({printable(tag["id"].as_string()), short_id(tag["commit_id"].as_string())});
  table.print(*call.out);
  return kDone;
}

Result<int> show(Call& call) {
  TRY_LET(const Uri uri, parse_prefix_uri(call.operand("TAG")));
  TRY_LET(const Json tag, call.api->get(path_of({"repositories", uri.repository, "tags", tag_of(uri)})));
  if (call.out->as_json(tag)) return kDone;
  print_fields(*call.out, {{"tag", printable(tag["id"].as_string())}, {"commit", tag["commit_id"].as_string()}});
  return kDone;
}

Result<int> remove(Call& call) {
  TRY_LET(const Uri uri, parse_prefix_uri(call.operand("TAG")));
  TRY(confirm(call, fmt::format("Tag {} goes.", uri.text())));
  TRY_LET(const Json gone, call.api->remove(path_of({"repositories", uri.repository, "tags", tag_of(uri)})));
  call.out->remark(fmt::format("deleted tag {}", uri.text()));
  return kDone;
}

}  // namespace

std::vector<Command> tag_commands() {
  const Operand tag{"TAG", "repository/tag"};
  return {
      {.words = "tag create",
       .summary = "Names a commit for good",
       .operands = {tag, {"REF", "what it names"}},
       .options = {{"force", "", "move a tag that exists", 'f'}},
       .run = create},
      {.words = "tag list",
       .summary = "Lists tags",
       .operands = {{"REPO", "the repository"}},
       .options = {kPrefix, kAmount},
       .run = list},
      {.words = "tag show", .summary = "Shows a tag's commit", .operands = {tag}, .run = show},
      {.words = "tag delete", .summary = "Deletes a tag", .operands = {tag}, .options = {kYes}, .run = remove},
  };
}

}  // namespace tarn::cli
