#pragma once
// What every object store must do. Included once, by contract_test.cc, which instantiates it for each back end.
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/hash.h"
#include "base/mutex.h"
#include "base/random.h"
#include "block/store.h"

namespace tarn::block::testing {

/// Owns one store under test.
class Bench {
 public:
  virtual ~Bench() = default;
  virtual Store& store() = 0;
  /// Closes and opens the store again over the same objects; false when the back end forgets.
  virtual bool reopen() = 0;
};

struct Maker {
  std::string name;
  std::function<std::unique_ptr<Bench>()> make;
};

inline std::string random_bytes(size_t count, uint64_t seed = 1) {
  std::string out(count, '\0');
  base::SeededRandom(seed).fill(out.data(), count);
  return out;
}

/// Gives some bytes, then an error.
class BreakingSource final : public ByteSource {
 public:
  explicit BreakingSource(size_t good) : good_(good) {}
  Result<size_t> read(char* buffer, size_t size) override {
    if (good_ == 0) return Error(Code::kCancelled, "body", "the client went away");
    const size_t count = std::min(size, good_);
    std::memset(buffer, 'x', count);
    good_ -= count;
    return count;
  }

 private:
  size_t good_;
};

class StoreContract : public ::testing::TestWithParam<Maker> {
 protected:
  void SetUp() override { bench_ = GetParam().make(); }
  Store& store() { return bench_->store(); }
  static Name name(const std::string& text) { return *make_name(text); }
  std::string read(const std::string& text, uint64_t offset = 0, std::optional<uint64_t> length = {}) {
    auto bytes = store().read(ctx_, name(text), offset, length);
    EXPECT_TRUE(bytes.ok());
    return bytes ? *bytes : "";
  }
  Code code_of(const Result<Stored>& result) { return result ? Code::kInternal : result.error().code(); }
  std::set<std::string> names(std::string_view prefix) {
    std::set<std::string> out;
    EXPECT_TRUE(store().list(ctx_, prefix, [&](const Name& n, const Info&) -> Result<void> {
      EXPECT_TRUE(out.insert(n.str()).second) << n.str() << " is listed twice";
      return {};
    }));
    return out;
  }

  std::unique_ptr<Bench> bench_;
  Context ctx_;
  /// Around every limit of the local store: empty, inline, one below, at and above 64 KiB, several chunks.
  const std::vector<size_t> sizes_ = {0, 1, 100, 65535, 65536, 65537, 300'000, 1'000'000};
};

TEST_P(StoreContract, BytesComeBackWholeWithSizeAndMd5) {
  for (const size_t size : sizes_) {
    const std::string bytes = random_bytes(size, size);
    const std::string id = "ns/data/" + std::to_string(size);
    const auto stored = store().put(ctx_, name(id), bytes);
    ASSERT_TRUE(stored) << size;
    EXPECT_EQ(stored->size, size);
    EXPECT_EQ(stored->md5, base::md5(bytes));
    EXPECT_EQ(store().stat(ctx_, name(id))->size, size);
    EXPECT_EQ(read(id), bytes) << size;
  }
}

TEST_P(StoreContract, RangesGiveExactlyTheirBytes) {
  for (const size_t size : sizes_) {
    const std::string bytes = random_bytes(size, size);
    const std::string id = "r/" + std::to_string(size);
    ASSERT_TRUE(store().put(ctx_, name(id), bytes));
    EXPECT_EQ(read(id, size / 3), bytes.substr(size / 3));
    EXPECT_EQ(read(id, size / 3, size / 2), bytes.substr(size / 3, size / 2));
    EXPECT_EQ(read(id, size), "");
    EXPECT_EQ(read(id, 0, 0), "");
    EXPECT_EQ(read(id, size / 2, 10 * size + 1), bytes.substr(size / 2)) << "a length beyond the end stops at the end";
    const auto behind = store().open(ctx_, name(id), size + 1, {});
    ASSERT_FALSE(behind);
    EXPECT_EQ(behind.error().code(), Code::kInvalid);
  }
}

TEST_P(StoreContract, ASpanNamesTheSameBytesInAFile) {
  const std::string bytes = random_bytes(200'000);
  ASSERT_TRUE(store().put(ctx_, name("big"), bytes));
  auto reader = std::move(*store().open(ctx_, name("big"), 1000, 150'000));
  const auto span = reader->span();
  if (!span) GTEST_SKIP() << "this store has no files";
  std::string got(span->length, '\0');
  ASSERT_EQ(::pread(span->descriptor, got.data(), got.size(), static_cast<off_t>(span->offset)),
            static_cast<ssize_t>(got.size()));
  EXPECT_EQ(got, bytes.substr(1000, 150'000));
}

TEST_P(StoreContract, NothingIsEverOverwritten) {
  for (const size_t size : {10u, 100'000u}) {
    const std::string id = "x" + std::to_string(size);
    ASSERT_TRUE(store().put(ctx_, name(id), std::string(size, 'a')));
    EXPECT_EQ(code_of(store().put(ctx_, name(id), "short")), Code::kAlreadyExists);
    EXPECT_EQ(code_of(store().put(ctx_, name(id), std::string(200'000, 'b'))), Code::kAlreadyExists);
    EXPECT_EQ(read(id), std::string(size, 'a'));
  }
}

TEST_P(StoreContract, AbsentIsNotFoundAndRemovedIsAbsent) {
  EXPECT_EQ(store().open(ctx_, name("none"), 0, {}).error().code(), Code::kNotFound);
  EXPECT_EQ(store().stat(ctx_, name("none")).error().code(), Code::kNotFound);
  EXPECT_TRUE(store().remove(ctx_, name("none")));
  for (const size_t size : {10u, 100'000u}) {
    const std::string id = "x" + std::to_string(size);
    ASSERT_TRUE(store().put(ctx_, name(id), std::string(size, 'a')));
    EXPECT_TRUE(store().remove(ctx_, name(id)));
    EXPECT_EQ(store().stat(ctx_, name(id)).error().code(), Code::kNotFound);
    EXPECT_TRUE(store().remove(ctx_, name(id)));
    EXPECT_TRUE(store().put(ctx_, name(id), std::string(size, 'b'))) << "the name is free again";
    EXPECT_EQ(read(id), std::string(size, 'b'));
  }
}

TEST_P(StoreContract, AReaderKeepsItsBytesWhenTheObjectIsRemoved) {
  for (const size_t size : {10u, 300'000u}) {
    const std::string id = "x" + std::to_string(size), bytes = random_bytes(size);
    ASSERT_TRUE(store().put(ctx_, name(id), bytes));
    auto reader = std::move(*store().open(ctx_, name(id), 1, {}));
    ASSERT_TRUE(store().remove(ctx_, name(id)));
    std::string got(size, '\0');
    size_t filled = 0;
    while (const size_t count = reader->read(got.data() + filled, got.size() - filled).value()) filled += count;
    EXPECT_EQ(got.substr(0, filled), bytes.substr(1));
  }
}

TEST_P(StoreContract, ABrokenSourceLeavesNothingBehind) {
  for (const size_t good : {0u, 100u, 65'537u, 500'000u}) {
    BreakingSource source(good);
    EXPECT_EQ(code_of(store().put(ctx_, name("broken"), source)), Code::kCancelled);
    EXPECT_EQ(store().stat(ctx_, name("broken")).error().code(), Code::kNotFound);
  }
  EXPECT_TRUE(store().put(ctx_, name("broken"), "now whole"));
  EXPECT_EQ(store().stored_bytes(ctx_).value(), 9u);
}

TEST_P(StoreContract, ListGivesLiveObjectsWithThePrefix) {
  for (const char* id : {"a/1", "a/2", "a/3", "ab", "b"}) ASSERT_TRUE(store().put(ctx_, name(id), id));
  ASSERT_TRUE(store().put(ctx_, name("a/large"), std::string(70'000, 'x')));
  ASSERT_TRUE(store().remove(ctx_, name("a/2")));
  ASSERT_TRUE(store().remove(ctx_, name("a/3")));
  ASSERT_TRUE(store().put(ctx_, name("a/3"), "again"));
  EXPECT_EQ(names("a/"), (std::set<std::string>{"a/1", "a/3", "a/large"}));
  EXPECT_EQ(names("").size(), 5u);
  EXPECT_EQ(names("zzz").size(), 0u);
  const auto stopped = store().list(
      ctx_, "", [](const Name&, const Info&) -> Result<void> { return Error(Code::kCancelled, "list", "enough"); });
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().code(), Code::kCancelled);
}

TEST_P(StoreContract, StoredBytesCountLiveObjects) {
  EXPECT_EQ(*store().stored_bytes(ctx_), 0u);
  ASSERT_TRUE(store().put(ctx_, name("a"), std::string(10, 'x')));
  ASSERT_TRUE(store().put(ctx_, name("b"), std::string(70'000, 'x')));
  EXPECT_EQ(*store().stored_bytes(ctx_), 70'010u);
  ASSERT_TRUE(store().remove(ctx_, name("b")));
  EXPECT_EQ(*store().stored_bytes(ctx_), 10u);
}

TEST_P(StoreContract, CompactingChangesNoObject) {
  for (int i = 0; i < 200; ++i) {
    const std::string id = "c/" + std::to_string(i);
    ASSERT_TRUE(store().put(ctx_, name(id), random_bytes(i % 20 == 7 ? 70'000 : 2'000, static_cast<uint64_t>(i))));
    if (i % 2 != 0) continue;
    ASSERT_TRUE(store().remove(ctx_, name(id)));
  }
  const uint64_t stored = *store().stored_bytes(ctx_), disk = *store().disk_bytes(ctx_);
  const auto freed = store().compact(ctx_);
  ASSERT_TRUE(freed);
  EXPECT_LE(*freed, disk - stored);
  EXPECT_EQ(*store().stored_bytes(ctx_), stored);
  EXPECT_NEAR(static_cast<double>(*store().disk_bytes(ctx_)), static_cast<double>(disk - *freed), 1'000.0);
  const auto check = [&] {
    EXPECT_EQ(names("c/").size(), 100u);
    EXPECT_EQ(read("c/7"), random_bytes(70'000, 7));
    EXPECT_EQ(read("c/9"), random_bytes(2'000, 9));
    EXPECT_EQ(store().stat(ctx_, name("c/8")).error().code(), Code::kNotFound);
  };
  check();
  if (bench_->reopen()) check();
  EXPECT_TRUE(store().put(ctx_, name("c/8"), "the name is free"));
}

TEST_P(StoreContract, OfManyWritersOfOneNameExactlyOneWins) {
  for (const size_t size : {100u, 100'000u}) {
    for (int round = 0; round < 10; ++round) {
      const std::string id = "race/" + std::to_string(size) + "/" + std::to_string(round);
      std::atomic<int> wins{0}, winner{-1};
      std::vector<base::Thread> threads;
      for (int t = 0; t < 6; ++t)
        threads.emplace_back([&, t] {
          const auto put = store().put(ctx_, name(id), std::string(size, static_cast<char>('a' + t)));
          if (put) {
            ++wins;
            winner = t;
          } else {
            EXPECT_EQ(put.error().code(), Code::kAlreadyExists);
          }
        });
      threads.clear();
      ASSERT_EQ(wins, 1);
      EXPECT_EQ(read(id), std::string(size, static_cast<char>('a' + winner)));
    }
  }
}

TEST_P(StoreContract, ManyWritersAndReadersAgree) {
  std::vector<base::Thread> threads;
  for (int t = 0; t < 8; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < 40; ++i) {
        const std::string id = "m/" + std::to_string(t) + "/" + std::to_string(i);
        const std::string bytes = random_bytes(i % 10 == 9 ? 80'000 : 500, static_cast<uint64_t>(t * 100 + i));
        ASSERT_TRUE(store().put(ctx_, name(id), bytes));
        ASSERT_EQ(read(id), bytes) << "a writer sees its own object at once";
      }
    });
  threads.clear();
  EXPECT_EQ(names("m/").size(), 320u);
  if (!bench_->reopen()) return;
  EXPECT_EQ(names("m/").size(), 320u);
  EXPECT_EQ(read("m/3/9"), random_bytes(80'000, 309));
  EXPECT_EQ(read("m/3/8"), random_bytes(500, 308));
}

TEST_P(StoreContract, AReopenedStoreHasTheSameObjects) {
  ASSERT_TRUE(store().put(ctx_, name("a"), "small"));
  ASSERT_TRUE(store().put(ctx_, name("b"), std::string(70'000, 'x')));
  ASSERT_TRUE(store().put(ctx_, name("gone"), std::string(70'000, 'x')));
  ASSERT_TRUE(store().remove(ctx_, name("gone")));
  if (!bench_->reopen()) GTEST_SKIP() << "this store forgets";
  EXPECT_EQ(read("a"), "small");
  EXPECT_EQ(read("b"), std::string(70'000, 'x'));
  EXPECT_EQ(names(""), (std::set<std::string>{"a", "b"}));
  EXPECT_EQ(code_of(store().put(ctx_, name("a"), "other")), Code::kAlreadyExists);
  EXPECT_EQ(*store().stored_bytes(ctx_), 70'005u);
}

TEST_P(StoreContract, ACancelledCallerIsRefused) {
  Context gone;
  gone.cancel();
  EXPECT_EQ(code_of(store().put(gone, name("a"), std::string(200'000, 'x'))), Code::kCancelled);
  EXPECT_FALSE(store().stat(ctx_, name("a")));
}

inline std::string name_of_maker(const ::testing::TestParamInfo<Maker>& maker) { return maker.param.name; }

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(StoreContract);

}  // namespace tarn::block::testing
