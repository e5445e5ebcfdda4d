#pragma once
// What a command is: words, operands, options, help and a function. Parsing, help and docs/cli.md come from this alone.
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace tarn::cli {

class Api;
class Output;
class Call;

struct Operand {
  enum class Count {
    kOne,
    kOptional,
    kMany,
    kAfterDashes
  };                 ///< kMany: one or more; kAfterDashes: all words after "--"
  std::string name;  ///< upper case in help
  std::string help;
  Count count = Count::kOne;
};

struct Option {
  std::string name;   ///< without the dashes
  std::string value;  ///< what its value is called; empty: a switch
  std::string help;
  char letter = 0;
  bool repeated = false;
};

enum class Needs { kServer, kAddress, kNothing };  ///< kAddress: a server, but no credentials

struct Command {
  std::string words;  ///< "branch create"
  std::string summary;
  std::vector<Operand> operands;
  std::vector<Option> options;
  Result<int> (*run)(Call& call);
  std::string more;  ///< paragraphs after the summary; examples
  Needs needs = Needs::kServer;
};

/// What was typed, sorted by the command's own declaration. Unset operands and options read as empty.
class Call {
 public:
  const Command* command = nullptr;
  Api* api = nullptr;  ///< set unless the command needs nothing
  Output* out = nullptr;
  std::string program;  ///< argv[0]
  std::map<std::string, std::vector<std::string>, std::less<>> operands;
  std::map<std::string, std::vector<std::string>, std::less<>> options;

  const std::string& operand(std::string_view name) const;
  const std::vector<std::string>& all_operands(std::string_view name) const;
  bool has(std::string_view option) const { return options.find(option) != options.end(); }
  const std::string& get(std::string_view option) const;
  std::string get_or(std::string_view option, std::string_view otherwise) const;
  const std::vector<std::string>& all(std::string_view option) const;
  /// Errors: kInvalid naming the option.
  Result<int64_t> number(std::string_view option, int64_t otherwise) const;
  /// `--meta key=value`, repeated. Errors: kInvalid.
  Result<Json> pairs(std::string_view option) const;
};

/// An error of the command line itself: exit code 2 and a pointer to the help.
Error usage_error(std::string message);
bool is_usage_error(const Error& error);

/// Options that every command takes.
const std::vector<Option>& common_options();

struct Parsed {
  const Command* command = nullptr;
  Call call;
  bool help = false;  ///< --help was there, or only the words of a group
  std::string group;  ///< for help: "branch", or empty
};

/// Errors: usage_error with the nearest known word.
Result<Parsed> parse(const std::vector<Command>& commands, const std::vector<std::string>& words);

/// The nearest of `known` to `word`, when it is near enough to be a slip.
std::optional<std::string> nearest(std::string_view word, const std::vector<std::string>& known);

}  // namespace tarn::cli
