#include <fmt/format.h>

#include <cstdio>
#include <exception>

#include "cli/api.h"
#include "cli/cli.h"
#include "cli/exit.h"
#include "cli/help.h"
#include "cli/output.h"
#include "cli/profile.h"

namespace tarn::cli {
namespace {

/// Where to look for the right name of what is not there; the server's words tell what it was.
std::string where_to_look(std::string_view message) {
  const auto has = [&](std::string_view part) { return message.find(part) != std::string_view::npos; };
  if (has("is no branch, tag or commit") || message.starts_with("branch '"))
    return "'tarn branch list REPOSITORY' shows the branches, 'tarn tag list REPOSITORY' the tags";
  if (message.starts_with("repository '")) return "'tarn repo list' shows the repositories";
  if (message.starts_with("there is no object")) return "'tarn fs ls REPOSITORY/REF/' shows what is there";
  if (message.starts_with("there is no domain")) return "'tarn mesh domain list' shows the domains";
  if (message.starts_with("there is no product")) return "'tarn mesh product list' shows the products";
  if (message.starts_with("there is no incident")) return "'tarn mesh incident list --all' shows the incidents";
  return "";
}

/// What to do about an error, where the message does not say it.
std::string advice(const Error& error, const Target& target, const Command* command) {
  if (is_usage_error(error))
    return command == nullptr ? "'tarn help' lists the commands"
                              : fmt::format("'tarn {} --help' shows how it is used", command->words);
  switch (error.code()) {
    case Code::kUnauthenticated:
      if (target.access_key_id.empty())
        return "set TARN_ACCESS_KEY_ID and TARN_SECRET_ACCESS_KEY, or run 'tarn setup' on a new server";
      return fmt::format("the key {} came from {}; the server is {}", target.access_key_id, target.key_origin,
                         target.server);
    case Code::kUnavailable:
      if (error.subject() == "peer")
        return fmt::format("is a server running at {} (from {})? 'tarn serve' starts one, --server names another",
                           target.server, target.server_origin);
      return "try again in a moment";
    case Code::kBusy:
      return "the server is busy: try again in a moment";
    case Code::kNotFound:
      return where_to_look(error.message());
    case Code::kNoSpace:
      return "the server's disk is full, and nothing was kept: make room there, then repeat";
    case Code::kTooLarge:
      return "ask for less at once";
    case Code::kUnknownOutcome:
      return "it may have happened: look first, then repeat";
    case Code::kInternal:
      return error.subject() == "server" ? "the server's log says more" : "";
    default:
      return "";
  }
}

int report(const Error& error, const Target& target, const Command* command) {
  std::fflush(stdout);
  std::fprintf(stderr, "tarn: %s\n", error.message().c_str());
  for (const Error* cause = error.cause(); cause != nullptr; cause = cause->cause())
    std::fprintf(stderr, "      because: %s\n", cause->message().c_str());
  const std::string cure = advice(error, target, command);
  if (!cure.empty()) std::fprintf(stderr, "      %s\n", cure.c_str());
  // `job exec` keeps 1 for the command that it runs.
  if (command != nullptr && command->words == "job exec") return kNoAnswer;
  return exit_code(error);
}

/// The command that the words begin with, for the pointer to its help.
const Command* command_of(const std::vector<std::string>& words) {
  std::string text;
  const Command* found = nullptr;
  for (const std::string& word : words) {
    text += (text.empty() ? "" : " ") + word;
    for (const Command& command : all_commands())
      if (command.words == text) found = &command;
  }
  return found;
}

int show_help(const Parsed& parsed, Output& out) {
  out.raw(parsed.command != nullptr ? help_of(*parsed.command) : help_of_group(parsed.group));
  return out.flush() ? kDone : kNoAnswer;
}

int run_command(Parsed& parsed) {
  const Command& command = *parsed.command;
  Call& call = parsed.call;
  Output out(call.has("json"), call.has("quiet"), call.has("no-color"));
  call.out = &out;
  Target target;
  std::optional<Api> api;
  if (command.needs != Needs::kNothing) {
    auto found = resolve_target(call);
    if (!found) return report(found.error(), target, parsed.command);
    target = *found;
    if (command.needs == Needs::kServer && target.access_key_id.empty())
      return report(
          Error(Code::kUnauthenticated, "credentials", fmt::format("there are no credentials for {}", target.server)),
          target, parsed.command);
    call.api = &api.emplace(std::move(*found));
  }
  const auto code = command.run(call);
  const auto flushed = out.flush();
  if (!code) return report(code.error(), target, parsed.command);
  if (!flushed) return report(flushed.error(), target, parsed.command);
  return *code;
}

}  // namespace

int exit_code(const Error& error) {
  if (is_usage_error(error)) return kUsage;
  switch (error.code()) {
    case Code::kMergeConflict:
    case Code::kRefused:
      return kGateRefused;
    case Code::kBusy:
    case Code::kUnavailable:
    case Code::kDeadline:
    case Code::kCancelled:
    case Code::kCorrupt:
    case Code::kUnknownOutcome:
    case Code::kInternal:
      return kNoAnswer;
    case Code::kInvalid:
    case Code::kUnauthenticated:
    case Code::kForbidden:
    case Code::kNotFound:
    case Code::kAlreadyExists:
    case Code::kConflict:
    case Code::kGone:
    case Code::kTooLarge:
    case Code::kUnsupported:
    case Code::kNoSpace:
      return kRefusedByServer;
  }
  return kNoAnswer;
}

int run(int argc, char** argv) {
  std::vector<std::string> words(argv + (argc > 0 ? 1 : 0), argv + argc);
  if (words.size() == 1 && words.front() == "--version") words.front() = "version";
  // `tarn help branch create` is `tarn branch create --help`.
  if (words.size() > 1 && words.front() == "help" && words[1] != "--all") {
    words.erase(words.begin());
    words.emplace_back("--help");
  }
  auto parsed = parse(all_commands(), words);
  if (!parsed) {
    return report(parsed.error(), {}, command_of(words));
  }
  parsed->call.program = argc > 0 ? argv[0] : "tarn";
  if (parsed->help) {
    Output out(false, false, parsed->call.has("no-color"));
    return show_help(*parsed, out);
  }
  return run_command(*parsed);
}

}  // namespace tarn::cli
