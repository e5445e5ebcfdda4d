#include <fmt/format.h>

#include "cli/commands.h"

namespace tarn::cli {
namespace {

void print_commit(Output& out, const Json& commit) {
  out.line(out.paint(Paint::kWarn, "commit " + commit["id"].as_string()));
  if (commit["parents"].size() > 1) {
    std::string parents;
    for (const Json& parent : commit["parents"].items()) parents += " " + short_id(parent.as_string());
    out.line("merge  " + parents);
  }
  const std::string author = printable(commit["committer"].as_string());
  out.line(fmt::format("author  {}", author.empty() ? "-" : author));
  out.line(fmt::format("date    {} UTC", time_text(commit["creation_date"].as_int())));
  for (const auto& [name, value] : commit["metadata"].members())
    out.line(fmt::format("meta    {} = {}", printable(name), printable(value.as_string())));
  out.line("");
  const std::string& message = commit["message"].as_string();
  for (size_t at = 0; at <= message.size();) {
    const size_t end = std::min(message.find('\n', at), message.size());
    out.line("    " + printable(message.substr(at, end - at)));
    at = end + 1;
  }
}

void print_short(Output& out, const Json& commit) {
  const std::string& message = commit["message"].as_string();
  out.line(fmt::format("{}  {}  {}", short_id(commit["id"].as_string()), time_text(commit["creation_date"].as_int()),
                       printable(message.substr(0, message.find('\n')))));
}

Result<int> log(Call& call) {
  TRY_LET(const Uri uri, parse_prefix_uri(call.operand("REF")));
  TRY_LET(const int64_t amount, call.number("amount", 0));
  http::Query query = query_of({{"first_parent", call.has("first-parent") ? "true" : ""},
                                {"since", call.get("since")},
                                {"stop_at", call.get("stop-at")},
                                {"after", ""}});
  if (!uri.path.empty()) query.add(uri.path.ends_with('/') ? "prefixes" : "objects", uri.path);
  const auto path = path_of({"repositories", uri.repository, "refs", uri.ref, "commits"});
  const auto wanted = [&](const Json& commit) { return !call.has("no-merges") || commit["parents"].size() < 2; };
  if (call.out->json()) {
    TRY_LET(const Json body, call.api->list(path, query, amount));
    call.out->print_json(body);
    return kDone;
  }
  bool first = true;
  if (call.has("dot")) call.out->line("digraph commits {");
  TRY(call.api->each(path, query, amount, [&](const Json& commit) -> Result<void> {
    if (!wanted(commit)) return {};
    if (call.has("dot")) {
      for (const Json& parent : commit["parents"].items())
        call.out->line(
            fmt::format("  \"{}\" -> \"{}\"", short_id(commit["id"].as_string()), short_id(parent.as_string())));
    } else if (call.has("oneline")) {
      print_short(*call.out, commit);
    } else {
      if (!first) call.out->line("");
      print_commit(*call.out, commit);
    }
    first = false;
    return {};
  }));
  if (call.has("dot")) call.out->line("}");
  return kDone;
}

Result<int> show(Call& call) {
  TRY_LET(const Uri uri, parse_uri(call.operand("REF"), UriPart::kRef));
  TRY_LET(const Json commit, call.api->get(path_of({"repositories", uri.repository, "commits", uri.ref})));
  if (call.out->as_json(commit)) return kDone;
  print_commit(*call.out, commit);
  return kDone;
}

}  // namespace

std::vector<Command> log_commands() {
  return {
      {.words = "log",
       .summary = "Shows commits, newest first",
       .operands = {{"REF", "repository/ref; with a path: only commits that changed it (a prefix ends with /)"}},
       .options = {kAmount,
                   {"oneline", "", "one line a commit"},
                   {"first-parent", "", "follow first parents only"},
                   {"no-merges", "", "leave merges out"},
                   {"since", "TIME", "only younger ones"},
                   {"stop-at", "REF", "end with this commit"},
                   {"dot", "", "a graph for Graphviz"}},
       .run = log},
      {.words = "show", .summary = "Shows one commit", .operands = {{"REF", "repository/ref"}}, .run = show},
  };
}

}  // namespace tarn::cli
