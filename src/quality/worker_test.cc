// Facts about the check worker: what it can do and above all what it cannot.
#include "quality/worker.h"

#include <gtest/gtest.h>

#include <cstring>

#include <fmt/core.h>

#include "quality/pool.h"
#include "quality/testing/parquet.h"

namespace tarn::quality {
namespace {

PoolOptions test_options() {
  PoolOptions options;
  options.library_path = testing::duckdb_library();
  return options;
}

class Worker : public ::testing::Test {
 protected:
  void SetUp() override {
    if (testing::duckdb_library().empty()) GTEST_SKIP() << "no DuckDB library: set TARN_DUCKDB_LIBRARY";
    auto started = WorkerHandle::start(options_, base::system_clock());
    ASSERT_TRUE(started) << started.error().text();
    worker_ = *std::move(started);
    ASSERT_TRUE(worker_->begin());
  }
  std::string error_of(const std::string& sql, bool user = true) {
    auto rows = worker_->query(Context(), sql, user);
    return rows ? "" : rows.error().message();
  }
  PoolOptions options_ = test_options();
  std::unique_ptr<WorkerHandle> worker_;
};

TEST_F(Worker, ReadsAnObjectThatItWasGranted) {
  const ObjectBytes object = testing::parquet("a.parquet", "SELECT range AS n FROM range(10)");
  auto path = worker_->grant(object);
  ASSERT_TRUE(path) << path.error().text();
  auto rows =
      worker_->query(Context(), fmt::format("SELECT sum(n), 1.5, 'x', NULL, true FROM read_parquet('{}')", *path));
  ASSERT_TRUE(rows) << rows.error().text();
  EXPECT_EQ(Json(rows->rows[0]).dump(), R"([45,1.5,"x",null,true])");
}

TEST_F(Worker, SandboxHoldsOnThisKernel) {
#if defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "the sandbox is reduced under the address sanitizer";
#endif
  EXPECT_EQ(worker_->lacking(), std::vector<std::string>{});
}

TEST_F(Worker, CannotReadFilesOfTheMachine) {
  for (const char* sql : {"SELECT * FROM read_text('/etc/passwd')", "SELECT * FROM read_blob('/proc/self/environ')",
                          "SELECT * FROM glob('/*')", "SELECT * FROM read_csv('/etc/hostname')"})
    EXPECT_NE(error_of(sql), "") << sql;
}

TEST_F(Worker, CannotReadAnObjectOfAnEarlierRun) {
  auto path = worker_->grant(testing::parquet("a.parquet", "SELECT 1 AS n"));
  ASSERT_TRUE(path);
  ASSERT_TRUE(worker_->begin());
  EXPECT_NE(error_of(fmt::format("SELECT * FROM read_parquet('{}')", *path)), "");
  EXPECT_NE(error_of(fmt::format("SELECT * FROM read_parquet('/proc/self/fd/{}')", kStoreBase)), "");
  EXPECT_NE(error_of(fmt::format("SELECT * FROM read_parquet('/proc/self/fd/96/../{}')", kStoreBase)), "");
}

TEST_F(Worker, UserQueryMustBeOneSelect) {
  EXPECT_EQ(error_of("SELECT 1"), "");
  EXPECT_EQ(error_of("WITH a AS (SELECT 1) FROM a ; "), "");
  EXPECT_NE(error_of("SELECT 1; SELECT 2"), "");
  for (const char* sql :
       {"CREATE TABLE t (a INT)", "DROP TABLE t", "COPY (SELECT 1) TO '/tmp/tarn-x'", "ATTACH '/tmp/x.db'",
        "INSTALL httpfs", "SET threads = 8", "PRAGMA database_list", "SELECT 1) UNION (SELECT 2", ""})
    EXPECT_NE(error_of(sql), "") << sql;
}

TEST_F(Worker, SettingsAreLocked) {
  EXPECT_NE(error_of("SET enable_external_access = true", false), "");
  EXPECT_NE(error_of("SET memory_limit = '100GB'", false), "");
  EXPECT_NE(error_of("INSTALL httpfs", false), "");
  EXPECT_NE(error_of("COPY (SELECT 1) TO '/tmp/tarn-sandbox-probe'", false), "");
}

TEST_F(Worker, OutputOfAUserQueryIsCapped) {
  auto rows = worker_->query(Context(), "SELECT * FROM range(100000)", true, 50);
  ASSERT_TRUE(rows);
  EXPECT_EQ(rows->rows.size(), 50U);
  EXPECT_TRUE(rows->more);
}

class SlowWorker : public Worker {
 protected:
  SlowWorker() { options_.check_ms_max = 300; }
};

TEST_F(SlowWorker, RunawayQueryIsInterruptedAndTheWorkerGoesOn) {
  auto rows =
      worker_->query(Context(), "SELECT sum(hash(a.range + b.range) % 7) FROM range(200000) a, range(200000) b");
  ASSERT_FALSE(rows);
  EXPECT_EQ(rows.error().code(), Code::kDeadline) << rows.error().text();
  ASSERT_TRUE(worker_->alive());
  EXPECT_TRUE(worker_->query(Context(), "SELECT 1"));
}

TEST_F(Worker, MemoryLimitIsAnErrorOfTheQuery) {
  EXPECT_NE(
      error_of("SELECT count(DISTINCT (a, b)) FROM (SELECT range AS a, md5(range::VARCHAR) || repeat('x', 200) AS b "
               "FROM range(20000000))"),
      "");
}

TEST(WorkerStart, WithoutTheLibraryTheErrorNamesTheCure) {
  PoolOptions options;
  options.library_path = "/nowhere/libduckdb.so";
  auto started = WorkerHandle::start(options, base::system_clock());
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().code(), Code::kUnavailable);
  EXPECT_NE(started.error().message().find("TARN_DUCKDB_LIBRARY"), std::string::npos) << started.error().text();
}

}  // namespace
}  // namespace tarn::quality

/// The test program is its own check worker.
int main(int argc, char** argv) {
  if (argc > 1 && std::strcmp(argv[1], "--check-worker") == 0)
    return tarn::quality::check_worker_main(tarn::quality::kWorkerChannel);
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
