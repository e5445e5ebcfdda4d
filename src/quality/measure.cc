// The numbers of single checks, and the rows that show what is wrong.
#include <algorithm>
#include <cmath>

#include <fmt/core.h>

#include "quality/rules.h"
#include "quality/runner.h"

namespace tarn::quality {
namespace {

constexpr int64_t kSampleRows = 20;
constexpr int64_t kExplainRows = 100;

bool holds(const std::vector<Condition>& conditions, double value) {
  return std::ranges::all_of(conditions, [&](const Condition& c) { return c.holds(value); });
}

std::string fault_word(Severity severity) { return severity == Severity::kError ? "failed" : "warned"; }

/// "12.01 percent (244 of 2032 rows)" or "3 of 72 rows".
std::string share_text(Unit unit, double value, int64_t rows, int64_t total) {
  if (unit == Unit::kPercent) return fmt::format("{} percent ({} of {} rows)", number_text(value), rows, total);
  return fmt::format("{} of {} rows", rows, total);
}

double percent(int64_t rows, int64_t total) {
  return total == 0 ? 0 : 100.0 * static_cast<double>(rows) / static_cast<double>(total);
}

Json rounded(double value) {
  if (value == std::floor(value) && std::abs(value) < 1e15) return static_cast<int64_t>(value);
  return std::round(value * 1e6) / 1e6;
}

}  // namespace

Result<Finding> Runner::measure(const Check& check, const Part& part) {
  switch (check.kind) {
    case CheckKind::kCount:
      return measure_count(check, part);
    case CheckKind::kDuplicates:
      return measure_duplicates(check, part);
    default:
      return measure_sql(check, part);
  }
}

Result<Finding> Runner::measure_count(const Check& check, const Part& part) {
  Finding f = start_finding(check);
  f.partition = part.partition;
  int64_t wrong = 0;
  if (const auto known = counted_.find(check.id); known != counted_.end()) {
    wrong = known->second;
  } else {
    auto rows = session_->query(fmt::format("SELECT count(*) FILTER (WHERE {}) FROM {}", check.predicate, part.source));
    if (!rows) return undecided(check, rows.error());
    wrong = rows->rows.at(0).at(0).as_int();
  }
  const double value = check.unit == Unit::kPercent ? percent(wrong, part.total) : static_cast<double>(wrong);
  f.observed = Json::object({{"value", rounded(value)}, {"rows", wrong}, {"total", part.total}});
  f.observed_text = share_text(check.unit, value, wrong, part.total);
  if (holds(check.conditions, value)) return f;
  f.result = fault_word(check.severity);
  f.failing_rows = wrong;
  TRY(sample_count(check, part, f));
  return f;
}

Result<void> Runner::sample_count(const Check& check, const Part& part, Finding& f) {
  // Where the wrong rows lie is told when it is one partition or one object.
  auto where =
      session_->query(fmt::format("SELECT min(tarn_partition), max(tarn_partition), min(tarn_object), "
                                  "max(tarn_object) FROM {} WHERE {}",
                                  part.source, check.predicate));
  if (where && where->rows.size() == 1) {
    const Json::Array& w = where->rows[0];
    if (w[0].is_string() && w[0] == w[1]) f.partition = w[0].as_string();
    if (w[2].is_int() && w[2] == w[3]) {
      // tarn_object counts the readable objects only.
      int64_t index = w[2].as_int();
      for (size_t i = 0; i < footers_.size(); ++i)
        if (footers_[i] && index-- == 0) f.object = scope_.changed.objects[i].path;
    }
  }
  if (check.rule && !check.rule->explain.empty()) return explain(check, part, f.sample_rows);
  auto rows =
      rows_as_json(fmt::format("SELECT * EXCLUDE (tarn_object, tarn_partition, tarn_row) FROM {} WHERE {} ORDER BY "
                               "tarn_object, tarn_row LIMIT {}",
                               part.source, check.predicate, kSampleRows),
                   false, kSampleRows);
  if (rows) f.sample_rows = *std::move(rows);
  return {};
}

Result<Finding> Runner::measure_duplicates(const Check& check, const Part& part) {
  Finding f = start_finding(check);
  f.partition = part.partition;
  std::string key, known;
  for (const std::string& column : check.columns) {
    key += (key.empty() ? "" : ", ") + quote_name(column);
    known += (known.empty() ? "" : " AND ") + quote_name(column) + " IS NOT NULL";
  }
  const std::string groups = fmt::format(
      "SELECT {}, count(*) AS rows FROM {} WHERE {} GROUP BY ALL HAVING count(*) > 1", key, part.source, known);
  auto rows = session_->query(fmt::format("SELECT coalesce(sum(rows - 1), 0), count(*) FROM ({})", groups));
  if (!rows) return undecided(check, rows.error());
  const int64_t surplus = rows->rows.at(0).at(0).as_int();
  const int64_t keys = rows->rows.at(0).at(1).as_int();
  const double value = check.unit == Unit::kPercent ? percent(surplus, part.total) : static_cast<double>(surplus);
  f.observed = Json::object({{"value", rounded(value)}, {"rows", surplus}, {"keys", keys}, {"total", part.total}});
  f.observed_text = share_text(check.unit, value, surplus, part.total);
  if (surplus > 0)
    f.observed_text += fmt::format(", {} {} more than once", keys, keys == 1 ? "key comes" : "keys come");
  if (holds(check.conditions, value)) return f;
  f.result = fault_word(check.severity);
  f.failing_rows = surplus;
  if (check.rule && !check.rule->explain.empty()) {
    TRY(explain(check, part, f.sample_rows));
    return f;
  }
  auto sample = rows_as_json(fmt::format("{} ORDER BY {} LIMIT {}", groups, key, kSampleRows), false, kSampleRows);
  if (sample) f.sample_rows = *std::move(sample);
  return f;
}

Result<std::string> Runner::filled(const Check& check, const std::string& sql, const Part& part) {
  for (const std::string& name : references_in(sql)) {
    const auto missing = no_reference_.find(name);
    if (missing == no_reference_.end()) continue;
    std::string known;
    for (const Table& t : scope_.references) known += (known.empty() ? "" : ", ") + t.name;
    return Error(
        Code::kInvalid, "query",
        fmt::format("reference '{}' was not given to this check; given: {}", name, known.empty() ? "none" : known));
  }
  if (sql.find("${baseline}") != std::string::npos) TRY(make_baseline());
  Placeholders with;
  with.object = part.rows;
  with.baseline = "tarn_baseline_rows";
  if (check.columns.size() == 1) with.property = quote_name(check.columns.front());
  return fill_placeholders(sql, with);
}

Result<Finding> Runner::measure_sql(const Check& check, const Part& part) {
  Finding f = start_finding(check);
  f.partition = part.partition;
  auto sql = filled(check, check.rule->query, part);
  if (!sql) return undecided(check, sql.error());
  auto rows = session_->query(*sql, true, 2);
  if (!rows) return undecided(check, rows.error());
  if (rows->rows.size() != 1 || rows->columns.size() != 1)
    return undecided(
        check, Error(Code::kInvalid, "query",
                     fmt::format("the query must give one value; it gives {} columns and {} rows", rows->columns.size(),
                                 rows->more ? "more than 2" : std::to_string(rows->rows.size()))));
  const Json& cell = rows->rows[0][0];
  if (!cell.is_number() && !cell.is_bool())
    return undecided(
        check, Error(Code::kInvalid, "query",
                     cell.is_null() ? "the query gives NULL; wrap it with coalesce(…, 0) if that is a value"
                                    : fmt::format("the query must give a number; it gives '{}'", cell.as_string())));
  const double value = cell.is_bool() ? (cell.as_bool() ? 1 : 0) : cell.as_double();
  const bool whole = value == std::floor(value);
  f.observed = Json::object({{"value", rounded(value)}, {"total", part.total}});
  f.observed_text = number_text(value) + (check.unit == Unit::kPercent ? " percent" : "");
  if (holds(check.conditions, value)) return f;
  f.result = fault_word(check.severity);
  if (check.unit == Unit::kRows && whole && value > 0) f.failing_rows = static_cast<int64_t>(value);
  if (!check.rule->explain.empty()) TRY(explain(check, part, f.sample_rows));
  return f;
}

/// Runs the author's explaining query. Its failure hides nothing: the rule has failed already.
Result<void> Runner::explain(const Check& check, const Part& part, Json& rows) {
  auto sql = filled(check, check.rule->explain, part);
  if (!sql) return {};
  auto found = rows_as_json(*sql, true, kExplainRows);
  if (found) {
    rows = *std::move(found);
    return {};
  }
  const Code code = found.error().code();
  if (code == Code::kCancelled) return found.error();
  rows = Json::array({Json::object({{"meshExplain", first_line(found.error().message())}})});
  return {};
}

/// A column whose name the contract does not know is shown only when the contract hides nothing.
bool Runner::visible(const std::string& column) const {
  const Property* p = schema_.find(column);
  if (p) return !p->hidden();
  return std::ranges::none_of(schema_.properties, &Property::hidden) || column == "rows" || column == hive_key_;
}

Result<Json> Runner::rows_as_json(const std::string& sql, bool user, int64_t rows_max) {
  TRY_LET(const Rows rows, session_->query(sql, user, rows_max));
  Json out = Json::array();
  for (const Json::Array& row : rows.rows) {
    Json item = Json::object();
    for (size_t c = 0; c < rows.columns.size(); ++c)
      item.set(rows.columns[c], visible(rows.columns[c]) ? row[c] : Json("(hidden)"));
    out.push(std::move(item));
  }
  return out;
}

}  // namespace tarn::quality
