#pragma once
// What a run of checks found. The order is that of the contract, never of finishing, so that reports are stable.
#include <cstdint>
#include <string>
#include <vector>

#include "base/json.h"

namespace tarn::quality {

struct Finding {
  std::string check;     ///< stable id: the rule's id, or "schema.<column>.<what>"
  std::string rule_id;   ///< empty when the schema implies the check
  std::string severity;  ///< "error", "warning"
  /// "passed", "failed" (severity error), "warned" (severity warning), "error" (could not be decided), "skipped".
  std::string result;
  std::string expected;       ///< "<= 1 percent"
  std::string observed_text;  ///< "12.01 percent (244 of 2032 rows)"
  Json observed;              ///< numbers for programs: {value, rows, total, …}
  int64_t failing_rows = 0;
  Json sample_rows;       ///< array of objects, null when there is none; classified columns are hidden
  Json missing_keys;      ///< array of objects: keys usual before and absent now; null when there is none
  std::string partition;  ///< "2013-10-25" when one partition is meant
  std::string object;     ///< logical path when one object is meant
  int64_t duration_ms = 0;

  bool blocks() const { return severity == "error" && (result == "failed" || result == "error"); }
  Json to_json() const;  ///< without the duration; empty members are left out
};

struct Report {
  std::string contract;
  std::string contract_version;
  std::string table;
  bool passed = true;  ///< no finding blocks
  std::vector<Finding> findings;
  int64_t rows = 0;  ///< of the changed objects
  int64_t objects = 0;
  int64_t bytes = 0;  ///< of the changed objects
  int64_t duration_ms = 0;
  std::string engine;  ///< "duckdb v1.5.5"

  int64_t count(std::string_view result) const;
  const Finding* find(std::string_view check) const;  ///< the first of that id
  /// {format, contract, version, table, passed, counts, rows, objects, bytes, engine, findings, timings}; only
  /// `timings` differs between two runs over the same data.
  Json to_json() const;
  /// SHA-256 in hex over to_json() without `timings`.
  std::string digest() const;
};

}  // namespace tarn::quality
