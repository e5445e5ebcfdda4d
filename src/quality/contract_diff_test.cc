// Which change of a contract breaks whom.
#include "quality/contract_diff.h"

#include <gtest/gtest.h>

#include <algorithm>

#include <fmt/core.h>

namespace tarn::quality {
namespace {

const std::string kOrigin =
    "{name: origin, logicalType: string, physicalType: VARCHAR, required: true, primaryKey: true, primaryKeyPosition: "
    "1}";
const std::string kHour =
    "{name: hour, logicalType: integer, physicalType: INTEGER, primaryKey: true, primaryKeyPosition: 2, "
    "logicalTypeOptions: {minimum: 0, maximum: 23}}";
const std::string kTemp = "{name: temp, logicalType: number, physicalType: DOUBLE, classification: public}";

Contract make(const std::vector<std::string>& columns, const std::vector<std::string>& rules = {},
              const std::string& more = "", const std::string& version = "1.0.0") {
  std::string text = fmt::format(
      "apiVersion: v3.1.0\nkind: DataContract\nid: w\nversion: {}\nstatus: active\n{}schema:\n  - name: w\n"
      "    physicalName: w/\n    properties:\n",
      version, more);
  for (const std::string& c : columns) text += "      - " + c + "\n";
  if (!rules.empty()) text += "    quality:\n";
  for (const std::string& r : rules) text += "      - " + r + "\n";
  auto c = parse_contract("w.odcs.yaml", text);
  if (!c) base::fail_assertion((c.error().message() + "\n" + text).c_str(), __FILE__, __LINE__);
  return *std::move(c);
}

struct Case {
  const char* name;
  Contract before, after;
  const char* path;
  ChangeClass promise, expectation;
};

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  return text.replace(text.find(from), from.size(), to);
}

const ChangeClass kBreaks = ChangeClass::kBreaking, kFits = ChangeClass::kCompatible,
                  kInfo = ChangeClass::kInformational;

std::vector<Case> cases() {
  const std::string share =
      "{id: r, metric: nullValues, arguments: {property: temp}, mustBeLessOrEqualTo: 5, unit: percent}";
  const std::string known =
      "{id: r, metric: invalidValues, arguments: {property: origin, validValues: [EWR, JFK]}, mustBe: 0}";
  const std::string sql = "{id: r, type: sql, query: 'SELECT count(*)  FROM ${object}', mustBe: 0}";
  const std::string size =
      "{id: r, metric: rowCount, customProperties: [{property: meshBaseline, value: {partition: date, maxBelowPercent: "
      "10}}]}";
  const std::string sla = "slaProperties: [{property: latency, value: 48, unit: h}]\n";
  const auto all = [&](const std::vector<std::string>& rules = {}, const std::string& more = "") {
    return make({kOrigin, kHour, kTemp}, rules, more);
  };
  const auto with_temp = [&](const std::string& temp) { return make({kOrigin, kHour, temp}); };
  return {
      {"column removed", all(), make({kOrigin, kHour}), "w.temp", kBreaks, kFits},
      {"column added", make({kOrigin, kHour}), all(), "w.temp", kFits, kBreaks},
      {"required dropped", all(), make({replaced(kOrigin, "required: true", "required: false"), kHour, kTemp}),
       "w.origin.required", kBreaks, kFits},
      {"lossless widening", all(), make({kOrigin, replaced(kHour, "INTEGER", "BIGINT"), kTemp}), "w.hour.type", kFits,
       kBreaks},
      {"narrowing", all(), make({kOrigin, replaced(kHour, "INTEGER", "SMALLINT"), kTemp}), "w.hour.type", kBreaks,
       kBreaks},
      {"type", all(), with_temp(replaced(replaced(kTemp, "DOUBLE", "VARCHAR"), "number", "string")), "w.temp.type",
       kBreaks, kBreaks},
      {"range wider", all(), make({kOrigin, replaced(kHour, "maximum: 23", "maximum: 24"), kTemp}), "w.hour.maximum",
       kBreaks, kFits},
      {"range narrower", all(), make({kOrigin, replaced(kHour, "minimum: 0", "minimum: 1"), kTemp}), "w.hour.minimum",
       kFits, kBreaks},
      {"access lowered", all(), with_temp(replaced(kTemp, "public", "restricted")), "w.temp.classification", kBreaks,
       kInfo},
      {"key with one column more",
       make({replaced(kOrigin, "primaryKey: true", "primaryKey: true"),
             replaced(kHour, "primaryKey: true, primaryKeyPosition: 2, ", "")}),
       make({kOrigin, kHour}), "w.key", kBreaks, kFits},
      {"key with one column less", make({kOrigin, kHour}),
       make({kOrigin, replaced(kHour, "primaryKey: true, primaryKeyPosition: 2, ", "")}), "w.key", kFits, kBreaks},
      {"rule dropped", all({share}), all(), "w.rules.r", kBreaks, kFits},
      {"rule added", all(), all({share}), "w.rules.r", kFits, kBreaks},
      {"rule accepts more", all({share}), all({replaced(share, "5", "6")}), "w.rules.r", kBreaks, kFits},
      {"rule only warns", all({share}), all({replaced(share, "unit", "severity: warning, unit")}), "w.rules.r.severity",
       kBreaks, kFits},
      {"value added to a closed set", all({known}), all({replaced(known, "JFK", "JFK, LGA")}), "w.rules.r.validValues",
       kBreaks, kFits},
      {"query changed", all({sql}), all({replaced(sql, "count(*)", "sum(1)")}), "w.rules.r.query", kBreaks, kBreaks},
      {"size rule looser", all({size}), all({replaced(size, "10", "50")}), "w.rules.r.meshBaseline", kBreaks, kFits},
      {"latency looser", all({}, sla), all({}, replaced(sla, "48", "72")), "sla.latency", kBreaks, kFits},
      {"latency tighter in another unit", all({}, sla), all({}, replaced(sla, "48, unit: h", "1, unit: d")),
       "sla.latency", kFits, kBreaks},
      {"description", all(), with_temp(replaced(kTemp, "classification", "description: warm, classification")),
       "w.temp.description", kInfo, kInfo},
  };
}

TEST(ContractDiff, ClassDependsOnTheSide) {
  for (const Case& c : cases()) {
    for (const Side side : {Side::kPromise, Side::kExpectation}) {
      const ContractDiff d = diff_contracts(c.before, c.after, side);
      const auto at = std::ranges::find(d.changes, c.path, &Change::path);
      ASSERT_NE(at, d.changes.end()) << c.name << " " << d.to_json().dump();
      EXPECT_EQ(word_of(at->kind), word_of(side == Side::kPromise ? c.promise : c.expectation))
          << c.name << (side == Side::kPromise ? " promise" : " expectation");
    }
  }
}

TEST(ContractDiff, SameContractHasNoChange) {
  const Contract c = make({kOrigin, kHour, kTemp});
  EXPECT_TRUE(diff_contracts(c, c).changes.empty());
  EXPECT_EQ(diff_contracts(c, c).to_json()["needs"].as_string(), "none");
}

TEST(ContractDiff, SpacesInAQueryAreNoChange) {
  const auto with = [](const char* sql) {
    return make({kOrigin}, {fmt::format("{{id: r, type: sql, query: '{}', mustBe: 0}}", sql)});
  };
  EXPECT_TRUE(diff_contracts(with("SELECT  1"), with("SELECT 1 ")).changes.empty());
}

TEST(ContractDiff, OtherKeyIsBreakingAndNeedsANewMajor) {
  const std::string utc =
      "{name: time_hour, logicalType: timestamp, physicalType: TIMESTAMP, primaryKey: true, primaryKeyPosition: 2}";
  const std::string plain = replaced(utc, ", primaryKey: true, primaryKeyPosition: 2", "");
  const std::string hour = replaced(kHour, "primaryKey: true, primaryKeyPosition: 2, ", "");
  const std::string rule = "{id: key, metric: duplicateValues, arguments: {properties: [origin, hour]}, mustBe: 0}";
  const Contract one = make({kOrigin, kHour, plain}, {rule});
  const auto two = [&](const char* version) {
    return make({kOrigin, hour, utc}, {replaced(rule, "origin, hour", "origin, time_hour")}, "", version);
  };
  const ContractDiff d = diff_contracts(one, two("1.1.0"));
  EXPECT_TRUE(d.breaking());
  EXPECT_EQ(d.to_json()["needs"].as_string(), "major");
  EXPECT_FALSE(check_version_step(one, two("1.1.0"), d));
  EXPECT_NE(check_version_step(one, two("1.1.0"), d).error().message().find("2.0.0"), std::string::npos);
  EXPECT_TRUE(check_version_step(one, two("2.0.0"), d));
}

}  // namespace
}  // namespace tarn::quality
