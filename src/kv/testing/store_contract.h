#pragma once
// What every store must do. Included once, by contract_test.cc, which instantiates it for each back end.
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "kv/store.h"
#include "kv/testing/rows.h"

namespace tarn::kv::testing {

/// Owns one store under test.
class Bench {
 public:
  virtual ~Bench() = default;
  virtual Store& store() = 0;
  /// Closes and opens the store again over the same rows; false when the back end forgets.
  virtual bool reopen() = 0;
};

struct Maker {
  std::string name;
  std::function<std::unique_ptr<Bench>()> make;
};

class StoreContract : public ::testing::TestWithParam<Maker> {
 protected:
  void SetUp() override { bench_ = GetParam().make(); }
  Store& store() { return bench_->store(); }
  Sequence put(const std::string& key, const std::string& value) {
    auto done = store().apply(ctx_, Batch().put(key, value));
    EXPECT_TRUE(done.ok());
    return done ? *done : 0;
  }
  std::optional<Row> get(const std::string& key) {
    auto row = store().get(ctx_, key);
    EXPECT_TRUE(row.ok());
    return row ? *row : std::nullopt;
  }
  std::vector<std::string> keys(std::string_view prefix, std::string_view from = {}) {
    return keys_of(drain(*store().scan(ctx_, prefix, from)));
  }
  Code code_of(const Batch& batch) {
    auto done = store().apply(ctx_, batch);
    return done ? Code::kInternal : done.error().code();
  }
  using Keys = std::vector<std::string>;

  std::unique_ptr<Bench> bench_;
  Context ctx_;
};

TEST_P(StoreContract, AnEmptyStoreHasNoRowsAndSequenceZero) {
  EXPECT_FALSE(get("a"));
  EXPECT_EQ(keys(""), Keys{});
  EXPECT_EQ((*store().view(ctx_))->sequence(), 0u);
}

TEST_P(StoreContract, ARowComesBackWithTheSequenceOfItsApplyAsVersion) {
  const Sequence first = put("a", "1");
  EXPECT_EQ(first, 1u);
  EXPECT_EQ(get("a")->value, "1");
  EXPECT_EQ(get("a")->version, first);
  const Sequence second = put("a", "2");
  EXPECT_GT(second, first);
  EXPECT_EQ(get("a")->value, "2");
  EXPECT_EQ(get("a")->version, second);
}

TEST_P(StoreContract, KeysAndValuesMayHoldAnyBytes) {
  const std::string key("\x00\xff\x01/", 4), value("\x00\xff", 2);
  put(key, value);
  put("empty", "");
  EXPECT_EQ(get(key)->value, value);
  EXPECT_EQ(get("empty")->value, "");
  EXPECT_EQ(keys(std::string("\x00", 1)), Keys{key});
}

TEST_P(StoreContract, AFailedPreconditionWritesNothing) {
  put("a", "1");
  auto lost = store().apply(ctx_, Batch().put("b", "x").require_absent("a").erase("a"));
  ASSERT_FALSE(lost);
  EXPECT_EQ(lost.error().code(), Code::kConflict);
  EXPECT_EQ(lost.error().subject(), "key");
  EXPECT_NE(lost.error().message().find('a'), std::string::npos);
  EXPECT_FALSE(get("b"));
  EXPECT_TRUE(get("a"));
  EXPECT_EQ((*store().view(ctx_))->sequence(), 1u) << "a refused batch takes no sequence";
}

TEST_P(StoreContract, EachPreconditionHoldsExactlyWhenItShould) {
  const Sequence v = put("a", "1");
  EXPECT_EQ(code_of(Batch().require_absent("a")), Code::kConflict);
  EXPECT_EQ(code_of(Batch().require_present("b")), Code::kConflict);
  EXPECT_EQ(code_of(Batch().require_version("a", v + 1)), Code::kConflict);
  EXPECT_EQ(code_of(Batch().require_version("b", v)), Code::kConflict);
  EXPECT_TRUE(store().apply(ctx_, Batch().require_absent("b").require_present("a").require_version("a", v)));
  store().apply(ctx_, Batch().erase("a")).value();
  EXPECT_EQ(code_of(Batch().require_version("a", v)), Code::kConflict);
  EXPECT_TRUE(store().apply(ctx_, Batch().require_absent("a").put("a", "2")));
}

TEST_P(StoreContract, PreconditionsSeeTheStateBeforeTheirBatch) {
  EXPECT_TRUE(store().apply(ctx_, Batch().put("a", "1").require_absent("a")));
  EXPECT_EQ(code_of(Batch().put("b", "1").require_present("b")), Code::kConflict);
}

TEST_P(StoreContract, WritesOfABatchHappenInTheirOrder) {
  store().apply(ctx_, Batch().put("p/a", "1").erase_range("p/", "p0").put("p/b", "2").put("p/b", "3")).value();
  EXPECT_EQ(keys("p/"), Keys{"p/b"});
  EXPECT_EQ(get("p/b")->value, "3");
  store().apply(ctx_, Batch().erase("p/b").put("p/b", "4")).value();
  EXPECT_EQ(get("p/b")->value, "4");
  store().apply(ctx_, Batch().put("p/b", "5").erase("p/b")).value();
  EXPECT_FALSE(get("p/b"));
}

TEST_P(StoreContract, EraseRangeRemovesExactlyTheHalfOpenRange) {
  for (const char* key : {"a", "b", "b/1", "c", "d"}) put(key, "x");
  store().apply(ctx_, Batch().erase_range("b", "d")).value();
  EXPECT_EQ(keys(""), (Keys{"a", "d"}));
  store().apply(ctx_, Batch().erase_range("d", "a")).value();
  EXPECT_EQ(keys(""), (Keys{"a", "d"})) << "an upside-down range is empty";
  store().apply(ctx_, Batch().erase_range("b", "")).value();
  EXPECT_EQ(keys(""), Keys{"a"});
}

TEST_P(StoreContract, EraseIfVersionLeavesANewerRowAndIsNoError) {
  const Sequence old = put("a", "1");
  const Sequence now = put("a", "2");
  EXPECT_TRUE(store().apply(ctx_, Batch().erase_if_version("a", old).erase_if_version("none", old)));
  EXPECT_EQ(get("a")->value, "2");
  EXPECT_TRUE(store().apply(ctx_, Batch().erase_if_version("a", now)));
  EXPECT_FALSE(get("a"));
}

TEST_P(StoreContract, ScansGiveThePrefixInOrderFromAWholeKey) {
  for (const char* key : {"b/2", "a", "b/1", "b", "b/10", "b0", "c"}) put(key, key);
  EXPECT_EQ(keys("b/"), (Keys{"b/1", "b/10", "b/2"}));
  EXPECT_EQ(keys("b/", "b/10"), (Keys{"b/10", "b/2"}));
  EXPECT_EQ(keys("b/", "b/11"), Keys{"b/2"});
  EXPECT_EQ(keys("b/", "a"), (Keys{"b/1", "b/10", "b/2"})) << "from before the prefix starts at the prefix";
  EXPECT_EQ(keys("b/", "c"), Keys{});
  EXPECT_EQ(keys("").size(), 7u);
  put(std::string("\xff\xff"), "last");
  EXPECT_EQ(keys(std::string("\xff")).size(), 1u);
}

TEST_P(StoreContract, AViewShowsOneMomentWhileWritesGoOn) {
  put("k/a", "1");
  put("k/b", "1");
  auto view = std::move(*store().view(ctx_));
  auto scan = view->scan("k/");
  ASSERT_EQ((*scan->next())->key, "k/a");
  store().apply(ctx_, Batch().put("k/a", "2").erase("k/b").put("k/c", "2")).value();
  store().apply(ctx_, Batch().erase_range("k/", "k0")).value();
  EXPECT_EQ(view->sequence(), 2u);
  EXPECT_EQ((*view->get("k/a"))->value, "1");
  EXPECT_FALSE(*view->get("k/c"));
  EXPECT_EQ((**scan->next()).key, "k/b");
  EXPECT_FALSE(*scan->next());
  EXPECT_EQ(keys_of(drain(*view->scan("k/"))), (Keys{"k/a", "k/b"}));
  EXPECT_EQ(keys("k/"), Keys{});
  EXPECT_EQ((*store().view(ctx_))->sequence(), 4u);
}

TEST_P(StoreContract, AScanOutlivesItsView) {
  put("a", "1");
  put("b", "1");
  std::unique_ptr<Iterator> scan = (*store().view(ctx_))->scan("");
  put("a", "2");
  EXPECT_EQ(drain(*scan).size(), 2u);
}

// Goal: a view's sequence matches exactly what the view shows, while a writer is at work.
// Method: each apply writes its own ordinal; the row in the view must be the one of the view's sequence.
TEST_P(StoreContract, AViewsSequenceIsExactlyWhatItShows) {
  put("n", "1");
  std::atomic<bool> stop{false};
  base::Thread writer([&] {
    for (int i = 2; i <= 300; ++i) put("n", std::to_string(i));
    stop = true;
  });
  Sequence last = 0;
  while (!stop) {
    auto view = std::move(*store().view(ctx_));
    const auto row = **view->get("n");
    ASSERT_EQ(row.version, view->sequence());
    ASSERT_EQ(row.value, std::to_string(view->sequence()));
    ASSERT_GE(view->sequence(), last);
    last = view->sequence();
  }
}

// Goal: of many batches that compete for one key in the same group, exactly one wins, and nobody else is failed.
TEST_P(StoreContract, OneOfManyCompetingBatchesWinsEachRound) {
  constexpr int kThreads = 8, kRounds = 40;
  std::atomic<int> wins{0}, others{0};
  base::Mutex mutex;
  std::set<Sequence> sequences;
  std::vector<base::Thread> threads;
  for (int t = 0; t < kThreads; ++t)
    threads.emplace_back([&, t] {
      for (int r = 0; r < kRounds; ++r) {
        const std::string key = "race/" + std::to_string(r);
        auto mine = store().apply(ctx_, Batch().require_absent(key).put(key, std::to_string(t)));
        if (mine)
          ++wins;
        else
          EXPECT_EQ(mine.error().code(), Code::kConflict);
        auto own = store().apply(ctx_, Batch().put("own/" + std::to_string(t), std::to_string(r)));
        others += own.ok();
        base::Lock lock(mutex);
        for (const auto* done : {&mine, &own})
          if (*done) sequences.insert(**done);
      }
    });
  threads.clear();
  EXPECT_EQ(wins, kRounds);
  EXPECT_EQ(others, kThreads * kRounds);
  EXPECT_EQ(sequences.size(), static_cast<size_t>(kRounds + kThreads * kRounds));
  EXPECT_EQ(*sequences.rbegin(), sequences.size()) << "sequences have no holes and no doubles";
}

// Goal: no update is lost when many threads add to one counter by compare-and-set.
TEST_P(StoreContract, CompareAndSetLosesNoUpdate) {
  constexpr int kThreads = 6, kAdds = 30;
  put("n", "0");
  std::vector<base::Thread> threads;
  for (int t = 0; t < kThreads; ++t)
    threads.emplace_back([&] {
      for (int done = 0; done < kAdds;) {
        const Row row = *get("n");
        done += store()
                    .apply(ctx_,
                           Batch().require_version("n", row.version).put("n", std::to_string(std::stoi(row.value) + 1)))
                    .ok();
      }
    });
  threads.clear();
  EXPECT_EQ(get("n")->value, std::to_string(kThreads * kAdds));
}

// Goal: a range erased in a group hides rows from later preconditions of the same group.
TEST_P(StoreContract, EraseRangeAndPutsAgreeUnderConcurrency) {
  std::vector<base::Thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (int r = 0; r < 50; ++r) {
        const std::string key = "d/" + std::to_string(t);
        // Both rows or none: the check below would see a torn batch.
        store().apply(ctx_, Batch().put(key + "/x", "1").put(key + "/y", "1")).value();
        if (t == 0) store().apply(ctx_, Batch().erase_range("d/", "d0")).value();
        auto view = std::move(*store().view(ctx_));
        EXPECT_EQ(view->get(key + "/x")->has_value(), view->get(key + "/y")->has_value());
      }
    });
  threads.clear();
}

TEST_P(StoreContract, ACancelledCallerIsRefusedBeforeAnythingHappens) {
  Context gone;
  gone.cancel();
  auto refused = store().apply(gone, Batch().put("a", "1"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Code::kCancelled);
  EXPECT_FALSE(get("a"));
}

TEST_P(StoreContract, RowsAndSequencesGoOnAfterAReopen) {
  const Sequence a = put("a", "1");
  const Sequence b = put("b", "1");
  const Sequence c = *store().apply(ctx_, Batch().erase("b"));
  if (!bench_->reopen()) GTEST_SKIP() << "this store forgets";
  EXPECT_EQ(get("a")->version, a);
  EXPECT_FALSE(get("b"));
  EXPECT_EQ((*store().view(ctx_))->sequence(), c);
  EXPECT_GT(put("b", "2"), std::max(b, c)) << "a sequence is never used again";
}

inline std::string name_of_maker(const ::testing::TestParamInfo<Maker>& maker) { return maker.param.name; }

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(StoreContract);

}  // namespace tarn::kv::testing
