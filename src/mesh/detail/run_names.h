#pragma once
// What runs call their branches, proposals and heartbeats.
#include <algorithm>
#include <cctype>
#include <string>
#include <string_view>

#include <fmt/core.h>

#include "mesh/world.h"

namespace tarn::mesh {

inline std::string generation_suffix(int64_t generation) {
  return generation > 1 ? fmt::format("--g{}", generation) : "";
}

/// A run key as a piece of a branch name.
inline std::string slug(const std::string& key) {
  std::string out;
  for (const char c : key) out.push_back(std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_' ? c : '-');
  return out;
}

inline std::string attempt_key(const std::string& attempt) { return "attempt/" + attempt; }

inline std::string job_branch(std::string_view pipeline, const std::string& key, std::string_view job, int64_t attempt,
                              int64_t generation) {
  return fmt::format("job--{}--{}--{}--a{}{}", pipeline, slug(key), job, attempt, generation_suffix(generation));
}

/// Heartbeats closer together than this are not written down.
inline int64_t beat_step_ms(const Options& options) { return std::max<int64_t>(1, options.heartbeat_limit_ms / 20); }

}  // namespace tarn::mesh
