#pragma once
// One function a group, in the order of help; and what the groups share.
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/api.h"
#include "cli/command.h"
#include "cli/exit.h"
#include "cli/output.h"
#include "cli/uri.h"

namespace tarn::cli {

std::vector<Command> start_commands();  // serve, setup, config, whoami, doctor, demo, version, help
std::vector<Command> repo_commands();
std::vector<Command> branch_commands();
std::vector<Command> tag_commands();
std::vector<Command> protect_commands();
std::vector<Command> user_commands();
std::vector<Command> fs_read_commands();
std::vector<Command> fs_transfer_commands();
std::vector<Command> fs_change_commands();
std::vector<Command> commit_commands();
std::vector<Command> log_commands();
std::vector<Command> diff_commands();
std::vector<Command> merge_commands();
std::vector<Command> revert_commands();
std::vector<Command> import_commands();
std::vector<Command> clock_commands();
std::vector<Command> job_commands();
std::vector<Command> demo_commands();
std::vector<Command> doctor_commands();

// Shared by the groups.

/// Prints names and values, aligned; empty values are left out.
void print_fields(Output& out, const std::vector<std::pair<std::string, std::string>>& fields,
                  std::string_view indent = "");
/// Asks on a terminal; elsewhere --yes must be there. Errors: usage error; kCancelled when the answer is no.
Result<void> confirm(const Call& call, std::string_view question);
extern const Option kYes, kAmount, kPrefix, kMessage, kMeta;

}  // namespace tarn::cli
