#pragma once
// Help and the reference page, both made from the declarations of the commands.
#include <string>
#include <vector>

#include "cli/command.h"

namespace tarn::cli {

/// Every command, in the order of help.
const std::vector<Command>& all_commands();

std::string help_of(const Command& command);
/// The commands whose words begin with `group`; all groups when it is empty.
std::string help_of_group(const std::string& group);
/// docs/cli.md, whole.
std::string reference();

}  // namespace tarn::cli
