// The first start: makes the administrator and keeps the keys for later commands.
#include <fmt/format.h>

#include "base/version.h"
#include "cli/commands.h"
#include "cli/help.h"

namespace tarn::cli {
namespace {

/// The name under which the keys are kept must not be another server's: its secret could not be had again.
Result<void> check_profile(const Call& call, const std::string& name) {
  TRY_LET(const auto known, load_profile(name));
  if (!known || known->access_key_id.empty() || known->server == call.api->target().server) return {};
  return usage_error(fmt::format("profile '{}' in {} holds the keys of {}: choose another with --profile, or --no-save",
                                 name, profile_path(), known->server));
}

Result<int> setup(Call& call) {
  const bool save = !call.has("no-save");
  const std::string name = profile_name(call);
  if (save) TRY(check_profile(call, name));
  Json body = Json::object({{"username", call.get_or("user", "admin")}});
  if (call.has("access-key-id"))
    body.set("key", Json::object({{"access_key_id", call.api->target().access_key_id},
                                  {"secret_access_key", call.api->target().secret.reveal()}}));
  if (call.has("token")) body.set("token", call.get("token"));
  // Without credentials of another installation.
  Target bare;
  bare.server = call.api->target().server;
  Api api(bare);
  TRY_LET(const Json made, api.post("/setup_lakefs", body));
  // The keys are shown first: they cannot be asked for again.
  if (!call.out->as_json(made)) {
    print_fields(*call.out, {{"server", bare.server},
                             {"user", body["username"].as_string()},
                             {"access key id", made["access_key_id"].as_string()},
                             {"secret access key", made["secret_access_key"].as_string()}});
    TRY(call.out->flush());
  }
  if (!save) return kDone;
  TRY(save_profile(name, {bare.server, made["access_key_id"].as_string(),
                          base::Secret<std::string>(made["secret_access_key"].as_string())}));
  call.out->remark(fmt::format("kept in {} as profile '{}'", profile_path(), name));
  return kDone;
}

Result<int> whoami(Call& call) {
  TRY_LET(const Json answer, call.api->get("/user"));
  if (call.out->as_json(answer)) return kDone;
  const Json& user = answer["user"];
  std::string writes;
  for (const Json& glob : user["writable_repositories"].items())
    writes += (writes.empty() ? "" : ", ") + printable(glob.as_string());
  print_fields(*call.out, {{"user", printable(user["id"].as_string())},
                           {"administrator", user["admin"].as_bool() ? "yes" : "no"},
                           {"writes", writes},
                           {"access key id", call.api->target().access_key_id},
                           {"key from", call.api->target().key_origin},
                           {"server", call.api->target().server}});
  return kDone;
}

Result<int> version(Call& call) {
  call.out->line(fmt::format("tarn {}", base::kVersion));
  return kDone;
}

Result<int> help(Call& call) {
  call.out->raw(call.has("all") ? reference() : help_of_group(""));
  return kDone;
}

/// serve, config, recover and fsck are answered before the command line is asked; they are here for help.
Result<int> elsewhere(Call& call) {
  return usage_error(fmt::format("write it as 'tarn {} …', with its options behind", call.command->words));
}

}  // namespace

std::vector<Command> start_commands() {
  return {
      {.words = "serve",
       .summary = "Starts the server",
       .options = {{"data", "DIR", "the data folder (TARN_DATA, ./tarn-data)"},
                   {"listen", "ADDR", "host:port (TARN_LISTEN, 127.0.0.1:8000)"},
                   {"config", "FILE", "a YAML file of settings"}},
       .run = elsewhere,
       .more = "Every setting is an option, a TARN_* variable and a key of the file; 'tarn config' lists them.",
       .needs = Needs::kNothing},
      {.words = "config",
       .summary = "Prints the server's effective settings and where each comes from",
       .run = elsewhere,
       .needs = Needs::kNothing},
      {.words = "recover",
       .summary = "Rebuilds a lost key-value store from the object store",
       .options = {{"data", "DIR", "the data folder (TARN_DATA, ./tarn-data); no server may be using it"},
                   {"replace", "", "also when the present key-value store is healthy; it is kept as kv.replaced-N"}},
       .run = elsewhere,
       .more =
           "Repositories come back from their records, commits from packs, branches, tags and protection rules from "
           "the ref journals. Commits that none of these reach are listed, and become nobody's head. Staged changes, "
           "users and keys, and mesh records are not in the object store: they are lost. Ends with 3 when something "
           "could not be brought back; it is said what.",
       .needs = Needs::kNothing},
      {.words = "fsck",
       .summary = "Checks everything that a data folder stores",
       .options = {{"data", "DIR", "the data folder (TARN_DATA, ./tarn-data); no server may be using it"},
                   {"repo", "NAME", "only this repository"},
                   {"deep", "", "read every object and compare its MD5"}},
       .run = elsewhere,
       .more =
           "Every row, every pack and commit, every tree, every branch and tag, and that every object that they name "
           "is there with its size. Nothing is repaired. Ends with 3 when something is not true; it is said what.",
       .needs = Needs::kNothing},
      {.words = "setup",
       .summary = "Makes the administrator of a new server and keeps its keys",
       .options = {{"user", "NAME", "the administrator's name (admin)"},
                   {"token", "TEXT", "the one-time token that the server printed; needed from another machine"},
                   {"no-save", "", "print the keys only"}},
       .run = setup,
       .more = "With --access-key-id and --secret these become the keys. Else they are made and shown this once.",
       .needs = Needs::kAddress},
      {.words = "whoami", .summary = "Shows the user and the server that commands speak for", .run = whoami},
      {.words = "help",
       .summary = "Lists the commands, or tells about one: tarn help branch create",
       .options = {{"all", "", "everything, as docs/cli.md"}},
       .run = help,
       .needs = Needs::kNothing},
      {.words = "version", .summary = "Prints the version", .run = version, .needs = Needs::kNothing},
  };
}

}  // namespace tarn::cli
