// The contract suite over every back end.
#include "block/testing/store_contract.h"

#include <unistd.h>

#include "base/testing/scratch.h"
#include "base/testing/simulated_disk.h"
#include "block/disk_cache.h"
#include "block/local.h"
#include "block/memory.h"

namespace tarn::block::testing {
namespace {

class MemoryBench final : public Bench {
 public:
  Store& store() override { return *store_; }
  bool reopen() override { return false; }

 private:
  std::unique_ptr<Store> store_ = make_memory_store();
};

/// A local store with small segments, so that every test crosses their ends.
class LocalBench final : public Bench {
 public:
  LocalBench() { open(); }
  Store& store() override { return *store_; }
  bool reopen() override {
    store_.reset();
    open();
    return true;
  }

 private:
  void open() {
    store_ = open_local_store(base::system_disk(), folder_.path("objects"), {.segment_bytes = 100'000}).value();
  }
  base::testing::ScratchFolder folder_;
  std::unique_ptr<Store> store_;
};

class SimulatedBench final : public Bench {
 public:
  SimulatedBench() { open(); }
  Store& store() override { return *store_; }
  bool reopen() override {
    store_.reset();
    disk_.crash(base::testing::SimulatedDisk::Loss::kAll);
    open();
    return true;
  }

 private:
  void open() { store_ = open_local_store(disk_, "/objects", {.segment_bytes = 100'000}).value(); }
  base::testing::SimulatedDisk disk_;
  std::unique_ptr<Store> store_;
};

/// A cache that takes every name, with little blocks and too little room, so that every test crosses their ends.
template <class Inner>
class CachedBench final : public Bench {
 public:
  CachedBench() { open(); }
  Store& store() override { return *cache_; }
  bool reopen() override {
    cache_.reset();
    const bool kept = inner_.reopen();
    open();
    return kept;
  }

 private:
  void open() {
    DiskCacheOptions options;
    options.bytes_max = 500'000;
    options.block_bytes = 65'536;
    options.keep_written_bytes_max = 200'000;
    options.kind_of = [](const Name& name) {
      return std::optional(name.str().size() % 2 ? cache_file::Kind::kPack : cache_file::Kind::kData);
    };
    cache_ = DiskCache::open(base::system_disk(), folder_.path("cache"), inner_.store(), options).value();
  }
  base::testing::ScratchFolder folder_;
  Inner inner_;
  std::unique_ptr<DiskCache> cache_;
};

INSTANTIATE_TEST_SUITE_P(Memory, StoreContract,
                         ::testing::Values(Maker{"memory", [] { return std::make_unique<MemoryBench>(); }}),
                         name_of_maker);
INSTANTIATE_TEST_SUITE_P(Local, StoreContract,
                         ::testing::Values(Maker{"local", [] { return std::make_unique<LocalBench>(); }}),
                         name_of_maker);
INSTANTIATE_TEST_SUITE_P(LocalOnSimulatedDisk, StoreContract,
                         ::testing::Values(Maker{"simulated", [] { return std::make_unique<SimulatedBench>(); }}),
                         name_of_maker);

INSTANTIATE_TEST_SUITE_P(Cached, StoreContract,
                         ::testing::Values(Maker{"memory", [] { return std::make_unique<CachedBench<MemoryBench>>(); }},
                                           Maker{"local", [] { return std::make_unique<CachedBench<LocalBench>>(); }}),
                         name_of_maker);

TEST(Name, IsRelativeAndHasNoOddSegments) {
  for (const char* good : {"a", "a/b", "a/.b", "a/...", "a b", "\xc3\xa9"}) EXPECT_TRUE(make_name(good)) << good;
  const std::string nul("a\0b", 3);
  for (const std::string& bad :
       {std::string(), std::string("/a"), std::string("a/"), std::string("a//b"), std::string("."),
        std::string("a/../b"), std::string("a/."), nul, std::string(1025, 'a')}) {
    const auto name = make_name(bad);
    ASSERT_FALSE(name) << bad;
    EXPECT_EQ(name.error().code(), Code::kInvalid);
    EXPECT_EQ(name.error().subject(), "name");
  }
}

}  // namespace
}  // namespace tarn::block::testing
