#pragma once
// A failure made smaller: what can be left out while it still fails.
#include <algorithm>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"

namespace tarn::base::testing {

/// Takes items away while it still fails: halves, quarters, … single ones.
/// @param still_fails  of some of the items, asked anew each time; a failure of another kind is one, too.
/// @return what is left after `seconds` at the latest.
inline std::set<int> fewer_that_fail(std::set<int> items, int seconds,
                                     const std::function<bool(const std::set<int>&)>& still_fails) {
  const int64_t until = system_clock().steady_ms() + seconds * int64_t{1000};
  const auto in_time = [&] { return system_clock().steady_ms() < until; };
  for (size_t chunk = items.size() / 2; chunk >= 1; chunk /= 2) {
    bool again = true;
    while (again && in_time()) {
      again = false;
      const std::vector<int> now(items.begin(), items.end());
      for (size_t from = 0; from < now.size() && in_time(); from += chunk) {
        std::set<int> fewer = items;
        for (size_t i = from; i < std::min(now.size(), from + chunk); ++i) fewer.erase(now[i]);
        if (fewer.size() == items.size() || !still_fails(fewer)) continue;
        items = std::move(fewer);
        again = true;
      }
    }
  }
  return items;
}

/// "1,4,17" and back.
inline std::string list_of(const std::set<int>& items) {
  std::string out;
  for (const int item : items) out += (out.empty() ? "" : ",") + std::to_string(item);
  return out;
}
inline std::set<int> items_of(const std::string& list) {
  std::set<int> out;
  for (size_t at = 0; at < list.size();) {
    out.insert(std::atoi(list.c_str() + at));
    at = std::min(list.find(',', at), list.size() - 1) + 1;
  }
  return out;
}

}  // namespace tarn::base::testing
