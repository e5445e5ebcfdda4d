#pragma once
// Who asks, and what a temporary credential may touch.
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"

namespace tarn::auth {

/// What the credential of one pipeline attempt may do: read everything in its repository, write below some prefixes of
/// one branch, until it expires or is revoked.
struct AttemptScope {
  std::string repository, branch;
  std::vector<std::string> write_prefixes;  ///< "" allows the whole branch
  std::string fence;                        ///< the attempt's fence token, for the room that runs attempts
  base::WallMs expires_ms = 0;
};

struct Principal {
  std::string user;  ///< what commits and logs name
  bool admin = false;
  std::vector<std::string> writable_repositories;  ///< globs over repository names
  std::optional<AttemptScope> attempt;
};

/// '*' any run, '?' one byte, everything else itself. Cost: O(pattern * text) at worst.
bool glob_matches(std::string_view pattern, std::string_view text);

}  // namespace tarn::auth
