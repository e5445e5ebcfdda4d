#include <fmt/format.h>

#include "cli/commands.h"

namespace tarn::cli {
namespace {

std::string globs_of(const Json& user) {
  if (user["admin"].as_bool()) return "everything (administrator)";
  std::string out;
  for (const Json& glob : user["writable_repositories"].items())
    out += (out.empty() ? "" : ", ") + printable(glob.as_string());
  return out.empty() ? "-" : out;
}

Result<int> list(Call& call) {
  TRY_LET(const int64_t amount, call.number("amount", 0));
  TRY_LET(const Json body, call.api->list("/auth/users", query_of({{"prefix", call.get("prefix")}}), amount));
  if (call.out->as_json(body)) return kDone;
  Table table({{"USER"}, {"CREATED"}, {"WRITES"}});
  for (const Json& user : body["results"].items())
    table.row({printable(user["id"].as_string()), time_text(user["creation_date"].as_int()), globs_of(user)});
  table.print(*call.out);
  return kDone;
}

Result<int> create(Call& call) {
  Json writes = Json::array();
  for (const auto& glob : call.all("writes")) writes.push(glob);
  const Json body = Json::object(
      {{"id", call.operand("USER")}, {"admin", call.has("admin")}, {"writable_repositories", std::move(writes)}});
  TRY_LET(const Json made, call.api->post("/auth/users", body));
  if (call.out->as_json(made)) return kDone;
  call.out->line(fmt::format("user {}, writes {}", printable(made["id"].as_string()), globs_of(made)));
  return kDone;
}

Result<int> remove(Call& call) {
  TRY(confirm(call, fmt::format("User {} and its keys go.", call.operand("USER"))));
  TRY_LET(const Json gone, call.api->remove(path_of({"auth", "users", call.operand("USER")})));
  call.out->remark(fmt::format("deleted user {}", call.operand("USER")));
  return kDone;
}

std::string keys_path(const Call& call) { return path_of({"auth", "users", call.operand("USER"), "credentials"}); }

Result<int> list_keys(Call& call) {
  TRY_LET(const Json body, call.api->list(keys_path(call), {}, 0));
  if (call.out->as_json(body)) return kDone;
  Table table({{"ACCESS KEY ID"}, {"CREATED"}});
  for (const Json& key : body["results"].items())
    table.row({key["access_key_id"].as_string(), time_text(key["creation_date"].as_int())});
  table.print(*call.out);
  return kDone;
}

Result<int> create_key(Call& call) {
  TRY_LET(const Json made, call.api->call("POST", keys_path(call)));
  if (call.out->as_json(made)) return kDone;
  print_fields(*call.out, {{"access key id", made["access_key_id"].as_string()},
                           {"secret access key", made["secret_access_key"].as_string()}});
  call.out->remark("the secret is shown this once");
  return kDone;
}

Result<int> remove_key(Call& call) {
  TRY(confirm(call, fmt::format("Key {} stops working.", call.operand("KEY"))));
  TRY_LET(const Json gone, call.api->remove(keys_path(call) + path_of({call.operand("KEY")})));
  call.out->remark(fmt::format("deleted key {}", call.operand("KEY")));
  return kDone;
}

}  // namespace

std::vector<Command> user_commands() {
  const Operand user{"USER", "the user's name"};
  return {
      {.words = "user list", .summary = "Lists users", .options = {kPrefix, kAmount}, .run = list},
      {.words = "user create",
       .summary = "Makes a user; give it a key with 'credentials create'",
       .operands = {user},
       .options = {{"writes", "GLOB", "repositories that it may write; it reads all", 0, true},
                   {"admin", "", "may do everything"}},
       .run = create},
      {.words = "user delete", .summary = "Deletes a user", .operands = {user}, .options = {kYes}, .run = remove},
      {.words = "credentials list", .summary = "Lists a user's keys", .operands = {user}, .run = list_keys},
      {.words = "credentials create", .summary = "Makes a key for a user", .operands = {user}, .run = create_key},
      {.words = "credentials delete",
       .summary = "Deletes a key",
       .operands = {user, {"KEY", "its access key id"}},
       .options = {kYes},
       .run = remove_key},
  };
}

}  // namespace tarn::cli
