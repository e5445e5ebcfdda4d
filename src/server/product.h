#pragma once
// What this program is.
#include "base/version.h"

namespace tarn::server {

using base::kVersion;

}  // namespace tarn::server
