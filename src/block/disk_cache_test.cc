// Goal: reads through the cache are always right, whatever becomes of the cache's files, and ask the store beneath no
// more than needed. The contract suite runs over it, too (contract_test.cc).
#include "block/disk_cache.h"

#include <gtest/gtest.h>

#include <fmt/format.h>

#include "base/hash.h"
#include "base/log.h"
#include "base/random.h"
#include "base/testing/scratch.h"
#include "base/testing/simulated_disk.h"
#include "block/memory.h"
#include "block/testing/far_store.h"

namespace tarn::block::testing {
namespace {

using base::testing::DiskOp;
using base::testing::SimulatedDisk;

constexpr uint64_t kBlock = 64 << 10;

std::string random_bytes(size_t count, uint64_t seed = 1) {
  std::string out(count, '\0');
  base::SeededRandom(seed).fill(out.data(), count);
  return out;
}

Name pack(uint64_t number) { return *make_name(fmt::format("ns/packs/00000000-0000-7000-8000-{:012x}", number)); }
Name data(uint64_t number) { return *make_name(fmt::format("ns/data/{:016x}/{:016x}", 7, number)); }

class DiskCacheTest : public ::testing::Test {
 protected:
  void SetUp() override { reopen(); }
  void reopen() {
    cache.reset();
    options.clock = &clock;
    options.block_bytes = kBlock;
    cache = DiskCache::open(disk, "/cache", far, options).value();
  }
  /// An object in the store that the cache has not seen.
  std::string store(const Name& name, size_t size) {
    std::string bytes = random_bytes(size, base::xxh3_64(name.str()));
    EXPECT_TRUE(near->put(ctx, name, bytes));
    return bytes;
  }
  std::string read(const Name& name, uint64_t offset = 0, std::optional<uint64_t> length = {}) {
    auto bytes = cache->read(ctx, name, offset, length);
    EXPECT_TRUE(bytes) << bytes.error().text();
    return bytes ? *bytes : "";
  }
  std::vector<std::string> files() {
    auto all = disk.paths();
    std::erase_if(all, [](const std::string& path) { return !path.starts_with("/cache/blocks/"); });
    return all;
  }
  uint64_t bytes_on_disk() {
    uint64_t total = 0;
    for (const auto& path : disk.paths()) total += disk.stat(path)->size;
    return total;
  }

  Context ctx;
  base::FakeClock clock;
  SimulatedDisk disk;
  std::unique_ptr<Store> near = make_memory_store();
  FarStore far{*near};
  DiskCacheOptions options;
  std::unique_ptr<DiskCache> cache;
};

TEST(ImmutableNames, ArePacksAndDataPartitions) {
  EXPECT_EQ(kind_of_immutable(pack(1)), cache_file::Kind::kPack);
  EXPECT_EQ(kind_of_immutable(data(1)), cache_file::Kind::kData);
  EXPECT_EQ(kind_of_immutable(Name("a/b/" + data(1).str())), cache_file::Kind::kData);
  for (const char* other : {"ns/tarn/repository.json", "ns/refs/1/2", "ns/packs/repository.json",
                            "packs/00000000-0000-7000-8000-000000000001", "ns/data/1/2",
                            "data/0000000000000007/0000000000000001", "ns/other/0000000000000007/0000000000000001"})
    EXPECT_FALSE(kind_of_immutable(Name(other))) << other;
}

TEST_F(DiskCacheTest, WarmReadsDoNotAskTheStore) {
  const std::string small = store(pack(1), 5'000), large = store(pack(2), 5 * kBlock + 17);
  EXPECT_EQ(read(pack(1), 4'000, 500), small.substr(4'000, 500));
  EXPECT_EQ(read(pack(2)), large);
  EXPECT_EQ(far.opens, 2) << "one request an object, however many blocks";
  const int64_t asked = far.reads();
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(read(pack(1)), small);
    EXPECT_EQ(read(pack(2)), large);
    EXPECT_EQ(read(pack(2), large.size() - 100, 100), large.substr(large.size() - 100)) << "the tail";
    EXPECT_EQ(read(pack(2), kBlock - 3, 2 * kBlock + 6), large.substr(kBlock - 3, 2 * kBlock + 6));
    for (uint64_t at = 0; at + 20'000 < large.size(); at += 7'777)
      EXPECT_EQ(read(pack(2), at, 20'000), large.substr(at, 20'000));
    EXPECT_EQ(cache->stat(ctx, pack(2))->size, large.size());
    EXPECT_EQ(cache->open(ctx, pack(2), large.size() + 1, {}).error().code(), Code::kInvalid);
    reopen();  // what was kept is there after a restart
  }
  EXPECT_EQ(far.reads(), asked);
}

TEST_F(DiskCacheTest, SizesThatEndWithABlockAreRight) {
  for (const uint64_t blocks : {0u, 1u, 3u}) {
    const Name name = data(blocks);
    const std::string bytes = store(name, blocks * kBlock);
    for (int round = 0; round < 3; ++round) {
      EXPECT_EQ(read(name), bytes);
      EXPECT_EQ(read(name, bytes.size()), "");
      EXPECT_EQ(read(name, 0, 0), "");
      EXPECT_EQ(cache->open(ctx, name, bytes.size() + 1, {}).error().code(), Code::kInvalid);
      EXPECT_EQ(cache->stat(ctx, name)->size, bytes.size());
      if (round == 1) reopen();
    }
  }
  const Name name = data(9);
  store(name, kBlock);
  const auto behind = cache->open(ctx, name, kBlock + 9, 1);  // nothing is known of it yet
  ASSERT_FALSE(behind);
  EXPECT_EQ(behind.error().code(), Code::kInvalid);
  EXPECT_NE(behind.error().message().find("65545"), std::string::npos) << behind.error().message();
}

TEST_F(DiskCacheTest, ConcurrentMissesOfABlockAreOneRead) {
  const std::string bytes = store(data(1), kBlock);
  base::Mutex mutex;
  base::Condition changed;
  bool open = false;
  far.before = [&](const Name&, uint64_t) -> std::optional<Error> {
    base::Lock lock(mutex);
    changed.wait(lock, [&] { return open; });
    return std::nullopt;
  };
  std::vector<base::Thread> threads;
  for (uint64_t t = 0; t < 16; ++t)
    threads.emplace_back([&, t] { EXPECT_EQ(read(data(1), t * 100, 1'000), bytes.substr(t * 100, 1'000)); });
  while (far.opens == 0) base::Thread([] {}).join();
  {
    base::Lock lock(mutex);
    open = true;
    changed.notify_all();
  }
  threads.clear();
  EXPECT_EQ(far.opens, 1);
  EXPECT_EQ(far.bytes, static_cast<int64_t>(kBlock));
  EXPECT_EQ(cache->stats().misses, 1);
}

TEST_F(DiskCacheTest, EveryByteIsFetchedOnceHoweverManyReadIt) {
  options.block_bytes = cache_file::kChunkBytes;
  cache = nullptr;
  cache = DiskCache::open(disk, "/cache", far, options).value();
  for (uint64_t i = 0; i < 60; ++i) {
    const std::string bytes = store(data(i), 40 * cache_file::kChunkBytes + 5);
    const int64_t before = far.bytes;
    std::vector<base::Thread> threads;
    for (int t = 0; t < 12; ++t) threads.emplace_back([&] { EXPECT_EQ(read(data(i)), bytes); });
    threads.clear();
    ASSERT_EQ(far.bytes - before, static_cast<int64_t>(bytes.size()));
  }
}

TEST_F(DiskCacheTest, WhoComesWhileABlockIsBeingWrittenHasItAtOnce) {
  const std::string bytes = store(data(1), kBlock - 5);
  base::Mutex mutex;
  base::Condition changed;
  bool served = false, in_time = false;
  base::Thread late;
  disk.set_fault([&](DiskOp op, const std::string&) -> std::optional<Error> {  // called under the disk's lock
    if (op != DiskOp::kAppend || late.joinable()) return std::nullopt;
    late = base::Thread([&] {
      EXPECT_EQ(read(data(1)), bytes);
      base::Lock lock(mutex);
      served = true;
      changed.notify_all();
    });
    base::Lock lock(mutex);
    in_time = changed.wait_for(lock, std::chrono::seconds(10), [&] { return served; });
    return std::nullopt;
  });
  EXPECT_EQ(read(data(1)), bytes);
  late.join();
  disk.set_fault(nullptr);
  EXPECT_TRUE(in_time);
  EXPECT_EQ(far.opens, 1);
}

TEST_F(DiskCacheTest, WhoWaitsDoesNotEndWithTheLeader) {
  const std::string bytes = store(data(1), 1'000);
  Context gone;
  std::atomic<bool> inside{false};
  far.before = [&](const Name&, uint64_t) -> std::optional<Error> {
    if (inside.exchange(true)) return std::nullopt;
    while (!gone.cancelled()) base::Thread([] {}).join();
    return Error(Code::kCancelled, "request", "the caller went away");
  };
  base::Thread leader([&] { EXPECT_EQ(cache->read(gone, data(1), 0, {}).error().code(), Code::kCancelled); });
  while (!inside) base::Thread([] {}).join();
  base::Thread follower([&] { EXPECT_EQ(read(data(1)), bytes); });
  base::Mutex mutex;
  base::Condition never;
  {
    base::Lock lock(mutex);  // long enough for the follower to wait
    (void)never.wait_for(lock, std::chrono::milliseconds(200), [] { return false; });
  }
  gone.cancel();
  follower.join();
  EXPECT_EQ(far.opens, 2);
}

TEST_F(DiskCacheTest, ErrorsOfTheStoreArePassedOnAndNotKept) {
  const std::string bytes = store(pack(1), 3 * kBlock);
  far.before = [](const Name&, uint64_t) { return std::optional(Error(Code::kUnavailable, "store", "far away")); };
  EXPECT_EQ(cache->read(ctx, pack(1), 0, {}).error().code(), Code::kUnavailable);
  EXPECT_EQ(cache->open(ctx, pack(1), 0, {}).error().code(), Code::kUnavailable);
  far.before = nullptr;
  for (const int64_t after : {int64_t{0}, int64_t{100}, static_cast<int64_t>(kBlock + 100)}) {
    far.break_after = after;
    const auto broken = cache->read(ctx, pack(1), 0, {});
    ASSERT_FALSE(broken) << "an error is never the end of the data";
    EXPECT_EQ(broken.error().code(), Code::kUnavailable);
  }
  far.break_after = -1;
  EXPECT_EQ(read(pack(1)), bytes);
  EXPECT_EQ(cache->read(ctx, pack(2), 0, {}).error().code(), Code::kNotFound);
  store(pack(2), 10);
  EXPECT_EQ(read(pack(2)).size(), 10u) << "that it was not there is not kept";
}

TEST_F(DiskCacheTest, OtherNamesAreNeverKept) {
  const Name name = *make_name("ns/refs/1");
  store(name, 1'000);
  for (int i = 0; i < 3; ++i) read(name);
  EXPECT_EQ(far.opens, 3);
  EXPECT_TRUE(files().empty());
}

TEST_F(DiskCacheTest, AFlippedBitIsAMiss) {
  const std::string bytes = store(data(1), 40'000);
  read(data(1));
  const uint64_t length = disk.stat(files().at(0))->size;
  for (uint64_t at = 0; at < length; at += at < 200 ? 1 : 997) {
    ASSERT_EQ(files().size(), 1u);
    disk.flip(files()[0], at);
    ASSERT_EQ(read(data(1)), bytes) << at;
    ASSERT_EQ(read(data(1)), bytes) << at;
  }
  EXPECT_GT(cache->stats().damaged, 200);
}

TEST_F(DiskCacheTest, AFileOfAnotherObjectIsAMiss) {
  const std::string one = store(data(1), 1'000), two = store(data(2), 1'000);
  read(data(1));
  const std::string first = files().at(0);
  read(data(2));
  const std::string second = files()[0] == first ? files()[1] : files()[0];
  ASSERT_TRUE(disk.rename(first, second));  // holds the right bytes of the wrong object
  EXPECT_EQ(read(data(2)), two);
  EXPECT_EQ(read(data(1)), one);
  options.store = "another store";
  reopen();
  const int64_t before = far.opens;
  EXPECT_EQ(read(data(1)), one);
  EXPECT_EQ(far.opens, before + 1) << "the same name of another store is another object";
}

TEST_F(DiskCacheTest, WhatACrashLeavesIsRightOrAMiss) {
  std::map<uint64_t, std::string> all;
  for (uint64_t i = 0; i < 20; ++i) all[i] = store(i % 2 ? data(i) : pack(i), 1'000 + i * 20'000);
  for (uint64_t seed = 0; seed < 40; ++seed) {
    for (const auto& [i, bytes] : all) ASSERT_EQ(read(i % 2 ? data(i) : pack(i)), bytes);
    cache.reset();
    disk.crash(seed % 2 ? SimulatedDisk::Loss::kTorn : SimulatedDisk::Loss::kPrefix, seed);
    reopen();
    for (const auto& [i, bytes] : all) {
      ASSERT_EQ(read(i % 2 ? data(i) : pack(i), 500, 30'000), bytes.substr(500, 30'000)) << seed;
      ASSERT_EQ(read(i % 2 ? data(i) : pack(i)), bytes) << seed;
    }
  }
}

TEST_F(DiskCacheTest, EveryReadIsRightWhicheverOperationOfTheDiskFails) {
  options.bytes_max = 5 * (kBlock + 8'192);
  options.retry_ms = 0;
  base::configure_log(base::Level::kError, base::LogStyle::kText);  // hundreds of warnings
  std::map<uint64_t, std::string> all;
  for (uint64_t i = 0; i < 12; ++i) all[i] = store(i % 3 ? data(i) : pack(i), 10'000 + i * 12'345);
  for (const bool for_good : {false, true}) {
    bool reached = true;
    for (int64_t n = 0; reached; n += n < 60 ? 1 : 7) {
      disk.set_fault(nullptr);
      reopen();
      std::atomic<int64_t> left = n;
      std::atomic<bool> hit{false};
      disk.set_fault([&](DiskOp, const std::string&) -> std::optional<Error> {
        const int64_t now = left.fetch_sub(1);
        if (now > 0 || (now < 0 && !for_good)) return std::nullopt;
        hit = true;
        return Error(Code::kUnavailable, "file", "injected");
      });
      for (int round = 0; round < 2; ++round)
        for (const auto& [i, bytes] : all) {
          const Name name = i % 3 ? data(i) : pack(i);
          ASSERT_EQ(read(name, 5'000, 60'000), bytes.substr(5'000, 60'000)) << n;
          ASSERT_EQ(read(name), bytes) << n;
        }
      reached = hit;
      if (hit) {
        EXPECT_GE(cache->stats().disk_errors, 1);
      }
    }
  }
  base::configure_log(base::Level::kInfo, base::LogStyle::kText);
}

TEST_F(DiskCacheTest, AFullDiskIsDoneWithoutAndTakenUpAgain) {
  disk.set_capacity(100'000);
  for (uint64_t i = 0; i < 10; ++i) {
    const std::string bytes = store(data(i), 60'000);
    EXPECT_EQ(read(data(i)), bytes);
    EXPECT_EQ(read(data(i)), bytes);
  }
  EXPECT_EQ(cache->stats().disk_errors, 1) << "after the first failure the disk is left in peace for a while";
  EXPECT_EQ(files().size(), 1u);
  disk.set_capacity(UINT64_MAX / 2);
  clock.advance(options.retry_ms);
  read(data(5));
  EXPECT_EQ(files().size(), 2u);
  const int64_t before = far.opens;
  read(data(5));
  EXPECT_EQ(far.opens, before);
}

TEST_F(DiskCacheTest, AnEmptiedFolderFillsAgain) {
  const std::string bytes = store(data(1), 1'000);
  read(data(1));
  ASSERT_TRUE(disk.remove_all("/cache"));
  EXPECT_EQ(read(data(1)), bytes);
  EXPECT_EQ(files().size(), 1u);
}

TEST_F(DiskCacheTest, TheLimitIsKeptAtEveryMoment) {
  options.bytes_max = 600'000;
  reopen();
  base::SeededRandom random(3);
  for (uint64_t i = 0; i < 40; ++i) store(data(i), 1 + random.u64() % 200'000);
  for (int i = 0; i < 600; ++i) {
    const Name name = data(random.u64() % 40);
    ASSERT_EQ(read(name), near->read(ctx, name, 0, {}).value());
    ASSERT_LE(bytes_on_disk(), options.bytes_max);
    ASSERT_LE(cache->stats().bytes, options.bytes_max);
  }
  EXPECT_GT(cache->stats().evictions, 100);
  EXPECT_GT(cache->stats().bytes, options.bytes_max / 2);
  options.bytes_max = 200'000;
  reopen();
  EXPECT_LE(bytes_on_disk(), 200'000u) << "a lower limit is kept from the start";
}

TEST_F(DiskCacheTest, FilesOfOthersAreLeftAloneAndOwnTemporaryOnesRemoved) {
  const std::string bytes = store(data(1), 1'000);
  read(data(1));
  const std::string kept = files().at(0);
  const std::vector<std::string> theirs = {"/cache/notes.txt", "/cache/blocks/00/notes.txt", "/cache/tmp/notes.txt"};
  for (const auto& path : theirs) ASSERT_TRUE(disk.open(path, base::OpenMode::kCreate));
  ASSERT_TRUE(disk.open("/cache/tmp/00000000000000ff", base::OpenMode::kCreate));
  reopen();
  for (const auto& path : theirs) EXPECT_TRUE(disk.stat(path)) << path;
  EXPECT_FALSE(disk.stat("/cache/tmp/00000000000000ff"));
  EXPECT_TRUE(disk.stat(kept));
  EXPECT_EQ(read(data(1)), bytes);
}

TEST_F(DiskCacheTest, WhatIsRemovedIsGoneAndItsNameIsFree) {
  for (const bool crash : {false, true}) {
    for (const uint64_t size : {uint64_t{1'000}, 3 * kBlock}) {
      const Name name = data(size + crash);
      store(name, size);
      read(name);
      ASSERT_TRUE(cache->remove(ctx, name));
      EXPECT_EQ(cache->read(ctx, name, 0, {}).error().code(), Code::kNotFound);
      EXPECT_EQ(cache->stat(ctx, name).error().code(), Code::kNotFound);
      ASSERT_TRUE(cache->put(ctx, name, std::string(size, 'n')));
      if (crash) {
        cache.reset();
        disk.crash(SimulatedDisk::Loss::kPrefix, size);
        reopen();
      }
      EXPECT_EQ(read(name), std::string(size, 'n')) << "no file that is older than the name";
    }
  }
}

TEST_F(DiskCacheTest, NothingIsRemovedFromTheStoreWhileACopyCannotBeDropped) {
  const std::string bytes = store(pack(1), 1'000);
  read(pack(1));
  disk.set_fault([](DiskOp op, const std::string&) -> std::optional<Error> {
    if (op != DiskOp::kRemove) return std::nullopt;
    return Error(Code::kUnavailable, "file", "injected");
  });
  EXPECT_FALSE(cache->remove(ctx, pack(1)));
  EXPECT_TRUE(near->stat(ctx, pack(1)));
  EXPECT_EQ(read(pack(1)), bytes);
  disk.set_fault(nullptr);
  EXPECT_TRUE(cache->remove(ctx, pack(1)));
  EXPECT_FALSE(near->stat(ctx, pack(1)));
  EXPECT_TRUE(files().empty());
}

TEST_F(DiskCacheTest, AReadThatARemovalOvertakesIsNotKept) {
  store(data(1), 1'000);
  bool done = false;
  far.before = [&](const Name& name, uint64_t) -> std::optional<Error> {
    if (std::exchange(done, true)) return std::nullopt;
    EXPECT_TRUE(cache->remove(ctx, name));
    EXPECT_TRUE(near->put(ctx, name, std::string(1'000, 'o')));  // old bytes, as the read sees them
    return std::nullopt;
  };
  EXPECT_EQ(read(data(1)), std::string(1'000, 'o'));
  EXPECT_TRUE(files().empty());
}

TEST_F(DiskCacheTest, WhatIsReadWhileItIsBeingRemovedIsNotKept) {
  const std::string bytes = store(data(1), 1'000);
  far.before_remove = [&](const Name& name) { EXPECT_EQ(read(name), bytes); };
  ASSERT_TRUE(cache->remove(ctx, data(1)));
  EXPECT_EQ(cache->read(ctx, data(1), 0, {}).error().code(), Code::kNotFound);
  EXPECT_EQ(cache->stat(ctx, data(1)).error().code(), Code::kNotFound);
  EXPECT_TRUE(files().empty());
}

TEST_F(DiskCacheTest, NoCrashBringsBackWhatWasRemoved) {
  store(data(1), 1'000);
  read(data(1));
  // The kernel has written everything back by now.
  const std::string path = files().at(0);
  ASSERT_TRUE(disk.open(path, base::OpenMode::kAppend).value()->sync());
  ASSERT_TRUE(disk.sync_directory(path.substr(0, path.rfind('/'))));
  ASSERT_TRUE(cache->remove(ctx, data(1)));
  ASSERT_TRUE(near->put(ctx, data(1), std::string(1'000, 'n')));
  cache.reset();
  disk.crash(SimulatedDisk::Loss::kAll);
  reopen();
  EXPECT_EQ(read(data(1)), std::string(1'000, 'n'));
}

TEST_F(DiskCacheTest, ANameThatSomebodyElseFreedIsNew) {
  store(pack(1), 1'000);
  read(pack(1));
  ASSERT_TRUE(near->remove(ctx, pack(1)));
  ASSERT_TRUE(cache->put(ctx, pack(1), "new"));
  EXPECT_EQ(read(pack(1)), "new");
}

TEST_F(DiskCacheTest, AReaderKeepsItsBytesWhenTheObjectIsRemoved) {
  for (const int warm : {0, 1, 2}) {
    const Name name = data(static_cast<uint64_t>(warm));
    const std::string bytes = store(name, 8 * kBlock + 9);
    if (warm == 1) read(name, 0, 2 * kBlock);
    if (warm == 2) read(name);
    auto reader = std::move(*cache->open(ctx, name, 10, {}));
    ASSERT_TRUE(cache->remove(ctx, name));
    std::string got(bytes.size(), '\0');
    size_t filled = 0;
    while (true) {
      const auto count = reader->read(got.data() + filled, got.size() - filled);
      ASSERT_TRUE(count) << warm << " " << count.error().text();
      if (*count == 0) break;
      filled += *count;
    }
    EXPECT_TRUE(got.substr(0, filled) == bytes.substr(10)) << warm;
  }
}

TEST_F(DiskCacheTest, AWrittenPackIsKeptAndDataIsNot) {
  const std::string bytes = random_bytes(100'000);
  ASSERT_TRUE(cache->put(ctx, pack(1), bytes));
  ASSERT_TRUE(cache->put(ctx, data(1), bytes));
  ASSERT_TRUE(cache->put(ctx, pack(2), random_bytes(2 << 20)));
  reopen();
  EXPECT_EQ(read(pack(1)), bytes);
  EXPECT_EQ(cache->stat(ctx, pack(1))->size, bytes.size());
  EXPECT_EQ(far.reads(), 0);
  EXPECT_EQ(read(data(1)), bytes);
  EXPECT_EQ(read(pack(2), 0, 10), random_bytes(2 << 20).substr(0, 10));
  EXPECT_EQ(far.reads(), 2);
}

TEST_F(DiskCacheTest, APutThatFailsIsNotKept) {
  class Breaking final : public ByteSource {
   public:
    Result<size_t> read(char* buffer, size_t size) override {
      if (std::exchange(given_, true)) return Error(Code::kCancelled, "body", "the client went away");
      std::memset(buffer, 'x', std::min<size_t>(size, 100));
      return std::min<size_t>(size, 100);
    }

   private:
    bool given_ = false;
  } source;
  EXPECT_FALSE(cache->put(ctx, pack(1), source));
  EXPECT_TRUE(files().empty());
  store(pack(2), 500);
  EXPECT_EQ(cache->put(ctx, pack(2), "other").error().code(), Code::kAlreadyExists);
  EXPECT_EQ(read(pack(2)).size(), 500u);
}

/// Bytes of docs/formats/disk-cache.md.
TEST_F(DiskCacheTest, AFileHasTheBytesOfThePage) {
  options.store = "s";
  reopen();
  ASSERT_TRUE(near->put(ctx, Name("n/data/0000000000000001/0000000000000002"), "hi"));
  EXPECT_EQ(read(Name("n/data/0000000000000001/0000000000000002")), "hi");
  ASSERT_EQ(files().size(), 1u);
  EXPECT_EQ(files()[0], "/cache/blocks/be/be87ccd61b877f30037cfa7d48b12cb1-0-2-2-d-1-8cdbb961");
  EXPECT_EQ(base::to_hex(disk.read_all(files()[0]).value()),
            "5441524e424c4b31"
            "0000000000000000"
            "0200000000000000"
            "0200000000000000"
            "01000000"
            "28000000"
            "73"
            "6e2f646174612f303030303030303030303030303030312f30303030303030303030303030303032"
            "9a6eead7bb00232a"
            "4a130b76136ade327efa53bf5f66a3ae"
            "6869");
}

/// Many readers, a limit that holds a tenth, and removals between them, on a real disk.
TEST(DiskCacheThreads, ReadersAreRightWhileBlocksComeAndGo) {
  const base::testing::ScratchFolder scratch;
  const auto near = make_memory_store();
  FarStore far(*near);
  DiskCacheOptions options;
  options.block_bytes = kBlock;
  options.bytes_max = 1'500'000;
  const auto cache = DiskCache::open(base::system_disk(), scratch.path("cache"), far, options).value();
  const Context ctx;
  constexpr uint64_t kObjects = 60;
  const auto name_of = [](uint64_t i) { return i % 3 == 0 ? pack(i) : data(i); };
  const auto bytes_of = [](uint64_t i) { return random_bytes(1'000 + i * 9'000, i); };
  for (uint64_t i = 0; i < kObjects; ++i) ASSERT_TRUE(near->put(ctx, name_of(i), bytes_of(i)));
  std::vector<base::Thread> threads;
  for (uint64_t t = 0; t < 6; ++t)
    threads.emplace_back([&, t] {
      base::SeededRandom random(t + 1);
      for (int n = 0; n < 250; ++n) {
        const uint64_t i = random.u64() % kObjects;
        const std::string whole = bytes_of(i);
        const uint64_t offset = random.u64() % whole.size(), length = random.u64() % 100'000;
        if (t == 5 && n % 5 == 0) {  // this one's objects are its own to remove
          const Name own = data(1'000 + i);
          ASSERT_TRUE(cache->put(ctx, own, whole));
          ASSERT_TRUE(cache->read(ctx, own, 0, {}).value() == whole);
          ASSERT_TRUE(cache->remove(ctx, own));
          ASSERT_EQ(cache->stat(ctx, own).error().code(), Code::kNotFound);
          continue;
        }
        const auto got = cache->read(ctx, name_of(i), offset, length);
        ASSERT_TRUE(got) << got.error().text();
        ASSERT_TRUE(*got == whole.substr(offset, length)) << i << " " << offset << " " << length;
      }
    });
  threads.clear();
  const auto stats = cache->stats();
  EXPECT_GT(stats.evictions, 50);
  EXPECT_GT(stats.hits, 100);
  EXPECT_EQ(stats.disk_errors, 0);
  EXPECT_LE(stats.bytes, options.bytes_max);
}

}  // namespace
}  // namespace tarn::block::testing
