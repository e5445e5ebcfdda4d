#include <fmt/format.h>

#include "cli/commands.h"

namespace tarn::cli {
namespace {

void print_item(Output& out, const Json& item) {
  const std::string& type = item["type"].as_string();
  std::string mark = "~ changed ";
  Paint paint = Paint::kWarn;
  if (type == "added")
    mark = "+ added   ", paint = Paint::kGood;
  else if (type == "removed")
    mark = "- removed ", paint = Paint::kBad;
  else if (type == "conflict")
    mark = "* conflict", paint = Paint::kBad;
  const std::string size = item.has("size_bytes") ? "  " + bytes_text(item["size_bytes"].as_int()) : "";
  out.line(out.paint(paint, fmt::format("{} {}", mark, printable(item["path"].as_string()))) + size);
}

Result<int> diff(Call& call) {
  TRY_LET(const Uri left, parse_prefix_uri(call.operand("LEFT")));
  TRY_LET(const int64_t amount, call.number("amount", 0));
  std::string prefix = call.has("prefix") ? call.get("prefix") : left.path;
  std::string path, type;
  if (const std::string& text = call.operand("RIGHT"); text.empty()) {
    path = path_of({"repositories", left.repository, "branches", left.ref, "diff"});
  } else {
    std::string right = text;
    if (has_scheme(text) || text.find('/') != std::string::npos) {
      TRY_LET(const Uri other, parse_prefix_uri(text));
      if (other.repository != left.repository)
        return usage_error(fmt::format("{} and {} are in different repositories", left.text(), other.text()));
      right = other.ref;
      if (prefix.empty()) prefix = other.path;
    }
    path = path_of({"repositories", left.repository, "refs", left.ref, "diff", right});
    type = call.has("two-way") ? "two_dot" : "three_dot";
  }
  const auto query = query_of({{"prefix", prefix}, {"type", type}, {"delimiter", call.has("folders") ? "/" : ""}});
  if (call.out->json()) {
    TRY_LET(const Json body, call.api->list(path, query, amount));
    call.out->print_json(body);
    return kDone;
  }
  int64_t count = 0;
  TRY(call.api->each(path, query, amount, [&](const Json& item) -> Result<void> {
    print_item(*call.out, item);
    ++count;
    return {};
  }));
  call.out->remark(count == 0 ? "no differences" : fmt::format("{} {}", count, count == 1 ? "path" : "paths"));
  return kDone;
}

}  // namespace

std::vector<Command> diff_commands() {
  return {{.words = "diff",
           .summary = "Shows what is not committed on a branch, or what a merge of RIGHT would bring to LEFT",
           .operands = {{"LEFT", "repository/ref, with a path to look below it only"},
                        {"RIGHT", "another ref of it, or its address", Operand::Count::kOptional}},
           .options = {{"two-way", "", "all that differs, not only what changed on RIGHT since their common commit"},
                       {"folders", "", "folders instead of what is in them"},
                       kPrefix,
                       kAmount},
           .run = diff}};
}

}  // namespace tarn::cli
