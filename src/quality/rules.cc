#include "quality/rules.h"

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/core.h>

#include "base/clock.h"
#include "quality/checks.h"

namespace tarn::quality {
namespace {

constexpr std::array<std::string_view, 8> kOperators = {
    "mustBe",         "mustNotBe",           "mustBeGreaterThan", "mustBeGreaterOrEqualTo",
    "mustBeLessThan", "mustBeLessOrEqualTo", "mustBeBetween",     "mustNotBeBetween"};
constexpr std::array<std::string_view, 5> kMetrics = {"rowCount", "nullValues", "missingValues", "invalidValues",
                                                      "duplicateValues"};
constexpr std::string_view kRuleKeys[] = {"id",
                                          "name",
                                          "description",
                                          "type",
                                          "metric",
                                          "rule",
                                          "arguments",
                                          "property",
                                          "properties",
                                          "validValues",
                                          "pattern",
                                          "unit",
                                          "severity",
                                          "dimension",
                                          "query",
                                          "businessImpact",
                                          "method",
                                          "schedule",
                                          "scheduler",
                                          "tags",
                                          "customProperties",
                                          "authoritativeDefinitions",
                                          "missingValues"};
constexpr std::string_view kArguments[] = {"property", "properties", "validValues", "pattern", "missingValues"};
constexpr std::string_view kBaselineKeys[] = {"metric",     "partition",       "window",         "statistic",
                                              "minHistory", "maxBelowPercent", "maxAbovePercent"};

Error wrong(std::string what) { return Error(Code::kInvalid, "rule", std::move(what)); }

bool member_of(std::string_view word, const auto& words) { return std::ranges::find(words, word) != std::end(words); }

class RuleParser {
 public:
  RuleParser(const Json& node, const std::string& place, const Schema& schema, const Property* property,
             std::vector<std::string>& warnings)
      : node_(node), schema_(schema), property_(property), warnings_(warnings) {
    rule_.place = place;
  }

  Result<Rule> parse() {
    if (!node_.is_object()) return wrong("a rule must be a map with id and type");
    rule_.id = node_["id"].as_string().empty() ? node_["name"].as_string() : node_["id"].as_string();
    TRY(kind());
    TRY(common());
    if (rule_.kind == RuleKind::kLibrary) TRY(library());
    if (rule_.kind == RuleKind::kSql) TRY(sql());
    TRY(operators());
    TRY(extensions());
    TRY(placeholders());
    if (rule_.kind == RuleKind::kText) {
      if (rule_.description.empty()) return say("a text rule needs a description");
      if (rule_.id.empty()) return say("a text rule needs an id");
      return std::move(rule_);
    }
    if (rule_.conditions.empty() && !rule_.baseline)
      return say(fmt::format("says not what must hold; add one of {}", list_words(kOperators)));
    if (rule_.id.empty()) derive_id();
    return std::move(rule_);
  }

 private:
  Error say(std::string_view what) const {
    return wrong(rule_.id.empty() ? std::string(what) : fmt::format("rule '{}': {}", rule_.id, what));
  }

  Result<void> kind() {
    const Json& type = node_["type"];
    const std::string word = type.is_null() ? "library" : type.as_string();
    if (word == "library")
      rule_.kind = RuleKind::kLibrary;
    else if (word == "sql")
      rule_.kind = RuleKind::kSql;
    else if (word == "text")
      rule_.kind = RuleKind::kText;
    else if (word == "custom")
      return say(
          "type 'custom' (an external engine) is not supported here; write it as sql, or run it as an external "
          "check. Known types: library, sql, text");
    else
      return say(fmt::format("unknown type '{}'; known: library, sql, text", word));
    return {};
  }

  Result<void> common() {
    for (const auto& [key, value] : node_.members()) {
      if (member_of(key, kRuleKeys) || member_of(key, kOperators)) continue;
      if (key.starts_with("must"))
        return say(fmt::format("unknown operator '{}'; known: {}", key, list_words(kOperators)));
      warnings_.push_back(fmt::format("{}: rule '{}': unknown key '{}'; it has no effect", rule_.place, rule_.id, key));
    }
    rule_.description = node_["description"].as_string();
    rule_.dimension = node_["dimension"].as_string();
    const Json& severity = node_["severity"];
    if (severity.is_null() || severity.as_string() == "error")
      rule_.severity = Severity::kError;
    else if (severity.as_string() == "warning")
      rule_.severity = Severity::kWarning;
    else
      return say(fmt::format("unknown severity '{}'; known: error, warning", severity.as_string()));
    const Json& unit = node_["unit"];
    if (unit.is_null() || unit.as_string() == "rows")
      rule_.unit = Unit::kRows;
    else if (unit.as_string() == "percent")
      rule_.unit = Unit::kPercent;
    else
      return say(fmt::format("unknown unit '{}'; known: rows, percent", unit.as_string()));
    return {};
  }

  /// An argument stands below `arguments` (ODCS 3.1) or on the rule itself (ODCS 3.0).
  const Json& argument(std::string_view key) const {
    const Json* inner = node_["arguments"].find(key);
    return inner ? *inner : node_[key];
  }

  Result<void> library() {
    const Json& metric = node_.has("metric") ? node_["metric"] : node_["rule"];
    if (!metric.is_string()) return say(fmt::format("metric must be given; known: {}", list_words(kMetrics)));
    const auto found = std::ranges::find(kMetrics, metric.as_string());
    if (found == kMetrics.end())
      return say(fmt::format("unknown metric '{}'; known: {}", metric.as_string(), list_words(kMetrics)));
    rule_.metric = static_cast<Metric>(found - kMetrics.begin());
    for (const auto& [key, value] : node_["arguments"].members())
      if (!member_of(key, kArguments))
        return say(fmt::format("unknown argument '{}'; known: {}", key, list_words(kArguments)));
    TRY(columns());
    TRY(values());
    if (rule_.metric == Metric::kRowCount && rule_.unit == Unit::kPercent)
      return say("rowCount is counted in rows; remove unit: percent");
    return {};
  }

  Result<void> columns() {
    if (const Json& one = argument("property"); one.is_string()) rule_.columns.push_back(one.as_string());
    if (const Json& many = argument("properties"); !many.is_null()) {
      if (!many.is_array() || many.items().empty()) return say("properties must be a list of column names");
      for (const Json& name : many.items()) rule_.columns.push_back(name.as_string());
    }
    if (rule_.columns.empty() && property_) rule_.columns.push_back(property_->name);
    for (const std::string& name : rule_.columns) {
      if (schema_.find(name) || name == schema_.partition) continue;
      std::vector<std::string_view> known;
      for (const Property& p : schema_.properties) known.push_back(p.name);
      return say(
          fmt::format("column '{}' is not described in table '{}'; known: {}", name, schema_.name, list_words(known)));
    }
    const bool counts_rows = rule_.metric == Metric::kRowCount;
    if (counts_rows) {
      if (!rule_.columns.empty() && !property_) return say("rowCount takes no column");
      rule_.columns.clear();
    } else if (rule_.columns.empty()) {
      return say(fmt::format("{} needs a column: arguments: {{property: NAME}}", word_of(rule_.metric)));
    } else if (rule_.columns.size() > 1 && rule_.metric != Metric::kDuplicateValues) {
      return say(fmt::format("{} takes exactly one column; write one rule for each", word_of(rule_.metric)));
    }
    return {};
  }

  Result<void> values() {
    const Json& valid = argument("validValues");
    const Json& pattern = argument("pattern");
    const Json& missing = argument("missingValues");
    const bool invalid_rule = rule_.metric == Metric::kInvalidValues;
    if ((!valid.is_null() || !pattern.is_null()) && !invalid_rule)
      return say(fmt::format("validValues and pattern belong to invalidValues, not to {}", word_of(rule_.metric)));
    if (!missing.is_null() && rule_.metric != Metric::kMissingValues)
      return say(fmt::format("missingValues belongs to the metric missingValues, not to {}", word_of(rule_.metric)));
    if (!valid.is_null()) {
      if (!valid.is_array() || valid.items().empty()) return say("validValues must be a list with at least one value");
      rule_.valid_values = valid.items();
    }
    if (!pattern.is_null()) {
      if (!pattern.is_string() || pattern.as_string().empty()) return say("pattern must be a regular expression");
      rule_.pattern = pattern.as_string();
    }
    if (rule_.metric == Metric::kMissingValues) {
      if (!missing.is_null() && !missing.is_array()) return say("missingValues must be a list");
      rule_.missing_values = missing.is_array() ? missing.items() : std::vector<Json>{Json(), Json("")};
    }
    for (const auto* list : {&rule_.valid_values, &rule_.missing_values})
      for (const Json& v : *list)
        if (v.is_array() || v.is_object()) return say("the listed values must be plain: text, numbers, true or false");
    if (invalid_rule && rule_.valid_values.empty() && rule_.pattern.empty()) {
      const Property* p = schema_.find(rule_.columns.front());
      if (!p || p->options.is_null())
        return say("invalidValues needs validValues, a pattern, or logicalTypeOptions on its column");
    }
    return {};
  }

  Result<void> sql() {
    const Json& query = node_["query"];
    if (!query.is_string() || query.as_string().empty()) return say("a sql rule needs a query that gives one number");
    rule_.query = query.as_string();
    if (property_) rule_.columns.push_back(property_->name);
    return {};
  }

  Result<void> operators() {
    for (size_t i = 0; i < kOperators.size(); ++i) {
      const Json* value = node_.find(kOperators[i]);
      if (!value) continue;
      Condition c;
      c.op = static_cast<Operator>(i);
      if (c.op == Operator::kMustBeBetween || c.op == Operator::kMustNotBeBetween) {
        if (!value->is_array() || value->size() != 2 || !value->items()[0].is_number() ||
            !value->items()[1].is_number())
          return say(fmt::format("{} needs two numbers: [low, high]", kOperators[i]));
        c.value = value->items()[0].as_double();
        c.upper = value->items()[1].as_double();
        if (c.value > c.upper) return say(fmt::format("{}: the lower number comes first", kOperators[i]));
        warnings_.push_back(
            fmt::format("{}: rule '{}': {} includes both ends here", rule_.place, rule_.id, kOperators[i]));
      } else if (value->is_number()) {
        c.value = value->as_double();
      } else if (value->is_bool() && c.op <= Operator::kMustNotBe) {
        c.value = value->as_bool() ? 1 : 0;
      } else {
        return say(fmt::format("{} needs a number", kOperators[i]));
      }
      rule_.conditions.push_back(c);
    }
    return {};
  }

  Result<void> extensions() {
    const Json& list = node_["customProperties"];
    if (!list.is_null() && !list.is_array()) return say("customProperties must be a list of {property, value}");
    for (const Json& item : list.items()) {
      const std::string& name = item["property"].as_string();
      const Json& value = item["value"];
      if (name == "meshBaseline") {
        TRY(baseline(value));
      } else if (name == "meshExplain") {
        if (!value.is_string()) return say("meshExplain must be a query");
        rule_.explain = value.as_string();
      } else if (name == "meshScope") {
        if (value.as_string() != "changed" && value.as_string() != "partition")
          return say(fmt::format("unknown meshScope '{}'; known: changed, partition", value.as_string()));
        rule_.per_partition = value.as_string() == "partition";
      } else if (name == "meshReference") {
        if (!value.is_string()) return say("meshReference must name one input");
      } else if (name.starts_with("mesh")) {
        return say(
            fmt::format("unknown extension '{}'; known: meshBaseline, meshExplain, meshReference, meshScope", name));
      }
    }
    return {};
  }

  Result<void> baseline(const Json& value) {
    if (!value.is_object()) return say("meshBaseline must be a map with partition and maxBelowPercent");
    for (const auto& [key, ignored] : value.members())
      if (!member_of(key, kBaselineKeys))
        return say(fmt::format("meshBaseline: unknown key '{}'; known: {}", key, list_words(kBaselineKeys)));
    if (rule_.kind != RuleKind::kLibrary || rule_.metric != Metric::kRowCount ||
        (value.has("metric") && value["metric"].as_string() != "rowCount"))
      return say("meshBaseline works on the metric rowCount only");
    if (value.has("statistic") && value["statistic"].as_string() != "median")
      return say(fmt::format("meshBaseline: unknown statistic '{}'; known: median", value["statistic"].as_string()));
    Baseline b;
    b.partition = value.has("partition") ? value["partition"].as_string() : schema_.partition;
    if (b.partition.empty())
      return say("meshBaseline needs the Hive key of the partitions: partition: date, or meshPartition on the table");
    if (value.has("window")) b.window = static_cast<int>(value["window"].as_int());
    b.min_history = value.has("minHistory") ? static_cast<int>(value["minHistory"].as_int()) : b.window;
    if (b.window < 1 || b.window > 1000) return say("meshBaseline: window must be a whole number from 1 to 1000");
    if (b.min_history < 1 || b.min_history > b.window)
      return say("meshBaseline: minHistory must be a whole number from 1 to window");
    for (const auto& [key, target] :
         {std::pair{"maxBelowPercent", &b.max_below_percent}, std::pair{"maxAbovePercent", &b.max_above_percent}}) {
      if (!value.has(key)) continue;
      if (!value[key].is_number() || value[key].as_double() < 0)
        return say(fmt::format("meshBaseline: {} must be a number from 0", key));
      *target = value[key].as_double();
    }
    if (!b.max_below_percent && !b.max_above_percent)
      return say("meshBaseline needs maxBelowPercent or maxAbovePercent");
    rule_.baseline = std::move(b);
    return {};
  }

  Result<void> placeholders() const {
    const Placeholders any{"o", rule_.columns.size() == 1 ? "p" : "", "b"};
    for (const std::string* sql : {&rule_.query, &rule_.explain}) {
      const auto filled = fill_placeholders(*sql, any);
      if (!filled) return say(filled.error().message());
    }
    return {};
  }

  void derive_id() {
    std::string name = rule_.columns.empty() ? schema_.name : list_words(rule_.columns);
    std::ranges::replace(name, ',', '-');
    std::erase(name, ' ');
    rule_.id = name + "." + std::string(rule_.kind == RuleKind::kSql ? "sql" : word_of(rule_.metric));
    warnings_.push_back(fmt::format("{}: no id; '{}' is used, and changes when the rule's column or metric does",
                                    rule_.place, rule_.id));
  }

  const Json& node_;
  const Schema& schema_;
  const Property* property_;
  std::vector<std::string>& warnings_;
  Rule rule_;
};

struct OptionWords {
  std::string_view type;
  std::array<std::string_view, 6> tested;
  std::array<std::string_view, 4> noted;  ///< valid in the standard, not tested here
};
constexpr OptionWords kOptions[] = {
    {"string", {"pattern", "minLength", "maxLength"}, {"format"}},
    {"integer", {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}, {"format"}},
    {"number", {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}, {"format"}},
    {"date", {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}, {"format"}},
    {"time", {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}, {"format", "timezone", "defaultTimezone"}},
    {"timestamp",
     {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"},
     {"format", "timezone", "defaultTimezone"}},
    {"array", {"minItems", "maxItems"}, {"uniqueItems"}},
    {"object", {}, {"minProperties", "maxProperties", "required"}},
    {"boolean", {}, {}},
};

}  // namespace

std::string_view word_of(Severity severity) { return severity == Severity::kError ? "error" : "warning"; }
std::string_view word_of(Metric metric) { return kMetrics[static_cast<size_t>(metric)]; }
std::string_view word_of(Operator op) { return kOperators[static_cast<size_t>(op)]; }

std::string number_text(double value) {
  if (std::abs(value) < 1e15 && value == std::floor(value)) return fmt::format("{}", static_cast<int64_t>(value));
  std::string text = fmt::format("{:.4f}", value);
  while (text.ends_with('0')) text.pop_back();
  if (text.ends_with('.')) text.pop_back();
  return text;
}

bool Condition::holds(double observed) const {
  switch (op) {
    case Operator::kMustBe:
      return observed == value;
    case Operator::kMustNotBe:
      return observed != value;
    case Operator::kMustBeGreaterThan:
      return observed > value;
    case Operator::kMustBeGreaterOrEqualTo:
      return observed >= value;
    case Operator::kMustBeLessThan:
      return observed < value;
    case Operator::kMustBeLessOrEqualTo:
      return observed <= value;
    case Operator::kMustBeBetween:
      return observed >= value && observed <= upper;
    case Operator::kMustNotBeBetween:
      return observed < value || observed > upper;
  }
  return false;
}

std::string Condition::text() const {
  const std::string v = number_text(value);
  switch (op) {
    case Operator::kMustBe:
      return "= " + v;
    case Operator::kMustNotBe:
      return "not " + v;
    case Operator::kMustBeGreaterThan:
      return "> " + v;
    case Operator::kMustBeGreaterOrEqualTo:
      return ">= " + v;
    case Operator::kMustBeLessThan:
      return "< " + v;
    case Operator::kMustBeLessOrEqualTo:
      return "<= " + v;
    case Operator::kMustBeBetween:
      return "between " + v + " and " + number_text(upper);
    case Operator::kMustNotBeBetween:
      return "not between " + v + " and " + number_text(upper);
  }
  return v;
}

std::string expected_text(const Rule& rule) {
  if (rule.kind == RuleKind::kText) return rule.description;
  std::string out;
  for (const Condition& c : rule.conditions) out += (out.empty() ? "" : " and ") + c.text();
  if (!out.empty()) out += rule.unit == Unit::kPercent ? " percent" : rule.kind == RuleKind::kSql ? "" : " rows";
  if (rule.baseline) {
    const Baseline& b = *rule.baseline;
    const auto add = [&](std::string_view side, double percent) {
      out += fmt::format("{}at most {} percent {} the median of the {} partitions before it", out.empty() ? "" : "; ",
                         number_text(percent), side, b.window);
    };
    if (b.max_below_percent) add("below", *b.max_below_percent);
    if (b.max_above_percent) add("above", *b.max_above_percent);
  }
  return out;
}

Result<Rule> parse_rule(const Json& node, const std::string& place, const Schema& schema, const Property* property,
                        std::vector<std::string>& warnings) {
  return RuleParser(node, place, schema, property, warnings).parse();
}

Result<void> check_options(const Property& property, const std::string& place, std::vector<std::string>& warnings) {
  const Json& options = property.options;
  if (options.is_null()) return {};
  if (!options.is_object()) return wrong("logicalTypeOptions must be a map");
  if (property.logical_type.empty()) return wrong("logicalTypeOptions need a logicalType");
  const auto* words = std::ranges::find(kOptions, property.logical_type, &OptionWords::type);
  for (const auto& [key, value] : options.members()) {
    const bool tested = !key.empty() && member_of(key, words->tested);
    const bool noted = !key.empty() && member_of(key, words->noted);
    if (noted) warnings.push_back(fmt::format("{}: logicalTypeOptions.{} is shown and not tested", place, key));
    if (noted) continue;
    if (!tested) {
      std::string known;
      for (const std::string_view w : words->tested)
        if (!w.empty()) known += (known.empty() ? "" : ", ") + std::string(w);
      return wrong(fmt::format("unknown logicalTypeOptions.{} for {}; known: {}", key, property.logical_type,
                               known.empty() ? "none" : known));
    }
    if (key.starts_with("exclusive") && value.is_bool()) continue;
    const bool text = key == "pattern";
    const bool instant =
        property.logical_type == "date" || property.logical_type == "time" || property.logical_type == "timestamp";
    if ((text || instant) ? !value.is_string() : !value.is_number())
      return wrong(fmt::format("logicalTypeOptions.{} must be {}", key, text || instant ? "text" : "a number"));
    if ((property.logical_type == "date" || property.logical_type == "timestamp") &&
        !base::parse_rfc3339(value.as_string()))
      return wrong(
          fmt::format("logicalTypeOptions.{}: '{}' is not a date or time such as 2013-01-01 or "
                      "2013-01-01T00:00:00Z",
                      key, value.as_string()));
  }
  return {};
}

}  // namespace tarn::quality
