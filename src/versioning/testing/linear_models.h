#pragma once
// What the engine promises of one object, one name and one small branch, as models for base/testing/linear.h.
#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/testing/linear.h"

namespace tarn::versioning::testing {

/// A value or nothing (0): an object of a branch (G2, G6; commits do not change what it shows), or a tag.
/// Every write carries a value of its own.
struct Register {
  struct Call {
    enum class Kind { kPut, kPutIfAbsent, kPutIfMatch, kRemove, kRemovePresent, kGet } kind = Kind::kGet;
    int value = 0;         ///< what is written, or what a get saw
    int expected = 0;      ///< kPutIfMatch
    bool refused = false;  ///< the condition did not hold
  };
  using State = int;
  static size_t hash(const State& s) { return static_cast<size_t>(s) * 0x9e3779b97f4a7c15; }
  std::optional<State> step(const State& s, const Call& c) const {
    switch (c.kind) {
      case Call::Kind::kPut:
        return c.value;
      case Call::Kind::kPutIfAbsent:
        if (c.refused) return s != 0 ? std::optional(s) : std::nullopt;
        return s == 0 ? std::optional(c.value) : std::nullopt;
      case Call::Kind::kPutIfMatch:
        if (c.refused) return s != c.expected ? std::optional(s) : std::nullopt;
        return s == c.expected ? std::optional(c.value) : std::nullopt;
      case Call::Kind::kRemove:
        return 0;
      case Call::Kind::kRemovePresent:
        if (c.refused) return s == 0 ? std::optional(s) : std::nullopt;
        return s != 0 ? std::optional(0) : std::nullopt;
      case Call::Kind::kGet:
        return s == c.value ? std::optional(s) : std::nullopt;
    }
    return std::nullopt;
  }
};

inline constexpr size_t kSmallKeys = 4;
using SmallMap = std::array<int, kSmallKeys>;  ///< value by key; 0: absent

/// A branch of four keys: its head, the changes staged over it, whether it exists (G1, G3, G4, G5).
/// What a commit holds and which its first parent is, is read from the store afterwards and given to the model: the
/// search decides order, a naive three-way merge beside it decides content.
///
/// A landing has two moments: one at which it takes the staged changes (or finds that there are none), and the one at
/// which the head moves. What is written between them lies over the new head; a reset between them makes it begin anew;
/// what lands together has its first moment together. So each landing is two calls: two_moments() adds the first.
struct SmallBranch {
  struct KnownCommit {
    SmallMap map{};
    int first_parent = -1;
  };
  struct Call {
    enum class Kind {
      kPut,
      kPutIfAbsent,
      kPutIfMatch,
      kPutMany,  ///< in one batch
      kRemove,
      kGet,
      kList,
      kSeal,          ///< the first moment of a landing
      kGetCommitted,  ///< of the head, nothing staged
      kReadHead,
      kIsDirty,
      kCommit,
      kLand,       ///< merge, revert, cherry-pick: a new commit on a clean branch
      kLandDirty,  ///< import: a new commit, staged changes stay
      kReset,      ///< some keys
      kHardReset,  ///< to `commit`, on a clean branch
      kCreate,     ///< at `commit`
      kDelete
    } kind = Kind::kGet;
    size_t key = 0;
    int value = 0, expected = 0;  ///< kReset: `value` has a bit for each key
    SmallMap map{};               ///< kPutMany: -1 leaves a key alone
    int commit = -1;              ///< that landed, was reset to, or was seen
    int landing = -1;             ///< which one: the same in both calls
    bool clean = false;           ///< kSeal: nothing may be staged
    bool only_idle = false;       ///< kSeal: takes only what changes nothing
    /// Why it had no effect, as far as that says something about the state.
    enum class Refusal { kNone, kCondition, kDirty, kNoChanges, kNoBranch, kExists } refusal = Refusal::kNone;
  };
  using Staged = std::array<int, kSmallKeys>;  ///< -1: nothing staged; 0: a removal
  struct State {
    bool exists = true;
    int head = 0;
    Staged staged{-1, -1, -1, -1};
    std::vector<std::pair<int, Staged>> sealed;  ///< by landing, ascending
    bool operator==(const State&) const = default;
  };
  static size_t hash(const State& s) {
    size_t h = static_cast<size_t>(s.head) * 2 + s.exists;
    const auto add = [&](const Staged& staged) {
      for (const int v : staged) h = h * 0x100000001b3 + static_cast<size_t>(v + 1);
    };
    add(s.staged);
    for (const auto& [landing, staged] : s.sealed) {
      h = h * 0x100000001b3 + static_cast<size_t>(landing);
      add(staged);
    }
    return h * 0x9e3779b97f4a7c15;
  }
  static bool lands(const Call& c) {
    using Kind = Call::Kind;
    return c.refusal == Call::Refusal::kNone && (c.kind == Kind::kCommit || c.kind == Kind::kLand ||
                                                 c.kind == Kind::kLandDirty || c.kind == Kind::kHardReset);
  }
  /// The history with both moments of each landing. @param origin  gets the call that each one stems from.
  static std::vector<base::testing::Observed<Call>> two_moments(
      const std::vector<base::testing::Observed<Call>>& history, std::vector<size_t>* origin = nullptr) {
    std::vector<base::testing::Observed<Call>> out;
    for (size_t i = 0; i < history.size(); ++i) {
      auto observed = history[i];
      if (lands(observed.call)) {
        observed.call.landing = static_cast<int>(i);
        auto seal = observed;
        seal.call.kind = Call::Kind::kSeal;
        seal.call.clean = observed.call.kind == Call::Kind::kLand || observed.call.kind == Call::Kind::kHardReset;
        seal.call.only_idle = observed.call.kind == Call::Kind::kLandDirty;
        out.push_back(seal);
        if (origin) origin->push_back(i);
      }
      out.push_back(observed);
      if (origin) origin->push_back(i);
    }
    return out;
  }

  std::vector<KnownCommit> commits;

  SmallMap shown(const State& s) const {
    SmallMap out = commits[static_cast<size_t>(s.head)].map;
    for (size_t k = 0; k < kSmallKeys; ++k)
      if (s.staged[k] >= 0) out[k] = s.staged[k];
    return out;
  }
  bool dirty(const State& s) const { return shown(s) != commits[static_cast<size_t>(s.head)].map; }

  std::optional<State> step(const State& s, const Call& c) const {
    using Kind = Call::Kind;
    using Refusal = Call::Refusal;
    if (c.kind == Kind::kCreate) {
      if (c.refusal == Refusal::kExists) return s.exists ? std::optional(s) : std::nullopt;
      if (s.exists) return std::nullopt;
      return State{true, c.commit, {-1, -1, -1, -1}, {}};
    }
    if (c.refusal == Refusal::kNoBranch) return s.exists ? std::nullopt : std::optional(s);
    if (!s.exists) return std::nullopt;
    if (c.refusal == Refusal::kDirty) return dirty(s) ? std::optional(s) : std::nullopt;
    if (c.refusal == Refusal::kNoChanges) {
      bool taken = !dirty(s);  // there is nothing, or one that lands before it has taken it all
      for (const auto& [landing, staged] : s.sealed) taken = taken || staged == s.staged;
      return taken ? std::optional(s) : std::nullopt;
    }
    State next = s;
    const int seen = shown(s)[c.key % kSmallKeys];
    switch (c.kind) {
      case Kind::kPut:
      case Kind::kPutIfAbsent:
      case Kind::kPutIfMatch: {
        const bool holds = c.kind == Kind::kPut || seen == (c.kind == Kind::kPutIfAbsent ? 0 : c.expected);
        if (holds != (c.refusal == Refusal::kNone)) return std::nullopt;
        if (holds) next.staged[c.key] = c.value;
        return next;
      }
      case Kind::kPutMany:
        for (size_t k = 0; k < kSmallKeys; ++k)
          if (c.map[k] >= 0) next.staged[k] = c.map[k];
        return next;
      case Kind::kRemove:
        next.staged[c.key] = 0;
        return next;
      case Kind::kGet:
        return seen == c.value ? std::optional(s) : std::nullopt;
      case Kind::kList:
        return shown(s) == c.map ? std::optional(s) : std::nullopt;
      case Kind::kGetCommitted:
        return commits[static_cast<size_t>(s.head)].map == c.map ? std::optional(s) : std::nullopt;
      case Kind::kReadHead:
        return s.head == c.commit ? std::optional(s) : std::nullopt;
      case Kind::kIsDirty:
        return dirty(s) == (c.value != 0) ? std::optional(s) : std::nullopt;
      case Kind::kSeal: {
        if (c.clean && dirty(s)) return std::nullopt;
        Staged taken = s.staged;
        if (c.only_idle)
          for (size_t k = 0; k < kSmallKeys; ++k)
            if (taken[k] != commits[static_cast<size_t>(s.head)].map[k]) taken[k] = -1;
        std::erase_if(next.sealed, [&](const auto& sealed) { return sealed.first == c.landing; });
        next.sealed.emplace_back(c.landing, taken);
        std::sort(next.sealed.begin(), next.sealed.end());
        return next;
      }
      case Kind::kCommit:
      case Kind::kLand:
      case Kind::kLandDirty:
      case Kind::kHardReset: {
        const auto sealed =
            std::find_if(s.sealed.begin(), s.sealed.end(), [&](const auto& x) { return x.first == c.landing; });
        if (sealed == s.sealed.end()) return std::nullopt;
        const KnownCommit& made = commits[static_cast<size_t>(c.commit)];
        if (c.kind != Kind::kHardReset && made.first_parent != s.head) return std::nullopt;
        if (c.kind == Kind::kCommit) {
          SmallMap expected = commits[static_cast<size_t>(s.head)].map;
          for (size_t k = 0; k < kSmallKeys; ++k)
            if (sealed->second[k] >= 0) expected[k] = sealed->second[k];
          if (made.map != expected) return std::nullopt;
        }
        for (size_t k = 0; k < kSmallKeys; ++k)  // what was taken is gone, if it is still the same
          if (next.staged[k] == sealed->second[k]) next.staged[k] = -1;
        next.head = c.commit;
        if (c.kind == Kind::kHardReset)
          next.sealed.clear();
        else
          std::erase_if(next.sealed, [&](const auto& x) { return x.first == c.landing; });
        return next;
      }
      case Kind::kReset:
        for (size_t k = 0; k < kSmallKeys; ++k)
          if (c.value >> k & 1) next.staged[k] = -1;
        next.sealed.clear();
        return next;
      case Kind::kDelete:
        return State{false, 0, {-1, -1, -1, -1}, {}};
      case Kind::kCreate:
        break;
    }
    return std::nullopt;
  }
};

}  // namespace tarn::versioning::testing
