#pragma once
// How the mesh's records look on a terminal of 80 columns.
#include <string>

#include "cli/commands.h"

namespace tarn::cli::mesh {

/// The items of a list answer: the body itself, or its `results`.
const Json::Array& items_of(const Json& body);
std::string incident_text(const Json& incident);  ///< "INC-7" from a number or a name; empty from null

/// Findings that failed, warned or could not be decided: two lines each. Returns how many there were.
size_t print_findings(Output& out, const Json& report);
/// State, what refused it, the incident, and what to do next.
void print_proposal(Output& out, const Json& proposal);
void print_run(Output& out, const Json& run);
void print_incident(Output& out, const Json& incident);

bool is_final(std::string_view proposal_state);
/// 0 landed (or superseded by one that did the same); 3 failed or conflict; 1 cancelled; 4 all else.
int exit_of_proposal(const Json& proposal);
/// Asks again and again until the state is final. Errors: those of the server.
Result<Json> wait_for_proposal(Api& api, const std::string& id);

}  // namespace tarn::cli::mesh
