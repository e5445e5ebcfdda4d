#include <fmt/format.h>

#include "cli/commands.h"

namespace tarn::cli {
namespace {

void print_object(Output& out, const Json& item) {
  if (item["path_type"].as_string() == "common_prefix") {
    out.line(fmt::format("{:>8}  {:19}  {}", "-", "", printable(item["path"].as_string())));
    return;
  }
  out.line(fmt::format("{:>8}  {}  {}", bytes_text(item["size_bytes"].as_int()), time_text(item["mtime"].as_int()),
                       printable(item["path"].as_string())));
}

Result<int> ls(Call& call) {
  TRY_LET(const Uri uri, parse_prefix_uri(call.operand("PREFIX")));
  TRY_LET(const int64_t amount, call.number("amount", 0));
  const auto path = path_of({"repositories", uri.repository, "refs", uri.ref, "objects", "ls"});
  const auto query = query_of({{"prefix", uri.path}, {"delimiter", call.has("recursive") ? "" : "/"}});
  if (call.out->json()) {
    TRY_LET(const Json body, call.api->list(path, query, amount));
    call.out->print_json(body);
    return kDone;
  }
  TRY(call.api->each(path, query, amount, [&](const Json& item) -> Result<void> {
    print_object(*call.out, item);
    return {};
  }));
  return kDone;
}

Result<int> cat(Call& call) {
  TRY_LET(const Uri uri, parse_uri(call.operand("PATH"), UriPart::kPath));
  http::ClientRequest request;
  request.url = path_of({"repositories", uri.repository, "refs", uri.ref, "objects"}) + "?" +
                http::format_query(query_of({{"path", uri.path}}));
  if (call.has("range")) request.headers.set("Range", "bytes=" + call.get("range"));
  request.timeout_ms = 0;
  request.sink = [&](std::string_view piece) -> Result<void> {
    call.out->raw(piece);
    return call.out->flush();
  };
  TRY_LET(auto response, call.api->send(std::move(request)));
  if (response.status / 100 == 2) return kDone;
  Answer answer{response.status, {}, std::move(response.body), {}};
  if (auto json = Json::parse(answer.text)) answer.body = std::move(*json);
  return error_of(answer);
}

Result<int> stat(Call& call) {
  TRY_LET(const Uri uri, parse_uri(call.operand("PATH"), UriPart::kPath));
  TRY_LET(const Json object,
          call.api->get(path_of({"repositories", uri.repository, "refs", uri.ref, "objects", "stat"}),
                        query_of({{"path", uri.path}})));
  if (call.out->as_json(object)) return kDone;
  std::vector<std::pair<std::string, std::string>> fields = {
      {"path", printable(object["path"].as_string())},
      {"size", fmt::format("{} ({} bytes)", bytes_text(object["size_bytes"].as_int()), object["size_bytes"].as_int())},
      {"modified", time_text(object["mtime"].as_int()) + " UTC"},
      {"checksum", object["checksum"].as_string()},
      {"content type", printable(object["content_type"].as_string())},
      {"lies at", printable(object["physical_address"].as_string())}};
  for (const auto& [name, value] : object["metadata"].members())
    fields.emplace_back("meta " + printable(name), printable(value.as_string()));
  print_fields(*call.out, fields);
  return kDone;
}

}  // namespace

std::vector<Command> fs_read_commands() {
  const Operand path{"PATH", "repository/ref/path"};
  return {
      {.words = "fs ls",
       .summary = "Lists objects below a prefix",
       .operands = {{"PREFIX", "repository/ref/prefix; a folder ends with /"}},
       .options = {{"recursive", "", "all objects, not folders", 'r'}, kAmount},
       .run = ls},
      {.words = "fs cat",
       .summary = "Prints an object",
       .operands = {path},
       .options = {{"range", "FROM-TO", "these bytes only, counted from 0"}},
       .run = cat},
      {.words = "fs stat", .summary = "Shows what is known of an object", .operands = {path}, .run = stat},
  };
}

}  // namespace tarn::cli
