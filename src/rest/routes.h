#pragma once
// The lists of everything REST answers, and the gates in front of it.
#include <vector>

#include "http/router.h"
#include "rest/doors.h"

namespace tarn::rest {

/// Routes below /api/v1 that need no repository: setup, config, health, users.
std::vector<Route> system_routes();
/// Repositories and all that is in them.
std::vector<Route> repository_routes();
/// Operations of lakeFS's API that this server knows and does not do: each answers 501 and says why.
std::vector<Route> unsupported_routes();

/// Adds routes behind the gates: sign-in, requests at once, permission, errors, metrics. `doors` must outlive the
/// router.
void add_all(http::Router& router, Doors& doors, std::vector<Route> routes);
/// The three lists above, `/_health`, `/metrics`, and the answer for unknown addresses. Other rooms' lists (the mesh's)
/// are added beside it by the wiring, with add_all.
void add_routes(http::Router& router, Doors& doors);

/// Whether the operation reads little and says when that is not in memory: such a request need not wait for a worker.
bool answers_at_once(const http::Request& request);

}  // namespace tarn::rest
