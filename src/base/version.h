#pragma once
// What this program is.
#include <string_view>

namespace tarn::base {

inline constexpr std::string_view kVersion = "0.1.0";

}  // namespace tarn::base
