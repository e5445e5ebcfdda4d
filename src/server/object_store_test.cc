// Goal: a disk cache is opened where it can help and refused with a cure where it cannot.
#include "server/object_store.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/testing/scratch.h"

namespace tarn::server {
namespace {

const std::string kPack = "ns/packs/00000000-0000-7000-8000-000000000001";

class ObjectStoreTest : public testing::Test {
 protected:
  Result<ObjectStore> open(const std::vector<std::string>& flags) {
    std::filesystem::create_directories(data_);
    std::vector<std::string> arguments = {"--data", data_};
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    TRY_LET(const auto config, Config::load(base::system_disk(), arguments, {}));
    return open_object_store(base::system_disk(), {data_, "installation", nullptr}, config);
  }
  void refused(const std::string& cache, const std::string& word) {
    const auto store = open({"--storage-cache-folder", cache});
    ASSERT_FALSE(store) << cache;
    EXPECT_EQ(store.error().code(), Code::kInvalid);
    EXPECT_NE(store.error().message().find("--storage-cache-folder"), std::string::npos) << store.error().message();
    EXPECT_NE(store.error().message().find(word), std::string::npos) << store.error().message();
  }

  base::testing::ScratchFolder scratch_;
  const std::string data_ = scratch_.path("data"), cache_ = scratch_.path("fast/cache");
};

TEST_F(ObjectStoreTest, WithoutTheSettingThereIsNoCache) {
  const auto store = open({});
  ASSERT_TRUE(store);
  EXPECT_EQ(store->cache, nullptr);
  EXPECT_EQ(&store->front(), store->local.get());
}

TEST_F(ObjectStoreTest, ACacheElsewhereKeepsWhatIsWrittenAndRead) {
  {
    const auto store = open({"--storage-cache-folder", cache_});
    ASSERT_TRUE(store) << store.error().text();
    ASSERT_TRUE(store->front().put({}, block::Name(kPack), "bytes"));
    EXPECT_EQ(store->front().read({}, block::Name(kPack), 0, {}).value(), "bytes");
  }
  size_t files = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(cache_ + "/blocks"))
    files += entry.is_regular_file();
  EXPECT_EQ(files, 1u);
}

TEST_F(ObjectStoreTest, ACacheOnTheObjectsOwnDiskIsRefused) {
  refused(data_ + "/objects", "apart");
  refused(data_ + "/objects/cache", "apart");
  refused(scratch_.path(), "apart");
  refused(data_ + "/cache", "faster disk");
  refused(data_ + "/x/../cache", "faster disk");
  std::filesystem::create_directory_symlink(data_, scratch_.path("link"));
  refused(scratch_.path("link") + "/cache", "faster disk");
  EXPECT_FALSE(std::filesystem::exists(data_ + "/cache")) << "nothing is made where it is refused";
}

TEST_F(ObjectStoreTest, ACacheInTheDataFolderServesObjectsThatLieElsewhere) {
  std::filesystem::create_directories(scratch_.path("slow"));
  std::filesystem::create_directories(data_);
  std::filesystem::create_directory_symlink(scratch_.path("slow"), data_ + "/objects");
  EXPECT_TRUE(open({"--storage-cache-folder", data_ + "/cache"}));
}

TEST_F(ObjectStoreTest, ATinyLimitAndAFolderInUseAreRefused) {
  const auto tiny = open({"--storage-cache-folder", cache_, "--storage-cache-bytes", "1000"});
  ASSERT_FALSE(tiny);
  EXPECT_NE(tiny.error().message().find("16777216"), std::string::npos) << tiny.error().message();
  const auto first = open({"--storage-cache-folder", cache_});
  ASSERT_TRUE(first);
  const auto held = base::system_disk().lock(cache_ + "/LOCK");
  ASSERT_FALSE(held);
  EXPECT_EQ(held.error().code(), Code::kBusy);
  std::ignore = base::system_disk().remove(data_ + "/objects/LOCK");  // another data folder with the same cache
  const auto second = open({"--storage-cache-folder", cache_});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code(), Code::kBusy);
  EXPECT_NE(second.error().message().find("leave it out"), std::string::npos) << second.error().message();
}

}  // namespace
}  // namespace tarn::server
