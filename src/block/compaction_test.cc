// Compaction moves bytes and never an object: not for a reader, not in a crash, not over many rounds.
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <map>
#include <set>

#include <fmt/core.h>

#include "base/bytes.h"
#include "base/mutex.h"
#include "base/random.h"
#include "base/testing/scratch.h"
#include "base/testing/simulated_disk.h"
#include "base/testing/victim.h"
#include "block/local.h"
#include "block/segment.h"

namespace tarn::block {
namespace {

using base::testing::DiskOp;
using base::testing::SimulatedDisk;

const std::string kFolder = "/objects";
/// Objects above 1000 bytes are large, a segment holds about ten small ones.
const LocalOptions kTiny = {.small_bytes = 1'000, .segment_bytes = 6'000, .compact_open_bytes = 2'000};

Name name(const std::string& text) { return *make_name(text); }

std::string segment_path(int number) { return fmt::format("{}/segments/{:010}.seg", kFolder, number); }

std::unique_ptr<Store> open(base::Disk& disk, const std::string& folder = kFolder) {
  auto store = open_local_store(disk, folder, kTiny);
  EXPECT_TRUE(store.ok()) << (store ? "" : store.error().text());
  return store ? std::move(*store) : nullptr;
}

/// What must be there: names and their bytes.
struct Model {
  std::map<std::string, std::string> objects;
  base::SeededRandom random;
  explicit Model(uint64_t seed = 1) : random(seed) {}

  std::string bytes(size_t size) {
    std::string out(size, '\0');
    random.fill(out.data(), size);
    return out;
  }
  void put(Store& store, const std::string& id, size_t size) {
    const std::string content = bytes(size);
    const auto put = store.put({}, name(id), content);
    ASSERT_TRUE(put) << put.error().text();
    objects[id] = content;
  }
  void remove(Store& store, const std::string& id) {
    ASSERT_TRUE(store.remove({}, name(id)));
    objects.erase(id);
  }
  /// Small and large objects over several segments; every other one is removed, and some of those are made anew.
  void fill(Store& store, int count = 60) {
    for (int i = 0; i < count; ++i) put(store, "o/" + std::to_string(i), i % 9 == 4 ? 1'500 : 100 + random.u64() % 800);
    for (int i = 0; i < count; i += 2) remove(store, "o/" + std::to_string(i));
    for (int i = 0; i < count; i += 10) put(store, "o/" + std::to_string(i), i % 20 == 0 ? 300 : 1'700);
    for (int i = 0; i < count; i += 20) remove(store, "o/" + std::to_string(i));
  }
  void check(Store& store) {
    uint64_t total = 0;
    for (const auto& [id, content] : objects) {
      const auto read = store.read({}, name(id), 0, {});
      ASSERT_TRUE(read) << id << ": " << read.error().text();
      ASSERT_EQ(*read, content) << id;
      total += content.size();
    }
    std::set<std::string> listed;
    ASSERT_TRUE(store.list({}, "", [&](const Name& n, const Info& info) -> Result<void> {
      EXPECT_TRUE(listed.insert(n.str()).second) << n.str() << " is listed twice";
      const auto it = objects.find(n.str());
      EXPECT_TRUE(it != objects.end()) << n.str() << " came back";
      if (it != objects.end()) {
        EXPECT_EQ(info.size, it->second.size());
      }
      return {};
    }));
    ASSERT_EQ(listed.size(), objects.size());
    ASSERT_EQ(*store.stored_bytes({}), total);
    ASSERT_GE(*store.disk_bytes({}), total);
  }
};

uint64_t file_bytes(SimulatedDisk& disk) {
  uint64_t total = 0;
  for (const auto& path : disk.paths()) total += disk.stat(path)->size;
  return total;
}

TEST(Compaction, MovedObjectsReadTheSameAndTheStoreShrinks) {
  SimulatedDisk disk;
  auto store = open(disk);
  Model model;
  model.fill(*store);
  const uint64_t before = *store->disk_bytes({});
  EXPECT_EQ(before, file_bytes(disk));
  const auto freed = store->compact({});
  ASSERT_TRUE(freed) << freed.error().text();
  EXPECT_GT(*freed, before / 4);
  EXPECT_LT(*store->disk_bytes({}), *store->stored_bytes({}) * 13 / 10);
  EXPECT_EQ(*store->disk_bytes({}), file_bytes(disk)) << "dead bytes are counted, too";
  EXPECT_FALSE(disk.stat(segment_path(1)));
  model.check(*store);
  EXPECT_EQ(*store->compact({}), 0u) << "nothing is worth it any more";
  store.reset();
  disk.crash(SimulatedDisk::Loss::kAll);
  store = open(disk);
  model.check(*store);
  EXPECT_EQ(*store->disk_bytes({}), file_bytes(disk));
}

TEST(Compaction, AnEmptiedStoreKeepsAlmostNothing) {
  SimulatedDisk disk;
  auto store = open(disk);
  Model model;
  model.fill(*store, 200);
  while (!model.objects.empty()) model.remove(*store, model.objects.begin()->first);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(store->compact({}));
  EXPECT_LT(*store->disk_bytes({}), kTiny.compact_open_bytes + 500) << "tombstones go with what they guard against";
  EXPECT_EQ(*store->disk_bytes({}), file_bytes(disk));
  store.reset();
  store = open(disk);
  model.check(*store);
}

TEST(Compaction, AFullerStoreIsLeftAlone) {
  SimulatedDisk disk;
  auto store = open(disk);
  Model model;
  for (int i = 0; i < 40; ++i) model.put(*store, "o/" + std::to_string(i), 500);
  for (int i = 0; i < 40; i += 10) model.remove(*store, "o/" + std::to_string(i));
  const int64_t appends = disk.count(DiskOp::kAppend);
  EXPECT_EQ(*store->compact({}), 0u);
  EXPECT_EQ(disk.count(DiskOp::kAppend), appends);
}

// Goal: a tombstone outlives every older record of its name, however often it is moved itself.
// Method: the record's segment stays well filled; that of the tombstone is compacted again and again.
TEST(Compaction, ATombstoneIsKeptWhileAnOlderSegmentHoldsItsRecord) {
  SimulatedDisk disk;
  auto store = open(disk);
  Model model;
  model.put(*store, "gone", 300);
  model.put(*store, "gone/large", 1'500);
  for (int i = 0; i < 12; ++i) model.put(*store, "kept/" + std::to_string(i), 500);
  model.remove(*store, "gone");
  model.remove(*store, "gone/large");
  for (int round = 0; round < 5; ++round) {
    for (int i = 0; i < 30; ++i) model.put(*store, "brief/" + std::to_string(i), 500);
    for (int i = 0; i < 30; ++i) model.remove(*store, "brief/" + std::to_string(i));
    const auto freed = store->compact({});
    ASSERT_TRUE(freed) << freed.error().text();
    ASSERT_GT(*freed, 10'000u);
    ASSERT_TRUE(disk.stat(segment_path(1))) << "the first segment is well filled";
    model.check(*store);
    store.reset();
    disk.crash(SimulatedDisk::Loss::kAll);
    store = open(disk);
    model.check(*store);
  }
  // A name that exists again needs no tombstone, and gets a new one that does the same work.
  model.put(*store, "gone", 10);
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 30; ++i) model.put(*store, "brief/" + std::to_string(i), 500);
    if (round == 0) model.remove(*store, "gone");
    for (int i = 0; i < 30; ++i) model.remove(*store, "brief/" + std::to_string(i));
    ASSERT_TRUE(store->compact({}));
    store.reset();
    store = open(disk);
    model.check(*store);
  }
}

// Goal: wherever the power fails in a compaction, the same objects are there, and the next compaction finishes.
// Method: the disk dies after n operations of it, for every n, and forgets or tears what was not synced.
TEST(Compaction, ACrashAtAnyPointChangesNothing) {
  for (const auto loss : {SimulatedDisk::Loss::kAll, SimulatedDisk::Loss::kPrefix, SimulatedDisk::Loss::kTorn}) {
    bool finished = false;
    int64_t stop = 1;
    for (; !finished; ++stop) {
      SCOPED_TRACE(fmt::format("loss {}, stopped after {}", static_cast<int>(loss), stop));
      SimulatedDisk disk;
      auto store = open(disk);
      Model model(static_cast<uint64_t>(stop));
      model.fill(*store, 40);
      disk.stop_after(stop);
      finished = store->compact({}).ok();
      store.reset();
      disk.crash(loss, static_cast<uint64_t>(stop));
      store = open(disk);
      ASSERT_TRUE(store);
      ASSERT_NO_FATAL_FAILURE(model.check(*store));
      model.remove(*store, "o/1");
      model.put(*store, "o/0", 200);
      const auto again = store->compact({});
      ASSERT_TRUE(again) << again.error().text();
      ASSERT_NO_FATAL_FAILURE(model.check(*store));
      ASSERT_EQ(*store->disk_bytes({}), file_bytes(disk)) << "nothing is left behind";
      store.reset();
      disk.crash(loss, static_cast<uint64_t>(stop));
      store = open(disk);
      ASSERT_NO_FATAL_FAILURE(model.check(*store));
    }
    EXPECT_GT(stop, 20);
  }
}

// Goal: any one operation of the disk may fail: no object is lost, and the store goes on or says that it cannot.
TEST(Compaction, AFailureOfAnyOperationChangesNothing) {
  bool fired = true;
  int nth = 0;
  for (; fired; ++nth) {
    SCOPED_TRACE(fmt::format("operation {}", nth));
    SimulatedDisk disk;
    auto store = open(disk);
    Model model;
    model.fill(*store, 40);
    std::atomic<int> left{nth};
    bool sync_failed = false;
    fired = false;
    disk.set_fault([&](DiskOp op, const std::string& path) -> std::optional<Error> {
      if (left-- != 0) return {};
      fired = true;
      sync_failed = op == DiskOp::kSync;
      return Error(Code::kUnavailable, "file", "injected at " + path);
    });
    const auto freed = store->compact({});
    disk.set_fault(nullptr);
    ASSERT_NE(freed.ok(), fired);
    if (sync_failed) {
      ASSERT_EQ(freed.error().code(), Code::kUnknownOutcome);
    }
    ASSERT_NO_FATAL_FAILURE(model.check(*store)) << "reads go on";
    if (!sync_failed) {
      model.put(*store, "o/0", 200);
      model.remove(*store, "o/1");
      const auto again = store->compact({});
      ASSERT_TRUE(again) << again.error().text();
      ASSERT_NO_FATAL_FAILURE(model.check(*store));
      ASSERT_EQ(*store->disk_bytes({}), file_bytes(disk)) << "nothing is left behind";
    }
    store.reset();
    disk.crash(SimulatedDisk::Loss::kTorn, static_cast<uint64_t>(nth));
    store = open(disk);
    ASSERT_TRUE(store);
    ASSERT_NO_FATAL_FAILURE(model.check(*store));
  }
  EXPECT_GT(nth, 40);
}

// Goal: no order of writes, removals, compactions, starts and crashes loses an object or brings one back.
// Method: a random walk that only ever cuts compactions short, so that the model is exact. The seed is in the trace.
TEST(Compaction, ARandomWalkEndsWithTheModel) {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    SimulatedDisk disk;
    auto store = open(disk);
    Model model(seed);
    auto& random = model.random;
    const auto loss = static_cast<SimulatedDisk::Loss>(seed % 3);
    for (int step = 0; step < 300; ++step) {
      const std::string id = "w/" + std::to_string(random.u64() % 40);
      const uint64_t what = random.u64() % 100;
      if (what < 80) {
        if (model.objects.contains(id))
          model.remove(*store, id);
        else
          model.put(*store, id, random.u64() % 8 == 0 ? 1'200 : random.u64() % 900);
        continue;
      }
      if (what < 90) {
        const auto freed = store->compact({});
        ASSERT_TRUE(freed) << freed.error().text();
      } else if (what < 97) {
        disk.stop_after(static_cast<int64_t>(random.u64() % 30));
        (void)store->compact({});
      }
      if (what >= 88) {
        store.reset();
        disk.crash(loss, random.u64());
        store = open(disk);
        ASSERT_TRUE(store);
      }
      ASSERT_NO_FATAL_FAILURE(model.check(*store)) << "step " << step;
    }
  }
}

TEST(Compaction, OpenReadersGoOn) {
  for (const bool on_disk : {false, true}) {
    base::testing::ScratchFolder scratch;
    SimulatedDisk simulated;
    base::Disk& disk = on_disk ? base::system_disk() : simulated;
    auto store = open(disk, scratch.path("objects"));
    Model model;
    model.fill(*store);
    std::map<std::string, std::unique_ptr<ByteReader>> readers;
    for (const auto& [id, content] : model.objects) readers[id] = std::move(*store->open({}, name(id), 0, {}));
    ASSERT_GT(*store->compact({}), 0u);
    for (auto& [id, reader] : readers) {
      std::string got(2'000, '\0');
      size_t filled = 0;
      while (const size_t count = reader->read(got.data() + filled, got.size() - filled).value()) filled += count;
      EXPECT_EQ(got.substr(0, filled), model.objects[id]);
    }
  }
}

// Goal: every other call may run during compactions; a list shows each object that stays exactly once.
void stir(base::Disk& disk, const std::string& folder, int rounds) {
  auto store = open(disk, folder);
  Model stable;
  for (int i = 0; i < 100; ++i) {
    stable.put(*store, "stable/" + std::to_string(i), i % 10 == 0 ? 1'300 : 200);
    ASSERT_TRUE(store->put({}, name("dead/" + std::to_string(i)), std::string(500, 'x')));
    ASSERT_TRUE(store->remove({}, name("dead/" + std::to_string(i))));
  }
  std::vector<Model> models;
  for (uint64_t t = 0; t < 3; ++t) models.emplace_back(t);
  std::atomic<int> running{5};
  struct Done {
    std::atomic<int>& running;
    ~Done() { --running; }
  };
  std::vector<base::Thread> threads;
  for (size_t t = 0; t < 3; ++t)
    threads.emplace_back([&, t] {
      const Done done{running};
      Model& own = models[t];
      for (int i = 0; i < rounds; ++i) {
        const std::string id = fmt::format("{}/{}", t, own.random.u64() % 20);
        if (own.objects.contains(id))
          own.remove(*store, id);
        else
          own.put(*store, id, own.random.u64() % 8 == 0 ? 1'200 : own.random.u64() % 900);
        const auto read = store->read({}, name(id), 0, {});
        ASSERT_EQ(read.ok(), own.objects.contains(id));
        if (read) {
          ASSERT_EQ(*read, own.objects[id]);
        }
      }
    });
  threads.emplace_back([&] {
    const Done done{running};
    base::SeededRandom random(9);
    for (int i = 0; i < rounds * 3; ++i) {
      const std::string id = "stable/" + std::to_string(random.u64() % 100);
      const auto read = store->read({}, name(id), 0, {});
      ASSERT_TRUE(read) << read.error().text();
      ASSERT_EQ(*read, stable.objects[id]);
    }
  });
  threads.emplace_back([&] {
    const Done done{running};
    for (int i = 0; i < rounds / 5; ++i) {
      std::set<std::string> listed;
      const auto told = store->list({}, "stable/", [&](const Name& n, const Info&) -> Result<void> {
        EXPECT_TRUE(listed.insert(n.str()).second) << n.str() << " is listed twice";
        return {};
      });
      ASSERT_TRUE(told) << told.error().text();
      ASSERT_EQ(listed.size(), stable.objects.size());
    }
  });
  uint64_t freed = 0;
  while (running > 0) {
    const auto one = store->compact({});
    EXPECT_TRUE(one) << one.error().text();
    if (!one) break;
    freed += *one;
  }
  threads.clear();
  EXPECT_GT(freed, 50'000u);
  for (const Model& model : models) stable.objects.insert(model.objects.begin(), model.objects.end());
  stable.check(*store);
  store.reset();
  store = open(disk, folder);
  stable.check(*store);
}

TEST(Compaction, EveryOtherCallMayRunMeanwhile) {
  SimulatedDisk disk;
  stir(disk, kFolder, 2'000);
}

TEST(Compaction, EveryOtherCallMayRunMeanwhileOnARealDisk) {
  base::testing::ScratchFolder folder;
  stir(base::system_disk(), folder.path("objects"), 200);
}

TEST(Compaction, DamageKeepsItsSegmentAndNoOther) {
  SimulatedDisk disk;
  auto store = open(disk);
  Model model;
  model.put(*store, "damaged", 500);
  model.fill(*store);
  disk.flip(segment_path(1), segment::kFileHeaderBytes + segment::kRecordHeaderBytes + 100);
  EXPECT_GT(*store->compact({}), 0u);
  EXPECT_TRUE(disk.stat(segment_path(1)));
  EXPECT_FALSE(disk.stat(segment_path(2)));
  EXPECT_EQ(store->read({}, name("damaged"), 0, {}).error().code(), Code::kCorrupt);
  EXPECT_EQ(store->compact({}).error().code(), Code::kCorrupt) << "nothing else to free";
  model.objects.erase("damaged");
  for (const auto& [id, content] : model.objects) EXPECT_EQ(*store->read({}, name(id), 0, {}), content);
}

TEST(Compaction, AFullDiskLosesNothingAndStillGivesBackWhatNeedsNoCopy) {
  SimulatedDisk disk;
  auto store = open(disk);
  Model model;
  model.fill(*store);
  for (int i = 0; i < 20; ++i) model.put(*store, "brief/" + std::to_string(i), 500);
  for (int i = 0; i < 20; ++i) model.remove(*store, "brief/" + std::to_string(i));
  disk.set_capacity(file_bytes(disk) + 300);
  const auto freed = store->compact({});
  ASSERT_TRUE(freed) << freed.error().text();
  EXPECT_GT(*freed, 5'000u);
  model.check(*store);
  disk.set_capacity(UINT64_MAX / 2);
  ASSERT_TRUE(store->compact({}));
  model.check(*store);
  store.reset();
  store = open(disk);
  model.check(*store);
}

TEST(Compaction, OnAFullDiskIsNoSpaceWhenNothingCanBeFreed) {
  SimulatedDisk disk;
  auto store = open(disk);
  Model model;
  model.fill(*store, 40);
  disk.set_capacity(file_bytes(disk));
  EXPECT_EQ(store->compact({}).error().code(), Code::kNoSpace);
  model.check(*store);
}

// Goal: a removed large object's file does not outlive the record that reminds the next start of it.
TEST(Compaction, TakesLeftOverFilesOfRemovedObjectsAlong) {
  SimulatedDisk disk;
  auto store = open(disk);
  Model model;
  model.put(*store, "large", 5'000);
  model.fill(*store);
  disk.set_fault([](DiskOp op, const std::string& path) -> std::optional<Error> {
    if (op == DiskOp::kRemove && path.find("/files/") != std::string::npos)
      return Error(Code::kUnavailable, "file", "injected");
    return {};
  });
  EXPECT_FALSE(store->remove({}, name("large"))) << "the name is gone, the file is not";
  model.objects.erase("large");
  disk.set_fault(nullptr);
  EXPECT_GT(file_bytes(disk), *store->disk_bytes({}));
  ASSERT_TRUE(store->compact({}));
  EXPECT_EQ(file_bytes(disk), *store->disk_bytes({}));
  store.reset();
  disk.crash(SimulatedDisk::Loss::kAll);
  EXPECT_EQ(file_bytes(disk), *open(disk)->disk_bytes({})) << "its removal is durable";
}

TEST(Compaction, ASegmentThatIsMissingIsToldFromOneThatIsGone) {
  SimulatedDisk disk;
  auto store = open(disk);
  Model model;
  model.fill(*store);
  const std::string first = *disk.read_all(segment_path(1));
  ASSERT_GT(*store->compact({}), 0u);
  store.reset();
  // A copy of a segment that is gone is not read: its objects live elsewhere, or nowhere.
  {
    auto file = std::move(*disk.open(segment_path(1), base::OpenMode::kCreate));
    ASSERT_TRUE(file->append(first));
  }
  store = open(disk);
  model.check(*store);
  EXPECT_FALSE(disk.stat(segment_path(1)));
  // Several live segments, then one is taken away.
  for (int i = 0; i < 40; ++i) model.put(*store, "more/" + std::to_string(i), 500);
  store.reset();
  std::vector<std::string> segments;
  for (const auto& path : disk.paths())
    if (path.ends_with(".seg")) segments.push_back(path);
  ASSERT_GT(segments.size(), 3u);
  ASSERT_TRUE(disk.remove(segments[1]));
  const auto opened = open_local_store(disk, kFolder, kTiny);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code(), Code::kCorrupt);
  EXPECT_NE(opened.error().message().find(segments[1] + " is missing"), std::string::npos) << opened.error().text();
}

TEST(Compaction, ACancelledCallerStopsItBetweenTwoSteps) {
  SimulatedDisk disk;
  auto store = open(disk);
  Model model;
  model.fill(*store);
  const Context gone;
  disk.set_fault([&](DiskOp op, const std::string&) -> std::optional<Error> {
    if (op == DiskOp::kRemove) gone.cancel();
    return {};
  });
  EXPECT_EQ(store->compact(gone).error().code(), Code::kCancelled);
  disk.set_fault(nullptr);
  model.check(*store);
  EXPECT_GT(*store->compact({}), 0u) << "a later call goes on";
  model.check(*store);
}

// What the killed process runs; the test below starts it, since kill points are read once a process.
TEST(CompactionKills, DISABLED_Victim) {
  const char* folder = std::getenv("TARN_TEST_FOLDER");
  if (!folder) GTEST_SKIP() << "started by EveryPointLeavesTheSameObjects";
  (void)open(base::system_disk(), folder)->compact({});
}

TEST(CompactionKills, EveryPointLeavesTheSameObjects) {
  base::testing::ScratchFolder folder;
  Model model;
  model.fill(*open(base::system_disk(), folder.path("filled")), 40);
  for (const std::string point :
       {"block.compact.before_copy:1", "block.segment.before_append:1", "block.segment.before_sync:2",
        "block.segment.after_sync:1", "block.compact.after_copy:2", "block.compact.before_unlink:1",
        "block.compact.before_folder_sync:2", "block.compact.after_folder_sync:1"}) {
    SCOPED_TRACE(point);
    const std::string objects = folder.path("objects");
    std::filesystem::copy(folder.path("filled"), objects, std::filesystem::copy_options::recursive);
    ASSERT_EQ(base::testing::run_victim("CompactionKills.DISABLED_Victim", point, {{"TARN_TEST_FOLDER", objects}}),
              base::testing::kKilled)
        << "the point was not reached";
    auto store = open(base::system_disk(), objects);
    ASSERT_TRUE(store);
    ASSERT_NO_FATAL_FAILURE(model.check(*store));
    ASSERT_TRUE(store->compact({}));
    ASSERT_NO_FATAL_FAILURE(model.check(*store));
    store.reset();
    std::filesystem::remove_all(objects);
  }
}

// The format's golden bytes.
TEST(Segment, AListOfGoneSegmentsHasTheBytesOfThePage) {
  segment::Gone gone;
  EXPECT_EQ(gone.encode(), "");
  for (const uint32_t number : {1u, 3u, 2u, 7u, 2u}) gone.add(number);
  EXPECT_EQ(base::to_hex(gone.encode()), "01000000030000000700000007000000");
  for (const uint32_t number : {1u, 2u, 3u, 7u}) EXPECT_TRUE(gone.contains(number));
  for (const uint32_t number : {0u, 4u, 6u, 8u}) EXPECT_FALSE(gone.contains(number));
  EXPECT_TRUE(segment::Gone::decode(gone.encode()));
  for (const std::string& bad : {gone.encode() + "x", gone.encode() + gone.encode(), std::string(8, '\0')})
    EXPECT_EQ(segment::Gone::decode(bad).error().code(), Code::kCorrupt);
  const std::string record = segment::encode_header(segment::Kind::kGone, segment::kGoneName, 16, 16) +
                             segment::encode_tail(segment::kGoneName, gone.encode());
  EXPECT_EQ(base::to_hex(record).substr(0, 32), "a7524543040001001000000010000000");
}

}  // namespace
}  // namespace tarn::block
