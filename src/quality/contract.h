#pragma once
// Data contracts: Bitol ODCS v3 documents read strictly, so that a rule nobody knows is an error and not a pass.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace tarn::quality {

enum class Severity { kError, kWarning };
enum class RuleKind { kLibrary, kSql, kText };
enum class Metric { kRowCount, kNullValues, kMissingValues, kInvalidValues, kDuplicateValues };
enum class Unit { kRows, kPercent };
enum class Operator {
  kMustBe,
  kMustNotBe,
  kMustBeGreaterThan,
  kMustBeGreaterOrEqualTo,
  kMustBeLessThan,
  kMustBeLessOrEqualTo,
  kMustBeBetween,     ///< inclusive at both ends
  kMustNotBeBetween,  ///< outside of the inclusive range
};

std::string_view word_of(Severity severity);  ///< "error", "warning"
std::string_view word_of(Metric metric);      ///< "rowCount" and so on
std::string_view word_of(Operator op);        ///< "mustBe" and so on

/// One operator of a rule. `upper` means something only for the two range operators.
struct Condition {
  Operator op = Operator::kMustBe;
  double value = 0;
  double upper = 0;

  bool holds(double observed) const;
  std::string text() const;  ///< "= 0", "<= 1", "between 16 and 2000"
  bool operator==(const Condition&) const = default;
};

/// The extension `meshBaseline`: a partition's rows against the median of the partitions before it.
struct Baseline {
  std::string partition;                    ///< the Hive key, for example "date"
  int window = 28;                          ///< partitions looked back at
  int min_history = 28;                     ///< fewer before it: the partition is not tested
  std::optional<double> max_below_percent;  ///< at least one of the two is given
  std::optional<double> max_above_percent;
  bool operator==(const Baseline&) const = default;
};

struct Rule {
  std::string id;     ///< unique in the contract
  std::string place;  ///< "schema[0].quality[2]", for messages
  RuleKind kind = RuleKind::kLibrary;
  Metric metric = Metric::kRowCount;
  std::vector<std::string> columns;
  std::vector<Json> valid_values;    ///< invalidValues
  std::string pattern;               ///< invalidValues; RE2, found anywhere unless anchored
  std::vector<Json> missing_values;  ///< missingValues; null stands for SQL NULL
  std::vector<Condition> conditions;
  Unit unit = Unit::kRows;
  Severity severity = Severity::kError;
  std::string query;    ///< kSql
  std::string explain;  ///< the extension `meshExplain`: a query that lists what is wrong
  std::optional<Baseline> baseline;
  bool per_partition = false;  ///< the extension `meshScope: partition`
  std::string description;
  std::string dimension;
};

struct Property {
  std::string name;
  std::string logical_type;   ///< "string", "integer", …; empty when not given
  std::string physical_type;  ///< as written, for example "VARCHAR"
  bool required = false;
  bool unique = false;
  int primary_key_position = 0;  ///< 1-based; 0 when the column is no part of the key
  bool partitioned = false;
  std::string classification;
  std::string description;
  Json options;  ///< logicalTypeOptions; an object or null
  std::vector<Rule> rules;

  /// Values of such a column never appear in reports.
  bool hidden() const;
};

struct Schema {
  std::string name;
  std::string physical_name;
  std::string
      partition;        ///< `meshPartition`, or the column marked partitioned; empty when the table is not partitioned
  bool closed = false;  ///< `meshClosed`: columns that the contract does not name are errors
  std::vector<Property> properties;
  std::vector<Rule> rules;

  const Property* find(std::string_view column) const;
  std::vector<std::string> primary_key() const;  ///< column names by position
};

struct Contract {
  std::string file;  ///< the name used in messages
  std::string id;
  std::string name;
  std::string version;  ///< semantic version
  std::string status;
  std::string domain;
  std::string data_product;
  std::vector<Schema> schemas;
  Json sla;   ///< slaProperties as written
  Json team;  ///< as written
  Json document;
  std::vector<std::string> warnings;  ///< what the lint found that does not change a result

  /// The table by its name or physical name; the only one when `table` is empty.
  /// Errors: kInvalid naming the tables that exist.
  Result<const Schema*> schema(std::string_view table) const;
  int major() const;
  /// A short description for people and pages: tables, columns, rules.
  Json to_json() const;
};

/// Reads and lints one contract. `file` is used only in messages.
///
/// Errors: kInvalid naming file, place, what is wrong and what is known. The first error found is returned.
/// Threads: any. Cost: no I/O.
/// Source:  Bitol ODCS v3.1 schema; docs/contracts.md for the rule semantics and the mesh* extensions.
Result<Contract> parse_contract(std::string_view file, std::string_view text);

}  // namespace tarn::quality
