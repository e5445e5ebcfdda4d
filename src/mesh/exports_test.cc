#include "mesh/exports.h"

#include <atomic>
#include <filesystem>

#include "mesh/testing/house.h"

namespace tarn::mesh {
namespace {

using testing::must;

class Export : public ::testing::Test {
 protected:
  Export() { house_.found(); }
  void land(const std::string& day, const std::string& content) {
    house_.propose("analytics", {{"out/delays/date=" + day + "/_a.txt", content}}, house_.ben);
    must(house_.mesh->exports.follow(house_.ctx, "analytics"));
  }
  std::string target() { return house_.mesh->world.doors.export_root + "/delays"; }
  Json state() { return must(house_.mesh->exports.list(house_.ctx, "analytics"))["serving"]; }
  /// What a reader finds who opens `current` once: nullopt when manifest and files do not belong together.
  std::optional<int64_t> read() {
    std::error_code error;
    const auto folder = std::filesystem::path(target()) / std::filesystem::read_symlink(target() + "/current", error);
    if (error) return std::nullopt;
    const auto text = base::system_disk().read_all((folder / "manifest.json").string());
    if (!text) return std::nullopt;
    const Json manifest = *Json::parse(*text);
    for (const Json& file : manifest["files"].items()) {
      const auto bytes = base::system_disk().read_all((folder / file["path"].as_string()).string());
      if (!bytes || base::to_hex(base::md5(*bytes)) != file["checksum"].as_string()) return std::nullopt;
    }
    return manifest["publication"].as_int();
  }
  testing::House house_;
};

TEST_F(Export, HoldsExactlyThePublishedVersionWithItsManifest) {
  land("2013-10-24", "one");
  EXPECT_EQ(read(), 1);
  EXPECT_EQ(state()["state"].as_string(), "done");
  EXPECT_EQ(must(base::system_disk().read_all(target() + "/current/date=2013-10-24/_a.txt")), "one");
  land("2013-10-24", "two");
  EXPECT_EQ(read(), 2);
  EXPECT_EQ(must(base::system_disk().read_all(target() + "/current/date=2013-10-24/_a.txt")), "two");
}

TEST_F(Export, CopiesOnlyWhatChanged) {
  land("2013-10-23", "one");
  land("2013-10-24", "another");
  EXPECT_EQ(state()["copied"].as_int(), 1);
  EXPECT_EQ(state()["copied_bytes"].as_int(), 7);
  EXPECT_EQ(state()["files"].size(), 2u);
}

TEST_F(Export, DoneAlreadyIsLeftAlone) {
  land("2013-10-24", "one");
  must(house_.mesh->exports.follow(house_.ctx, "analytics"));
  EXPECT_EQ(house_.events("mesh.export.finished"), 1);
}

TEST_F(Export, KeepsTheTwoNewestVersions) {
  for (const char* content : {"a", "b", "c", "d"}) land("2013-10-24", content);
  EXPECT_EQ(must(base::system_disk().list(target() + "/versions")).size(), 2u);
}

// Goal: a reader of `current` sees one version, whole. Method: one reads all the time while twenty are switched.
TEST_F(Export, IsSwitchedInOneStep) {
  land("2013-10-24", "0");
  std::atomic<bool> stop{false};
  std::atomic<int> reads{0}, torn{0};
  base::Thread reader([&] {
    int64_t last = 0;
    while (!stop.load()) {
      const auto seen = read();
      if (!seen || *seen < last) torn.fetch_add(1);
      if (seen) last = *seen;
      reads.fetch_add(1);
    }
  });
  for (int i = 1; i <= 20; ++i) {
    land("2013-10-24", std::to_string(i));
    // Two versions are kept: no read may last longer than the next switch.
    for (const int before = reads.load(); reads.load() == before;) base::system_clock().sleep_ms(1);
  }
  stop.store(true);
  reader.join();
  EXPECT_EQ(torn.load(), 0);
  EXPECT_GT(reads.load(), 0);
  EXPECT_EQ(read(), 21);
}

// Goal: what failed half-way shows nothing. Method: the name of the new link is taken by a folder.
TEST_F(Export, ThatFailsLeavesTheOldVersionStanding) {
  land("2013-10-24", "one");
  must(base::system_disk().make_directories(target() + "/.current/in-the-way"));
  house_.propose("analytics", {{"out/delays/date=2013-10-24/_a.txt", "two"}}, house_.ben);
  EXPECT_FALSE(house_.mesh->exports.follow(house_.ctx, "analytics"));
  EXPECT_EQ(read(), 1);
  must(base::system_disk().remove_all(target() + "/.current"));
  must(house_.mesh->exports.follow(house_.ctx, "analytics"));
  EXPECT_EQ(read(), 2);
}

}  // namespace
}  // namespace tarn::mesh
