// What the local store does when the disk fills up, fails, loses what was not synced, or rots.
#include "block/local.h"

#include <gtest/gtest.h>
#include <sys/mount.h>
#include <unistd.h>

#include <map>

#include "base/bytes.h"
#include "base/hash.h"
#include "base/mutex.h"
#include "base/testing/scratch.h"
#include "base/testing/simulated_disk.h"
#include "block/segment.h"

namespace tarn::block {
namespace {

using base::testing::DiskOp;
using base::testing::SimulatedDisk;

const std::string kFolder = "/objects";
const std::string kFirstSegment = "/objects/segments/0000000001.seg";

Name name(const std::string& text) { return *make_name(text); }

std::string bytes_of(const std::string& id, size_t size) {
  std::string out(size, '\0');
  base::SeededRandom(std::hash<std::string>()(id)).fill(out.data(), size);
  return out;
}

std::unique_ptr<Store> open(base::Disk& disk, const LocalOptions& options = {}) {
  auto store = open_local_store(disk, kFolder, options);
  EXPECT_TRUE(store.ok()) << (store ? "" : store.error().text());
  return store ? std::move(*store) : nullptr;
}

Error injected(Code code) { return Error(code, "file", "injected"); }

class LocalStoreTest : public ::testing::Test {
 protected:
  SimulatedDisk disk_;
  Context ctx_;
};

// Goal: acknowledged objects survive, refused ones are absent, and what is there is whole, wherever the power fails.
// Method: writers and removers run until the disk dies after n operations; the disk forgets (or tears) what was not
// synced; the reopened store is compared with what the writers were told.
TEST_F(LocalStoreTest, AcknowledgedObjectsSurviveACrashAtAnyPoint) {
  for (int64_t stop = 1; stop < 160; ++stop) {
    for (const auto loss : {SimulatedDisk::Loss::kAll, SimulatedDisk::Loss::kTorn}) {
      SimulatedDisk disk;
      auto store = open(disk, {.segment_bytes = 60'000});
      ASSERT_TRUE(store->put(ctx_, name("gone/small"), "x"));
      ASSERT_TRUE(store->put(ctx_, name("gone/large"), std::string(70'000, 'x')));
      disk.stop_after(stop);
      base::Mutex mutex;
      std::map<std::string, size_t> acknowledged;
      std::map<std::string, bool> removed;
      std::vector<base::Thread> threads;
      for (int t = 0; t < 3; ++t)
        threads.emplace_back([&, t] {
          for (int i = 0; !disk.stopped() && i < 200; ++i) {
            const std::string id = "w/" + std::to_string(t) + "/" + std::to_string(i);
            const size_t size = i % 5 == 4 ? 66'000 : static_cast<size_t>(100 + 700 * t);
            const auto put = store->put(ctx_, name(id), bytes_of(id, size));
            base::Lock lock(mutex);
            if (put) acknowledged[id] = size;
          }
        });
      threads.emplace_back([&] {
        for (const char* id : {"gone/small", "gone/large"}) {
          const bool done = store->remove(ctx_, name(id)).ok();
          base::Lock lock(mutex);
          removed[id] = done;
        }
      });
      threads.clear();
      store.reset();
      disk.crash(loss, static_cast<uint64_t>(stop));
      store = open(disk, {.segment_bytes = 60'000});
      ASSERT_TRUE(store) << "stopped after " << stop;
      for (const auto& [id, size] : acknowledged)
        ASSERT_EQ(*store->read(ctx_, name(id), 0, {}), bytes_of(id, size)) << id << " stopped after " << stop;
      for (const auto& [id, done] : removed)
        if (done) {
          ASSERT_FALSE(store->stat(ctx_, name(id))) << id << " came back, stopped after " << stop;
        }
      ASSERT_TRUE(store->list(ctx_, "", [&](const Name& n, const Info& info) -> Result<void> {
        TRY_LET(const std::string whole, store->read(ctx_, n, 0, {}));
        EXPECT_EQ(whole.size(), info.size);
        return {};
      }));
      // It goes on: every name that is not there can be written, whatever a crashed put has left.
      for (int i = 0; i < 10; ++i) {
        const std::string id = "w/0/" + std::to_string(i);
        const auto again = store->put(ctx_, name(id), bytes_of(id, 66'000));
        ASSERT_EQ(again.ok(), !acknowledged.contains(id) && again.ok());
        ASSERT_TRUE(again || again.error().code() == Code::kAlreadyExists) << again.error().text();
      }
    }
  }
}

// Goal: the harness sees loss when there is some; else the test above proves nothing.
TEST_F(LocalStoreTest, TheSimulatedDiskDoesForgetWhatIsNotSynced) {
  ASSERT_TRUE(disk_.make_directories("/d"));
  auto file = std::move(*disk_.open("/d/f", base::OpenMode::kCreate));
  ASSERT_TRUE(file->append("synced"));
  ASSERT_TRUE(file->sync());
  ASSERT_TRUE(disk_.sync_directory("/d"));
  ASSERT_TRUE(file->append("not synced"));
  ASSERT_TRUE(disk_.open("/d/unnamed", base::OpenMode::kCreate));
  disk_.crash(SimulatedDisk::Loss::kAll);
  EXPECT_EQ(*disk_.read_all("/d/f"), "synced");
  EXPECT_FALSE(disk_.stat("/d/unnamed"));
  EXPECT_FALSE(file->append("after"));
}

TEST_F(LocalStoreTest, AFullDiskIsNoSpaceAndLeavesNothingHalfDone) {
  auto store = open(disk_);
  ASSERT_TRUE(store->put(ctx_, name("before"), "kept"));
  const size_t files = disk_.paths().size();
  for (const uint64_t room : {0u, 10u, 300u}) {
    disk_.set_capacity(disk_.stat(kFirstSegment)->size + room);
    const auto small = store->put(ctx_, name("small"), std::string(500, 'x'));
    ASSERT_FALSE(small);
    EXPECT_EQ(small.error().code(), Code::kNoSpace);
    const auto large = store->put(ctx_, name("large"), std::string(200'000, 'x'));
    ASSERT_FALSE(large);
    EXPECT_EQ(large.error().code(), Code::kNoSpace);
    EXPECT_EQ(disk_.paths().size(), files) << "no temporary file stays";
    EXPECT_FALSE(store->stat(ctx_, name("small")));
    EXPECT_EQ(*store->read(ctx_, name("before"), 0, {}), "kept");
  }
  disk_.set_capacity(1'000'000);
  EXPECT_TRUE(store->put(ctx_, name("small"), std::string(500, 'x'))) << "with room again, writes go on";
  EXPECT_TRUE(store->put(ctx_, name("large"), std::string(200'000, 'x')));
  store.reset();
  disk_.crash(SimulatedDisk::Loss::kAll);
  store = open(disk_);
  EXPECT_EQ(*store->read(ctx_, name("small"), 0, {}), std::string(500, 'x'));
}

TEST_F(LocalStoreTest, NoRoomForTheRecordOfALargeObjectRemovesItsFile) {
  auto store = open(disk_);
  ASSERT_TRUE(store->put(ctx_, name("before"), "kept"));
  const size_t files = disk_.paths().size();
  disk_.set_fault([](DiskOp op, const std::string& path) -> std::optional<Error> {
    if (op == DiskOp::kAppend && path.ends_with(".seg")) return injected(Code::kNoSpace);
    return {};
  });
  EXPECT_EQ(store->put(ctx_, name("large"), std::string(200'000, 'x')).error().code(), Code::kNoSpace);
  EXPECT_EQ(disk_.paths().size(), files);
}

TEST_F(LocalStoreTest, AFailedSyncIsUnknownAndStopsTheStoreUntilItIsReopened) {
  auto store = open(disk_);
  ASSERT_TRUE(store->put(ctx_, name("before"), "kept"));
  disk_.set_fault([](DiskOp op, const std::string& path) -> std::optional<Error> {
    if (op == DiskOp::kSync && path.ends_with(".seg")) return injected(Code::kUnavailable);
    return {};
  });
  const auto unknown = store->put(ctx_, name("a"), "x");
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code(), Code::kUnknownOutcome);
  disk_.set_fault(nullptr);
  EXPECT_EQ(store->put(ctx_, name("b"), "x").error().code(), Code::kUnavailable) << "nothing is acknowledged again";
  EXPECT_EQ(store->remove(ctx_, name("before")).error().code(), Code::kUnavailable);
  EXPECT_EQ(*store->read(ctx_, name("before"), 0, {}), "kept") << "reads go on";
  store.reset();
  store = open(disk_);
  EXPECT_TRUE(store->put(ctx_, name("b"), "x"));
}

TEST_F(LocalStoreTest, AFailedSyncOfALargeObjectLeavesNothing) {
  auto store = open(disk_);
  const size_t files = disk_.paths().size();
  for (const auto broken : {DiskOp::kSync, DiskOp::kSyncDirectory, DiskOp::kRename}) {
    disk_.set_fault([broken](DiskOp op, const std::string& path) -> std::optional<Error> {
      if (op == broken && !path.ends_with(".seg")) return injected(Code::kUnavailable);
      return {};
    });
    const auto put = store->put(ctx_, name("large"), std::string(200'000, 'x'));
    ASSERT_FALSE(put);
    EXPECT_EQ(put.error().outcome(), base::Outcome::kNotApplied);
    EXPECT_FALSE(store->stat(ctx_, name("large")));
    EXPECT_EQ(disk_.paths().size(), files);
  }
  disk_.set_fault(nullptr);
  EXPECT_TRUE(store->put(ctx_, name("large"), std::string(200'000, 'x')));
}

TEST_F(LocalStoreTest, DamageInASmallObjectIsCorruptWhenRead) {
  auto store = open(disk_);
  ASSERT_TRUE(store->put(ctx_, name("a"), std::string(1000, 'x')));
  disk_.flip(kFirstSegment, segment::kFileHeaderBytes + segment::kRecordHeaderBytes + 500);
  EXPECT_EQ(store->read(ctx_, name("a"), 0, {}).error().code(), Code::kCorrupt);
  EXPECT_EQ(store->read(ctx_, name("a"), 0, 1).error().code(), Code::kCorrupt) << "a range is checked, too";
}

TEST_F(LocalStoreTest, DamageInALargeObjectIsCorruptBeforeItsLastBytesAreGiven) {
  auto store = open(disk_);
  ASSERT_TRUE(store->put(ctx_, name("a"), std::string(600'000, 'x')));
  std::string file;
  for (const auto& path : disk_.paths())
    if (path.find("/files/") != std::string::npos) file = path;
  disk_.flip(file, 10);
  EXPECT_EQ(store->read(ctx_, name("a"), 0, {}).error().code(), Code::kCorrupt);
}

TEST_F(LocalStoreTest, AMissingFileOfALargeObjectIsCorruptNotAbsent) {
  auto store = open(disk_);
  ASSERT_TRUE(store->put(ctx_, name("a"), std::string(600'000, 'x')));
  for (const auto& path : disk_.paths())
    if (path.find("/files/") != std::string::npos) disk_.remove(path).value();
  EXPECT_EQ(store->read(ctx_, name("a"), 0, {}).error().code(), Code::kCorrupt);
}

TEST_F(LocalStoreTest, DamageInTheMiddleOfASegmentIsReportedAtOpenAndNothingIsCut) {
  auto store = open(disk_);
  for (const char* id : {"a", "b", "c"}) ASSERT_TRUE(store->put(ctx_, name(id), std::string(1000, 'x')));
  store.reset();
  const uint64_t size = disk_.stat(kFirstSegment)->size;
  const uint64_t record = segment::record_bytes(1, 1000);
  for (const uint64_t inside : {uint64_t{2}, uint64_t{9}, uint64_t{500}, record - 1}) {
    disk_.flip(kFirstSegment, segment::kFileHeaderBytes + record + inside);
    const auto opened = open_local_store(disk_, kFolder);
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code(), Code::kCorrupt);
    EXPECT_NE(opened.error().message().find(kFirstSegment), std::string::npos) << opened.error().text();
    EXPECT_EQ(disk_.stat(kFirstSegment)->size, size);
    disk_.flip(kFirstSegment, segment::kFileHeaderBytes + record + inside);
  }
  EXPECT_TRUE(open(disk_));
}

TEST_F(LocalStoreTest, DamageInAClosedSegmentAndAMissingSegmentAreReported) {
  auto store = open(disk_, {.segment_bytes = 2'000});
  for (const char* id : {"a", "b", "c", "d", "e"}) ASSERT_TRUE(store->put(ctx_, name(id), std::string(1000, 'x')));
  store.reset();
  disk_.flip(kFirstSegment, segment::kFileHeaderBytes + segment::record_bytes(1, 1000) + 3);
  EXPECT_EQ(open_local_store(disk_, kFolder).error().code(), Code::kCorrupt);
  ASSERT_TRUE(disk_.remove(kFirstSegment));
  const auto opened = open_local_store(disk_, kFolder);
  ASSERT_FALSE(opened);
  EXPECT_NE(opened.error().message().find("missing"), std::string::npos);
}

TEST_F(LocalStoreTest, ATornTailIsCutAndWritesGoOnBehindIt) {
  for (const size_t torn : {1u, 10u, 24u, 100u, 1'063u}) {
    SimulatedDisk disk;
    auto store = open(disk);
    ASSERT_TRUE(store->put(ctx_, name("a"), std::string(1000, 'x')));
    const uint64_t size = disk.stat(kFirstSegment)->size;
    {
      auto file = std::move(*disk.open(kFirstSegment, base::OpenMode::kAppend));
      std::string record = segment::encode_header(segment::Kind::kObject, "b", 1000, static_cast<uint32_t>(size)) +
                           segment::encode_tail("b", std::string(1000, 'y'));
      record.back() = static_cast<char>(record.back() ^ 1);
      ASSERT_TRUE(file->append(record.substr(0, torn)));
    }
    store.reset();
    store = open(disk);
    EXPECT_EQ(disk.stat(kFirstSegment)->size, size);
    EXPECT_FALSE(store->stat(ctx_, name("b")));
    EXPECT_TRUE(store->put(ctx_, name("b"), "again"));
    store.reset();
    store = open(disk);
    EXPECT_EQ(*store->read(ctx_, name("b"), 0, {}), "again");
    EXPECT_EQ(*store->read(ctx_, name("a"), 0, {}), std::string(1000, 'x'));
  }
}

TEST_F(LocalStoreTest, ARecordOfANewerVersionIsNotCut) {
  auto store = open(disk_);
  ASSERT_TRUE(store->put(ctx_, name("a"), "x"));
  store.reset();
  {
    auto file = std::move(*disk_.open(kFirstSegment, base::OpenMode::kAppend));
    ASSERT_TRUE(
        file->append(segment::encode_header(static_cast<segment::Kind>(9), "b", 0, 0) + segment::encode_tail("b", "")));
  }
  EXPECT_EQ(open_local_store(disk_, kFolder).error().code(), Code::kUnsupported);
}

TEST_F(LocalStoreTest, WaitingWritersShareSyncs) {
  auto store = open(disk_);
  ASSERT_TRUE(store->put(ctx_, name("first"), "x"));
  // A slow sync lets the others queue up.
  disk_.set_fault([](DiskOp op, const std::string&) -> std::optional<Error> {
    if (op == DiskOp::kSync) base::system_clock().sleep_ms(2);
    return {};
  });
  const int64_t before = disk_.count(DiskOp::kSync);
  std::vector<base::Thread> threads;
  for (int t = 0; t < 16; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < 10; ++i)
        ASSERT_TRUE(store->put(ctx_, name(std::to_string(t) + "/" + std::to_string(i)), "x"));
    });
  threads.clear();
  EXPECT_LT(disk_.count(DiskOp::kSync) - before, 80) << "160 puts";
}

TEST(LocalStoreOnDisk, AFullFileSystemIsNoSpace) {
  base::testing::ScratchFolder folder;
  if (::mount("tmpfs", folder.path().c_str(), "tmpfs", 0, "size=1m") != 0)
    GTEST_SKIP() << "mounting a small file system needs more rights";
  {
    auto store = std::move(*open_local_store(base::system_disk(), folder.path()));
    const auto large = store->put({}, name("large"), std::string(2'000'000, 'x'));
    ASSERT_FALSE(large);
    EXPECT_EQ(large.error().code(), Code::kNoSpace);
    Result<Stored> small = Stored{};
    for (int i = 0; i < 100 && small; ++i)
      small = store->put({}, name("small/" + std::to_string(i)), std::string(60'000, 'x'));
    ASSERT_FALSE(small);
    EXPECT_EQ(small.error().code(), Code::kNoSpace);
    EXPECT_EQ(*store->read({}, name("small/0"), 0, {}), std::string(60'000, 'x'));
    EXPECT_FALSE(store->stat({}, name("large")));
  }
  auto store = open_local_store(base::system_disk(), folder.path());
  EXPECT_TRUE(store) << "a full disk can still be opened and read";
  if (store) {
    EXPECT_EQ(*(*store)->read({}, name("small/0"), 0, {}), std::string(60'000, 'x'));
    store->reset();
  }
  ::umount(folder.path().c_str());
}

TEST(LocalStoreOnDisk, ASecondOpenerIsToldThatTheStoreIsInUse) {
  base::testing::ScratchFolder folder;
  auto first = open_local_store(base::system_disk(), folder.path());
  ASSERT_TRUE(first);
  EXPECT_EQ(open_local_store(base::system_disk(), folder.path()).error().code(), Code::kBusy);
}

// The format's golden bytes: a change here needs a new magic.
TEST(Segment, BytesAreThoseOfThePage) {
  EXPECT_EQ(base::to_hex(segment::file_header(1)), "5441524e534547310100000000000000");
  const std::string record =
      segment::encode_header(segment::Kind::kObject, "a/b", 2, 16) + segment::encode_tail("a/b", "hi");
  EXPECT_EQ(base::to_hex(record),
            "a7524543010003000200000010000000"  // magic, kind, 0, name length, body length, synced
            "6a660c4989b1b819"                  // header check
            "612f62"                            // name
            "6869"                              // body
            "59306e3f27c093d3c6e56a20be61b454"  // check
  );
}

}  // namespace
}  // namespace tarn::block
