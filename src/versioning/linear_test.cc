// Goal: the checkers of histories accept what can have happened and refuse what cannot.
// Method: histories made by hand; random ones of a real atomic object; small ones compared with trying every order.
#include <gtest/gtest.h>

#include <numeric>

#include "base/random.h"
#include "versioning/testing/graph_order.h"
#include "versioning/testing/linear_models.h"

namespace tarn::versioning::testing {
namespace {

using base::testing::check_linear;
using base::testing::kNeverReturned;
using base::testing::Linear;
using base::testing::Observed;

using Call = Register::Call;
using Kind = Call::Kind;
using History = std::vector<Observed<Call>>;

Call put(int v) { return {Kind::kPut, v, 0, false}; }
Call get(int v) { return {Kind::kGet, v, 0, false}; }
Call gone() { return {Kind::kRemove, 0, 0, false}; }
Call absent(int v, bool refused) { return {Kind::kPutIfAbsent, v, 0, refused}; }
Call match(int v, int expected, bool refused) { return {Kind::kPutIfMatch, v, expected, refused}; }

Linear verdict(const History& history) { return check_linear(Register{}, 0, std::span(history)).verdict; }

TEST(LinearRegister, WhatCanHaveHappenedIsAccepted) {
  EXPECT_EQ(verdict({}), Linear::kYes);
  EXPECT_EQ(verdict({{put(1), 1, 2}, {get(1), 3, 4}}), Linear::kYes);
  EXPECT_EQ(verdict({{put(1), 1, 10}, {get(0), 2, 3}, {get(1), 4, 5}}), Linear::kYes) << "the put took effect between";
  EXPECT_EQ(verdict({{put(1), 1, 10}, {put(2), 2, 9}, {get(1), 11, 12}}), Linear::kYes) << "either put may be the last";
  EXPECT_EQ(verdict({{put(1), 1, 2}, {gone(), 3, 8}, {get(1), 4, 5}, {get(0), 6, 7}}), Linear::kYes);
  EXPECT_EQ(verdict({{absent(1, false), 1, 6}, {absent(2, true), 2, 5}, {get(1), 7, 8}}), Linear::kYes);
  EXPECT_EQ(verdict({{put(1), 1, 2}, {match(2, 1, false), 3, 4}, {match(3, 1, true), 5, 6}}), Linear::kYes);
}

TEST(LinearRegister, WhatCannotHaveHappenedIsRefused) {
  EXPECT_EQ(verdict({{put(1), 1, 2}, {get(0), 3, 4}}), Linear::kNo) << "a lost write";
  EXPECT_EQ(verdict({{put(1), 1, 2}, {put(2), 3, 4}, {get(1), 5, 6}}), Linear::kNo) << "a stale read";
  EXPECT_EQ(verdict({{put(1), 1, 10}, {get(1), 2, 3}, {get(0), 4, 5}}), Linear::kNo) << "seen and gone again";
  EXPECT_EQ(verdict({{get(7), 1, 2}}), Linear::kNo) << "out of nothing";
  EXPECT_EQ(verdict({{absent(1, false), 1, 6}, {absent(2, false), 2, 5}}), Linear::kNo) << "two winners";
  EXPECT_EQ(verdict({{absent(1, true), 1, 2}}), Linear::kNo) << "refused although nothing was there";
  EXPECT_EQ(verdict({{absent(1, true), 1, 2}, {get(1), 3, 4}}), Linear::kNo) << "refused, and yet it took effect";
  EXPECT_EQ(verdict({{put(1), 1, 2}, {put(2), 3, 4}, {match(3, 1, false), 5, 6}}), Linear::kNo);
  EXPECT_EQ(verdict({{put(1), 1, 2}, {gone(), 3, 4}, {get(1), 5, 6}}), Linear::kNo) << "resurrected";
}

TEST(LinearRegister, AnUnknownOutcomeMayHaveHappenedAtAnyTimeOrNever) {
  EXPECT_EQ(verdict({{put(1), 1, kNeverReturned}, {get(0), 2, 3}, {get(0), 4, 5}}), Linear::kYes);
  EXPECT_EQ(verdict({{put(1), 1, kNeverReturned}, {get(0), 2, 3}, {get(1), 4, 5}}), Linear::kYes);
  EXPECT_EQ(verdict({{get(1), 1, 2}, {put(1), 3, kNeverReturned}}), Linear::kNo) << "seen before it was asked for";
  EXPECT_EQ(verdict({{put(1), 1, kNeverReturned}, {get(1), 2, 3}, {put(2), 4, 5}, {get(1), 6, 7}}), Linear::kNo)
      << "not twice";
}

// Tries every order that the moments allow.
bool by_trying(const History& history) {
  std::vector<size_t> order(history.size());
  std::iota(order.begin(), order.end(), 0);
  do {
    for (size_t taken = 0; taken < (size_t{1} << history.size()); ++taken) {
      bool good = true;
      std::optional<int> state = 0;
      for (size_t i = 0; i < history.size(); ++i)
        if (history[i].returned != kNeverReturned && !(taken >> i & 1)) good = false;
      for (size_t a = 0; good && a < order.size(); ++a)
        for (size_t b = a + 1; good && b < order.size(); ++b)
          if ((taken >> order[a] & 1) && (taken >> order[b] & 1))
            good = history[order[b]].returned > history[order[a]].invoked;
      for (size_t i = 0; good && state && i < order.size(); ++i)
        if (taken >> order[i] & 1) state = Register{}.step(*state, history[order[i]].call);
      if (good && state) return true;
    }
  } while (std::next_permutation(order.begin(), order.end()));
  return false;
}

// A history of `count` calls of `clients` on a true register; each takes effect at a moment between its two ends.
History true_history(base::SeededRandom& dice, size_t clients, size_t count, bool unknown) {
  History out;
  int64_t now = 0;
  int state = 0, value = 0;
  struct Open {
    size_t at;
    bool effective;
  };
  std::vector<std::optional<Open>> open(clients);
  size_t begun = 0;
  while (true) {
    const size_t client = dice.u64() % clients;
    ++now;
    if (!open[client]) {
      if (begun == count) {
        bool idle = true;
        for (const auto& o : open) idle = idle && !o;
        if (idle) return out;
        continue;
      }
      Call call;
      call.kind = static_cast<Kind>(dice.u64() % 6);
      if (call.kind == Kind::kPutIfMatch)
        call.expected = static_cast<int>(dice.u64() % static_cast<uint64_t>(value + 1));
      if (call.kind <= Kind::kPutIfMatch) call.value = ++value;
      out.push_back({call, now, kNeverReturned});
      open[client] = Open{out.size() - 1, false};
      ++begun;
    } else if (!open[client]->effective) {
      Call& call = out[open[client]->at].call;
      if (call.kind == Kind::kGet) call.value = state;
      if (call.kind == Kind::kPutIfAbsent) call.refused = state != 0;
      if (call.kind == Kind::kPutIfMatch) call.refused = state != call.expected;
      if (call.kind == Kind::kRemovePresent) call.refused = state == 0;
      state = *Register{}.step(state, call);
      open[client]->effective = true;
    } else {
      const Call& call = out[open[client]->at].call;
      if (!(unknown && !call.refused && call.kind != Kind::kGet && dice.u64() % 4 == 0))
        out[open[client]->at].returned = now;
      open[client].reset();
    }
  }
}

TEST(LinearRegister, TrueHistoriesAreAcceptedAndLargeOnesAreFast) {
  base::SeededRandom dice(1);
  for (int i = 0; i < 200; ++i) ASSERT_EQ(verdict(true_history(dice, 5, 60, i % 2 == 1)), Linear::kYes) << i;
  ASSERT_EQ(verdict(true_history(dice, 8, 5'000, false)), Linear::kYes);
}

TEST(LinearRegister, SmallHistoriesAreJudgedAsByTryingEveryOrder) {
  base::SeededRandom dice(2);
  int refused = 0;
  for (int i = 0; i < 1'500; ++i) {
    History history = true_history(dice, 3, 5, true);
    Call& bent = history[dice.u64() % history.size()].call;  // a lie, or by chance none
    if (dice.u64() % 2)
      bent.refused = !bent.refused && bent.kind != Kind::kGet && bent.kind != Kind::kPut && bent.kind != Kind::kRemove;
    else
      bent.value = bent.kind == Kind::kGet ? static_cast<int>(dice.u64() % 4) : bent.value;
    const bool truth = by_trying(history);
    refused += !truth;
    ASSERT_EQ(verdict(history), truth ? Linear::kYes : Linear::kNo) << i;
  }
  EXPECT_GT(refused, 150);
}

// Two commits: 0 is empty, 1 follows it and holds {5, 0, 0, 0}, 2 follows 1 and holds {5, 6, 0, 0}.
struct LinearBranch : ::testing::Test {
  LinearBranch() { model.commits = {{SmallMap{}, -1}, {SmallMap{5, 0, 0, 0}, 0}, {SmallMap{5, 6, 0, 0}, 1}}; }
  using B = SmallBranch::Call;
  using K = B::Kind;
  static B of(K kind, size_t key = 0, int value = 0, int commit = -1) {
    B call;
    call.kind = kind;
    call.key = key;
    call.value = value;
    call.commit = commit;
    return call;
  }
  static B refused(K kind, B::Refusal why) {
    B call;
    call.kind = kind;
    call.refusal = why;
    return call;
  }
  Linear judge(const std::vector<Observed<B>>& history) {
    const auto whole = SmallBranch::two_moments(history);
    return check_linear(model, SmallBranch::State{}, std::span(whole)).verdict;
  }
  SmallBranch model;
};

TEST_F(LinearBranch, ACommitTakesExactlyWhatWasShown) {
  EXPECT_EQ(judge({{of(K::kPut, 0, 5), 1, 2}, {of(K::kCommit, 0, 0, 1), 3, 4}, {of(K::kReadHead, 0, 0, 1), 5, 6}}),
            Linear::kYes);
  EXPECT_EQ(judge({{of(K::kPut, 0, 5), 1, 2}, {of(K::kPut, 1, 9), 3, 4}, {of(K::kCommit, 0, 0, 1), 5, 6}}), Linear::kNo)
      << "a staged write was left out";
  EXPECT_EQ(judge({{of(K::kPut, 0, 5), 1, 2},
                   {of(K::kPut, 1, 9), 3, 8},
                   {of(K::kCommit, 0, 0, 1), 5, 6},
                   {of(K::kGet, 1, 9), 9, 10}}),
            Linear::kYes)
      << "it came after";
  EXPECT_EQ(judge({{of(K::kPut, 0, 5), 1, 2},
                   {of(K::kPut, 1, 9), 3, 8},
                   {of(K::kCommit, 0, 0, 1), 5, 6},
                   {of(K::kGet, 1, 0), 9, 10}}),
            Linear::kNo)
      << "and vanished";
  EXPECT_EQ(judge({{of(K::kPut, 0, 5), 1, 2}, {of(K::kCommit, 0, 0, 2), 3, 4}}), Linear::kNo) << "another parent";
}

TEST_F(LinearBranch, DirtyBranchesRefuseMergesAndCleanOnesCommits) {
  EXPECT_EQ(judge({{refused(K::kLand, B::Refusal::kDirty), 1, 2}}), Linear::kNo);
  EXPECT_EQ(judge({{of(K::kPut, 0, 5), 1, 2}, {refused(K::kLand, B::Refusal::kDirty), 3, 4}}), Linear::kYes);
  EXPECT_EQ(judge({{of(K::kPut, 0, 5), 1, 2}, {of(K::kLand, 0, 0, 1), 3, 4}}), Linear::kNo);
  EXPECT_EQ(judge({{refused(K::kCommit, B::Refusal::kNoChanges), 1, 2}}), Linear::kYes);
  EXPECT_EQ(judge({{of(K::kPut, 0, 5), 1, 2}, {refused(K::kCommit, B::Refusal::kNoChanges), 3, 4}}), Linear::kNo);
}

TEST_F(LinearBranch, WhatWasResetIsInNoLaterCommit) {
  EXPECT_EQ(judge({{of(K::kPut, 0, 5), 1, 2}, {of(K::kReset, 0, 1), 3, 4}, {of(K::kGet, 0, 0), 5, 6}}), Linear::kYes);
  EXPECT_EQ(judge({{of(K::kPut, 0, 5), 1, 2},
                   {of(K::kCommit, 0, 0, 1), 3, 8},
                   {of(K::kReset, 0, 1), 4, 5},
                   {of(K::kGet, 0, 5), 6, 7}}),
            Linear::kYes)
      << "the commit came first";
  EXPECT_EQ(judge({{of(K::kPut, 0, 5), 1, 2},
                   {of(K::kCommit, 0, 0, 1), 3, 8},
                   {of(K::kReset, 0, 1), 4, 5},
                   {of(K::kGet, 0, 0), 6, 7},
                   {of(K::kGet, 0, 5), 9, 10}}),
            Linear::kNo)
      << "reset, and committed afterwards";
}

TEST_F(LinearBranch, ALandingTakesItsChangesBeforeTheHeadMoves) {
  EXPECT_EQ(judge({{of(K::kPut, 0, 5), 1, 2},
                   {of(K::kCommit, 0, 0, 1), 3, 9},
                   {of(K::kPut, 1, 9), 4, 5},
                   {of(K::kReadHead, 0, 0, 0), 6, 7},
                   {of(K::kGet, 1, 9), 10, 11}}),
            Linear::kYes)
      << "a write in between lies over the new head";
  EXPECT_EQ(judge({{of(K::kLand, 0, 0, 1), 1, 9},
                   {of(K::kPut, 1, 9), 2, 3},
                   {of(K::kReadHead, 0, 0, 0), 4, 5},
                   {of(K::kGet, 1, 9), 10, 11}}),
            Linear::kYes);
  EXPECT_EQ(judge({{of(K::kPut, 0, 5), 1, 2},
                   {of(K::kCommit, 0, 0, 1), 3, 9},
                   {of(K::kPut, 0, 7), 4, 5},
                   {of(K::kReset, 0, 1), 6, 7},
                   {of(K::kGet, 0, 0), 10, 11},
                   {of(K::kReadHead, 0, 0, 1), 12, 13}}),
            Linear::kNo)
      << "a reset in between makes it begin anew, and then there is nothing";
}

TEST_F(LinearBranch, AListingIsOneMoment) {
  B seen;
  seen.kind = K::kList;
  seen.map = {5, 6, 0, 0};
  EXPECT_EQ(judge({{of(K::kPut, 0, 5), 1, 2}, {of(K::kPut, 1, 6), 3, 8}, {seen, 4, 7}}), Linear::kYes);
  seen.map = {0, 6, 0, 0};
  EXPECT_EQ(judge({{of(K::kPut, 0, 5), 1, 2}, {of(K::kPut, 1, 6), 3, 8}, {seen, 4, 7}}), Linear::kNo);
}

struct GraphOrder : ::testing::Test {
  GraphOrder() {
    good.chain = {"c0", "c1", "c2"};
    good.commits = {{"c1", 3, 6}, {"c2", 7, 10}};
    good.reads = {{"c0", 1, 2}, {"c1", 4, 8}, {"c2", 9, 12}};
    good.writes = {{"a", 1, 2}, {"b", 4, 5}, {"c", 11, 13}};
    good.added = {{"a", "c1"}, {"b", "c2"}};
    good.staged = {{"c", ""}};
  }
  OrderHistory good;
};

TEST_F(GraphOrder, AcceptsWhatIsRight) {
  EXPECT_EQ(check_order(good), std::vector<std::string>());
  good.added["b"] = "c1";
  EXPECT_EQ(check_order(good), std::vector<std::string>()) << "b overlapped c1";
}

TEST_F(GraphOrder, FindsALostCommit) {
  good.chain = {"c0", "c2"};
  EXPECT_FALSE(check_order(good).empty());
}
TEST_F(GraphOrder, FindsAStaleHead) {
  good.reads.push_back({"c0", 7, 8});
  EXPECT_EQ(check_order(good).size(), 1U);
}
TEST_F(GraphOrder, FindsAHeadThatIsNoMore) {
  good.reads.push_back({"cx", 7, 8});
  EXPECT_EQ(check_order(good).size(), 1U);
}
TEST_F(GraphOrder, FindsALostWrite) {
  good.staged.clear();
  EXPECT_EQ(check_order(good).size(), 1U);
}
TEST_F(GraphOrder, FindsAWriteThatItsCommitLeftOut) {
  good.added["a"] = "c2";
  EXPECT_EQ(check_order(good).size(), 1U);
}
TEST_F(GraphOrder, FindsAWriteInACommitThatWasOver) {
  good.added["c"] = "c2";
  EXPECT_EQ(check_order(good).size(), 1U);
}
TEST_F(GraphOrder, FindsCommitsInTheWrongOrder) {
  std::swap(good.commits[0].commit, good.commits[1].commit);
  EXPECT_FALSE(check_order(good).empty());
}

}  // namespace
}  // namespace tarn::versioning::testing
