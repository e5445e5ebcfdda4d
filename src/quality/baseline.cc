// Row counts, the size of partitions against those before them, and which keys a short partition lacks.
#include <algorithm>

#include <fmt/core.h>

#include "quality/rules.h"
#include "quality/runner.h"

namespace tarn::quality {
namespace {

constexpr int64_t kMissingKeysMax = 100;
/// A key is usual when so large a share of the partitions before has it.
constexpr double kUsualShare = 0.8;
/// History can be bad in many places; beyond so many partitions no keys are looked up.
constexpr size_t kExplainedMax = 40;

double median(std::vector<int64_t> values) {
  std::ranges::sort(values);
  const size_t n = values.size();
  return n % 2 == 1 ? static_cast<double>(values[n / 2])
                    : (static_cast<double>(values[n / 2 - 1]) + static_cast<double>(values[n / 2])) / 2;
}

}  // namespace

/// Rows of every partition that is known: those before from footers, the changed ones as counted.
Result<std::map<std::string, int64_t>> Runner::rows_by_partition(const Check& check) {
  const std::string& key = check.rule->baseline->partition;
  std::map<std::string, int64_t> rows;
  std::vector<const ObjectBytes*> objects;
  std::vector<std::string> partitions;
  for (const ObjectBytes& object : scope_.baseline.objects) {
    std::string partition = partition_of(object.path, key);
    if (partition.empty() || partition_rows_.contains(partition)) continue;
    objects.push_back(&object);
    partitions.push_back(std::move(partition));
  }
  std::map<size_t, std::string> problems;
  TRY_LET(const auto footers, read_footers(engine_, *session_, objects, problems));
  if (!problems.empty()) {
    const auto& [index, why] = *problems.begin();
    return Error(Code::kInvalid, "baseline",
                 fmt::format("{} of the partitions before cannot be read: {}", objects[index]->path, why));
  }
  for (size_t i = 0; i < objects.size(); ++i) rows[partitions[i]] += footers[i]->rows;
  for (const auto& [partition, count] : partition_rows_) rows[partition] = count;
  return rows;
}

Result<void> Runner::test_rows(const Check& check) {
  const Rule& rule = *check.rule;
  if (!rule.baseline && !rule.per_partition) {
    Finding f = start_finding(check);
    f.partition = whole().partition;
    const auto value = static_cast<double>(report_.rows);
    f.observed = Json::object({{"value", report_.rows}});
    f.observed_text = fmt::format("{} rows", report_.rows);
    if (!std::ranges::all_of(check.conditions, [&](const Condition& c) { return c.holds(value); }))
      f.result = check.severity == Severity::kError ? "failed" : "warned";
    if (f.result != "passed" && !rule.explain.empty() && tables_made_) TRY(explain(check, whole(), f.sample_rows));
    report_.findings.push_back(std::move(f));
    return {};
  }
  std::map<std::string, int64_t> rows = partition_rows_;
  if (rule.baseline) {
    auto all = partition_rows_.contains("")
                   ? Result<std::map<std::string, int64_t>>(
                         Error(Code::kInvalid, "baseline",
                               fmt::format("an object does not lie below {}=…/", rule.baseline->partition)))
                   : rows_by_partition(check);
    if (!all) {
      TRY_LET(Finding f, undecided(check, all.error()));
      report_.findings.push_back(std::move(f));
      return {};
    }
    rows = *std::move(all);
  }
  size_t compared = 0, faults = 0;
  Finding last;
  for (const auto& [partition, count] : partition_rows_) {
    bool was_compared = false;
    TRY_LET(Finding f, judge_partition(check, partition, rows, was_compared));
    compared += was_compared ? 1 : 0;
    last = f;
    if (f.result == "passed" || f.result == "skipped") continue;
    ++faults;
    report_.findings.push_back(std::move(f));
  }
  if (partition_rows_.size() == 1) {
    if (faults == 0) report_.findings.push_back(std::move(last));
    return {};
  }
  if (faults == partition_rows_.size()) return {};
  Finding f = start_finding(check);
  f.result = compared > 0 || !check.conditions.empty() ? "passed" : "skipped";
  f.observed = Json::object({{"partitions", partition_rows_.size()}, {"compared", compared}, {"outside", faults}});
  f.observed_text = fmt::format("{} of {} partitions hold", partition_rows_.size() - faults, partition_rows_.size());
  if (rule.baseline && compared < partition_rows_.size())
    f.observed_text += fmt::format("; {} not compared for want of {} before them", partition_rows_.size() - compared,
                                   rule.baseline->min_history);
  report_.findings.push_back(std::move(f));
  return {};
}

Result<Finding> Runner::judge_partition(const Check& check, const std::string& partition,
                                        const std::map<std::string, int64_t>& rows, bool& compared) {
  const Rule& rule = *check.rule;
  Finding f = start_finding(check);
  f.partition = partition;
  const int64_t count = rows.at(partition);
  f.observed = Json::object({{"value", count}});
  f.observed_text = fmt::format("{} rows", count);
  bool fine =
      std::ranges::all_of(check.conditions, [&](const Condition& c) { return c.holds(static_cast<double>(count)); });
  std::vector<std::string> before;
  if (rule.baseline) {
    const Baseline& b = *rule.baseline;
    std::vector<int64_t> counts;
    for (auto at = std::make_reverse_iterator(rows.lower_bound(partition));
         at != rows.rend() && before.size() < static_cast<size_t>(b.window); ++at) {
      before.push_back(at->first);
      counts.push_back(at->second);
    }
    f.observed.set("partitions_before", before.size());
    if (before.size() < static_cast<size_t>(b.min_history)) {
      f.observed_text += fmt::format("; not compared: {} of {} partitions before it", before.size(), b.min_history);
      if (check.conditions.empty()) f.result = "skipped";
    } else {
      compared = true;
      const double middle = median(std::move(counts));
      std::string expected;
      const auto limit = [&](std::string_view sign, double bound, double percent, std::string_view side) {
        expected += fmt::format("{}{} {} (median {} of {}, at most {} % {})", expected.empty() ? "" : " and ", sign,
                                number_text(bound), number_text(middle), before.size(), number_text(percent), side);
        f.observed.set(sign == ">=" ? "least" : "most", bound);
      };
      f.observed.set("median", middle);
      if (b.max_below_percent) {
        const double least = middle * (100 - *b.max_below_percent) / 100;
        limit(">=", least, *b.max_below_percent, "below");
        fine = fine && static_cast<double>(count) >= least;
      }
      if (b.max_above_percent) {
        const double most = middle * (100 + *b.max_above_percent) / 100;
        limit("<=", most, *b.max_above_percent, "above");
        fine = fine && static_cast<double>(count) <= most;
      }
      for (const Condition& c : check.conditions) expected += fmt::format(" and {} rows", c.text());
      f.expected = std::move(expected);
    }
  }
  if (fine) return f;
  f.result = check.severity == Severity::kError ? "failed" : "warned";
  if (tables_made_) TRY(name_missing_keys(check, partition, before, f));
  return f;
}

/// The author's query when there is one; else the key values that most partitions before have and this one lacks.
Result<void> Runner::name_missing_keys(const Check& check, const std::string& partition,
                                       const std::vector<std::string>& before, Finding& f) {
  if (report_.count("failed") + report_.count("warned") >= static_cast<int64_t>(kExplainedMax)) return {};
  if (!check.rule->explain.empty()) {
    TRY(explain(check, part_of(partition), f.missing_keys));
    if (f.missing_keys.size() > 0) return {};
  }
  f.missing_keys = Json();
  std::vector<std::string> names, expressions;
  for (const std::string& column : schema_.primary_key()) {
    if (column == hive_key_ || unusable_.contains(column)) continue;
    const Property& p = *schema_.find(column);
    const bool instant = p.logical_type == "timestamp";
    names.push_back(instant ? fmt::format("hour({})", column) : column);
    expressions.push_back(instant ? fmt::format("hour({})", quote_name(column)) : quote_name(column));
  }
  if (names.empty() || before.empty()) return {};
  TRY(make_baseline());
  std::string window;
  for (const std::string& b : before) window += (window.empty() ? "" : ", ") + quote_text(b);
  std::string columns;
  for (size_t i = 0; i < names.size(); ++i) columns += fmt::format("{} AS k{}, ", expressions[i], i);
  std::string past =
      fmt::format("SELECT {}tarn_partition FROM tarn_changed WHERE tarn_partition IN ({})", columns, window);
  if (baseline_made_)
    past += fmt::format(
        " UNION ALL SELECT {}tarn_partition FROM tarn_baseline WHERE tarn_partition IN ({}) AND tarn_partition "
        "NOT IN (SELECT DISTINCT tarn_partition FROM tarn_changed)",
        columns, window);
  // Columns that are the same all over a partition (the day itself) say nothing about what is missing in it.
  std::string spread;
  for (size_t i = 0; i < names.size(); ++i) spread += fmt::format("{}max(d{})", i ? ", " : "", i);
  std::string distinct;
  for (size_t i = 0; i < names.size(); ++i)
    distinct += fmt::format("{}count(DISTINCT k{}) AS d{}", i ? ", " : "", i, i);
  auto varies = session_->query(
      fmt::format("SELECT {} FROM (SELECT {} FROM ({}) GROUP BY tarn_partition)", spread, distinct, past));
  if (!varies || varies->rows.empty()) return {};
  std::string kept, aliases;
  std::vector<std::string> shown;
  for (size_t i = 0; i < names.size(); ++i) {
    if (varies->rows[0][i].as_int() < 2) continue;
    kept += fmt::format("{}k{}", kept.empty() ? "" : ", ", i);
    aliases += fmt::format("{}k{} AS {}", aliases.empty() ? "" : ", ", i, quote_name(names[i]));
  }
  if (kept.empty()) return {};
  const auto usual = static_cast<int64_t>(kUsualShare * static_cast<double>(before.size()) + 0.999);
  const std::string now =
      fmt::format("SELECT {} FROM (SELECT {}tarn_partition FROM tarn_changed WHERE tarn_partition = {})", kept, columns,
                  quote_text(partition));
  auto rows = rows_as_json(
      fmt::format(
          "SELECT {} FROM (SELECT {} FROM ({}) GROUP BY ALL HAVING count(DISTINCT tarn_partition) >= {} EXCEPT {}) "
          "ORDER BY ALL LIMIT {}",
          aliases, kept, past, usual, now, kMissingKeysMax),
      false, kMissingKeysMax);
  if (rows && rows->size() > 0) f.missing_keys = *std::move(rows);
  return {};
}

/// The rows of the partitions before, made only when a query asks for them.
Result<void> Runner::make_baseline() {
  if (baseline_made_ || scope_.baseline.objects.empty()) return {};
  std::vector<TableObject> objects;
  for (const ObjectBytes& object : scope_.baseline.objects)
    objects.push_back({&object, partition_of(object.path, hive_key_)});
  bool hive_is_column = false;
  for (const auto& footer : footers_)
    if (footer)
      for (const auto& [name, type] : footer->columns) hive_is_column |= name == hive_key_;
  TRY(session_->define_objects("tarn_baseline", objects, hive_key_, hive_is_column, false));
  TRY(session_->define(
      "CREATE TEMP VIEW tarn_baseline_rows AS SELECT * EXCLUDE (tarn_object, tarn_partition, tarn_row) FROM "
      "tarn_baseline"));
  baseline_made_ = true;
  return {};
}

}  // namespace tarn::quality
