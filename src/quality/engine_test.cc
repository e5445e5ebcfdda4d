// Facts about running a contract: every kind of fault becomes one clear finding.
#include "quality/engine.h"

#include <gtest/gtest.h>

#include <atomic>
#include <csignal>

#include <fmt/core.h>

#include "quality/session.h"
#include "quality/testing/parquet.h"

namespace tarn::quality {
namespace {

using testing::parquet;

class Gate : public ::testing::Test {
 protected:
  void SetUp() override {
    if (testing::duckdb_library().empty()) GTEST_SKIP() << "no DuckDB library: set TARN_DUCKDB_LIBRARY";
    auto started = Engine::start(options());
    ASSERT_TRUE(started) << started.error().text();
    engine_ = *std::move(started);
  }
  virtual PoolOptions options() {
    PoolOptions o;
    o.library_path = testing::duckdb_library();
    return o;
  }
  static Contract contract(const std::string& columns, const std::string& rules = "") {
    auto c = parse_contract("t.odcs.yaml",
                            fmt::format("apiVersion: v3.1.0\nkind: DataContract\nid: t\nversion: 1.0.0\nstatus: "
                                        "active\nschema:\n  - name: t\n    customProperties: [{{property: "
                                        "meshPartition, value: date}}]\n    properties:\n{}{}",
                                        columns, rules.empty() ? "" : "    quality:\n" + rules));
    if (!c) base::fail_assertion(c.error().message().c_str(), __FILE__, __LINE__);
    return *std::move(c);
  }
  Report run(const Contract& c, std::vector<ObjectBytes> changed, std::vector<ObjectBytes> baseline = {},
             std::vector<Table> references = {}) {
    CheckScope scope;
    scope.changed = {"t", std::move(changed)};
    scope.baseline = {"t", std::move(baseline)};
    scope.references = std::move(references);
    auto report = engine_->run(Context(), c, scope);
    if (!report) base::fail_assertion(report.error().text().c_str(), __FILE__, __LINE__);
    return *std::move(report);
  }
  static const Finding& at(const Report& report, std::string_view check) {
    const Finding* f = report.find(check);
    if (!f)
      base::fail_assertion(fmt::format("no finding {} in {}", check, report.to_json().dump()).c_str(), __FILE__,
                           __LINE__);
    return *f;
  }
  std::unique_ptr<Engine> engine_;
};

const std::string kTwo =
    "      - {name: a, logicalType: integer, physicalType: INTEGER, required: true}\n"
    "      - {name: b, logicalType: string, physicalType: VARCHAR}\n";

TEST_F(Gate, GoodDataPasses) {
  const Report r = run(contract(kTwo), {parquet("t/date=2013-10-01/a.parquet", "SELECT 1::INTEGER AS a, 'x' AS b")});
  EXPECT_TRUE(r.passed) << r.to_json().dump_pretty();
  EXPECT_EQ(r.rows, 1);
  EXPECT_EQ(r.count("passed"), static_cast<int64_t>(r.findings.size()));
}

TEST_F(Gate, TruncatedAndForeignFilesAreNamed) {
  std::string half = testing::parquet_bytes("SELECT range::INTEGER AS a, 'x' AS b FROM range(1000)");
  half.resize(half.size() / 2);
  const Report r = run(contract(kTwo), {parquet("t/date=2013-10-01/a.parquet", "SELECT 1::INTEGER AS a, 'x' AS b"),
                                        testing::object_of("t/date=2013-10-02/half.parquet", half),
                                        testing::object_of("t/date=2013-10-03/text.parquet", "a,b\n1,2\n"),
                                        testing::object_of("t/date=2013-10-04/empty.parquet", "")});
  EXPECT_FALSE(r.passed);
  const Finding& f = at(r, "schema.readable");
  EXPECT_EQ(f.result, "failed");
  EXPECT_EQ(f.object, "t/date=2013-10-02/half.parquet");
  EXPECT_EQ(f.observed["unreadable"].size(), 3U) << f.to_json().dump_pretty();
  EXPECT_EQ(f.observed_text.find("/proc/"), std::string::npos) << f.observed_text;
  EXPECT_EQ(at(r, "schema.a.required").result, "passed") << "the readable object is tested all the same";
}

TEST_F(Gate, BrokenPagesUnderAGoodFooterAreFound) {
  std::string bytes = testing::parquet_bytes("SELECT range::INTEGER AS a, md5(range::VARCHAR) AS b FROM range(5000)");
  for (size_t i = 100; i < bytes.size() / 2; ++i) bytes[i] = static_cast<char>(i * 37);
  const Report r = run(contract(kTwo), {testing::object_of("t/date=2013-10-01/bad.parquet", bytes)});
  EXPECT_FALSE(r.passed);
  EXPECT_EQ(at(r, "schema.readable").result, "failed") << r.to_json().dump_pretty();
  EXPECT_EQ(at(r, "schema.readable").object, "t/date=2013-10-01/bad.parquet");
}

TEST_F(Gate, SchemaDriftNamesTypeAndMissingColumn) {
  const Report r = run(contract(kTwo), {parquet("t/date=2013-10-01/a.parquet", "SELECT 'n' AS a, 'x' AS bb")});
  EXPECT_FALSE(r.passed);
  EXPECT_EQ(at(r, "schema.a.type").result, "failed");
  EXPECT_EQ(at(r, "schema.a.type").observed_text, "VARCHAR in t/date=2013-10-01/a.parquet");
  EXPECT_EQ(at(r, "schema.a.type").expected, "integer (INTEGER)");
  EXPECT_EQ(at(r, "schema.b.type").observed_text, "missing in t/date=2013-10-01/a.parquet");
  EXPECT_EQ(at(r, "schema.a.required").result, "skipped");
}

TEST_F(Gate, PhysicalTypeAloneIsTestedToo) {
  const Report r = run(contract(kTwo), {parquet("t/date=2013-10-01/a.parquet", "SELECT 1::BIGINT AS a, 'x' AS b")});
  EXPECT_EQ(at(r, "schema.a.type").result, "failed");
  EXPECT_EQ(at(r, "schema.a.required").result, "passed") << "its values can still be tested";
}

TEST_F(Gate, NullSpikeTellsPercentRowsAndSample) {
  const Contract c = contract(
      "      - {name: a, logicalType: integer, quality: [{id: a-known, metric: nullValues, "
      "mustBeLessOrEqualTo: 1, unit: percent}]}\n");
  const Report r = run(c, {parquet("t/date=2013-10-01/a.parquet",
                                   "SELECT CASE WHEN range % 8 = 0 THEN NULL ELSE range END AS a FROM range(200)")});
  const Finding& f = at(r, "a-known");
  EXPECT_EQ(f.result, "failed");
  EXPECT_EQ(f.expected, "<= 1 percent");
  EXPECT_EQ(f.observed_text, "12.5 percent (25 of 200 rows)");
  EXPECT_EQ(f.failing_rows, 25);
  EXPECT_EQ(f.partition, "2013-10-01");
  EXPECT_EQ(f.sample_rows.size(), 20U);
}

TEST_F(Gate, ClassifiedValuesAreHidden) {
  const Contract c = contract(
      "      - {name: a, logicalType: integer, required: true}\n"
      "      - {name: mail, logicalType: string, classification: pii}\n");
  const Report r =
      run(c, {parquet("t/date=2013-10-01/a.parquet", "SELECT NULL::INTEGER AS a, 'x@y' AS mail, 'x@y' AS copy")});
  const std::string text = r.to_json().dump();
  EXPECT_EQ(text.find("x@y"), std::string::npos) << text;
  EXPECT_NE(text.find("(hidden)"), std::string::npos);
}

TEST_F(Gate, DuplicatesCountRowsBeyondTheFirst) {
  const Contract c =
      contract("      - {name: a, logicalType: integer, primaryKey: true}\n      - {name: b, logicalType: integer}\n",
               "      - {id: pair, metric: duplicateValues, arguments: {properties: [a, b]}, mustBe: 0}\n");
  const Report r =
      run(c, {parquet("t/date=2013-10-01/a.parquet",
                      "SELECT * FROM (VALUES (1, 1), (1, 1), (1, 1), (2, 1), (2, 2), (3, NULL), (3, NULL)) v(a, b)")});
  EXPECT_EQ(at(r, "pair").observed["value"].as_int(), 2);
  EXPECT_EQ(at(r, "pair").observed_text, "2 of 7 rows, 1 key comes more than once");
  EXPECT_EQ(at(r, "pair").sample_rows.dump(), R"([{"a":1,"b":1,"rows":3}])");
  EXPECT_EQ(at(r, "schema.key").observed["value"].as_int(), 4);
}

TEST_F(Gate, ValueOptionsAreTested) {
  const Contract c = contract(
      "      - {name: n, logicalType: number, logicalTypeOptions: {minimum: 0, exclusiveMaximum: 250}}\n"
      "      - {name: s, logicalType: string, logicalTypeOptions: {pattern: '^[A-Z]{3}$', maxLength: 3}}\n"
      "      - {name: t, logicalType: timestamp, logicalTypeOptions: {minimum: 2013-01-01}}\n"
      "      - {name: d, logicalType: date, logicalTypeOptions: {maximum: 2013-12-31}}\n");
  const Report r =
      run(c, {parquet("t/date=2013-10-01/a.parquet",
                      "SELECT * FROM (VALUES (1.5::DOUBLE, 'ABC', TIMESTAMP '2013-01-01', DATE '2013-12-31'), (250, "
                      "'ABCD', TIMESTAMP '2012-12-31 23:00', DATE '2014-01-01'), (NULL, NULL, NULL, NULL), "
                      "(1048.36, 'abc', NULL, NULL)) v(n, s, t, d)")});
  EXPECT_EQ(at(r, "schema.n.range").failing_rows, 2) << r.to_json().dump_pretty();
  EXPECT_EQ(at(r, "schema.n.range").expected, ">= 0 and < 250");
  EXPECT_EQ(at(r, "schema.s.pattern").failing_rows, 2);
  EXPECT_EQ(at(r, "schema.s.length").failing_rows, 1);
  EXPECT_EQ(at(r, "schema.t.range").failing_rows, 1);
  EXPECT_EQ(at(r, "schema.d.range").failing_rows, 1);
}

TEST_F(Gate, MissingAndInvalidValuesFollowTheirLists) {
  const Contract c = contract(
      "      - {name: s, logicalType: string, quality: [{id: m, metric: missingValues, arguments: {missingValues: "
      "[null, '', NA]}, "
      "mustBe: 0}, {id: i, metric: invalidValues, arguments: {validValues: [A, B]}, mustBe: 0, severity: warning}]}\n"
      "      - {name: n, logicalType: integer, quality: [{id: v, metric: invalidValues, arguments: {validValues: [1, "
      "2]}, mustBe: 0}]}\n");
  const Report r =
      run(c, {parquet("t/date=2013-10-01/a.parquet",
                      "SELECT * FROM (VALUES ('A', 1), ('', 2), ('NA', 3), (NULL, NULL), ('it''s', 4)) v(s, n)")});
  EXPECT_EQ(at(r, "m").failing_rows, 3);
  EXPECT_EQ(at(r, "i").failing_rows, 3);
  EXPECT_EQ(at(r, "i").result, "warned");
  EXPECT_EQ(at(r, "v").failing_rows, 2);
}

TEST_F(Gate, SqlRuleReadsObjectReferenceAndPartitionColumn) {
  const Contract c = contract("      - {name: dest, logicalType: string}\n",
                              "      - {id: known, type: sql, query: 'SELECT count(*) FROM ${object} f WHERE NOT "
                              "EXISTS (SELECT 1 FROM ${reference.airports} a "
                              "WHERE a.faa = f.dest)', mustBe: 0, customProperties: [{property: meshExplain, value: "
                              "'SELECT dest, count(*) AS n FROM "
                              "${object} GROUP BY dest ORDER BY n DESC'}]}\n"
                              "      - {id: day, type: sql, query: \"SELECT count(*) FROM ${table} WHERE date <> DATE "
                              "'2013-10-01'\", mustBe: 0}\n");
  const Report r = run(c, {parquet("t/date=2013-10-01/a.parquet", "SELECT unnest(['LAX', 'SJU', 'SJU']) AS dest")}, {},
                       {{"airports", {parquet("airports.parquet", "SELECT 'LAX' AS faa")}}});
  EXPECT_EQ(at(r, "known").result, "failed");
  EXPECT_EQ(at(r, "known").failing_rows, 2);
  EXPECT_EQ(at(r, "known").sample_rows.items()[0].dump(), R"({"dest":"SJU","n":2})");
  EXPECT_EQ(at(r, "day").result, "passed") << at(r, "day").observed_text;
}

TEST_F(Gate, ReferenceThatWasNotGivenIsUndecidedAndOneWithoutDataSkipped) {
  const Contract c =
      contract("      - {name: dest, logicalType: string}\n",
               "      - {id: k, type: sql, query: 'SELECT count(*) FROM ${reference.airports}', mustBe: 0}\n");
  const auto object = parquet("t/date=2013-10-01/a.parquet", "SELECT 'LAX' AS dest");
  const Report without = run(c, {object});
  EXPECT_EQ(at(without, "k").result, "error");
  EXPECT_NE(at(without, "k").observed_text.find("'airports'"), std::string::npos);
  EXPECT_FALSE(without.passed);
  const Report empty = run(c, {object}, {}, {{"airports", {}}});
  EXPECT_EQ(at(empty, "k").result, "skipped");
}

TEST_F(Gate, BadQueryIsUndecidedAndTheOthersGoOn) {
  const Contract c =
      contract(kTwo,
               "      - {id: bad, type: sql, query: 'SELECT nothing FROM ${object}', mustBe: 0}\n"
               "      - {id: write, type: sql, query: 'DROP TABLE tarn_changed', mustBe: 0}\n"
               "      - {id: file, type: sql, query: \"SELECT count(*) FROM read_text('/etc/passwd')\", mustBe: 0}\n"
               "      - {id: two, type: sql, query: 'SELECT 1, 2', mustBe: 0}\n"
               "      - {id: nil, type: sql, query: 'SELECT NULL', mustBe: 0}\n"
               "      - {id: good, type: sql, query: 'SELECT count(*) = 1 FROM ${object};', mustBe: true}\n");
  const Report r = run(c, {parquet("t/date=2013-10-01/a.parquet", "SELECT 1::INTEGER AS a, 'x' AS b")});
  for (const char* id : {"bad", "write", "file", "two", "nil"}) EXPECT_EQ(at(r, id).result, "error") << id;
  EXPECT_EQ(at(r, "good").result, "passed") << at(r, "good").observed_text;
  EXPECT_FALSE(r.passed) << "what could not be decided never passes a gate";
}

TEST_F(Gate, TextRuleIsShownAndNeverPasses) {
  const Report r = run(contract(kTwo, "      - {id: w, type: text, description: be nice}\n"),
                       {parquet("t/date=2013-10-01/a.parquet", "SELECT 1::INTEGER AS a, 'x' AS b")});
  EXPECT_EQ(at(r, "w").result, "skipped");
  EXPECT_TRUE(r.passed);
}

std::string day(int n) { return fmt::format("2013-10-{:02}", n); }

class Partitions : public Gate {
 protected:
  static ObjectBytes weather(int n, int hours) {
    return parquet(
        fmt::format("t/date={}/w.parquet", day(n)),
        fmt::format(
            "SELECT o.origin, {} AS day, h.hour::INTEGER AS hour FROM (SELECT unnest(['EWR', 'JFK']) AS origin) o, "
            "(SELECT unnest(range({})) AS hour) h",
            n, hours));
  }
  static std::string rule(int window, const std::string& more = "") {
    return fmt::format(
        "      - {{id: size, metric: rowCount, mustBeGreaterThan: 0, customProperties: [{{property: meshBaseline, "
        "value: "
        "{{partition: date, window: {}, maxBelowPercent: 10{}}}}}]}}\n",
        window, more);
  }
  const std::string kKey =
      "      - {name: origin, logicalType: string, primaryKey: true, primaryKeyPosition: 1}\n"
      "      - {name: day, logicalType: integer, primaryKey: true, primaryKeyPosition: 2}\n"
      "      - {name: hour, logicalType: integer, primaryKey: true, primaryKeyPosition: 3}\n";
};

TEST_F(Partitions, ShortOneIsComparedWithTheMedianAndItsMissingKeysNamed) {
  std::vector<ObjectBytes> before;
  for (int n = 1; n <= 5; ++n) before.push_back(weather(n, 24));
  const Report r = run(contract(kKey, rule(5)), {weather(6, 21)}, before);
  const Finding& f = at(r, "size");
  EXPECT_EQ(f.result, "failed");
  EXPECT_EQ(f.expected, ">= 43.2 (median 48 of 5, at most 10 % below) and > 0 rows");
  EXPECT_EQ(f.observed_text, "42 rows");
  EXPECT_EQ(f.observed["median"].as_double(), 48);
  EXPECT_EQ(f.missing_keys.size(), 6U);
  EXPECT_EQ(f.missing_keys.items()[0].dump(), R"({"origin":"EWR","hour":21})");
}

TEST_F(Partitions, WithoutEnoughBeforeItIsNotCompared) {
  const Report r = run(contract(kKey, rule(5)), {weather(6, 3)}, {weather(5, 24)});
  EXPECT_EQ(at(r, "size").result, "passed");
  EXPECT_EQ(at(r, "size").observed_text, "6 rows; not compared: 1 of 5 partitions before it");
}

TEST_F(Partitions, WholeHistoryGivesOneFindingForEachShortOne) {
  std::vector<ObjectBytes> all;
  for (int n = 1; n <= 12; ++n) all.push_back(weather(n, n == 8 || n == 11 ? 12 : 24));
  const Report r = run(contract(kKey, rule(5)), all);
  std::vector<std::string> failed;
  for (const Finding& f : r.findings)
    if (f.result == "failed") failed.push_back(f.partition);
  EXPECT_EQ(failed, (std::vector<std::string>{day(8), day(11)}));
  EXPECT_EQ(r.findings.back().observed_text, "10 of 12 partitions hold; 5 not compared for want of 5 before them");
}

TEST_F(Partitions, EqualFilesInTwoPartitionsAreTwoObjects) {
  const ObjectBytes one = parquet("t/date=2013-10-01/w.parquet", "SELECT 'EWR' AS origin, 1 AS day, 1 AS hour");
  ObjectBytes two = one;
  two.path = "t/date=2013-10-02/w.parquet";
  const Report r = run(
      contract(kKey, "      - {id: n, type: sql, query: 'SELECT count(*) FROM ${object}', mustBe: 2}\n"), {one, two});
  EXPECT_EQ(r.rows, 2);
  EXPECT_EQ(at(r, "n").result, "passed") << at(r, "n").observed_text;
}

TEST_F(Partitions, RuleCanBeTestedInEachPartition) {
  const Report r =
      run(contract(kKey,
                   "      - {id: n, type: sql, query: 'SELECT count(*) FROM ${object}', mustBeGreaterThan: 10, "
                   "customProperties: [{property: meshScope, value: partition}]}\n"),
          {weather(1, 24), weather(2, 4), weather(3, 24)});
  EXPECT_EQ(at(r, "n").partition, day(2));
  EXPECT_EQ(at(r, "n").observed["value"].as_int(), 8);
}

TEST_F(Gate, ReportOfTheSameDataHasTheSameDigest) {
  const Contract c = contract(kTwo, "      - {id: s, type: sql, query: 'SELECT count(*) FROM ${object}', mustBe: 0}\n");
  std::vector<ObjectBytes> objects = {
      parquet("t/date=2013-10-01/a.parquet", "SELECT NULL::INTEGER AS a, 'x' AS b FROM range(50)"),
      parquet("t/date=2013-10-02/a.parquet", "SELECT range::INTEGER AS a, 'y' AS b FROM range(50)")};
  const std::string first = run(c, objects).digest();
  EXPECT_EQ(run(c, objects).digest(), first);
  auto again = Engine::start(options());
  ASSERT_TRUE(again);
  engine_ = *std::move(again);
  EXPECT_EQ(run(c, objects).digest(), first);
}

TEST_F(Gate, ObjectThatCannotBeLoadedIsAnErrorAndNoFinding) {
  ObjectBytes gone{"t/date=2013-10-01/a.parquet", "sum",
                   []() -> Result<std::string> { return Error(Code::kUnavailable, "block", "disk"); }};
  CheckScope scope;
  scope.changed = {"t", {gone}};
  auto report = engine_->run(Context(), contract(kTwo), scope);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code(), Code::kUnavailable);
  EXPECT_TRUE(run(contract(kTwo), {parquet("t/date=2013-10-01/a.parquet", "SELECT 1::INTEGER AS a, 'x' AS b")}).passed)
      << "the worker serves the next run";
}

class SmallMemory : public Gate {
  PoolOptions options() override {
    PoolOptions o = Gate::options();
    o.check_ms_max = 500;
    return o;
  }
};

TEST_F(SmallMemory, RunawayRuleIsUndecidedAndTheOthersGoOn) {
  const Contract c =
      contract(kTwo,
               "      - {id: slow, type: sql, query: 'SELECT sum(hash(a.range + b.range) % 7) FROM range(200000) a, "
               "range(200000) b', mustBe: 0}\n"
               "      - {id: after, type: sql, query: 'SELECT count(*) FROM ${object}', mustBe: 1}\n");
  const Report r = run(c, {parquet("t/date=2013-10-01/a.parquet", "SELECT 1::INTEGER AS a, 'x' AS b")});
  EXPECT_EQ(at(r, "slow").result, "error");
  EXPECT_NE(at(r, "slow").observed_text.find("time limit of 500 ms"), std::string::npos);
  EXPECT_EQ(at(r, "after").result, "passed") << at(r, "after").observed_text;
}

TEST_F(Gate, WorkerThatDiesIsReplacedAndItsTablesMadeAgain) {
  auto opened = Session::open(engine_->pool(), Context());
  ASSERT_TRUE(opened) << opened.error().text();
  Session& session = **opened;
  ASSERT_TRUE(session.define("CREATE TEMP TABLE mine AS SELECT 42 AS n"));
  ::kill(session.worker_pid(), SIGKILL);
  auto lost = session.query("SELECT n FROM mine");
  ASSERT_FALSE(lost);
  EXPECT_EQ(lost.error().code(), Code::kUnavailable);
  auto rows = session.query("SELECT n FROM mine");
  ASSERT_TRUE(rows) << rows.error().text();
  EXPECT_EQ(rows->rows[0][0].as_int(), 42);
}

class TwoWorkers : public Gate {
  PoolOptions options() override {
    PoolOptions o = Gate::options();
    o.workers = 2;
    o.runs_per_worker = 7;
    return o;
  }
};

TEST_F(TwoWorkers, ManyThreadsGetTheSameReport) {
  const Contract c = contract(kTwo);
  const ObjectBytes object =
      parquet("t/date=2013-10-01/a.parquet", "SELECT NULL::INTEGER AS a, 'x' AS b FROM range(30)");
  const std::string digest = run(c, {object}).digest();
  std::atomic<int> same = 0;
  {
    std::vector<base::Thread> threads;
    for (int t = 0; t < 4; ++t)
      threads.emplace_back([&] {
        for (int i = 0; i < 10; ++i) same += run(c, {object}).digest() == digest ? 1 : 0;
      });
  }
  EXPECT_EQ(same, 40);
}

TEST_F(Gate, ProfileAndQueryReadTables) {
  auto profile = engine_->profile(
      Context(), {parquet("a.parquet", "SELECT * FROM (VALUES (1, 'x'), (NULL, 'y'), (3, 'y')) v(n, s)")});
  ASSERT_TRUE(profile) << profile.error().text();
  EXPECT_EQ(profile->to_json().dump(),
            R"({"rows":3,"columns":[{"name":"n","type":"INTEGER","nulls":1,"distinct":2,"min":1,"max":3},)"
            R"({"name":"s","type":"VARCHAR","nulls":0,"distinct":2,"min":"x","max":"y"}]})");
  auto rows = engine_->query(
      Context(), "SELECT l.n FROM l ANTI JOIN r USING (n)",
      {{"l", {parquet("l.parquet", "SELECT unnest([1, 2]) AS n")}}, {"r", {parquet("r.parquet", "SELECT 2 AS n")}}});
  ASSERT_TRUE(rows) << rows.error().text();
  EXPECT_EQ(rows->dump(), R"({"columns":["n"],"rows":[[1]],"more":false})");
}

TEST_F(Gate, CancelledRunEndsWithThatError) {
  Context ctx;
  ctx.cancel();
  CheckScope scope;
  scope.changed = {"t", {parquet("t/date=2013-10-01/a.parquet", "SELECT 1::INTEGER AS a, 'x' AS b")}};
  auto report = engine_->run(ctx, contract(kTwo), scope);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code(), Code::kCancelled);
}

TEST(EngineStart, WithoutALibraryIsUnavailableAndSaysTheCure) {
  PoolOptions options;
  options.library_path = "";
  auto engine = Engine::start(options);
  ASSERT_FALSE(engine);
  EXPECT_EQ(engine.error().code(), Code::kUnavailable);
  EXPECT_NE(engine.error().message().find("TARN_DUCKDB_LIBRARY"), std::string::npos) << engine.error().text();
}

}  // namespace
}  // namespace tarn::quality
