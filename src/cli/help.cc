#include "cli/help.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/exit.h"
#include "cli/output.h"

namespace tarn::cli {
namespace {

std::string usage_line(const Command& command) {
  std::string out = "tarn " + command.words;
  if (!command.options.empty()) out += " [OPTIONS]";
  for (const Operand& operand : command.operands) {
    switch (operand.count) {
      case Operand::Count::kOne:
        out += " " + operand.name;
        break;
      case Operand::Count::kOptional:
        out += " [" + operand.name + "]";
        break;
      case Operand::Count::kMany:
        out += " " + operand.name + "…";
        break;
      case Operand::Count::kAfterDashes:
        out += " -- " + operand.name + "…";
        break;
    }
  }
  return out;
}

std::string option_text(const Option& option) {
  std::string out = option.letter != 0 ? fmt::format("-{}, ", option.letter) : std::string();
  out += "--" + option.name;
  if (!option.value.empty()) out += " " + option.value;
  return out;
}

/// Two columns in 80 characters; the right one wraps.
std::string two_columns(const std::vector<std::pair<std::string, std::string>>& rows) {
  size_t left = 0;
  for (const auto& row : rows)
    if (width_of(row.first) <= 26) left = std::max(left, width_of(row.first));
  std::string out;
  for (const auto& [name, text] : rows) {
    std::string line = "  " + name;
    size_t column = width_of(name);
    if (column > left) {
      out += line + "\n";
      line = "  ";
      column = 0;
    }
    line += std::string(left - column + 2, ' ');
    size_t used = left + 4;
    std::string_view rest = text;
    while (!rest.empty()) {
      const std::string_view word = rest.substr(0, rest.find(' '));
      if (used + width_of(word) > 80 && used > left + 4) {
        line.pop_back();
        out += line + "\n";
        line = std::string(left + 4, ' ');
        used = left + 4;
      }
      line += word;
      used += width_of(word);
      rest.remove_prefix(std::min(word.size() + 1, rest.size()));
      if (!rest.empty()) line += " ", ++used;
    }
    while (!line.empty() && line.back() == ' ') line.pop_back();
    out += line + "\n";
  }
  return out;
}

/// Text in lines of at most 80 characters.
std::string wrapped(std::string_view text) {
  std::string out;
  size_t used = 0;
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find_first_of(" \n"));
    if (used > 0 && used + 1 + width_of(word) > 80) {
      out += "\n";
      used = 0;
    } else if (used > 0) {
      out += " ";
      ++used;
    }
    out += word;
    used += width_of(word);
    text.remove_prefix(std::min(word.size() + 1, text.size()));
  }
  return out + "\n";
}

std::string details(const Command& command) {
  std::string out = wrapped(usage_line(command)) + "\n" + wrapped(command.summary + ".");
  if (!command.more.empty()) out += "\n" + wrapped(command.more);
  std::vector<std::pair<std::string, std::string>> rows;
  for (const Operand& operand : command.operands) rows.emplace_back(operand.name, operand.help);
  for (const Option& option : command.options)
    rows.emplace_back(option_text(option), option.help + (option.repeated ? " (repeatable)" : ""));
  if (!rows.empty()) out += "\n" + two_columns(rows);
  return out;
}

std::string common_text() {
  std::vector<std::pair<std::string, std::string>> rows;
  for (const Option& option : common_options()) rows.emplace_back(option_text(option), option.help);
  rows.emplace_back("-h, --help", "this help");
  return two_columns(rows);
}

std::string exit_text() {
  std::vector<std::pair<std::string, std::string>> rows;
  for (const ExitCode& code : kExitCodes) rows.emplace_back(std::to_string(code.code), code.meaning);
  return two_columns(rows);
}

constexpr std::string_view kAddresses =
    "Addresses are repository/ref/path, also written tarn://… or lakefs://…; a ref is\n"
    "a branch, a tag, a commit (or its beginning), or one of these with ~N or ^N.\n";

bool begins(const Command& command, const std::string& group) {
  return group.empty() || command.words == group || command.words.starts_with(group + " ");
}

}  // namespace

std::string help_of(const Command& command) {
  return details(command) + "\nOptions of every command:\n" + common_text();
}

std::string help_of_group(const std::string& group) {
  std::string out;
  if (group.empty())
    out = "tarn: Git for data, with the data mesh built in.\n\nusage: tarn COMMAND [OPERANDS] [OPTIONS]\n\n";
  else
    out = fmt::format("usage: tarn {} COMMAND\n\n", group);
  std::vector<std::pair<std::string, std::string>> rows;
  for (const Command& command : all_commands())
    if (begins(command, group)) rows.emplace_back(command.words, command.summary);
  out += two_columns(rows);
  if (group.empty()) {
    out += "\n";
    out += kAddresses;
    out += "\nOptions of every command:\n" + common_text() + "\nExit codes:\n" + exit_text();
  }
  return out + fmt::format("\n'tarn {}COMMAND --help' tells more{}\n", group.empty() ? "" : group + " ",
                           group.empty() ? ", 'tarn help --all' everything." : ".");
}

std::string reference() {
  std::string out =
      "# The command line\n\n"
      "Made from the program by `tarn help --all`; a test compares it. The command line speaks REST only: whatever it "
      "does, any\nclient can do.\n\n## Addresses\n\n";
  out += kAddresses;
  out += "\n## Options of every command\n\n```text\n" + common_text() + "```\n\n## Exit codes\n\n```text\n" +
         exit_text() + "```\n";
  std::string group;
  for (const Command& command : all_commands()) {
    const std::string first = command.words.substr(0, command.words.find(' '));
    if (first != group) out += fmt::format("\n## tarn {}\n", first);
    group = first;
    if (command.words != first) out += fmt::format("\n### tarn {}\n", command.words);
    out += "\n```text\n" + details(command) + "```\n";
  }
  return out;
}

}  // namespace tarn::cli
