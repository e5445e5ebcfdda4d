#pragma once
// The mesh's calls, below /api/v1/mesh.
#include <vector>

#include "rest/doors.h"

namespace tarn::rest {

std::vector<Route> mesh_routes();

}  // namespace tarn::rest
