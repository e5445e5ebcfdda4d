#include "kv/rocks.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mutex.h"
#include "base/testing/scratch.h"
#include "kv/testing/rows.h"

namespace tarn::kv::testing {
namespace {

TEST(RocksStore, ASecondOpenerIsToldThatTheStoreIsInUse) {
  base::testing::ScratchFolder folder;
  auto first = open_rocks_store(folder.path("kv"));
  ASSERT_TRUE(first);
  auto second = open_rocks_store(folder.path("kv"));
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code(), Code::kBusy);
}

TEST(RocksStore, AFolderThatCannotBeMadeIsAnError) {
  auto opened = open_rocks_store("/proc/no/such");
  ASSERT_FALSE(opened);
}

TEST(RocksStore, AFullDiskIsAnsweredBeforeAnythingIsWritten) {
  base::testing::ScratchFolder folder;
  auto store = std::move(*open_rocks_store(folder.path("kv"), {.reserve_bytes = 1ULL << 62}));
  auto refused = store->apply({}, Batch().put("a", "1"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Code::kNoSpace);
  EXPECT_EQ(refused.error().outcome(), base::Outcome::kNotApplied);
  EXPECT_FALSE(*store->get({}, "a"));
}

TEST(RocksStore, AViewKeepsTheDatabaseOpen) {
  base::testing::ScratchFolder folder;
  auto store = std::move(*open_rocks_store(folder.path("kv"), {.reserve_bytes = 0}));
  store->apply({}, Batch().put("a", "1")).value();
  auto view = std::move(*store->view({}));
  auto scan = view->scan("");
  store.reset();
  EXPECT_EQ((**view->get("a")).value, "1");
  EXPECT_EQ(drain(*scan).size(), 1u);
}

// Goal: what was acknowledged is there after kill -9, with its version, and sequences go on above it.
// Method: a child applies rows from four threads and reports each sequence through a pipe after the acknowledgement.
TEST(RocksStore, AcknowledgedRowsSurviveKillNine) {
  base::testing::ScratchFolder folder;
  for (int round = 0; round < 3; ++round) {
    int pipe_ends[2];
    ASSERT_EQ(::pipe(pipe_ends), 0);
    const pid_t child = ::fork();
    if (child == 0) {
      auto store = open_rocks_store(folder.path("kv"), {.reserve_bytes = 0});
      if (!store) ::_exit(1);
      std::vector<base::Thread> threads;
      for (int t = 0; t < 4; ++t)
        threads.emplace_back([&, t] {
          for (int i = 0;; ++i) {
            const std::string key = std::to_string(round) + "/" + std::to_string(t) + "/" + std::to_string(i);
            auto done = (*store)->apply({}, Batch().require_absent(key).put(key, key));
            if (!done) ::_exit(2);
            const std::string line = key + " " + std::to_string(*done) + "\n";
            if (::write(pipe_ends[1], line.data(), line.size()) < 0) ::_exit(3);
          }
        });
      threads.clear();
      ::_exit(0);
    }
    ::close(pipe_ends[1]);
    std::string acknowledged;
    char buffer[4096];
    ssize_t got;
    while ((got = ::read(pipe_ends[0], buffer, sizeof buffer)) > 0) {
      acknowledged.append(buffer, static_cast<size_t>(got));
      if (acknowledged.size() > 20'000) ::kill(child, SIGKILL);
    }
    ::close(pipe_ends[0]);
    int status = 0;
    ::waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status)) << status;
    acknowledged.resize(acknowledged.rfind('\n') + 1);

    auto store = std::move(*open_rocks_store(folder.path("kv"), {.reserve_bytes = 0}));
    const Sequence last = (*store->view({}))->sequence();
    size_t rows = 0;
    for (size_t at = 0; at < acknowledged.size(); ++rows) {
      const size_t space = acknowledged.find(' ', at), end = acknowledged.find('\n', at);
      const std::string key = acknowledged.substr(at, space - at);
      const Sequence version = std::stoull(acknowledged.substr(space + 1, end - space - 1));
      const auto row = *store->get({}, key);
      ASSERT_TRUE(row) << key;
      EXPECT_EQ(row->version, version);
      EXPECT_LE(version, last);
      at = end + 1;
    }
    EXPECT_GT(rows, 100u);
  }
}

}  // namespace
}  // namespace tarn::kv::testing
