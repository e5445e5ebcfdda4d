#include "cli/commands.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "cli/help.h"
#include "cli/mesh/commands.h"

namespace tarn::cli {

const Option kYes{"yes", "", "do not ask", 'y'};
const Option kAmount{"amount", "N", "at most so many (default: all)"};
const Option kPrefix{"prefix", "TEXT", "only what begins with it"};
const Option kMessage{"message", "TEXT", "the commit's message", 'm'};
const Option kMeta{"meta", "KEY=VALUE", "metadata of the commit", 0, true};

const std::vector<Command>& all_commands() {
  static const std::vector<Command> kAll = [] {
    std::vector<Command> all;
    for (const auto group :
         {start_commands,     repo_commands,    branch_commands,      tag_commands,       protect_commands,
          user_commands,      fs_read_commands, fs_transfer_commands, fs_change_commands, commit_commands,
          log_commands,       diff_commands,    merge_commands,       revert_commands,    import_commands,
          mesh::all_commands, clock_commands,   job_commands,         doctor_commands,    demo_commands})
      for (Command& command : group()) all.push_back(std::move(command));
    return all;
  }();
  return kAll;
}

void print_fields(Output& out, const std::vector<std::pair<std::string, std::string>>& fields,
                  std::string_view indent) {
  size_t width = 0;
  for (const auto& [name, value] : fields)
    if (!value.empty()) width = std::max(width, name.size());
  for (const auto& [name, value] : fields)
    if (!value.empty()) out.line(fmt::format("{}{:<{}}  {}", indent, name, width, value));
}

Result<void> confirm(const Call& call, std::string_view question) {
  if (call.has("yes")) return {};
  if (::isatty(STDIN_FILENO) != 1) return usage_error(fmt::format("{} Add --yes to say so", question));
  std::fprintf(stderr, "%.*s [y/N] ", static_cast<int>(question.size()), question.data());
  char answer[8] = "";
  if (std::fgets(answer, sizeof answer, stdin) != nullptr && (answer[0] == 'y' || answer[0] == 'Y')) return {};
  return Error(Code::kCancelled, "answer", "nothing was done");
}

}  // namespace tarn::cli
