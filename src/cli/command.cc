#include "cli/command.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <numeric>
#include <set>

namespace tarn::cli {
namespace {

const std::string kNone;
const std::vector<std::string> kNoWords;
constexpr std::string_view kUsageSubject = "command line";

std::vector<std::string> split_words(std::string_view text) {
  std::vector<std::string> out;
  while (!text.empty()) {
    const size_t end = std::min(text.find(' '), text.size());
    out.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

size_t distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t change = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({change, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

/// The words that may follow `typed` in some command.
std::vector<std::string> next_words(const std::vector<Command>& commands, const std::vector<std::string>& typed) {
  std::set<std::string> found;
  for (const Command& command : commands) {
    const auto words = split_words(command.words);
    if (words.size() > typed.size() && std::equal(typed.begin(), typed.end(), words.begin()))
      found.insert(words[typed.size()]);
  }
  return {found.begin(), found.end()};
}

std::string join(const std::vector<std::string>& words, std::string_view between) {
  return fmt::format("{}", fmt::join(words, between));
}

const Option* find_option(const Command* command, std::string_view name, char letter) {
  const auto match = [&](const Option& o) { return letter != 0 ? o.letter == letter : o.name == name; };
  if (command != nullptr)
    for (const Option& option : command->options)
      if (match(option)) return &option;
  for (const Option& option : common_options())
    if (match(option)) return &option;
  return nullptr;
}

Error unknown_option(const Command* command, const std::string& word) {
  std::vector<std::string> known = {"--help"};
  if (command != nullptr)
    for (const Option& option : command->options) known.push_back("--" + option.name);
  for (const Option& option : common_options()) known.push_back("--" + option.name);
  std::string message = fmt::format("unknown option {}", word);
  if (const auto near = nearest(word, known)) message += fmt::format("; did you mean {}?", *near);
  return usage_error(std::move(message));
}

/// Words with the options taken out; positions of the rest stay in order.
class Parser {
 public:
  Parser(const std::vector<Command>& commands, const std::vector<std::string>& words)
      : commands_(commands), words_(words) {}

  Result<Parsed> run() {
    TRY(find_command());
    if (parsed_.command != nullptr) {
      TRY(read_options());
      if (!parsed_.help) TRY(read_operands());
    }
    return std::move(parsed_);
  }

 private:
  /// Common options may stand before the command's words.
  Result<void> find_command() {
    std::vector<std::string> typed;
    size_t i = 0;
    for (; i < words_.size(); ++i) {
      const std::string& word = words_[i];
      if (word == "--help" || word == "-h") {
        parsed_.help = true;
        continue;
      }
      if (word == "--") break;
      if (word.size() > 1 && word[0] == '-') {
        TRY(take_option(i, nullptr));
        continue;
      }
      const auto known = next_words(commands_, typed);
      if (std::find(known.begin(), known.end(), word) == known.end()) {
        if (known.empty() || exact(typed) != nullptr) break;
        return unknown_word(typed, word, known);
      }
      typed.push_back(word);
      if (exact(typed) != nullptr && next_words(commands_, typed).empty()) {
        ++i;
        break;
      }
    }
    parsed_.command = exact(typed);
    parsed_.call.command = parsed_.command;
    next_ = i;
    if (parsed_.command != nullptr) return {};
    parsed_.group = join(typed, " ");
    if (parsed_.help || words_.empty()) {
      parsed_.help = true;
      return {};
    }
    const std::string what = typed.empty() ? "the command line" : "'" + join(typed, " ") + "'";
    return usage_error(fmt::format("{} needs one more word: {}", what, join(next_words(commands_, typed), ", ")));
  }

  const Command* exact(const std::vector<std::string>& typed) const {
    const std::string text = join(typed, " ");
    for (const Command& command : commands_)
      if (command.words == text) return &command;
    return nullptr;
  }

  static Error unknown_word(const std::vector<std::string>& typed, const std::string& word,
                            const std::vector<std::string>& known) {
    std::string message = fmt::format("unknown command '{}{}{}'", join(typed, " "), typed.empty() ? "" : " ", word);
    if (const auto near = nearest(word, known))
      message += fmt::format("; did you mean '{}{}{}'?", join(typed, " "), typed.empty() ? "" : " ", *near);
    else if (!typed.empty())
      message += fmt::format("; there are: {}", join(known, ", "));
    return usage_error(std::move(message));
  }

  Result<void> take_option(size_t& i, const Command* command) {
    const std::string& word = words_[i];
    if (word.size() > 2 && word.starts_with("--")) {
      const size_t equals = word.find('=');
      const std::string name = word.substr(2, equals == std::string::npos ? equals : equals - 2);
      const Option* option = find_option(command, name, 0);
      if (option == nullptr) return unknown_option(command, "--" + name);
      if (equals != std::string::npos) return keep(*option, word.substr(equals + 1), true);
      return with_next(*option, i);
    }
    const Option* option = find_option(command, "", word[1]);
    if (option == nullptr) return unknown_option(command, word);
    if (word.size() == 2) return with_next(*option, i);
    if (option->value.empty()) return usage_error(fmt::format("write the letters of {} one by one", word));
    return keep(*option, word.substr(word[2] == '=' ? 3 : 2), true);
  }

  Result<void> with_next(const Option& option, size_t& i) {
    if (option.value.empty()) return keep(option, "", false);
    if (i + 1 >= words_.size()) return usage_error(fmt::format("--{} needs a value: {}", option.name, option.help));
    return keep(option, words_[++i], true);
  }

  Result<void> keep(const Option& option, std::string value, bool given) {
    if (option.value.empty() && given) return usage_error(fmt::format("--{} takes no value", option.name));
    auto& values = parsed_.call.options[option.name];
    if (!option.repeated) values.clear();
    values.push_back(std::move(value));
    return {};
  }

  Result<void> read_options() {
    for (size_t i = next_; i < words_.size(); ++i) {
      const std::string& word = words_[i];
      if (word == "--") {
        dashes_ = true;
        after_.assign(words_.begin() + static_cast<std::ptrdiff_t>(i) + 1, words_.end());
        return {};
      }
      if (word == "--help" || word == "-h") {
        parsed_.help = true;
      } else if (word.size() > 1 && word[0] == '-') {
        TRY(take_option(i, parsed_.command));
      } else {
        plain_.push_back(word);
      }
    }
    return {};
  }

  Result<void> read_operands() {
    const auto& operands = parsed_.command->operands;
    const bool wants_dashes = std::any_of(operands.begin(), operands.end(),
                                          [](const Operand& o) { return o.count == Operand::Count::kAfterDashes; });
    if (dashes_ && !wants_dashes) plain_.insert(plain_.end(), after_.begin(), after_.end());
    size_t taken = 0;
    for (const Operand& operand : operands) {
      auto& values = parsed_.call.operands[operand.name];
      switch (operand.count) {
        case Operand::Count::kAfterDashes:
          values = after_;
          if (values.empty()) return usage_error(fmt::format("nothing stands after --: {}", operand.help));
          break;
        case Operand::Count::kMany:
          values.assign(plain_.begin() + static_cast<std::ptrdiff_t>(taken), plain_.end());
          taken = plain_.size();
          if (values.empty()) return missing(operand);
          break;
        case Operand::Count::kOne:
        case Operand::Count::kOptional:
          if (taken < plain_.size())
            values.push_back(plain_[taken++]);
          else if (operand.count == Operand::Count::kOne)
            return missing(operand);
          break;
      }
    }
    if (taken < plain_.size()) return usage_error(fmt::format("unexpected word '{}'", plain_[taken]));
    return {};
  }

  static Error missing(const Operand& operand) {
    return usage_error(fmt::format("{} is missing: {}", operand.name, operand.help));
  }

  const std::vector<Command>& commands_;
  const std::vector<std::string>& words_;
  Parsed parsed_;
  size_t next_ = 0;
  bool dashes_ = false;
  std::vector<std::string> plain_, after_;
};

}  // namespace

const std::string& Call::operand(std::string_view name) const {
  const auto& values = all_operands(name);
  return values.empty() ? kNone : values.front();
}

const std::vector<std::string>& Call::all_operands(std::string_view name) const {
  const auto found = operands.find(name);
  return found == operands.end() ? kNoWords : found->second;
}

const std::string& Call::get(std::string_view option) const {
  const auto& values = all(option);
  return values.empty() ? kNone : values.back();
}

std::string Call::get_or(std::string_view option, std::string_view otherwise) const {
  return has(option) ? get(option) : std::string(otherwise);
}

const std::vector<std::string>& Call::all(std::string_view option) const {
  const auto found = options.find(option);
  return found == options.end() ? kNoWords : found->second;
}

Result<int64_t> Call::number(std::string_view option, int64_t otherwise) const {
  if (!has(option)) return otherwise;
  const std::string& text = get(option);
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0)
    return usage_error(fmt::format("--{} must be a whole number, not '{}'", option, text));
  return value;
}

Result<Json> Call::pairs(std::string_view option) const {
  Json made = Json::object();
  for (const std::string& text : all(option)) {
    const size_t equals = text.find('=');
    if (equals == 0 || equals == std::string::npos)
      return usage_error(fmt::format("--{} takes key=value, not '{}'", option, text));
    made.set(text.substr(0, equals), text.substr(equals + 1));
  }
  return made;
}

Result<Parsed> parse(const std::vector<Command>& commands, const std::vector<std::string>& words) {
  return Parser(commands, words).run();
}

Error usage_error(std::string message) { return Error(Code::kInvalid, std::string(kUsageSubject), std::move(message)); }

bool is_usage_error(const Error& error) { return error.subject() == kUsageSubject; }

std::optional<std::string> nearest(std::string_view word, const std::vector<std::string>& known) {
  std::optional<std::string> best;
  size_t least = std::max<size_t>(2, word.size() / 3) + 1;
  for (const std::string& candidate : known) {
    const bool begins = word.size() >= 2 && candidate.starts_with(word);
    const size_t d = begins ? 1 : distance(word, candidate);
    if (d < least) {
      least = d;
      best = candidate;
    }
  }
  return best;
}

const std::vector<Option>& common_options() {
  static const std::vector<Option> kOptions = {
      {"server", "URL", "the server's address (TARN_SERVER, TARN_ENDPOINT, the profile, http://127.0.0.1:8000)"},
      {"access-key-id", "ID", "the access key (TARN_ACCESS_KEY_ID, the profile, LAKECTL_* and ~/.lakectl.yaml)"},
      {"secret", "SECRET", "its secret (TARN_SECRET_ACCESS_KEY, …); a variable or the profile keeps it out of `ps`"},
      {"profile", "NAME", "which entry of ~/.config/tarn/config.yaml (TARN_PROFILE, default)"},
      {"json", "", "print the server's answer as JSON"},
      {"quiet", "", "no progress, no remarks", 'q'},
      {"no-color", "", "plain text also on a terminal (NO_COLOR)"},
  };
  return kOptions;
}

}  // namespace tarn::cli
