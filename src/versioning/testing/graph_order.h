#pragma once
// The check that the commit graph gives for free: at full load, in n log n (promises G1, G4, G5).
#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/testing/linear.h"

namespace tarn::versioning::testing {

/// What was seen of one branch that nobody reset or deleted. Commits are named by any text.
struct OrderHistory {
  struct Seen {
    std::string commit;  ///< that landed, or that a read of the head gave
    int64_t invoked = 0, returned = base::testing::kNeverReturned;
  };
  /// A path that is written once and never removed.
  struct Written {
    std::string path;
    int64_t invoked = 0, returned = base::testing::kNeverReturned;
  };
  std::vector<Seen> commits, reads;
  std::vector<Written> writes;

  // Read from the store at the end.
  std::vector<std::string> chain;             ///< the head's first parents, oldest first
  std::map<std::string, std::string> added;   ///< path -> the commit of the chain that added it
  std::map<std::string, std::string> staged;  ///< paths that are not committed yet (the value is not used)
};

/// @return what is wrong, one line each; empty when nothing is.
///
/// 1. Every commit that was acknowledged is in the chain, once.
/// 2. Who looked (or landed) later sees the same or a later place of the chain.
/// 3. A write that was acknowledged before a commit began is in it or in an earlier one; a write that began after a
///    commit was acknowledged is in none up to it; an acknowledged write is somewhere.
inline std::vector<std::string> check_order(const OrderHistory& h) {
  std::vector<std::string> wrong;
  std::map<std::string, int64_t> place;
  for (size_t i = 0; i < h.chain.size(); ++i)
    if (!place.emplace(h.chain[i], static_cast<int64_t>(i)).second)
      wrong.push_back(h.chain[i] + " is twice in the chain");

  struct Event {
    int64_t invoked, returned, place;
    bool landed;
    const std::string* name;
  };
  std::vector<Event> events;
  const auto add = [&](const OrderHistory::Seen& seen, bool landed) {
    const auto at = place.find(seen.commit);
    if (at == place.end())
      wrong.push_back(seen.commit +
                      (landed ? " was acknowledged and is not in the chain" : " was a head and is not in the chain"));
    else
      events.push_back({seen.invoked, seen.returned, at->second, landed, &seen.commit});
  };
  for (const auto& commit : h.commits) add(commit, true);
  for (const auto& read : h.reads) add(read, false);

  // Sweep over the moments of invocation; behind it run those that have returned by then.
  std::sort(events.begin(), events.end(), [](const Event& a, const Event& b) { return a.invoked < b.invoked; });
  std::vector<const Event*> by_return;
  for (const Event& event : events) by_return.push_back(&event);
  std::sort(by_return.begin(), by_return.end(),
            [](const Event* a, const Event* b) { return a->returned < b->returned; });
  size_t done = 0;
  const Event* latest = nullptr;
  for (const Event& event : events) {
    for (; done < by_return.size() && by_return[done]->returned < event.invoked; ++done)
      if (!latest || by_return[done]->place > latest->place) latest = by_return[done];
    if (latest && (event.place < latest->place || (event.landed && event.place == latest->place)))
      wrong.push_back(*event.name + (event.landed ? " landed" : " was read") + " after " + *latest->name +
                      " was seen, which lies behind it");
  }

  // Commits by the moments at which they bound a write.
  std::vector<std::pair<int64_t, int64_t>> begun, ended;  // moment, place
  for (const auto& commit : h.commits) {
    const auto at = place.find(commit.commit);
    if (at == place.end()) continue;
    begun.push_back({commit.invoked, at->second});
    ended.push_back({commit.returned, at->second});
  }
  std::sort(begun.begin(), begun.end());
  std::sort(ended.begin(), ended.end());
  // The least place of those that began after a moment, the greatest of those that ended before one.
  std::vector<int64_t> least(begun.size() + 1, INT64_MAX), greatest(ended.size() + 1, -1);
  for (size_t i = begun.size(); i-- > 0;) least[i] = std::min(least[i + 1], begun[i].second);
  for (size_t i = 0; i < ended.size(); ++i) greatest[i + 1] = std::max(greatest[i], ended[i].second);
  for (const auto& write : h.writes) {
    const auto in = h.added.find(write.path);
    const auto at = in == h.added.end() ? place.end() : place.find(in->second);
    const bool acknowledged = write.returned != base::testing::kNeverReturned;
    if (at == place.end()) {
      if (acknowledged && !h.staged.contains(write.path))
        wrong.push_back(write.path + " was acknowledged and is nowhere");
    }
    const int64_t where = at == place.end() ? INT64_MAX - 1 : at->second;
    if (acknowledged) {
      const size_t i = static_cast<size_t>(
          std::upper_bound(begun.begin(), begun.end(), std::pair(write.returned, INT64_MAX)) - begun.begin());
      if (least[i] < where)
        wrong.push_back(write.path + " was acknowledged before " + h.chain[static_cast<size_t>(least[i])] +
                        " began and is not in it");
    }
    const size_t j = static_cast<size_t>(
        std::lower_bound(ended.begin(), ended.end(), std::pair(write.invoked, INT64_MIN)) - ended.begin());
    if (greatest[j] >= where)
      wrong.push_back(write.path + " is in " + h.chain[static_cast<size_t>(where)] + " and began after " +
                      h.chain[static_cast<size_t>(greatest[j])] + " had landed");
  }
  return wrong;
}

}  // namespace tarn::versioning::testing
