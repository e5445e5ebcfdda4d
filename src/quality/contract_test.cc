// Contracts are read strictly: what is not understood is an error that names place and cure.
#include "quality/contract.h"

#include <gtest/gtest.h>

#include <fmt/core.h>

#include "quality/rules.h"

namespace tarn::quality {
namespace {

std::string document(const std::string& columns, const std::string& rules) {
  return fmt::format(
      "apiVersion: v3.1.0\nkind: DataContract\nid: c\nversion: 1.2.0\nstatus: active\nschema:\n  - name: t\n"
      "    physicalName: t/\n    properties:\n{}{}",
      columns, rules.empty() ? "" : "    quality:\n" + rules);
}
const std::string kColumns = "      - {name: a, logicalType: integer}\n      - {name: b, logicalType: string}\n";

std::string error_of(const std::string& text) {
  auto contract = parse_contract("c.odcs.yaml", text);
  return contract ? "" : contract.error().message();
}
std::string rule_error(const std::string& rule) { return error_of(document(kColumns, "      - " + rule + "\n")); }

void expect_names(const std::string& message, std::initializer_list<std::string_view> words) {
  for (const std::string_view word : words)
    EXPECT_NE(message.find(word), std::string::npos) << word << " in: " << message;
}

TEST(Contract, ReadsTablesColumnsAndRules) {
  auto c = parse_contract(
      "c.odcs.yaml",
      document("      - {name: a, logicalType: integer, physicalType: BIGINT, required: true, primaryKey: true, "
               "primaryKeyPosition: 2}\n"
               "      - {name: b, logicalType: string, primaryKey: true, primaryKeyPosition: 1, classification: PII,\n"
               "         quality: [{id: b-known, metric: nullValues, mustBeLessOrEqualTo: 1, unit: percent}]}\n",
               "      - {id: size, type: library, metric: rowCount, mustBeGreaterThan: 0, mustBeLessThan: 100, "
               "severity: warning}\n"));
  ASSERT_TRUE(c) << c.error().text();
  EXPECT_EQ(c->major(), 1);
  const Schema& s = c->schemas.at(0);
  EXPECT_EQ(s.primary_key(), (std::vector<std::string>{"b", "a"}));
  EXPECT_TRUE(s.find("b")->hidden());
  EXPECT_EQ(s.find("b")->rules.at(0).columns, std::vector<std::string>{"b"});
  EXPECT_EQ(expected_text(s.find("b")->rules.at(0)), "<= 1 percent");
  EXPECT_EQ(expected_text(s.rules.at(0)), "> 0 and < 100 rows");
  EXPECT_EQ(s.rules.at(0).severity, Severity::kWarning);
}

TEST(Contract, SeverityIsErrorWhenMissing) {
  auto c = parse_contract("c", document(kColumns, "      - {id: r, metric: rowCount, mustBe: 3}\n"));
  ASSERT_TRUE(c);
  EXPECT_EQ(c->schemas[0].rules[0].severity, Severity::kError);
}

TEST(Contract, InvalidYamlNamesFileAndLine) {
  expect_names(error_of("apiVersion: v3.1.0\n  kind: [x\n"), {"c.odcs.yaml", "line"});
}

TEST(Contract, MissingHeadIsAnError) {
  expect_names(error_of("kind: DataContract\n"), {"c.odcs.yaml", "apiVersion"});
  expect_names(error_of("apiVersion: v2.2.0\nkind: DataContract\n"), {"v2.2.0", "v3"});
  expect_names(error_of("apiVersion: v3.1.0\nkind: Other\n"), {"Other", "DataContract"});
}

TEST(Contract, UnknownRuleNamesFileRuleAndWhatIsKnown) {
  expect_names(rule_error("{id: r1, type: library, metric: rowcount, mustBe: 0}"),
               {"c.odcs.yaml", "schema[0].quality[0]", "'r1'", "'rowcount'", "rowCount", "duplicateValues"});
  expect_names(rule_error("{id: r1, type: magic}"), {"'r1'", "'magic'", "library, sql, text"});
  expect_names(rule_error("{id: r1, type: custom, engine: soda}"), {"'r1'", "custom", "sql"});
}

TEST(Contract, UnknownOperatorUnitSeverityAndArgumentAreErrors) {
  expect_names(rule_error("{id: r, metric: rowCount, mustBeGreaterOrEqual: 0}"),
               {"mustBeGreaterOrEqual", "mustBeGreaterOrEqualTo"});
  expect_names(rule_error("{id: r, metric: nullValues, arguments: {property: a}, mustBe: 0, unit: pct}"),
               {"pct", "percent"});
  expect_names(rule_error("{id: r, metric: rowCount, mustBe: 0, severity: fatal}"), {"fatal", "warning"});
  expect_names(rule_error("{id: r, metric: nullValues, arguments: {column: a}, mustBe: 0}"), {"column", "property"});
}

TEST(Contract, RuleMustSayWhatHolds) {
  expect_names(rule_error("{id: r, metric: rowCount}"), {"'r'", "mustBe"});
  expect_names(rule_error("{id: r, metric: rowCount, mustBeBetween: [5, 1]}"), {"lower"});
  expect_names(rule_error("{id: r, type: sql, mustBe: 0}"), {"query"});
  expect_names(rule_error("{id: r, metric: invalidValues, arguments: {property: a}, mustBe: 0}"), {"validValues"});
}

TEST(Contract, RuleOnAnUnknownColumnNamesTheColumns) {
  expect_names(rule_error("{id: r, metric: nullValues, arguments: {property: zz}, mustBe: 0}"), {"'zz'", "a, b"});
}

TEST(Contract, UnknownPlaceholderIsFoundWhenTheContractIsRead) {
  expect_names(rule_error("{id: r, type: sql, query: 'SELECT 1 FROM ${model}', mustBe: 0}"),
               {"'r'", "${model}", "${object}"});
}

TEST(Contract, UnknownLogicalTypeAndOptionAreErrors) {
  expect_names(error_of(document("      - {name: a, logicalType: int}\n", "")), {"properties[0]", "'int'", "integer"});
  expect_names(error_of(document("      - {name: a, logicalType: string, logicalTypeOptions: {minimum: 3}}\n", "")),
               {"minimum", "pattern"});
}

TEST(Contract, TwoRulesWithOneIdAreAnError) {
  expect_names(
      error_of(document(
          kColumns, "      - {id: r, metric: rowCount, mustBe: 0}\n      - {id: r, metric: rowCount, mustBe: 1}\n")),
      {"'r'", "unique"});
}

TEST(Contract, UnknownInformationalKeysAreWarnings) {
  auto c = parse_contract("c.odcs.yaml",
                          document("      - {name: a, logicalType: integer, colour: red}\n", "") + "flavour: sweet\n");
  ASSERT_TRUE(c) << c.error().text();
  EXPECT_EQ(c->warnings.size(), 2U);
}

TEST(Contract, UnknownExtensionsAreErrors) {
  expect_names(rule_error("{id: r, metric: rowCount, mustBe: 0, customProperties: [{property: meshBase, value: 1}]}"),
               {"meshBase", "meshBaseline"});
  expect_names(error_of(document("      - {name: a, customProperties: [{property: meshKey, value: 1}]}\n", "")),
               {"meshKey"});
  expect_names(error_of(document(kColumns, "") + "    customProperties: [{property: meshPart, value: date}]\n"),
               {"meshPart", "meshPartition"});
}

TEST(Contract, BaselineIsReadAndChecked) {
  const std::string start =
      "{id: r, metric: rowCount, mustBeGreaterThan: 0, customProperties: [{property: meshBaseline, value: ";
  auto c = parse_contract(
      "c", document(kColumns, "      - " + start + "{partition: date, window: 28, maxBelowPercent: 10}}]}\n"));
  ASSERT_TRUE(c) << c.error().text();
  EXPECT_EQ(c->schemas[0].rules[0].baseline->min_history, 28);
  expect_names(rule_error(start + "{partition: date, maxBelow: 3}}]}"), {"maxBelow", "maxBelowPercent"});
  expect_names(rule_error(start + "{partition: date, statistic: mean, maxBelowPercent: 3}}]}"), {"mean", "median"});
  expect_names(rule_error(start + "{maxBelowPercent: 3}}]}"), {"partition"});
}

TEST(Condition, RangesIncludeBothEnds) {
  EXPECT_TRUE((Condition{Operator::kMustBeBetween, 1, 3}.holds(1)));
  EXPECT_TRUE((Condition{Operator::kMustBeBetween, 1, 3}.holds(3)));
  EXPECT_FALSE((Condition{Operator::kMustNotBeBetween, 1, 3}.holds(3)));
  EXPECT_TRUE((Condition{Operator::kMustNotBeBetween, 1, 3}.holds(3.5)));
}

}  // namespace
}  // namespace tarn::quality
