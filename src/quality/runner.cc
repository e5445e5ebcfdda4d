#include "quality/runner.h"

#include <algorithm>

#include <fmt/core.h>

#include "quality/rules.h"

namespace tarn::quality {
namespace {

/// Up to this many bytes of Parquet are unpacked once into the worker's memory; more is read anew by each query.
constexpr int64_t kCopyBytesMax = 48 << 20;

}  // namespace

/// Reads what the objects are, makes them tables, counts, and goes through the checks in the contract's order.
Result<Report> Runner::run() {
  const base::SteadyMs start = engine_.clock().steady_ms();
  report_.contract = contract_.id;
  report_.contract_version = contract_.version;
  report_.table = schema_.name;
  report_.engine = "duckdb " + engine_.version();
  report_.objects = static_cast<int64_t>(scope_.changed.objects.size());
  checks_ = compile_checks(schema_);
  TRY_LET(session_, Session::open(engine_.pool(), ctx_));
  TRY(look_at_objects());
  note_columns();
  TRY(make_tables());
  TRY(make_references());
  TRY(count_together());
  for (const Check& check : checks_) {
    const base::SteadyMs began = engine_.clock().steady_ms();
    const size_t before = report_.findings.size();
    TRY(ctx_.check(engine_.clock()));
    TRY(test(check));
    const int64_t took = engine_.clock().steady_ms() - began;
    if (report_.findings.size() > before) report_.findings[before].duration_ms = took;
  }
  report_.passed = std::ranges::none_of(report_.findings, &Finding::blocks);
  report_.duration_ms = engine_.clock().steady_ms() - start;
  return std::move(report_);
}

Result<void> Runner::look_at_objects() {
  hive_key_ = schema_.partition;
  for (const Check& check : checks_)
    if (check.rule && check.rule->baseline && hive_key_.empty()) hive_key_ = check.rule->baseline->partition;
  std::vector<const ObjectBytes*> objects;
  for (const ObjectBytes& object : scope_.changed.objects) {
    objects.push_back(&object);
    partitions_.push_back(partition_of(object.path, hive_key_));
  }
  TRY_LET(footers_, read_footers(engine_, *session_, objects, unreadable_));
  for (size_t i = 0; i < footers_.size(); ++i) {
    if (!footers_[i]) continue;
    report_.rows += footers_[i]->rows;
    partition_rows_[partitions_[i]] += footers_[i]->rows;
  }
  return {};
}

void Runner::note_columns() {
  for (const Property& p : schema_.properties) {
    size_t present = 0, readable = 0;
    for (const auto& footer : footers_) {
      if (!footer) continue;
      ++readable;
      const auto column = std::ranges::find(footer->columns, p.name, &std::pair<std::string, std::string>::first);
      if (column == footer->columns.end()) continue;
      ++present;
      if (!testable_type(p, column->second))
        unusable_[p.name] = fmt::format("column {} is {} instead of {}", p.name, column->second, p.logical_type);
    }
    if (readable > 0 && present == 0 && p.name != hive_key_)
      unusable_[p.name] = fmt::format("column {} is missing", p.name);
  }
}

Result<void> Runner::make_tables() {
  bool hive_is_column = false;
  for (int attempt = 0; attempt < 2; ++attempt) {
    std::vector<TableObject> objects;
    for (size_t i = 0; i < footers_.size(); ++i) {
      if (!footers_[i]) continue;
      objects.push_back({&scope_.changed.objects[i], partitions_[i]});
      for (const auto& [name, type] : footers_[i]->columns) hive_is_column |= name == hive_key_;
    }
    if (objects.empty()) {
      tables_problem_ = scope_.changed.objects.empty() ? "no object changed" : "no object can be read";
      return {};
    }
    std::vector<const ObjectBytes*> bytes;
    for (const TableObject& o : objects) bytes.push_back(o.bytes);
    TRY_LET(const auto paths, session_->paths(bytes));
    const bool copy = session_->granted_bytes() <= kCopyBytesMax;
    report_.bytes = session_->granted_bytes();
    auto made = session_->define_objects("tarn_changed", objects, hive_key_, hive_is_column, copy);
    if (made) {
      TRY(session_->define(
          "CREATE TEMP VIEW tarn_rows AS SELECT * EXCLUDE (tarn_object, tarn_partition, tarn_row) FROM "
          "tarn_changed"));
      tables_made_ = true;
      return {};
    }
    if (made.error().code() != Code::kInvalid && made.error().subject() != "worker") return made.error();
    tables_problem_ = first_line(made.error().message());
    // A whole footer over broken pages: find the objects by reading each alone.
    for (size_t i = 0; i < footers_.size(); ++i) {
      if (!footers_[i]) continue;
      TRY_LET(const auto path, session_->paths({&scope_.changed.objects[i]}));
      auto read =
          session_->query(fmt::format("SELECT bit_xor(hash(t)) FROM read_parquet({}) t", quote_text(path.front())));
      if (read) continue;
      if (read.error().code() != Code::kInvalid && read.error().subject() != "worker") return read.error();
      unreadable_[i] = first_line(read.error().message());
      report_.rows -= footers_[i]->rows;
      partition_rows_[partitions_[i]] -= footers_[i]->rows;
      footers_[i].reset();
    }
    if (unreadable_.empty()) return {};
  }
  return {};
}

Result<void> Runner::make_references() {
  std::set<std::string> wanted;
  for (const Check& check : checks_) {
    if (!check.rule) continue;
    for (const std::string* sql : {&check.rule->query, &check.rule->explain})
      for (std::string& name : references_in(*sql)) wanted.insert(std::move(name));
  }
  for (const std::string& name : wanted) {
    const auto table = std::ranges::find(scope_.references, name, &Table::name);
    if (table == scope_.references.end()) {
      no_reference_[name] = "";
      continue;
    }
    if (table->objects.empty()) {
      no_reference_[name] = fmt::format("reference {} holds no data yet", name);
      continue;
    }
    std::vector<TableObject> objects;
    for (const ObjectBytes& object : table->objects) objects.push_back({&object, ""});
    const std::string raw = fmt::format("tarn_raw_{}", name);
    auto made = session_->define_objects(raw, objects, "", true, false);
    if (made)
      made = session_->define(
          fmt::format("CREATE TEMP VIEW {} AS SELECT * EXCLUDE (tarn_object, tarn_partition, tarn_row) "
                      "FROM {}",
                      reference_view(name), quote_name(raw)));
    if (made)
      references_.insert(name);
    else if (made.error().code() == Code::kInvalid)
      no_reference_[name] = "";  // the rule's own query tells why
    else
      return made.error();
  }
  return {};
}

/// All predicates in one pass over the rows; when that fails each check asks for itself.
Result<void> Runner::count_together() {
  if (!tables_made_) return {};
  std::string list;
  std::vector<std::string> ids;
  for (const Check& check : checks_) {
    if (check.kind != CheckKind::kCount || !why_skipped(check).empty() || (check.rule && check.rule->per_partition))
      continue;
    list += fmt::format("{}count(*) FILTER (WHERE {})", ids.empty() ? "" : ", ", check.predicate);
    ids.push_back(check.id);
  }
  if (ids.empty()) return {};
  auto rows = session_->query(fmt::format("SELECT {} FROM tarn_changed", list));
  if (!rows) {
    const bool undecided = rows.error().code() == Code::kInvalid || rows.error().subject() == "worker" ||
                           rows.error().subject() == "check";
    return undecided ? base::ok() : Result<void>(rows.error());
  }
  for (size_t i = 0; i < ids.size(); ++i) counted_[ids[i]] = rows->rows.at(0).at(i).as_int();
  return {};
}

std::string Runner::why_skipped(const Check& check) const {
  for (const std::string& column : check.columns)
    if (const auto at = unusable_.find(column); at != unusable_.end()) return "not tested: " + at->second;
  if (check.rule)
    for (const std::string& name : references_in(check.rule->query))
      if (const auto at = no_reference_.find(name); at != no_reference_.end() && !at->second.empty())
        return "not tested: " + at->second;
  return "";
}

Part Runner::whole() const {
  return {"tarn_changed", "tarn_rows", partition_rows_.size() == 1 ? partition_rows_.begin()->first : "", report_.rows};
}

Part Runner::part_of(const std::string& partition) const {
  const std::string where = fmt::format("FROM tarn_changed WHERE tarn_partition = {}", quote_text(partition));
  return {fmt::format("(SELECT * {})", where),
          fmt::format("(SELECT * EXCLUDE (tarn_object, tarn_partition, tarn_row) {})", where), partition,
          partition_rows_.at(partition)};
}

Finding Runner::start_finding(const Check& check) const {
  Finding f;
  f.check = check.id;
  f.rule_id = check.rule_id;
  f.severity = word_of(check.severity);
  f.expected = check.expected;
  f.result = "passed";
  return f;
}

Result<Finding> Runner::undecided(const Check& check, const Error& error) const {
  const bool ours = error.code() == Code::kInvalid || error.subject() == "worker" || error.subject() == "check";
  if (!ours) return error;
  Finding f = start_finding(check);
  f.result = "error";
  f.observed_text = first_line(error.message());
  return f;
}

/// Adds the findings of one check; errors only where the whole run must end.
Result<void> Runner::test(const Check& check) {
  const auto add = [this](Finding f) {
    report_.findings.push_back(std::move(f));
    return base::ok();
  };
  if (check.kind == CheckKind::kReadable) return add(readable_finding(check));
  if (check.kind == CheckKind::kText) {
    Finding f = start_finding(check);
    f.result = "skipped";
    f.observed_text = "not tested: a rule in words";
    return add(std::move(f));
  }
  // A table without partitions that lost all its objects has no rows; that is a fact to be tested.
  if (check.kind == CheckKind::kRowCount && (tables_made_ || (hive_key_.empty() && scope_.changed.objects.empty())))
    return test_rows(check);
  if (!tables_made_ && check.kind != CheckKind::kType && check.kind != CheckKind::kClosed) {
    Finding f = start_finding(check);
    f.result = unreadable_.empty() && !scope_.changed.objects.empty() ? "error" : "skipped";
    f.observed_text = "not tested: " + tables_problem_;
    return add(std::move(f));
  }
  if (check.kind == CheckKind::kType) return add(type_finding(check));
  if (check.kind == CheckKind::kClosed) return add(closed_finding(check));
  if (const std::string why = why_skipped(check); !why.empty()) {
    Finding f = start_finding(check);
    f.result = "skipped";
    f.observed_text = why;
    return add(std::move(f));
  }
  if (!check.rule || !check.rule->per_partition || partition_rows_.size() < 2) {
    TRY_LET(Finding f, measure(check, whole()));
    return add(std::move(f));
  }
  // Each partition alone; what passed is told in one line.
  size_t passed = 0;
  for (const auto& [partition, rows] : partition_rows_) {
    TRY_LET(Finding f, measure(check, part_of(partition)));
    if (f.result == "passed")
      ++passed;
    else
      TRY(add(std::move(f)));
  }
  if (passed > 0) {
    Finding f = start_finding(check);
    f.observed_text = fmt::format("{} of {} partitions", passed, partition_rows_.size());
    f.observed = Json::object({{"partitions", partition_rows_.size()}, {"passed", passed}});
    TRY(add(std::move(f)));
  }
  return {};
}

Finding Runner::readable_finding(const Check& check) const {
  Finding f = start_finding(check);
  const size_t count = scope_.changed.objects.size();
  f.observed = Json::object({{"value", unreadable_.size()}, {"objects", count}});
  if (count == 0) {
    f.result = "skipped";
    f.observed_text = "no object changed";
  } else if (unreadable_.empty()) {
    f.observed_text = fmt::format("{} of {} objects", count, count);
  } else {
    const auto& [index, why] = *unreadable_.begin();
    f.result = "failed";
    f.object = scope_.changed.objects[index].path;
    f.partition = partitions_[index];
    f.observed_text = fmt::format("{}: {}", f.object, why);
    if (unreadable_.size() > 1) f.observed_text += fmt::format(" (and {} more)", unreadable_.size() - 1);
    Json list = Json::array();
    for (const auto& [i, text] : unreadable_)
      list.push(Json::object({{"object", scope_.changed.objects[i].path}, {"problem", text}}));
    f.observed.set("unreadable", std::move(list));
  }
  return f;
}

Finding Runner::type_finding(const Check& check) const {
  Finding f = start_finding(check);
  const Property& p = *schema_.find(check.columns.front());
  size_t wrong = 0, readable = 0;
  std::string first;
  for (size_t i = 0; i < footers_.size(); ++i) {
    if (!footers_[i]) continue;
    ++readable;
    const auto& columns = footers_[i]->columns;
    const auto column = std::ranges::find(columns, p.name, &std::pair<std::string, std::string>::first);
    std::string seen;
    if (column == columns.end())
      seen = p.name == hive_key_ && !partitions_[i].empty() ? "" : "missing";
    else if (!type_problem(p, column->second).empty())
      seen = column->second;
    if (seen.empty()) continue;
    if (++wrong == 1) {
      first = seen;
      f.object = scope_.changed.objects[i].path;
      f.partition = partitions_[i];
    }
  }
  if (readable == 0) {
    f.result = "skipped";
    f.observed_text = "not tested: " + tables_problem_;
  } else if (wrong > 0) {
    f.result = check.severity == Severity::kError ? "failed" : "warned";
    f.observed_text = fmt::format("{} in {}", first, f.object);
    if (readable > 1) f.observed_text += fmt::format(" ({} of {} objects)", wrong, readable);
    f.observed = Json::object({{"type", first}, {"objects", wrong}});
  }
  return f;
}

Finding Runner::closed_finding(const Check& check) const {
  Finding f = start_finding(check);
  std::set<std::string> extra;
  for (size_t i = 0; i < footers_.size(); ++i) {
    if (!footers_[i]) continue;
    for (const auto& [name, type] : footers_[i]->columns)
      if (!schema_.find(name) && extra.insert(name).second && f.object.empty())
        f.object = scope_.changed.objects[i].path;
  }
  if (extra.empty()) return f;
  f.result = "failed";
  Json list = Json::array();
  for (const std::string& name : extra) {
    f.observed_text += (f.observed_text.empty() ? "further columns: " : ", ") + name;
    list.push(name);
  }
  f.observed = Json::object({{"columns", std::move(list)}});
  return f;
}

}  // namespace tarn::quality
