#pragma once
// Decides whether a history of overlapping calls can be told as a story of one call after the other.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

namespace tarn::base::testing {

inline constexpr int64_t kNeverReturned = std::numeric_limits<int64_t>::max();

/// One call as its caller saw it. Moments are numbers of one counter, no two equal. A call whose outcome nobody knows
/// has `returned` = kNeverReturned: it may take effect at any moment after `invoked`, or never.
/// Calls that certainly had no effect and say nothing about the state are left out of a history.
template <class Call>
struct Observed {
  Call call;
  int64_t invoked = 0;
  int64_t returned = kNeverReturned;
};

enum class Linear { kYes, kNo, kUndecided };

struct LinearReport {
  Linear verdict = Linear::kUndecided;
  std::vector<size_t> order;  ///< kYes: an order that explains the history; else the longest that was found
  size_t states = 0;          ///< that were visited
};

/// Wing and Gong's search with Lowe's list of entries, memoised on what is placed and the state it led to.
///
/// Model: `State` (copyable, ==), `Call`, `static size_t hash(const State&)`, and
/// `std::optional<State> step(const State&, const Call&) const`: the state after the call with the result that it
/// carries, nullopt when it cannot have that result in this state. For a call that never returned: the state after it
/// took effect.
///
/// @param states_max  how many states are visited before the verdict is kUndecided. Cost: exponential in the number of
///                    calls that overlap, near linear in the length of the history.
template <class Model>
LinearReport check_linear(const Model& model, const typename Model::State& initial,
                          std::span<const Observed<typename Model::Call>> history, size_t states_max = 2'000'000) {
  using State = typename Model::State;
  struct Entry {
    size_t call;
    bool is_return;
    int64_t at;
    size_t previous, next, match;  ///< match: of a call its return's entry, or 0
  };
  using Placed = std::vector<uint64_t>;
  struct Seen {
    Placed placed;
    State state;
    bool operator==(const Seen&) const = default;
  };
  struct SeenHash {
    size_t operator()(const Seen& seen) const {
      size_t h = Model::hash(seen.state);
      for (const uint64_t word : seen.placed) h = (h ^ word) * 0x9e3779b97f4a7c15 + (h >> 29);
      return h;
    }
  };

  // Entry 0 is the head of the list; the list ends with entry 0 again.
  std::vector<Entry> list{{0, false, 0, 0, 0, 0}};
  {
    std::vector<Entry> events;
    for (size_t i = 0; i < history.size(); ++i) {
      events.push_back({i, false, history[i].invoked, 0, 0, 0});
      if (history[i].returned != kNeverReturned) events.push_back({i, true, history[i].returned, 0, 0, 0});
    }
    std::sort(events.begin(), events.end(), [](const Entry& a, const Entry& b) { return a.at < b.at; });
    list.insert(list.end(), events.begin(), events.end());
  }
  std::vector<size_t> call_entry(history.size(), 0);
  size_t returns_left = 0;
  for (size_t i = 0; i < list.size(); ++i) {
    list[i].next = i + 1 == list.size() ? 0 : i + 1;
    list[i].previous = i == 0 ? list.size() - 1 : i - 1;
    if (i == 0) continue;
    if (list[i].is_return) {
      list[call_entry[list[i].call]].match = i;
      ++returns_left;
    } else {
      call_entry[list[i].call] = i;
    }
  }
  const auto unlink = [&](size_t i) {
    list[list[i].previous].next = list[i].next;
    list[list[i].next].previous = list[i].previous;
  };
  const auto relink = [&](size_t i) {
    list[list[i].previous].next = i;
    list[list[i].next].previous = i;
  };

  LinearReport report;
  std::unordered_set<Seen, SeenHash> seen;
  struct Step {
    size_t entry;
    State before;
  };
  std::vector<Step> steps;
  State state = initial;
  Placed placed((history.size() + 63) / 64, 0);
  const auto note_longest = [&] {
    if (steps.size() <= report.order.size()) return;
    report.order.clear();
    for (const Step& step : steps) report.order.push_back(list[step.entry].call);
  };
  size_t at = list[0].next;
  while (returns_left > 0) {
    if (at != 0 && !list[at].is_return) {
      const size_t call = list[at].call;
      std::optional<State> after = model.step(state, history[call].call);
      if (after) {
        placed[call / 64] |= uint64_t{1} << (call % 64);
        if (seen.insert({placed, *after}).second) {
          if (seen.size() > states_max) {
            report.states = seen.size();
            return report;
          }
          steps.push_back({at, std::move(state)});
          state = std::move(*after);
          unlink(at);
          if (list[at].match != 0) {
            unlink(list[at].match);
            --returns_left;
          }
          at = list[0].next;
          continue;
        }
        placed[call / 64] &= ~(uint64_t{1} << (call % 64));
      }
      at = list[at].next;
      continue;
    }
    // A call that returned here is not placed yet: what was placed last was wrong.
    note_longest();
    if (steps.empty()) {
      report.verdict = Linear::kNo;
      report.states = seen.size();
      return report;
    }
    at = steps.back().entry;
    state = std::move(steps.back().before);
    steps.pop_back();
    const size_t call = list[at].call;
    placed[call / 64] &= ~(uint64_t{1} << (call % 64));
    if (list[at].match != 0) {
      relink(list[at].match);
      ++returns_left;
    }
    relink(at);
    at = list[at].next;
  }
  report.verdict = Linear::kYes;
  report.states = seen.size();
  report.order.clear();
  for (const Step& step : steps) report.order.push_back(list[step.entry].call);
  return report;
}

}  // namespace tarn::base::testing
