#include "quality/checks.h"

#include <algorithm>
#include <array>

#include <fmt/core.h>

#include "quality/rules.h"

namespace tarn::quality {
namespace {

std::string upper(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return out;
}

/// DuckDB's name for a type as people write it: without length, synonyms folded; DECIMAL keeps its digits.
std::string canonical_of(std::string_view type) {
  std::string t = upper(type);
  std::erase(t, ' ');
  const size_t paren = t.find('(');
  const std::string head = t.substr(0, paren);
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 29> kSynonyms = {{
      {"STRING", "VARCHAR"},
      {"TEXT", "VARCHAR"},
      {"CHAR", "VARCHAR"},
      {"NVARCHAR", "VARCHAR"},
      {"BYTE_ARRAY", "VARCHAR"},
      {"UTF8", "VARCHAR"},
      {"INT", "INTEGER"},
      {"INT4", "INTEGER"},
      {"INT32", "INTEGER"},
      {"LONG", "BIGINT"},
      {"INT8", "BIGINT"},
      {"INT64", "BIGINT"},
      {"SHORT", "SMALLINT"},
      {"INT2", "SMALLINT"},
      {"INT16", "SMALLINT"},
      {"REAL", "FLOAT"},
      {"FLOAT4", "FLOAT"},
      {"FLOAT8", "DOUBLE"},
      {"DOUBLEPRECISION", "DOUBLE"},
      {"BOOL", "BOOLEAN"},
      {"DATETIME", "TIMESTAMP"},
      {"TIMESTAMP_NTZ", "TIMESTAMP"},
      {"TIMESTAMP_US", "TIMESTAMP"},
      {"TIMESTAMPTZ", "TIMESTAMPWITHTIMEZONE"},
      {"TIMESTAMP_TZ", "TIMESTAMPWITHTIMEZONE"},
      {"NUMERIC", "DECIMAL"},
      {"BYTES", "BLOB"},
      {"BINARY", "BLOB"},
      {"VARBINARY", "BLOB"},
  }};
  std::string base = head;
  for (const auto& [from, to] : kSynonyms)
    if (head == from) base = to;
  if (base == "DECIMAL" && paren != std::string::npos) return base + t.substr(paren);
  if (base.ends_with("[]") || base == "STRUCT" || base == "MAP" || base == "LIST") return t;
  return base;
}

bool starts(std::string_view text, std::initializer_list<std::string_view> heads) {
  return std::ranges::any_of(heads, [&](std::string_view h) { return text.starts_with(h); });
}

bool family_fits(std::string_view logical, const std::string& type) {
  const bool whole = starts(type, {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT",
                                   "UINTEGER", "UBIGINT", "UHUGEINT"}) &&
                     !type.ends_with("]");
  if (logical == "string") return type == "VARCHAR" || type == "UUID" || type.starts_with("ENUM") || type == "JSON";
  if (logical == "integer") return whole;
  if (logical == "number") return whole || type == "FLOAT" || type == "DOUBLE" || type.starts_with("DECIMAL");
  if (logical == "boolean") return type == "BOOLEAN";
  if (logical == "date") return type == "DATE";
  if (logical == "time") return type.starts_with("TIME") && !type.starts_with("TIMESTAMP");
  if (logical == "timestamp") return type.starts_with("TIMESTAMP");
  if (logical == "array") return type.ends_with("]") || type.starts_with("LIST");
  if (logical == "object") return starts(type, {"STRUCT", "MAP", "JSON"});
  return true;
}

std::string promised(const Property& p) {
  if (p.physical_type.empty()) return p.logical_type;
  if (p.logical_type.empty()) return p.physical_type;
  return fmt::format("{} ({})", p.logical_type, p.physical_type);
}

/// A value of the contract as SQL for comparison with the column itself (number, date) or with its text.
std::string literal(const Property& p, const Json& value) {
  if (p.logical_type == "date") return fmt::format("CAST({} AS DATE)", quote_text(value.as_string()));
  if (p.logical_type == "time") return fmt::format("CAST({} AS TIME)", quote_text(value.as_string()));
  if (p.logical_type == "timestamp") return fmt::format("CAST({} AS TIMESTAMP)", quote_text(value.as_string()));
  if (value.is_string()) return quote_text(value.as_string());
  return value.dump();
}

std::string any_of(const std::vector<std::string>& parts) {
  std::string out;
  for (const std::string& part : parts) out += (out.empty() ? "" : " OR ") + part;
  return out;
}

struct OptionChecks {
  std::string range, range_text, pattern, length, length_text, multiple, items, items_text;
};

/// Predicates for the value options of a column; true for a wrong value, NULL for a null.
OptionChecks option_checks(const Property& p) {
  OptionChecks out;
  const Json& o = p.options;
  const std::string c = quote_name(p.name);
  std::vector<std::string> range, length, items;
  const auto note = [](std::string& text, std::string_view sign, const Json& value) {
    text += fmt::format("{}{} {}", text.empty() ? "" : " and ", sign,
                        value.is_number() ? number_text(value.as_double()) : value.as_string());
  };
  const auto bound = [&](std::string_view key, std::string_view exclusive, std::string_view wrong,
                         std::string_view right) {
    const bool strict = o[exclusive].as_bool();
    if (o.has(key)) {
      range.push_back(fmt::format("{} {}{} {}", c, wrong, strict ? "=" : "", literal(p, o[key])));
      note(out.range_text, strict ? right : fmt::format("{}=", right), o[key]);
    }
    if (o.has(exclusive) && !o[exclusive].is_bool()) {
      range.push_back(fmt::format("{} {}= {}", c, wrong, literal(p, o[exclusive])));
      note(out.range_text, right, o[exclusive]);
    }
  };
  bound("minimum", "exclusiveMinimum", "<", ">");
  bound("maximum", "exclusiveMaximum", ">", "<");
  out.range = any_of(range);
  if (o.has("pattern"))
    out.pattern = fmt::format("NOT regexp_matches({}, {})", c, quote_text(o["pattern"].as_string()));
  const auto size = [&](std::vector<std::string>& list, std::string& text, std::string_view function,
                        std::string_view low, std::string_view high) {
    if (o.has(low)) {
      list.push_back(fmt::format("{}({}) < {}", function, c, o[low].dump()));
      note(text, ">=", o[low]);
    }
    if (o.has(high)) {
      list.push_back(fmt::format("{}({}) > {}", function, c, o[high].dump()));
      note(text, "<=", o[high]);
    }
  };
  size(length, out.length_text, "length", "minLength", "maxLength");
  size(items, out.items_text, "len", "minItems", "maxItems");
  out.length = any_of(length);
  out.items = any_of(items);
  if (o.has("multipleOf")) out.multiple = fmt::format("{} % {} <> 0", c, o["multipleOf"].dump());
  return out;
}

std::string text_list(const std::vector<Json>& values) {
  std::string out;
  for (const Json& v : values)
    if (!v.is_null()) out += (out.empty() ? "" : ", ") + quote_text(v.is_string() ? v.as_string() : v.dump());
  return out;
}

std::string invalid_predicate(const Rule& rule, const Property* p) {
  const std::string c = quote_name(rule.columns.front());
  std::vector<std::string> parts;
  if (!rule.valid_values.empty()) {
    const bool numbers = std::ranges::all_of(rule.valid_values, &Json::is_number) &&
                         (!p || p->logical_type == "number" || p->logical_type == "integer");
    std::string list;
    for (const Json& v : rule.valid_values) list += (list.empty() ? "" : ", ") + v.dump();
    parts.push_back(numbers ? fmt::format("{} NOT IN ({})", c, list)
                            : fmt::format("CAST({} AS VARCHAR) NOT IN ({})", c, text_list(rule.valid_values)));
  }
  if (!rule.pattern.empty())
    parts.push_back(fmt::format("NOT regexp_matches(CAST({} AS VARCHAR), {})", c, quote_text(rule.pattern)));
  if (parts.empty() && p) {
    const OptionChecks o = option_checks(*p);
    for (const std::string* part : {&o.range, &o.pattern, &o.length, &o.multiple, &o.items})
      if (!part->empty()) parts.push_back("(" + *part + ")");
  }
  return any_of(parts);
}

std::string missing_predicate(const Rule& rule) {
  const std::string c = quote_name(rule.columns.front());
  std::vector<std::string> parts;
  if (std::ranges::any_of(rule.missing_values, &Json::is_null)) parts.push_back(c + " IS NULL");
  const std::string list = text_list(rule.missing_values);
  if (!list.empty()) parts.push_back(fmt::format("CAST({} AS VARCHAR) IN ({})", c, list));
  return any_of(parts);
}

class Compiler {
 public:
  explicit Compiler(const Schema& schema) : schema_(schema) {}

  std::vector<Check> compile() {
    implied("schema.readable", CheckKind::kReadable, "whole Parquet files", {}, "");
    for (const Property& p : schema_.properties) column(p);
    if (schema_.closed) implied("schema.closed", CheckKind::kClosed, "no further columns", {}, "");
    const std::vector<std::string> key = schema_.primary_key();
    if (!key.empty() && !tested_by_rule(key)) implied("schema.key", CheckKind::kDuplicates, "= 0 rows", key, "");
    for (const Rule& rule : schema_.rules) explicit_rule(rule);
    return std::move(out_);
  }

 private:
  Check& implied(std::string id, CheckKind kind, std::string expected, std::vector<std::string> columns,
                 std::string predicate) {
    Check check;
    check.id = std::move(id);
    check.kind = kind;
    check.expected = std::move(expected);
    check.columns = std::move(columns);
    check.predicate = std::move(predicate);
    check.conditions = {Condition{}};
    out_.push_back(std::move(check));
    return out_.back();
  }

  void column(const Property& p) {
    const std::string base = fmt::format("schema.{}.", p.name);
    implied(base + "type", CheckKind::kType, promised(p).empty() ? "present" : promised(p), {p.name}, "");
    if (p.required || p.primary_key_position > 0)
      implied(base + "required", CheckKind::kCount, "no nulls", {p.name}, quote_name(p.name) + " IS NULL");
    const bool alone_in_key = p.primary_key_position == 1 && schema_.primary_key().size() == 1;
    if (p.unique && !alone_in_key && !tested_by_rule({p.name}))
      implied(base + "unique", CheckKind::kDuplicates, "= 0 rows", {p.name}, "");
    const OptionChecks o = option_checks(p);
    if (!o.range.empty()) implied(base + "range", CheckKind::kCount, o.range_text, {p.name}, o.range);
    if (!o.pattern.empty())
      implied(base + "pattern", CheckKind::kCount, "matches " + p.options["pattern"].as_string(), {p.name}, o.pattern);
    if (!o.length.empty()) implied(base + "length", CheckKind::kCount, "length " + o.length_text, {p.name}, o.length);
    if (!o.items.empty()) implied(base + "items", CheckKind::kCount, "items " + o.items_text, {p.name}, o.items);
    if (!o.multiple.empty())
      implied(base + "multiple", CheckKind::kCount, "multiple of " + p.options["multipleOf"].dump(), {p.name},
              o.multiple);
    for (const Rule& rule : p.rules) explicit_rule(rule);
  }

  bool tested_by_rule(std::vector<std::string> columns) const {
    std::ranges::sort(columns);
    const auto tests = [&](const Rule& rule) {
      if (rule.kind != RuleKind::kLibrary || rule.metric != Metric::kDuplicateValues) return false;
      std::vector<std::string> other = rule.columns;
      std::ranges::sort(other);
      return other == columns && rule.severity == Severity::kError;
    };
    for (const Property& p : schema_.properties)
      if (std::ranges::any_of(p.rules, tests)) return true;
    return std::ranges::any_of(schema_.rules, tests);
  }

  void explicit_rule(const Rule& rule) {
    Check check;
    check.id = check.rule_id = rule.id;
    check.severity = rule.severity;
    check.expected = expected_text(rule);
    check.columns = rule.columns;
    check.conditions = rule.conditions;
    check.unit = rule.unit;
    check.rule = rule;
    if (rule.kind == RuleKind::kText) {
      check.kind = CheckKind::kText;
    } else if (rule.kind == RuleKind::kSql) {
      check.kind = CheckKind::kSql;
    } else {
      switch (rule.metric) {
        case Metric::kRowCount:
          check.kind = CheckKind::kRowCount;
          break;
        case Metric::kDuplicateValues:
          check.kind = CheckKind::kDuplicates;
          break;
        case Metric::kNullValues:
          check.predicate = quote_name(rule.columns.front()) + " IS NULL";
          break;
        case Metric::kMissingValues:
          check.predicate = missing_predicate(rule);
          break;
        case Metric::kInvalidValues:
          check.predicate = invalid_predicate(rule, schema_.find(rule.columns.front()));
          break;
      }
    }
    out_.push_back(std::move(check));
  }

  const Schema& schema_;
  std::vector<Check> out_;
};

}  // namespace

std::string canonical_type(std::string_view type) { return canonical_of(type); }

std::vector<Check> compile_checks(const Schema& schema) { return Compiler(schema).compile(); }

bool testable_type(const Property& property, std::string_view actual) {
  return property.logical_type.empty() || family_fits(property.logical_type, canonical_type(actual));
}

std::string type_problem(const Property& property, std::string_view actual) {
  const std::string have = canonical_type(actual);
  const bool logical = property.logical_type.empty() || family_fits(property.logical_type, have);
  bool physical = property.physical_type.empty();
  if (!physical) {
    const std::string want = canonical_type(property.physical_type);
    physical = want == have || (want == "DECIMAL" && have.starts_with("DECIMAL")) ||
               ((want == "STRUCT" || want == "MAP" || want == "LIST") && have.starts_with(want));
  }
  return logical && physical ? "" : promised(property);
}

std::string reference_view(std::string_view name) { return quote_name(fmt::format("tarn_reference_{}", name)); }

std::vector<std::string> references_in(std::string_view sql) {
  constexpr std::string_view kStart = "${reference.";
  std::vector<std::string> names;
  for (size_t at = sql.find(kStart); at != std::string_view::npos; at = sql.find(kStart, at + 1)) {
    const size_t end = sql.find('}', at);
    if (end == std::string_view::npos) break;
    std::string name(sql.substr(at + kStart.size(), end - at - kStart.size()));
    if (std::ranges::find(names, name) == names.end()) names.push_back(std::move(name));
  }
  return names;
}

Result<std::string> fill_placeholders(std::string_view sql, const Placeholders& with) {
  std::string out;
  size_t from = 0;
  for (size_t at = sql.find("${"); at != std::string_view::npos; at = sql.find("${", from)) {
    const size_t end = sql.find('}', at);
    if (end == std::string_view::npos)
      return Error(Code::kInvalid, "query", "a placeholder '${' is not closed with '}'");
    const std::string_view word = sql.substr(at + 2, end - at - 2);
    out += sql.substr(from, at - from);
    if (word == "object" || word == "table")
      out += with.object;
    else if ((word == "property" || word == "column") && !with.property.empty())
      out += with.property;
    else if (word == "baseline")
      out += with.baseline;
    else if (word.starts_with("reference.") && word.size() > 10)
      out += reference_view(word.substr(10));
    else
      return Error(Code::kInvalid, "query",
                   fmt::format("unknown placeholder '${{{}}}'; known: ${{object}}, ${{table}}, ${{baseline}}, "
                               "${{reference.NAME}}, and in a column's rule ${{property}}, ${{column}}",
                               word));
    from = end + 1;
  }
  out += sql.substr(from);
  return out;
}

std::string quote_name(std::string_view name) {
  std::string out = "\"";
  for (const char c : name) {
    if (c == '"') out += '"';
    out += c;
  }
  return out + '"';
}

std::string quote_text(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'') out += '\'';
    out += c;
  }
  return out + "'";
}

}  // namespace tarn::quality
