#pragma once
// `tarn mesh …`: one function a group.
#include <vector>

#include "cli/command.h"

namespace tarn::cli::mesh {

std::vector<Command> all_commands();

std::vector<Command> catalogue_commands();
std::vector<Command> proposal_commands();
std::vector<Command> publication_commands();
std::vector<Command> subscription_commands();
std::vector<Command> run_commands();
std::vector<Command> incident_commands();
std::vector<Command> environment_commands();
std::vector<Command> contract_commands();

}  // namespace tarn::cli::mesh
