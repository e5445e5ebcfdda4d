#include "block/foreign.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/testing/scratch.h"

namespace tarn::block {
namespace {

namespace fs = std::filesystem;

class ForeignFilesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(root() + "/a/b");
    fs::create_directories(folder_.path("outside"));
    write(root() + "/a/1", "one");
    write(root() + "/a/b/2", "two2");
    write(root() + "/a.txt", "dot");
    write(root() + "/z", "last");
    write(folder_.path("outside/secret"), "secret");
  }
  std::string root() const { return folder_.path("root"); }
  static void write(const std::string& path, const std::string& text) { std::ofstream(path) << text; }
  Result<std::vector<std::string>> list(const std::string& folder) {
    std::vector<std::string> out;
    TRY(files_.list(ctx_, folder, [&](const ListedFile& file) -> Result<void> {
      out.push_back(file.path + ":" + std::to_string(file.size));
      return {};
    }));
    return out;
  }
  Code open_code(const std::string& path, const FileIdentity& expected) {
    auto reader = files_.open(ctx_, path, 0, {}, expected);
    return reader ? Code::kInternal : reader.error().code();
  }

  base::testing::ScratchFolder folder_;
  Context ctx_;
  ForeignFiles files_{base::system_disk(), {root()}};
};

TEST_F(ForeignFilesTest, ListsEveryFileInBytewiseOrderOfWholePaths) {
  EXPECT_EQ(*list(root()), (std::vector<std::string>{"a.txt:3", "a/1:3", "a/b/2:4", "z:4"}));
  EXPECT_EQ(*list(root() + "/a"), (std::vector<std::string>{"1:3", "b/2:4"}));
}

TEST_F(ForeignFilesTest, ReadsAnUnchangedFileFromAnyOffset) {
  const auto identity = *files_.identify(ctx_, root() + "/a/b/2");
  EXPECT_EQ(identity.size, 4u);
  auto reader = std::move(*files_.open(ctx_, root() + "/a/b/2", 1, 2, identity));
  char buffer[16];
  ASSERT_EQ(*reader->read(buffer, sizeof buffer), 2u);
  EXPECT_EQ(std::string(buffer, 2), "wo");
  EXPECT_EQ(*reader->read(buffer, sizeof buffer), 0u);
  EXPECT_TRUE(std::move(*files_.open(ctx_, root() + "/z", 0, {}, *files_.identify(ctx_, root() + "/z")))->span());
}

TEST_F(ForeignFilesTest, AChangedOrMissingFileIsToldApart) {
  const std::string path = root() + "/a/1";
  const auto identity = *files_.identify(ctx_, path);
  EXPECT_EQ(open_code(path, {identity.size, identity.mtime_ns + 1}), Code::kConflict);
  EXPECT_EQ(open_code(path, {identity.size + 1, identity.mtime_ns}), Code::kConflict);
  auto reader = std::move(*files_.open(ctx_, path, 0, {}, identity));
  write(path, "longer than before");
  EXPECT_EQ(open_code(path, identity), Code::kConflict);
  char buffer[16];
  EXPECT_EQ(reader->read(buffer, sizeof buffer).error().code(), Code::kConflict) << "changed while it is read";
  fs::remove(path);
  EXPECT_EQ(open_code(path, identity), Code::kGone);
}

TEST_F(ForeignFilesTest, PathsOutsideTheRootsAreRefused) {
  EXPECT_EQ(list(folder_.path("outside")).error().code(), Code::kForbidden);
  EXPECT_EQ(list("/").error().code(), Code::kForbidden);
  EXPECT_EQ(list("/no/such/folder").error().code(), Code::kForbidden) << "what exists outside is not told";
  EXPECT_EQ(list(root() + "x").error().code(), Code::kForbidden) << "a root is not a prefix of letters";
  EXPECT_EQ(list(root() + "/../outside").error().code(), Code::kInvalid);
  EXPECT_EQ(list("root").error().code(), Code::kInvalid);
  EXPECT_EQ(list(root() + "/none").error().code(), Code::kNotFound);
  EXPECT_EQ(list(root() + "/z").error().code(), Code::kInvalid);
  EXPECT_EQ(open_code(folder_.path("outside/secret"), {6, 0}), Code::kForbidden);
  EXPECT_EQ(ForeignFiles(base::system_disk(), {}).identify(ctx_, root() + "/z").error().code(), Code::kForbidden);
}

TEST_F(ForeignFilesTest, LinksThatLeaveTheRootAreRefused) {
  fs::create_symlink(folder_.path("outside/secret"), root() + "/link");
  EXPECT_EQ(open_code(root() + "/link", {6, 0}), Code::kForbidden);
  const auto listed = list(root());
  ASSERT_FALSE(listed);
  EXPECT_EQ(listed.error().code(), Code::kForbidden);
  EXPECT_NE(listed.error().message().find("link"), std::string::npos);
  fs::remove(root() + "/link");
  fs::create_directory_symlink(folder_.path("outside"), root() + "/dir");
  EXPECT_EQ(list(root()).error().code(), Code::kForbidden);
}

TEST_F(ForeignFilesTest, LinksInsideTheRootAreFollowedAndLoopsAreAnError) {
  fs::create_directory_symlink(root() + "/a/b", root() + "/same");
  EXPECT_EQ(*list(root()), (std::vector<std::string>{"a.txt:3", "a/1:3", "a/b/2:4", "same/2:4", "z:4"}));
  fs::create_directory_symlink(root(), root() + "/a/loop");
  EXPECT_EQ(list(root()).error().code(), Code::kInvalid);
}

TEST_F(ForeignFilesTest, ACallerMayStopTheListing) {
  int seen = 0;
  const auto stopped = files_.list(ctx_, root(), [&](const ListedFile&) -> Result<void> {
    if (++seen == 2) return Error(Code::kCancelled, "list", "enough");
    return {};
  });
  EXPECT_FALSE(stopped);
  EXPECT_EQ(seen, 2);
}

TEST(WeakEtag, DependsOnSizeAndTimeOnly) {
  EXPECT_EQ(weak_etag({1, 2}), weak_etag({1, 2}));
  EXPECT_NE(weak_etag({1, 2}), weak_etag({1, 3}));
  EXPECT_NE(weak_etag({1, 2}), weak_etag({2, 2}));
}

}  // namespace
}  // namespace tarn::block
