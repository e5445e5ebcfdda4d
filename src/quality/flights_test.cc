// The example's contracts over the real flights of 2013: what the data is known to hold must be found, and no more.
// Needs TARN_DUCKDB_LIBRARY, and the data: TARN_FLIGHTS_ARCHIVE with TARN_PYTHON, or a folder in TARN_FLIGHTS_DATA.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

#include <fmt/core.h>

#include "quality/contract_diff.h"
#include "quality/engine.h"
#include "quality/testing/parquet.h"

namespace tarn::quality {
namespace {

/// The first of two places seen from the source folder and from the build folder.
std::string near(const std::string& path) {
  for (const char* root : {"", "../"})
    if (base::system_disk().stat(root + path)) return root + path;
  return "";
}

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

/// The folder that the example's source.py makes, made once when an archive and a Python with DuckDB are named.
const std::string& data_folder() {
  static const std::string folder = [] {
    std::string named = variable("TARN_FLIGHTS_DATA");
    const std::string python = variable("TARN_PYTHON"), archive = variable("TARN_FLIGHTS_ARCHIVE");
    const std::string script = near("examples/flights/source.py");
    if (!named.empty() || python.empty() || archive.empty() || script.empty()) return named;
    const std::string out = testing::scratch() + "/flights";
    const std::string command = fmt::format("'{}' '{}' --archive '{}' --out '{}'", python, script, archive, out);
    return std::system(command.c_str()) == 0 ? out : std::string();
  }();
  return folder;
}

std::string example(const std::string& path) {
  auto text = base::system_disk().read_all(near("examples/flights/mesh/") + path);
  return text ? *text : "";
}

// Goal: the example's contracts are read without an error.
TEST(ExampleContracts, AreAllRead) {
  if (example("weather/contracts/hourly.odcs.yaml").empty())
    GTEST_SKIP() << "run this from the source or the build folder";
  for (const char* path :
       {"airlines/contracts/airlines", "airports/contracts/airports", "planes/contracts/planes",
        "flights/contracts/flights", "weather/contracts/hourly", "weather/contracts/hourly@2",
        "analytics/contracts/delays", "analytics/contracts/stage_clean_flights",
        "analytics/contracts/stage_carrier_report", "analytics/contracts/stage_flights_weather",
        "analytics/expectations/flights", "analytics/expectations/weather", "analytics/expectations/planes",
        "analytics/expectations/airports", "analytics/expectations/airlines"}) {
    const std::string file = fmt::format("{}.odcs.yaml", path);
    const auto c = parse_contract(file, example(file));
    EXPECT_TRUE(c) << c.error().text();
    if (c)
      for (const std::string& w : c->warnings) std::cout << w << "\n";
  }
}

// Goal: the new major of the weather port, keyed on the hour in UTC, is a breaking change of the old one.
TEST(ExampleContracts, WeatherKeyedOnTheUtcHourBreaksTheOldKey) {
  if (example("weather/contracts/hourly.odcs.yaml").empty())
    GTEST_SKIP() << "run this from the source or the build folder";
  const auto one = parse_contract("1", example("weather/contracts/hourly.odcs.yaml"));
  const auto two = parse_contract("2", example("weather/contracts/hourly@2.odcs.yaml"));
  ASSERT_TRUE(one);
  ASSERT_TRUE(two);
  const ContractDiff d = diff_contracts(*one, *two);
  EXPECT_TRUE(d.breaking()) << d.to_json().dump_pretty();
  EXPECT_TRUE(check_version_step(*one, *two, d));
  EXPECT_NE(std::ranges::find(d.changes, "hourly.key", &Change::path), d.changes.end());
}

class Flights : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (testing::duckdb_library().empty()) return;
    PoolOptions options;
    options.library_path = testing::duckdb_library();
    auto started = Engine::start(options);
    ASSERT_TRUE(started) << started.error().text();
    engine_ = started->release();
  }
  static void TearDownTestSuite() { delete engine_; }
  void SetUp() override {
    if (testing::duckdb_library().empty()) GTEST_SKIP() << "no DuckDB library: set TARN_DUCKDB_LIBRARY";
    if (data_folder().empty())
      GTEST_SKIP() << "no flights: set TARN_FLIGHTS_ARCHIVE and TARN_PYTHON, or TARN_FLIGHTS_DATA to what "
                      "examples/flights/source.py made";
    if (example("weather/contracts/hourly.odcs.yaml").empty())
      GTEST_SKIP() << "run this from the source or the build folder";
  }

  static Contract contract(const std::string& path) {
    auto c = parse_contract(path, example(path));
    if (!c) base::fail_assertion(c.error().message().c_str(), __FILE__, __LINE__);
    return *std::move(c);
  }
  /// "2013-10-25" from its number in the year, 0-based.
  static std::string day(int n) { return base::rfc3339(1356998400000LL + int64_t{86400000} * n).substr(0, 10); }

  static std::vector<ObjectBytes> days(const std::string& table, int from, int to) {
    std::vector<ObjectBytes> out;
    for (int n = from; n < to; ++n) {
      const std::string path = fmt::format("{}/date={}/{}.parquet", table, day(n), table);
      for (const char* part : {"history", "drops"}) {
        const std::string file = fmt::format("{}/{}/{}", data_folder(), part, path);
        if (!base::system_disk().stat(file)) continue;
        out.push_back({path, file, [file] { return base::system_disk().read_all(file); }});
      }
    }
    return out;
  }
  static Table whole(const std::string& table) {
    const std::string file = fmt::format("{}/history/{}/{}.parquet", data_folder(), table, table);
    return {
        table,
        {{fmt::format("{}/{}.parquet", table, table), file, [file] { return base::system_disk().read_all(file); }}}};
  }
  static Report run(const Contract& c, std::vector<ObjectBytes> changed, std::vector<ObjectBytes> baseline = {},
                    std::vector<Table> references = {}) {
    CheckScope scope;
    scope.changed = {"", std::move(changed)};
    scope.baseline = {"", std::move(baseline)};
    scope.references = std::move(references);
    auto report = engine_->run(Context(), c, scope);
    if (!report) base::fail_assertion(report.error().text().c_str(), __FILE__, __LINE__);
    return *std::move(report);
  }
  /// Each day from October on against the 28 before it. @return "day check" of what did not pass.
  static std::vector<std::string> refusals(const Contract& c, const std::string& table, std::string_view result) {
    std::vector<std::string> out;
    int64_t slowest = 0, total = 0;
    for (int n = 273; n < 365; ++n) {
      auto changed = days(table, n, n + 1);
      if (changed.empty()) continue;
      const Report r = run(c, changed, days(table, n - 28, n));
      slowest = std::max(slowest, r.duration_ms);
      total += r.duration_ms;
      for (const Finding& f : r.findings) {
        EXPECT_NE(f.result, "error") << f.to_json().dump_pretty();
        if (f.result == result) out.push_back(day(n) + " " + f.check);
      }
    }
    std::cout << fmt::format("{}: 92 days tested in {} ms, slowest {} ms\n", table, total, slowest);
    return out;
  }
  static Engine* engine_;
};
Engine* Flights::engine_ = nullptr;

constexpr int kFirstOctober = 273;

TEST_F(Flights, WeatherRefusesExactlyTheFourDays) {
  const Contract c = contract("weather/contracts/hourly.odcs.yaml");
  EXPECT_EQ(refusals(c, "weather", "failed"),
            (std::vector<std::string>{"2013-10-25 day-size", "2013-11-02 day-size", "2013-11-03 hourly-key",
                                      "2013-12-30 day-size"}));
}

TEST_F(Flights, WeatherKeyedOnTheUtcHourAcceptsTheDayOfTheClockChange) {
  const Contract c = contract("weather/contracts/hourly@2.odcs.yaml");
  EXPECT_EQ(refusals(c, "weather", "failed"),
            (std::vector<std::string>{"2013-10-25 day-size", "2013-11-02 day-size", "2013-12-30 day-size"}));
}

TEST_F(Flights, ShortWeatherDayNamesItsMissingHours) {
  const Contract c = contract("weather/contracts/hourly.odcs.yaml");
  const Report r = run(c, days("weather", 297, 298), days("weather", 269, 297));
  const Finding* f = r.find("day-size");
  ASSERT_TRUE(f);
  EXPECT_EQ(f->observed["value"].as_int(), 60);
  EXPECT_EQ(f->expected, ">= 64.8 (median 72 of 28, at most 10 % below) and > 0 rows");
  EXPECT_EQ(f->partition, "2013-10-25");
  ASSERT_EQ(f->missing_keys.size(), 12U);
  EXPECT_EQ(f->missing_keys.items()[0].dump(), R"({"origin":"EWR","hour":20})");
  EXPECT_EQ(f->missing_keys.items()[3]["hour"].as_int(), 23);
}

TEST_F(Flights, ShortWeatherDayNamesItsMissingHoursWithoutAnExplainingQuery) {
  Contract c = contract("weather/contracts/hourly.odcs.yaml");
  for (Rule& rule : c.schemas[0].rules) rule.explain.clear();
  // 12-30: hours 19 to 23 of each airport.
  const Report r = run(c, days("weather", 363, 364), days("weather", 335, 363));
  const Finding* f = r.find("day-size");
  ASSERT_TRUE(f);
  EXPECT_EQ(f->observed["value"].as_int(), 57);
  ASSERT_EQ(f->missing_keys.size(), 15U) << f->missing_keys.dump_pretty();
  EXPECT_EQ(f->missing_keys.items()[0].dump(), R"({"origin":"EWR","hour":19})");
}

TEST_F(Flights, ClockChangeShowsTheThreeKeysThatComeTwice) {
  const Report r =
      run(contract("weather/contracts/hourly.odcs.yaml"), days("weather", 306, 307), days("weather", 278, 306));
  const Finding* f = r.find("hourly-key");
  ASSERT_TRUE(f);
  EXPECT_EQ(f->failing_rows, 3);
  EXPECT_EQ(f->sample_rows.size(), 3U);
  EXPECT_EQ(f->sample_rows.items()[0].dump(), R"({"origin":"EWR","year":2013,"month":11,"day":3,"hour":1,"rows":2})");
}

TEST_F(Flights, WeatherHistoryReportsTheImpossibleWindAndTheShortDays) {
  const Report r = run(contract("weather/contracts/hourly.odcs.yaml"), days("weather", 0, kFirstOctober));
  std::cout << fmt::format("weather history: {} objects in {} ms\n", r.objects, r.duration_ms);
  EXPECT_LT(r.duration_ms, 10'000);
  std::vector<std::string> failed;
  for (const Finding& f : r.findings)
    if (f.result == "failed") failed.push_back(f.check + " " + f.partition);
  EXPECT_FALSE(r.passed);
  const Finding* wind = r.find("schema.wind_speed.range");
  ASSERT_TRUE(wind);
  EXPECT_EQ(wind->result, "failed");
  EXPECT_EQ(wind->failing_rows, 1);
  EXPECT_NEAR(wind->sample_rows.items()[0]["wind_speed"].as_double(), 1048.36, 0.01);
  EXPECT_EQ(wind->sample_rows.items()[0]["origin"].as_string(), "EWR");
  EXPECT_TRUE(wind->partition.starts_with("2013-02-")) << wind->partition;
  for (const std::string& f : failed) std::cout << "  " << f << "\n";
}

TEST_F(Flights, FlightsOfTheAutumnWarnOnTheFourSnowDaysAndRefuseNone) {
  const Contract c = contract("flights/contracts/flights.odcs.yaml");
  EXPECT_EQ(refusals(c, "flights", "failed"), std::vector<std::string>{});
  EXPECT_EQ(refusals(c, "flights", "warned"),
            (std::vector<std::string>{"2013-12-05 cancelled-share", "2013-12-10 cancelled-share",
                                      "2013-12-14 cancelled-share", "2013-12-17 cancelled-share"}));
}

TEST_F(Flights, HistoryOfFlightsIsReportedInSeconds) {
  const Report r = run(contract("flights/contracts/flights.odcs.yaml"), days("flights", 0, kFirstOctober));
  std::cout << fmt::format("flights history: {} objects, {} rows in {} ms\n", r.objects, r.rows, r.duration_ms);
  EXPECT_EQ(r.objects, 273);
  EXPECT_LT(r.duration_ms, 15'000);
  for (const Finding& f : r.findings)
    if (f.result == "failed" || f.result == "error" || f.result == "warned")
      std::cout << "  " << f.check << " " << f.partition << " " << f.observed_text << "\n";
}

TEST_F(Flights, ConsumerFindsUnknownAirportsAndTailNumbersInTheHistory) {
  const Contract c = contract("analytics/expectations/flights.odcs.yaml");
  const Report r =
      run(c, days("flights", 0, kFirstOctober), {}, {whole("airports"), whole("planes"), whole("airlines")});
  const Finding* dest = r.find("dest-in-airports");
  ASSERT_TRUE(dest);
  EXPECT_EQ(dest->result, "failed");
  EXPECT_EQ(dest->failing_rows, 5837);
  ASSERT_EQ(dest->sample_rows.size(), 4U) << "SJU, BQN, STT, PSE";
  EXPECT_EQ(dest->sample_rows.items()[0]["dest"].as_string(), "SJU");
  const Finding* tail = r.find("tailnum-in-planes");
  ASSERT_TRUE(tail);
  EXPECT_EQ(tail->result, "passed");
  EXPECT_NEAR(tail->observed["value"].as_double(), 15, 1.5);
}

TEST_F(Flights, ReferenceTablesKeepTheirContracts) {
  for (const char* table : {"airports", "airlines", "planes"}) {
    const Report r = run(contract(fmt::format("{}/contracts/{}.odcs.yaml", table, table)), whole(table).objects);
    for (const Finding& f : r.findings) EXPECT_FALSE(f.blocks()) << table << " " << f.to_json().dump_pretty();
  }
}

TEST_F(Flights, ProfileTellsTheNullsOfTheYear) {
  auto p = engine_->profile(Context(), days("flights", 0, 365));
  ASSERT_TRUE(p) << p.error().text();
  EXPECT_EQ(p->rows, 336'776);
  const auto nulls = [&](std::string_view column) {
    return std::ranges::find(p->columns, column, &ColumnProfile::name)->nulls;
  };
  EXPECT_EQ(nulls("dep_time"), 8255);
  EXPECT_EQ(nulls("arr_time"), 8713);
  EXPECT_EQ(nulls("air_time"), 9430);
  EXPECT_EQ(nulls("tailnum"), 2512);
}

struct Fault {
  const char* name;
  const char* query;  ///< over table d, the right load of the day
  const char* check;  ///< what must find it
};

// Goal: each injected fault is found by the check that is meant for it, with the values that name it.
TEST_F(Flights, InjectedFaultsAreFoundByTheProducersContract) {
  const Contract c = contract("flights/contracts/flights.odcs.yaml");
  const Fault faults[] = {
      {"schema drift", "SELECT * REPLACE (CAST(flight AS VARCHAR) AS flight) FROM d", "schema.flight.type"},
      {"column renamed", "SELECT * RENAME (dest AS destination) FROM d", "schema.dest.type"},
      {"null spike", "SELECT * REPLACE (CASE WHEN flight % 3 = 0 THEN NULL ELSE air_time END AS air_time) FROM d",
       "air-time-of-arrived"},
      {"required null", "SELECT * REPLACE (CASE WHEN flight % 9 = 0 THEN NULL ELSE origin END AS origin) FROM d",
       "schema.origin.required"},
      {"truncated load", "SELECT * FROM d LIMIT 40", "day-size"},
      {"duplicates", "SELECT * FROM d UNION ALL (SELECT * FROM d LIMIT 29)", "flights-key"},
      {"kilometres", "SELECT * REPLACE (CAST(distance * 1.609344 AS INTEGER) AS distance) FROM d", "ground-speed"},
      {"impossible value",
       "SELECT * REPLACE (CASE WHEN flight = (SELECT min(flight) FROM d) THEN 77 ELSE hour END AS hour) FROM d",
       "schema.hour.range"},
  };
  const auto right = days("flights", 280, 281);
  const auto baseline = days("flights", 252, 280);
  EXPECT_TRUE(run(c, right, baseline).passed);
  testing::duck().run(fmt::format("CREATE OR REPLACE TABLE d AS FROM read_parquet('{}', hive_partitioning = false)",
                                  right[0].checksum));
  for (const Fault& fault : faults) {
    const Report r = run(c, {testing::parquet(right[0].path, fault.query)}, baseline);
    const Finding* f = r.find(fault.check);
    ASSERT_TRUE(f) << fault.name;
    EXPECT_EQ(f->result, "failed") << fault.name << " " << r.to_json().dump_pretty();
    EXPECT_FALSE(r.passed);
    std::cout << fmt::format("  {}: {} expected {}, observed {}\n", fault.name, f->check, f->expected,
                             f->observed_text);
  }
  const Report twice = run(c, {testing::parquet(right[0].path, faults[5].query)}, baseline);
  EXPECT_EQ(twice.find("flights-key")->failing_rows, 29);
}

TEST_F(Flights, ConsumerAloneFindsTheUnknownCategoryAndTheOrphan) {
  const Contract producer = contract("flights/contracts/flights.odcs.yaml");
  const Contract consumer = contract("analytics/expectations/flights.odcs.yaml");
  const auto right = days("flights", 281, 282);
  testing::duck().run(fmt::format("CREATE OR REPLACE TABLE d AS FROM read_parquet('{}', hive_partitioning = false)",
                                  right[0].checksum));
  testing::duck().run(fmt::format("CREATE OR REPLACE TABLE a AS SELECT faa FROM read_parquet('{}')",
                                  whole("airports").objects[0].checksum));
  Table airports{
      "airports",
      {testing::parquet("a.parquet", "SELECT faa FROM a UNION ALL SELECT unnest(['SJU', 'BQN', 'STT', 'PSE'])")}};
  const auto both = [&](const char* query, const char* check) {
    const ObjectBytes load = testing::parquet(right[0].path, query);
    EXPECT_TRUE(run(producer, {load}, days("flights", 253, 281)).passed) << query;
    const Report r = run(consumer, {load}, {}, {airports, whole("planes")});
    EXPECT_EQ(r.find(check)->result, "failed") << r.to_json().dump_pretty();
  };
  EXPECT_TRUE(run(consumer, right, {}, {airports, whole("planes")}).passed);
  both("SELECT * REPLACE (CASE WHEN flight % 50 = 0 THEN 'ZZ' ELSE carrier END AS carrier) FROM d", "carrier-known");
  both("SELECT * REPLACE (CASE WHEN flight % 50 = 0 THEN 'QQQ' ELSE dest END AS dest) FROM d", "dest-in-airports");
}

// Goal: a large tree as reference does not make a day slow.
TEST_F(Flights, WeatherIsTestedAgainstTheFlightsOfTheDay) {
  const Contract c = contract("analytics/expectations/weather.odcs.yaml");
  Table flights{"flights", days("flights", 300, 301)};
  const Report whole_day = run(c, days("weather", 300, 301), {}, {flights});
  EXPECT_TRUE(whole_day.passed) << whole_day.to_json().dump_pretty();
  const Report not_yet = run(c, days("weather", 300, 301), {}, {{"flights", {}}});
  EXPECT_TRUE(not_yet.passed);
  EXPECT_EQ(not_yet.find("flight-hours-covered")->result, "skipped");
  const Report all = run(c, days("weather", 300, 301), {}, {{"flights", days("flights", 0, 301)}});
  std::cout << fmt::format("one day of weather against 301 days of flights: {} ms\n", all.duration_ms);
  EXPECT_TRUE(all.passed);
}

}  // namespace
}  // namespace tarn::quality
