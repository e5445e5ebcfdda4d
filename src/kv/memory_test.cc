#include "kv/memory.h"

#include <gtest/gtest.h>

#include "kv/record.h"
#include "kv/testing/faulty_store.h"

namespace tarn::kv::testing {
namespace {

TEST(PrefixEnd, IsTheFirstKeyBehindThePrefix) {
  EXPECT_EQ(prefix_end("a/"), "a0");
  EXPECT_EQ(prefix_end("a\xff"), "b");
  EXPECT_EQ(prefix_end("\xff\xff"), "");
  EXPECT_EQ(prefix_end(""), "");
}

TEST(Record, AnUnknownVersionByteIsCorruptAndNamesTheSubject) {
  EXPECT_EQ(decode_record(encode_record(Json::object({{"a", 1}})), "thing")->find("a")->as_int(), 1);
  for (const std::string& damaged : {std::string(), std::string("\x02{}"), std::string("\x01{")}) {
    auto record = decode_record(damaged, "thing");
    ASSERT_FALSE(record);
    EXPECT_EQ(record.error().code(), Code::kCorrupt);
    EXPECT_EQ(record.error().subject(), "thing");
  }
}

class FaultyStoreTest : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* key : {"a", "b", "c"}) inner_->apply(ctx_, Batch().put(key, key)).value();
  }
  std::unique_ptr<Store> inner_ = make_memory_store();
  FaultyStore store_{*inner_};
  Context ctx_;
};

TEST_F(FaultyStoreTest, AScanErrorIsNeverTheEndOfData) {
  for (int nth = 1; nth <= 4; ++nth) {
    store_.fail_row(nth);
    auto scan = store_.scan(ctx_, "");
    for (int i = 1; i < nth; ++i) ASSERT_TRUE(scan->next());
    EXPECT_FALSE(scan->next()) << "row " << nth;
    EXPECT_FALSE(scan->next()) << "an error stays an error";
  }
}

TEST_F(FaultyStoreTest, AnUnknownOutcomeMayOrMayNotHaveHappened) {
  store_.fail_apply(1, FaultyStore::ApplyFault::kNotApplied);
  EXPECT_EQ(store_.apply(ctx_, Batch().put("n", "")).error().code(), Code::kUnavailable);
  EXPECT_FALSE(*store_.get(ctx_, "n"));
  store_.fail_apply(2, FaultyStore::ApplyFault::kUnknownLost);
  EXPECT_TRUE(store_.apply(ctx_, Batch().put("m", "")));
  EXPECT_EQ(store_.apply(ctx_, Batch().put("n", "")).error().outcome(), base::Outcome::kUnknown);
  EXPECT_FALSE(*store_.get(ctx_, "n"));
  store_.fail_apply(1, FaultyStore::ApplyFault::kUnknownApplied);
  EXPECT_EQ(store_.apply(ctx_, Batch().put("n", "")).error().outcome(), base::Outcome::kUnknown);
  EXPECT_TRUE(*store_.get(ctx_, "n"));
  EXPECT_TRUE(store_.apply(ctx_, Batch().put("o", "")));
}

}  // namespace
}  // namespace tarn::kv::testing
