// Goal: what is read again stays, what passes once goes, and names of files say exactly what they said.
#include "block/cache_index.h"

#include <gtest/gtest.h>

namespace tarn::block {
namespace {

using cache_file::FileName;
using cache_file::Key;
using cache_file::Kind;

constexpr uint64_t kBlock = 60'000;

FileName file(uint64_t number, Kind kind, uint64_t offset = 0) {
  return {Key::of("s", std::to_string(number)), offset, kBlock, cache_file::kUnknownSize, kind, number + 1};
}

/// A cache of `room` blocks, without files.
class Room {
 public:
  explicit Room(uint64_t room) : bytes_max_(room * file(0, Kind::kData).charge()), index(bytes_max_) {}
  void read(const FileName& block, int64_t now_ms) {
    if (index.find(block.key, block.offset)) {
      index.touch(block.key, block.offset, now_ms);
      return;
    }
    ++misses;
    index.insert(block, now_ms);
    bytes_ += block.charge();
    while (bytes_ > bytes_max_) bytes_ -= index.evict()->charge();
  }
  bool has(const FileName& block) const { return index.find(block.key, block.offset).has_value(); }

 private:
  const uint64_t bytes_max_;
  uint64_t bytes_ = 0;

 public:
  CacheIndex index;
  int misses = 0;
};

TEST(CacheIndex, AScanThroughEverythingDoesNotPushOutPacksThatAreInUse) {
  Room room(100);
  for (uint64_t i = 0; i < 60; ++i) room.read(file(i, Kind::kPack), 0);
  for (uint64_t i = 0; i < 60; ++i) room.read(file(i, Kind::kPack), 10);  // in use, and then not for the whole scan
  for (uint64_t i = 1'000; i < 11'000; ++i)
    for (int look = 0; look < 3; ++look) room.read(file(i, Kind::kData), 20 + static_cast<int64_t>(i));
  for (uint64_t i = 0; i < 60; ++i) EXPECT_TRUE(room.has(file(i, Kind::kPack))) << i;
}

TEST(CacheIndex, DataThatIsReadAgainLaterStaysToo) {
  Room room(100);
  for (uint64_t i = 0; i < 40; ++i) room.read(file(i, Kind::kData), 0);
  for (uint64_t i = 0; i < 40; ++i) room.read(file(i, Kind::kData), 60'000);
  for (uint64_t i = 1'000; i < 3'000; ++i) room.read(file(i, Kind::kData), 70'000);
  for (uint64_t i = 0; i < 40; ++i) EXPECT_TRUE(room.has(file(i, Kind::kData))) << i;
}

TEST(CacheIndex, WhatComesBackSoonStartsAmongTheKept) {
  Room room(100);
  const FileName early = file(0, Kind::kData);
  room.read(early, 0);
  for (uint64_t i = 1; i < 150; ++i) room.read(file(i, Kind::kData), 0);
  ASSERT_FALSE(room.has(early));
  room.read(early, 0);
  for (uint64_t i = 1'000; i < 3'000; ++i) room.read(file(i, Kind::kData), 0);
  EXPECT_TRUE(room.has(early));
}

TEST(CacheIndex, WhatIsNoLongerReadGoesInTheEnd) {
  Room room(50);
  for (uint64_t round = 0; round < 10; ++round)
    for (int twice = 0; twice < 2; ++twice)
      for (uint64_t i = 0; i < 40; ++i) room.read(file(round * 40 + i, Kind::kPack), 0);
  for (uint64_t i = 0; i < 40; ++i) EXPECT_FALSE(room.has(file(i, Kind::kPack)));
  int kept = 0;
  for (uint64_t i = 360; i < 400; ++i) kept += room.has(file(i, Kind::kPack));
  EXPECT_GE(kept, 36);
}

TEST(CacheIndex, AnObjectGoesAsAWholeWithItsSize) {
  CacheIndex index(1 << 20);
  FileName last = file(1, Kind::kData, kBlock);
  last.length = 5;
  last.object_size = kBlock + 5;
  index.insert(file(1, Kind::kData), 0);
  index.insert(last, 0);
  index.insert(file(2, Kind::kData), 0);
  EXPECT_EQ(index.size_of(last.key), kBlock + 5);
  EXPECT_EQ(index.take_all(last.key).size(), 2u);
  EXPECT_FALSE(index.size_of(last.key));
  EXPECT_EQ(index.blocks(), 1u);
  index.learn_size(last.key, 7);
  EXPECT_EQ(index.size_of(last.key), 7u);
  index.take_all(last.key);
  EXPECT_FALSE(index.size_of(last.key));
}

TEST(CacheFileName, ComesBackFromItsText) {
  for (const uint64_t size : {uint64_t{300'000}, cache_file::kUnknownSize})
    for (const Kind kind : {Kind::kPack, Kind::kData}) {
      const FileName name{Key::of("store", "a/b"), 262'144, 37'856, size, kind, 42};
      const std::string path = name.path(), leaf = path.substr(3);
      EXPECT_EQ(path.substr(0, 3), leaf.substr(0, 2) + "/");
      const auto parsed = FileName::parse(leaf);
      ASSERT_TRUE(parsed) << leaf;
      EXPECT_EQ(parsed->path(), path);
      EXPECT_EQ(parsed->key, name.key);
      EXPECT_EQ(parsed->object_size, size);
      // Nobody else's name, and none that lost or changed a digit, is taken for one of ours.
      for (size_t i = 0; i < leaf.size(); ++i) {
        std::string changed = leaf;
        changed[i] = changed[i] == '1' ? '2' : '1';
        EXPECT_FALSE(FileName::parse(changed)) << changed;
        changed.erase(i, 1);
        EXPECT_FALSE(FileName::parse(changed)) << changed;
      }
    }
  for (const char* other : {"", "notes.txt", "a-b-c-d-e-f-g", "------", "LOCK"}) EXPECT_FALSE(FileName::parse(other));
}

}  // namespace
}  // namespace tarn::block
