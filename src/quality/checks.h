#pragma once
// A contract's table turned into a list of checks with their SQL; the order is the order of the report.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "quality/contract.h"

namespace tarn::quality {

enum class CheckKind {
  kReadable,    ///< every object is a whole Parquet file
  kType,        ///< a column is there and has the promised type
  kClosed,      ///< no column beyond those described
  kCount,       ///< rows for which `predicate` is true
  kDuplicates,  ///< rows beyond the first of each key
  kRowCount,    ///< rows, and the size against the partitions before
  kSql,         ///< one number from the author's query
  kText,        ///< shown, never tested
};

struct Check {
  std::string id;       ///< the rule's id, or "schema.<column>.<what>" when the schema itself implies it
  std::string rule_id;  ///< empty for implied checks
  CheckKind kind = CheckKind::kCount;
  Severity severity = Severity::kError;
  std::string expected;               ///< for people: "<= 1 percent"
  std::vector<std::string> columns;   ///< what it reads; it is skipped when one of them is missing or of a wrong type
  std::string predicate;              ///< kCount: SQL over one row, true for a wrong row
  std::vector<Condition> conditions;  ///< all must hold for the number found
  Unit unit = Unit::kRows;
  std::optional<Rule> rule;  ///< of explicit checks
};

/// All checks of a table: readable, columns in order (type, required, unique, value options, rules), key, table rules.
/// An implied key check is left out when a duplicateValues rule tests the same columns.
std::vector<Check> compile_checks(const Schema& schema);

/// Whether a column of DuckDB type `actual` keeps what the property promises. @return "" or what was expected.
std::string type_problem(const Property& property, std::string_view actual);
/// Whether values can be tested at all: the logical family fits even if the physical type does not.
bool testable_type(const Property& property, std::string_view actual);

/// DuckDB's name for a type as people write it: synonyms folded, lengths dropped, DECIMAL with its digits.
std::string canonical_type(std::string_view type);

/// What placeholders in a rule's query stand for: SQL names or subqueries.
struct Placeholders {
  std::string object;    ///< ${object}, ${table}
  std::string property;  ///< ${property}, ${column}
  std::string baseline;  ///< ${baseline}
};
/// Names of ${reference.NAME} in a query, each once.
std::vector<std::string> references_in(std::string_view sql);
/// SQL name of a reference table's view.
std::string reference_view(std::string_view name);
/// Errors: kInvalid naming the unknown placeholder and the known ones.
Result<std::string> fill_placeholders(std::string_view sql, const Placeholders& with);

std::string quote_name(std::string_view name);  ///< "a""b"
std::string quote_text(std::string_view text);  ///< 'a''b'

}  // namespace tarn::quality
