#include <fmt/format.h>

#include "cli/commands.h"

namespace tarn::cli {
namespace {

Result<Json> pick_body(const Call& call, const std::string& ref) {
  TRY_LET(const int64_t parent, call.number("parent", 0));
  TRY_LET(Json metadata, call.pairs("meta"));
  Json body = Json::object({{"ref", ref}, {"parent_number", parent}});
  if (call.has("allow-empty")) body.set("allow_empty", true);
  if (call.has("message") || call.has("meta"))
    body.set("commit_overrides", Json::object({{"message", call.get("message")}, {"metadata", std::move(metadata)}}));
  return body;
}

Result<int> revert(Call& call) {
  TRY_LET(const Uri uri, parse_uri(call.operand("BRANCH"), UriPart::kRef));
  for (const std::string& ref : call.all_operands("COMMIT")) {
    TRY_LET(const Json body, pick_body(call, ref));
    TRY_LET(const Json done,
            call.api->post(path_of({"repositories", uri.repository, "branches", uri.ref, "revert"}), body));
    call.out->remark(fmt::format("reverted {} on {}", ref, uri.text()));
  }
  return kDone;
}

Result<int> cherry_pick(Call& call) {
  TRY_LET(const Uri uri, parse_uri(call.operand("BRANCH"), UriPart::kRef));
  TRY_LET(const Json body, pick_body(call, call.operand("COMMIT")));
  TRY_LET(const Json made,
          call.api->post(path_of({"repositories", uri.repository, "branches", uri.ref, "cherry-pick"}), body));
  if (call.out->as_json(made)) return kDone;
  call.out->line(fmt::format("{}  {}", short_id(made["id"].as_string()), printable(made["message"].as_string())));
  return kDone;
}

}  // namespace

std::vector<Command> revert_commands() {
  const Operand branch{"BRANCH", "repository/branch"};
  const Option parent{"parent", "N", "of a merge: the parent that counts as before, from 1"};
  const Option allow_empty{"allow-empty", "", "also when nothing changes"};
  return {
      {.words = "revert",
       .summary = "Makes commits that undo others",
       .operands = {branch, {"COMMIT", "what to undo, in this order", Operand::Count::kMany}},
       .options = {parent, allow_empty, kMessage, kMeta},
       .run = revert},
      {.words = "cherry-pick",
       .summary = "Makes a commit that repeats the change of another",
       .operands = {branch, {"COMMIT", "what to repeat"}},
       .options = {parent, allow_empty, kMessage, kMeta},
       .run = cherry_pick},
  };
}

}  // namespace tarn::cli
