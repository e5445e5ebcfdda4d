// Goal: listings of both operations see every key once, in order, however they are paged. Method: a memory world with
// committed and staged objects, compared with a sorted model.
#include "s3/listing.h"

#include <gtest/gtest.h>

#include <set>

#include "catalog/testing/world.h"

namespace tarn::s3 {
namespace {

using catalog::testing::World;
using versioning::testing::Backend;
using versioning::testing::must;

class Listing : public testing::Test {
 protected:
  void put(const std::string& key) {
    const size_t slash = key.find('/');
    block::StringSource bytes("x");
    must(catalog_->put_object(world_.ctx, "data", key.substr(0, slash), key.substr(slash + 1), bytes, {}));
  }
  /// "key" or "prefix*", page after page.
  std::vector<std::string> all(KeyQuery query) {
    std::vector<std::string> out;
    for (int pages = 0; pages < 1000; ++pages) {
      const auto page = must(list_keys(world_.ctx, *catalog_, "data", query));
      EXPECT_LE(page.items.size(), query.max);
      for (const auto& item : page.items) out.push_back(item.path + (item.is_prefix ? "*" : ""));
      if (!page.truncated) return out;
      EXPECT_GT(page.next_after, query.after);
      query.after = page.next_after;
    }
    ADD_FAILURE() << "it never ends";
    return out;
  }

  World world_{Backend::kMemory};
  versioning::Repository repository_ = world_.repository("data");
  catalog::Catalog* catalog_ = world_.catalog.get();
};

TEST_F(Listing, TheRootHoldsBranchesInTheOrderOfTheirKeys) {
  for (const auto* name : {"a", "a-b", "ab", "dev"})
    must(world_.engine->create_branch(world_.ctx, repository_, name, "main"));
  for (const size_t max : {1, 2, 1000}) {
    EXPECT_EQ(all({.prefix = "", .max = max}), (std::vector<std::string>{"a-b/*", "a/*", "ab/*", "dev/*", "main/*"}));
    EXPECT_EQ(all({.prefix = "a", .delimiter = "/", .max = max}), (std::vector<std::string>{"a-b/*", "a/*", "ab/*"}));
  }
  EXPECT_EQ(all({.prefix = "", .after = "a/zzz"}), (std::vector<std::string>{"ab/*", "dev/*", "main/*"}));
  EXPECT_TRUE(all({.prefix = "x"}).empty());
}

TEST_F(Listing, PagesOfAnySizeGiveEveryKeyOnce) {
  std::set<std::string> model;
  for (int i = 0; i < 60; ++i) {
    const std::string key = "main/" + std::string(1, static_cast<char>('a' + i % 5)) + (i % 2 == 0 ? "/" : "-") +
                            std::to_string(i * 7 % 60) + (i % 3 == 0 ? "/z" : "");
    put(key);
    model.insert(key);
    if (i == 30) world_.commit(repository_, "main");
  }
  for (const std::string& delimiter : {std::string(), std::string("/"), std::string("-"), std::string("/z")})
    for (const std::string& prefix :
         {std::string("main/"), std::string("main/a"), std::string("main/b/"), std::string("main/q")}) {
      std::vector<std::string> expected;
      for (const auto& key : model) {
        if (!key.starts_with(prefix)) continue;
        const size_t cut = delimiter.empty() ? std::string::npos : key.find(delimiter, prefix.size());
        const std::string shown = cut == std::string::npos ? key : key.substr(0, cut + delimiter.size()) + "*";
        if (std::find(expected.begin(), expected.end(), shown) == expected.end()) expected.push_back(shown);
      }
      for (const size_t max : {1, 3, 7, 1000})
        EXPECT_EQ(all({.prefix = prefix, .delimiter = delimiter, .max = max}), expected) << prefix << delimiter << max;
    }
}

TEST_F(Listing, AnAfterOutsideOfTheRefIsBeforeOrBehindAll) {
  put("main/a");
  EXPECT_EQ(all({.prefix = "main/", .after = "dev/z"}).size(), 1);
  EXPECT_EQ(all({.prefix = "main/", .after = "main"}).size(), 1);
  EXPECT_EQ(all({.prefix = "main/", .after = "main/"}).size(), 1);
  EXPECT_EQ(all({.prefix = "main/", .after = "main/a"}).size(), 0);
  EXPECT_EQ(all({.prefix = "main/", .after = "main0"}).size(), 0);
}

TEST_F(Listing, ARefThatIsNotThereHasNoKeysAndARepositoryThatIsNotThereIsAnError) {
  for (const auto* prefix : {"nowhere/", "not a ref!/", "main~9/", "~/"})
    EXPECT_TRUE(all({.prefix = prefix}).empty()) << prefix;
  const auto none = list_keys(world_.ctx, *catalog_, "nothing", {.prefix = "main/"});
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().subject(), "repository");
  EXPECT_TRUE(must(list_keys(world_.ctx, *catalog_, "data", {.prefix = "", .max = 0})).items.empty());
}

TEST_F(Listing, ACommitIsListedAsItWas) {
  put("main/a");
  const auto first = world_.commit(repository_, "main");
  put("main/b");
  const std::string id = first.id.hex();
  EXPECT_EQ(all({.prefix = id + "/"}), (std::vector<std::string>{id + "/a"}));
}

}  // namespace
}  // namespace tarn::s3
