#include "kv/rocks.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <map>

#include "base/mutex.h"
#include "base/testing/scratch.h"
#include "base/testing/simulated_disk.h"
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

// Rows that were read are kept in memory.
TEST(RocksStore, AReadSeesTheLatestApplyAndAnOlderViewItsOwnMoment) {
  base::testing::ScratchFolder folder;
  auto store = std::move(*open_rocks_store(folder.path("kv")));
  const auto at = [&](View& view) {
    const auto row = *view.get("a");
    return row ? row->value : "none";
  };
  const auto latest = [&] { return at(**store->view({})); };
  auto before = std::move(*store->view({}));
  for (const std::string value : {"1", "2", "3"}) {
    ASSERT_TRUE(store->apply({}, Batch().put("a", value)));
    EXPECT_EQ((*store->get({}, "a"))->value, value);
    auto view = std::move(*store->view({}));
    EXPECT_EQ(at(*view), value);
    ASSERT_TRUE(store->apply({}, Batch().erase("a")));
    EXPECT_FALSE(*store->get({}, "a"));
    EXPECT_EQ(at(*view), value);
    ASSERT_TRUE(store->apply({}, Batch().put("a", "again")));
    EXPECT_EQ(latest(), "again");
    EXPECT_EQ(at(*view), value);
    ASSERT_TRUE(store->apply({}, Batch().erase_range("a", "b")));
    EXPECT_EQ(latest(), "none");
    EXPECT_EQ(at(*view), value);
    EXPECT_EQ(at(*before), "none");
  }
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

class RocksStoreOnSimulatedDisk : public ::testing::Test {
 protected:
  using Disk = base::testing::SimulatedDisk;
  static std::unique_ptr<Store> open(Disk& disk, bool sync = true) {
    auto store = open_rocks_store("/kv", {.disk = &disk, .memtable_bytes = 64 << 10, .reserve_bytes = 0, .sync = sync});
    EXPECT_TRUE(store) << (store ? "" : store.error().text());
    return store ? std::move(*store) : nullptr;
  }
  /// Applies rows from three threads until the disk dies after `stop` operations. @return what was acknowledged.
  static std::map<std::string, Sequence> write_until_dead(Store& store, Disk& disk, int64_t stop) {
    disk.stop_after(stop);
    base::Mutex mutex;
    std::map<std::string, Sequence> acknowledged;
    std::vector<base::Thread> threads;
    for (int t = 0; t < 3; ++t)
      threads.emplace_back([&, t] {
        for (int i = 0; !disk.stopped() && i < 1000; ++i) {
          const std::string key = std::to_string(t) + "/" + std::to_string(i);
          const auto done = store.apply({}, Batch().put(key, key + std::string(900, 'v')));
          base::Lock lock(mutex);
          if (done) acknowledged[key] = *done;
        }
      });
    threads.clear();
    return acknowledged;
  }
};

// Goal: every acknowledged row survives losing all that was not synced, wherever the power fails; flushes included.
TEST_F(RocksStoreOnSimulatedDisk, AcknowledgedRowsSurviveAPowerFailureAtAnyPoint) {
  size_t rows = 0;
  for (int64_t stop = 1; stop < 300; stop += stop < 100 ? 9 : 37) {
    Disk disk;
    auto store = open(disk);
    ASSERT_TRUE(store);
    const auto acknowledged = write_until_dead(*store, disk, stop);
    store.reset();
    disk.crash(stop % 2 ? Disk::Loss::kPrefix : Disk::Loss::kAll, static_cast<uint64_t>(stop));
    store = open(disk);
    ASSERT_TRUE(store) << "stopped after " << stop;
    const Sequence last = (*store->view({}))->sequence();
    for (const auto& [key, version] : acknowledged) {
      const auto row = *store->get({}, key);
      ASSERT_TRUE(row) << key << " stopped after " << stop;
      ASSERT_EQ(row->version, version);
      ASSERT_LE(version, last);
    }
    EXPECT_GT(*store->apply({}, Batch().put("more", "x")), last);
    rows += acknowledged.size();
  }
  EXPECT_GT(rows, 300u);
}

// Goal: a log whose unsynced end was torn into pieces is told as damage, and opens with all acknowledged rows when its
// owner says that the power failed.
TEST_F(RocksStoreOnSimulatedDisk, ALogTornIntoPiecesOpensWhenItsOwnerSaysSo) {
  for (int64_t stop = 20; stop < 60; stop += 3) {
    Disk disk;
    auto store = open(disk);
    const auto acknowledged = write_until_dead(*store, disk, stop);
    store.reset();
    disk.crash(Disk::Loss::kTorn, static_cast<uint64_t>(stop));
    auto careful = open_rocks_store("/kv", {.disk = &disk, .reserve_bytes = 0});
    if (!careful) {
      EXPECT_EQ(careful.error().code(), Code::kCorrupt);
      EXPECT_NE(careful.error().message().find("cut_damaged_log"), std::string::npos);
      careful = open_rocks_store("/kv", {.disk = &disk, .reserve_bytes = 0, .cut_damaged_log = true});
    }
    ASSERT_TRUE(careful) << careful.error().text();
    for (const auto& [key, version] : acknowledged) ASSERT_TRUE(*(*careful)->get({}, key)) << key;
  }
}

// Goal: a store opens wherever the power fails while it is made, whatever names the disk had not written yet.
// Method: RocksDB names a manifest in CURRENT, and a table in a manifest; these may not outlive the files they name.
TEST_F(RocksStoreOnSimulatedDisk, AStoreThatWasBeingMadeOpensWhateverNamesWereLost) {
  using base::testing::Crash;
  for (int64_t stop = 1; stop < 60; ++stop)
    for (uint64_t seed = 0; seed < 12; ++seed) {
      Disk disk;
      disk.stop_after(stop);
      (void)open_rocks_store("/kv", {.disk = &disk, .reserve_bytes = 0});
      disk.crash(Crash{Crash::Bytes::kLost, Crash::Names::kSome, seed});
      const auto store = open_rocks_store("/kv", {.disk = &disk, .reserve_bytes = 0});
      ASSERT_TRUE(store) << store.error().text() << ", stopped after " << stop << ", seed " << seed;
    }
}

// Goal: the harness sees loss when the store does not sync; else the test above proves nothing.
TEST_F(RocksStoreOnSimulatedDisk, WithoutSyncsAcknowledgedRowsAreLost) {
  size_t lost = 0;
  for (const int64_t stop : {30, 50, 80, 120, 200}) {  // a flush may have saved all of one run
    Disk disk;
    auto store = open(disk, false);
    const auto acknowledged = write_until_dead(*store, disk, stop);
    store.reset();
    disk.crash(Disk::Loss::kAll);
    store = open(disk);
    for (const auto& [key, version] : acknowledged) lost += !store->get({}, key)->has_value();
  }
  EXPECT_GT(lost, 0u);
}

TEST_F(RocksStoreOnSimulatedDisk, AFailedSyncIsUnknownAndStopsWritesUntilAReopen) {
  Disk disk;
  auto store = open(disk);
  store->apply({}, Batch().put("before", "1")).value();
  disk.set_fault([](base::testing::DiskOp op, const std::string& path) -> std::optional<Error> {
    if (op == base::testing::DiskOp::kSync && path.ends_with(".log"))
      return Error(Code::kUnavailable, "file", "injected");
    return {};
  });
  const auto unknown = store->apply({}, Batch().put("a", "1"));
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code(), Code::kUnknownOutcome);
  disk.set_fault(nullptr);
  const auto refused = store->apply({}, Batch().put("b", "1"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Code::kUnavailable);
  EXPECT_EQ((*store->get({}, "before"))->value, "1") << "reads go on";
  EXPECT_FALSE(*store->get({}, "a")) << "what was not acknowledged is not shown";
  store.reset();
  store = open(disk);
  EXPECT_TRUE(store->apply({}, Batch().put("b", "1")));
  EXPECT_EQ((*store->get({}, "before"))->value, "1");
}

TEST_F(RocksStoreOnSimulatedDisk, DamageInATableIsAnErrorAndNotTheEndOfData) {
  Disk disk;
  {
    auto store = open(disk);
    for (int i = 0; i < 200; ++i)
      store->apply({}, Batch().put("k/" + std::to_string(1000 + i), std::string(1000, static_cast<char>('a' + i % 26))))
          .value();
  }
  std::string table;
  for (const auto& path : disk.paths())
    if (path.ends_with(".sst")) table = path;
  ASSERT_FALSE(table.empty()) << "200 KB went through a memtable of 64 KiB";
  disk.flip(table, 300);
  auto opened = open_rocks_store("/kv", {.disk = &disk, .reserve_bytes = 0});
  if (!opened) {
    EXPECT_EQ(opened.error().code(), Code::kCorrupt);
    return;
  }
  const auto scan = (*opened)->scan({}, "k/");
  size_t rows = 0;
  while (true) {
    const auto row = scan->next();
    if (!row) {
      EXPECT_EQ(row.error().code(), Code::kCorrupt);
      break;
    }
    ASSERT_TRUE(*row) << "the scan ended quietly after " << rows << " of 200 rows";
    ++rows;
  }
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
