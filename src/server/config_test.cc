// Goal: settings win in their order and wrong ones name the cure; a request goes to the interface it means.
// The start itself is shown by tests/system.
#include "server/config.h"

#include <gtest/gtest.h>

#include "server/check_library.h"
#include "server/data_folder.h"
#include "server/dispatch.h"

namespace tarn::server {
namespace {

Result<Config> load(std::vector<std::string> arguments, Config::Environment environment = {}) {
  arguments.insert(arguments.begin(), {"--data", "/nonexistent"});
  return Config::load(base::system_disk(), arguments, environment);
}

TEST(Settings, FlagsWinOverVariablesOverDefaults) {
  const auto config = load({"--listen=127.0.0.1:9"}, {{"TARN_LISTEN", "127.0.0.1:8"}, {"TARN_LOG_LEVEL", "debug"}});
  ASSERT_TRUE(config);
  EXPECT_EQ(config->text("listen"), "127.0.0.1:9");
  EXPECT_EQ(config->at("listen").origin, Origin::kFlag);
  EXPECT_EQ(config->text("log.level"), "debug");
  EXPECT_EQ(config->at("log.level").origin, Origin::kEnvironment);
  EXPECT_EQ(config->at("log.style").origin, Origin::kDefault);
}

TEST(Settings, ABoolFlagNeedsNoValue) {
  EXPECT_TRUE(load({"--insecure-listen"})->flag("insecure_listen"));
  EXPECT_FALSE(load({"--insecure-listen=false"})->flag("insecure_listen"));
  EXPECT_FALSE(load({})->flag("insecure_listen"));
  EXPECT_FALSE(load({"--insecure-listen=perhaps"}));
}

TEST(Settings, ListsAreCutAtCommas) {
  EXPECT_EQ(load({"--import-local-roots", "/a,/b"})->list("import.local_roots"),
            (std::vector<std::string>{"/a", "/b"}));
  EXPECT_TRUE(load({})->list("import.local_roots").empty());
}

TEST(Settings, AnUnknownKeyNamesTheNearest) {
  const auto config = load({}, {{"TARN_TASKS_THREAD", "2"}});
  ASSERT_FALSE(config);
  EXPECT_NE(config.error().message().find("TARN_TASKS_THREADS"), std::string::npos);
}

TEST(Settings, EveryDefaultFitsItsKind) {
  const auto config = load({});
  ASSERT_TRUE(config);
  for (const auto& setting : settings()) {
    if (setting.kind == Kind::kNumber) {
      EXPECT_EQ(std::to_string(config->number(setting.key)), setting.standard);
    }
    if (setting.kind == Kind::kBool) {
      EXPECT_TRUE(setting.standard == "true" || setting.standard == "false");
    }
  }
}

http::Request with(std::string_view name, std::string_view value) {
  http::Request out;
  out.headers.add(name, value);
  return out;
}

TEST(Settings, ADamagedLogIsCutOnlyWhenAsked) {
  EXPECT_FALSE(load({})->flag("kv.cut_damaged_log"));
  const auto asked = load({}, {{"TARN_KV_CUT_DAMAGED_LOG", "1"}});
  EXPECT_TRUE(asked->flag("kv.cut_damaged_log"));
  EXPECT_EQ(asked->at("kv.cut_damaged_log").from, "TARN_KV_CUT_DAMAGED_LOG");
  EXPECT_TRUE(load({"--kv-cut-damaged-log"})->flag("kv.cut_damaged_log"));
}

class CheckLibrary : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/tarn-library-XXXXXX";
    root_ = mkdtemp(name);
  }
  void TearDown() override { (void)disk_.remove_all(root_); }
  std::string lay(const std::string& path) {
    const std::string full = root_ + path;
    EXPECT_TRUE(disk_.make_directories(full.substr(0, full.rfind('/'))));
    EXPECT_TRUE(disk_.write_atomic(full, ""));
    return full;
  }
  Result<std::string> find(const std::string& setting = {}) {
    return find_check_library(disk_, setting, root_ + "/build/tarn");
  }
  base::Disk& disk_ = base::system_disk();
  std::string root_;
};

TEST_F(CheckLibrary, IsLookedForBesideTheProgram) {
  const auto none = find();
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code(), Code::kUnavailable);
  for (const auto* said : {"/build/libduckdb.so", "/lib/libduckdb.so", "/.deps/duckdb/libduckdb.so", "duckdb.library"})
    EXPECT_NE(none.error().message().find(said), std::string::npos) << said;
  const auto clone = lay("/.deps/duckdb/libduckdb.so");
  EXPECT_EQ(*find(), clone);
  const auto installed = lay("/lib/libduckdb.so");
  EXPECT_EQ(*find(), installed);
  const auto beside = lay("/build/libduckdb.so");
  EXPECT_EQ(*find(), beside);
}

TEST_F(CheckLibrary, ThatIsNamedIsTakenOrMissed) {
  lay("/build/libduckdb.so");
  const auto named = lay("/elsewhere/duck.so");
  EXPECT_EQ(*find(named), named);
  const auto wrong = find("/nowhere/duck.so");
  ASSERT_FALSE(wrong) << "another library than the one that was asked for";
  EXPECT_NE(wrong.error().message().find("/nowhere/duck.so"), std::string::npos);
}

TEST(Dispatch, SignedOrOnAnS3HostIsS3) {
  const std::vector<std::string> domains = {"s3.localhost"};
  EXPECT_FALSE(is_s3(with("Host", "localhost:8000"), domains));
  EXPECT_FALSE(is_s3(with("Authorization", "Basic x"), domains));
  EXPECT_TRUE(is_s3(with("Authorization", "AWS4-HMAC-SHA256 Credential=x"), domains));
  EXPECT_TRUE(is_s3(with("Authorization", "AWS key:sig"), domains));
  EXPECT_TRUE(is_s3(with("Host", "S3.localhost:8000"), domains));
  EXPECT_TRUE(is_s3(with("Host", "flights.s3.localhost"), domains));
  EXPECT_FALSE(is_s3(with("Host", "nots3.localhost"), domains));
  http::Request presigned;
  presigned.query = *http::parse_query("X-Amz-Credential=x");
  EXPECT_TRUE(is_s3(presigned, domains));
}

TEST(Folder, IsMarkedOnceAndLocked) {
  char name[] = "/tmp/tarn-folder-XXXXXX";
  const std::string path = std::string(mkdtemp(name)) + "/data";
  base::FakeClock clock;
  base::SeededRandom random(1);
  {
    const auto first = open_data_folder(base::system_disk(), path, clock, random);
    ASSERT_TRUE(first);
    const auto second = open_data_folder(base::system_disk(), path, clock, random);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code(), Code::kBusy);
    EXPECT_FALSE(first->installation_id.empty());
  }
  const auto text = *base::system_disk().read_all(path + "/TARN");
  const auto again = open_data_folder(base::system_disk(), path, clock, random);
  ASSERT_TRUE(again);
  EXPECT_NE(text.find(again->installation_id), std::string::npos);
  (void)base::system_disk().remove_all(name);
}

}  // namespace
}  // namespace tarn::server
