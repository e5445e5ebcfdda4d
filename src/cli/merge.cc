#include <fmt/format.h>

#include "cli/commands.h"

namespace tarn::cli {
namespace {

struct Sides {
  Uri source, destination;
};

Result<Sides> sides_of(const Call& call) {
  TRY_LET(const Uri source, parse_uri(call.operand("SOURCE"), UriPart::kRef));
  const std::string& text = call.operand("DESTINATION");
  Uri destination{source.repository, text, ""};
  if (has_scheme(text) || text.find('/') != std::string::npos) {
    TRY_LET(destination, parse_uri(text, UriPart::kRef));
  }
  if (destination.repository != source.repository)
    return usage_error(fmt::format("{} and {} are in different repositories", source.text(), destination.text()));
  return Sides{source, destination};
}

void print_conflicts(Output& out, const Json& conflicts) {
  Table table({{"CONFLICT"}, {"SOURCE"}, {"DESTINATION"}});
  for (const Json& c : conflicts.items())
    table.row({printable(c["path"].as_string()), c["source"].as_string(), c["destination"].as_string()});
  table.print(out);
}

Result<int> merge(Call& call) {
  TRY_LET(const Sides sides, sides_of(call));
  TRY_LET(Json metadata, call.pairs("meta"));
  Json body = Json::object({{"message", call.get("message")}, {"metadata", std::move(metadata)}});
  if (call.has("strategy")) body.set("strategy", call.get("strategy"));
  Json path_strategies = Json::array();
  for (const std::string& text : call.all("path-strategy")) {
    const size_t equals = text.rfind('=');
    if (equals == 0 || equals == std::string::npos)
      return usage_error(fmt::format("--path-strategy takes PATHS=WHO, not '{}'", text));
    path_strategies.push(Json::object({{"paths", text.substr(0, equals)}, {"strategy", text.substr(equals + 1)}}));
  }
  if (path_strategies.size() > 0) body.set("path_strategies", std::move(path_strategies));
  if (call.has("squash")) body.set("squash_merge", true);
  if (call.has("allow-empty")) body.set("allow_empty", true);
  TRY_LET(const Answer answer, call.api->ask("POST",
                                             path_of({"repositories", sides.source.repository, "refs", sides.source.ref,
                                                      "merge", sides.destination.ref}),
                                             {}, &body));
  if (!answer.ok()) {
    if (answer.body["conflicts"].size() > 0) {
      if (!call.out->as_json(answer.body)) print_conflicts(*call.out, answer.body["conflicts"]);
    } else if (call.out->json() && !answer.body.is_null()) {
      call.out->print_json(answer.body);
    }
    return error_of(answer);
  }
  if (call.out->as_json(answer.body)) return kDone;
  call.out->line(fmt::format("merged {} into {}: {}", sides.source.ref, sides.destination.text(),
                             short_id(answer.body["reference"].as_string())));
  return kDone;
}

Result<int> merge_conflicts(Call& call) {
  TRY_LET(const Sides sides, sides_of(call));
  TRY_LET(const Json found, call.api->list(path_of({"repositories", sides.source.repository, "refs", sides.source.ref,
                                                    "merge", sides.destination.ref, "conflicts"}),
                                           query_of({{"prefix", call.get("prefix")}}), 0));
  if (call.out->as_json(found)) return kDone;
  print_conflicts(*call.out, found["results"]);
  return kDone;
}

Result<int> merge_base(Call& call) {
  TRY_LET(const Sides sides, sides_of(call));
  TRY_LET(const Json answer, call.api->get(path_of({"repositories", sides.source.repository, "refs", sides.source.ref,
                                                    "merge", sides.destination.ref})));
  if (call.out->as_json(answer)) return kDone;
  call.out->line(answer["base_commit_id"].as_string());
  return kDone;
}

}  // namespace

std::vector<Command> merge_commands() {
  const std::vector<Operand> sides = {{"SOURCE", "repository/ref"}, {"DESTINATION", "a branch of it, or its address"}};
  return {
      {.words = "merge",
       .summary = "Merges a ref into a branch; conflicts are listed, and then nothing changes",
       .operands = sides,
       .options = {kMessage,
                   kMeta,
                   {"strategy", "WHO", "source-wins or dest-wins where both changed a path"},
                   {.name = "path-strategy",
                    .value = "PATHS=WHO",
                    .help = "the same for a folder ('reports/') or a glob; the first that matches decides",
                    .repeated = true},
                   {"squash", "", "one commit, without the source as parent"},
                   {"allow-empty", "", "also when nothing changes"}},
       .run = merge,
       .more = "The main branch of a data product takes proposals only: tarn mesh propose."},
      {.words = "merge-conflicts",
       .summary = "Lists the paths that both sides changed, each in its own way",
       .operands = sides,
       .options = {{"prefix", "PREFIX", "only paths that begin so"}},
       .run = merge_conflicts},
      {.words = "merge-base", .summary = "Prints the common commit of two refs", .operands = sides, .run = merge_base},
  };
}

}  // namespace tarn::cli
