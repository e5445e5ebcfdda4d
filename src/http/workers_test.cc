#include "http/detail/workers.h"

#include <gtest/gtest.h>

#include "base/clock.h"

namespace tarn::http::detail {
namespace {

void wait_until(const std::function<bool()>& done) {
  for (int i = 0; i < 5000 && !done(); ++i) base::system_clock().sleep_ms(1);
  EXPECT_TRUE(done());
}

TEST(RunTokens, WhoWaitsGivesItsTokenBack) {
  base::RunTokens tokens(1);
  ASSERT_TRUE(tokens.try_acquire());
  {
    base::RunToken token(tokens);
    EXPECT_EQ(tokens.available(), 0);
    base::Mutex mutex;
    base::Condition condition;
    base::Lock lock(mutex);
    int seen = -1;
    condition.wait_for(lock, std::chrono::milliseconds(5), [&] {
      seen = tokens.available();
      return false;
    });
    EXPECT_EQ(seen, 1);
    EXPECT_EQ(tokens.available(), 0);
    {
      base::RunToken::Pause outer;
      base::RunToken::Pause inner;
      EXPECT_EQ(tokens.available(), 1);
    }
    EXPECT_EQ(tokens.available(), 0);
  }
  EXPECT_EQ(tokens.available(), 1);
  base::RunToken::Pause nothing;
  EXPECT_EQ(tokens.available(), 1);
}

// Goal: writers that wait for one sync gather before it, whatever the number of tokens.
TEST(Workers, JobsThatWaitAreAllUnderWayAtOnce) {
  Workers workers(64, 1);
  base::Mutex mutex;
  base::Condition all_here;
  int here = 0;
  std::atomic<int> done{0};
  for (int i = 0; i < 50; ++i)
    workers.submit([&] {
      base::Lock lock(mutex);
      if (++here == 50) all_here.notify_all();
      all_here.wait(lock, [&] { return here == 50; });
      ++done;
    });
  wait_until([&] { return done == 50; });
}

TEST(Workers, StartInOrderAndNoMoreAtOnceThanTokens) {
  Workers workers(64, 2);
  std::atomic<int> running{0}, most{0}, done{0};
  for (int i = 0; i < 200; ++i)
    workers.submit([&] {
      const int now = ++running;
      for (int seen = most; now > seen && !most.compare_exchange_weak(seen, now);) {
      }
      for (std::atomic<int> spin{0}; spin < 5000; ++spin) {
      }
      --running;
      ++done;
    });
  wait_until([&] { return done == 200; });
  EXPECT_LE(most.load(), 4);  // two, unless the machine stood still for longer than a request waits
  std::vector<int> order;     // one token: one after the other
  Workers one(8, 1);
  for (int i = 0; i < 20; ++i) one.submit([&, i] { order.push_back(i); });
  one.close();
  for (int i = 0; i < 20; ++i) EXPECT_EQ(order[static_cast<size_t>(i)], i);
}

TEST(Workers, CloseFinishesWhatWasTaken) {
  std::atomic<int> done{0};
  Workers workers(4, 2);
  for (int i = 0; i < 100; ++i) workers.submit([&] { ++done; });
  workers.close();
  EXPECT_EQ(done.load(), 100);
  EXPECT_EQ(workers.threads(), 0U);
}

}  // namespace
}  // namespace tarn::http::detail
