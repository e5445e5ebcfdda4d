// The rows as they lie in RocksDB: docs/formats/kv.md says the same bytes.
#include <gtest/gtest.h>
#include <rocksdb/db.h>

#include "base/bytes.h"
#include "base/testing/scratch.h"
#include "kv/rocks.h"

namespace tarn::kv {
namespace {

using Rows = std::vector<std::pair<std::string, std::string>>;

Rows raw_rows(const std::string& path) {
  rocksdb::DB* raw = nullptr;
  EXPECT_TRUE(rocksdb::DB::OpenForReadOnly({}, path, &raw).ok());
  const std::unique_ptr<rocksdb::DB> db(raw);
  const std::unique_ptr<rocksdb::Iterator> rows(db->NewIterator({}));
  Rows out;
  for (rows->SeekToFirst(); rows->Valid(); rows->Next())
    out.emplace_back(base::to_hex(rows->key().ToString()), base::to_hex(rows->value().ToString()));
  return out;
}

TEST(RocksFormat, RowsAreThoseOfThePage) {
  base::testing::ScratchFolder folder;
  {
    auto store = std::move(*open_rocks_store(folder.path("kv"), {.reserve_bytes = 0}));
    store->apply({}, Batch().put("x", "1")).value();
    store->apply({}, Batch().erase("x")).value();
    store->apply({}, Batch().put("branch/main", "\x01{\"head\":\"c1\"}")).value();
  }
  const Rows expected = {
      {"00666f726d6174", "7461726e2d6b762031"},    // format: tarn-kv 1
      {"0073657175656e6365", "0300000000000000"},  // sequence: 3
      {"016272616e63682f6d61696e",                 // branch/main: version 3, format byte, text
       "0300000000000000"
       "017b2268656164223a226331227d"},
  };
  EXPECT_EQ(raw_rows(folder.path("kv")), expected);
}

TEST(RocksFormat, AStoreOfAnotherFormatIsRefused) {
  base::testing::ScratchFolder folder;
  ASSERT_TRUE(open_rocks_store(folder.path("kv")));
  {
    rocksdb::DB* raw = nullptr;
    ASSERT_TRUE(rocksdb::DB::Open({}, folder.path("kv"), &raw).ok());
    const std::unique_ptr<rocksdb::DB> db(raw);
    ASSERT_TRUE(db->Put({}, std::string("\0format", 7), "tarn-kv 2").ok());
  }
  const auto opened = open_rocks_store(folder.path("kv"));
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code(), Code::kCorrupt);
  EXPECT_NE(opened.error().message().find("tarn-kv 2"), std::string::npos);
}

}  // namespace
}  // namespace tarn::kv
