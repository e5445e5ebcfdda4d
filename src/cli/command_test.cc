#include "cli/command.h"

#include <gtest/gtest.h>

#include "cli/uri.h"

namespace tarn::cli {
namespace {

Result<int> nothing(Call&) { return 0; }

const std::vector<Command>& commands() {
  static const std::vector<Command> kCommands = {
      {.words = "show", .summary = "", .operands = {{"REF", "a ref"}}, .run = nothing},
      {.words = "branch create",
       .summary = "",
       .operands = {{"BRANCH", "a branch"}, {"REF", "a ref", Operand::Count::kOptional}},
       .options = {{"source", "REF", "where from", 's'}, {"meta", "K=V", "", 0, true}, {"force", "", "", 'f'}},
       .run = nothing},
      {.words = "branch list", .summary = "", .run = nothing},
      {.words = "job exec",
       .summary = "",
       .operands = {{"COMMAND", "a program", Operand::Count::kAfterDashes}},
       .options = {{"run", "KEY", "the run"}},
       .run = nothing},
  };
  return kCommands;
}

Parsed parsed(const std::vector<std::string>& words) {
  auto result = parse(commands(), words);
  EXPECT_TRUE(result) << result.error().message();
  return result ? std::move(*result) : Parsed{};
}

std::string said(const std::vector<std::string>& words) {
  const auto result = parse(commands(), words);
  if (result) return "";
  EXPECT_TRUE(is_usage_error(result.error()));
  return result.error().message();
}

TEST(CommandLine, SortsOperandsAndOptionsInAnyOrder) {
  const auto p = parsed({"--json", "branch", "create", "-s", "main", "a/b", "--meta=x=1", "--meta", "y=2", "-f"});
  ASSERT_NE(p.command, nullptr);
  EXPECT_EQ(p.command->words, "branch create");
  EXPECT_EQ(p.call.operand("BRANCH"), "a/b");
  EXPECT_EQ(p.call.operand("REF"), "");
  EXPECT_EQ(p.call.get("source"), "main");
  EXPECT_TRUE(p.call.has("json") && p.call.has("force") && !p.call.has("quiet"));
  const auto pairs = p.call.pairs("meta");
  ASSERT_TRUE(pairs);
  EXPECT_EQ((*pairs)["x"].as_string() + (*pairs)["y"].as_string(), "12");
}

TEST(CommandLine, LeavesTheWordsAfterDashesAlone) {
  const auto p = parsed({"job", "exec", "--run", "1", "--", "sh", "-c", "--help", "--"});
  EXPECT_EQ(p.call.all_operands("COMMAND"), (std::vector<std::string>{"sh", "-c", "--help", "--"}));
  EXPECT_FALSE(p.help);
}

TEST(CommandLine, DashesEndTheOptionsOfOtherCommands) {
  EXPECT_EQ(parsed({"show", "--", "--odd"}).call.operand("REF"), "--odd");
  EXPECT_EQ(parsed({"show", "-"}).call.operand("REF"), "-");
}

TEST(CommandLine, AGroupWithHelpIsHelpAndWithoutIsNot) {
  EXPECT_TRUE(parsed({"branch", "-h"}).help);
  EXPECT_EQ(parsed({"branch", "-h"}).group, "branch");
  EXPECT_TRUE(parsed({}).help);
  EXPECT_EQ(said({"branch"}), "'branch' needs one more word: create, list");
}

TEST(CommandLine, NamesTheNearestWord) {
  EXPECT_EQ(said({"brnach"}), "unknown command 'brnach'; did you mean 'branch'?");
  EXPECT_EQ(said({"branch", "ls"}), "unknown command 'branch ls'; did you mean 'branch list'?");
  EXPECT_EQ(said({"branch", "zzzzzz"}), "unknown command 'branch zzzzzz'; there are: create, list");
  EXPECT_EQ(said({"show", "x", "--jason"}), "unknown option --jason; did you mean --json?");
}

TEST(CommandLine, SaysWhatIsMissingOrTooMuch) {
  EXPECT_EQ(said({"show"}), "REF is missing: a ref");
  EXPECT_EQ(said({"show", "a", "b"}), "unexpected word 'b'");
  EXPECT_EQ(said({"branch", "create", "a", "--source"}), "--source needs a value: where from");
  EXPECT_EQ(said({"branch", "create", "a", "--force=1"}), "--force takes no value");
}

TEST(Address, HasThreePartsAndThreeSpellings) {
  for (const char* text : {"tarn://repo/main/a/b c/", "lakefs://repo/main/a/b c/", "repo/main/a/b c/"}) {
    const auto uri = parse_uri(text, UriPart::kPath);
    ASSERT_TRUE(uri) << text;
    EXPECT_EQ(uri->repository + "|" + uri->ref + "|" + uri->path, "repo|main|a/b c/");
  }
}

TEST(Address, IsRefusedWhenAPartIsMissingOrTooMuch) {
  EXPECT_FALSE(parse_uri("", UriPart::kRepository));
  EXPECT_FALSE(parse_uri("/x", UriPart::kRepository));
  EXPECT_FALSE(parse_uri("repo/main", UriPart::kRepository));
  EXPECT_FALSE(parse_uri("repo", UriPart::kRef));
  EXPECT_FALSE(parse_uri("repo/", UriPart::kRef));
  EXPECT_FALSE(parse_uri("repo/main/x", UriPart::kRef));
  EXPECT_FALSE(parse_uri("repo/main/", UriPart::kPath));
  EXPECT_FALSE(parse_uri("s3://repo/main/x", UriPart::kPath));
  EXPECT_TRUE(parse_uri("repo/main/", UriPart::kRef));
  EXPECT_TRUE(parse_prefix_uri("repo/main"));
  EXPECT_EQ(parse_uri("repo/main/a://b", UriPart::kPath)->path, "a://b");
}

}  // namespace
}  // namespace tarn::cli
