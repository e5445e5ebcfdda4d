#include "quality/contract_diff.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <optional>

#include <fmt/core.h>

#include "quality/checks.h"
#include "quality/rules.h"

namespace tarn::quality {
namespace {

/// What happens to a guarantee, before asking whose contract it is.
enum class Turn { kNeutral, kTightened, kLoosened, kOther };

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// The numbers that a set of conditions accepts, when they are one interval.
struct Interval {
  double low = -kInfinity, high = kInfinity;
  bool low_open = false, high_open = false;
};

std::optional<Interval> interval_of(const std::vector<Condition>& conditions) {
  Interval out;
  const auto raise = [&](double low, bool open) {
    if (low > out.low || (low == out.low && open)) out.low = low, out.low_open = open;
  };
  const auto lower = [&](double high, bool open) {
    if (high < out.high || (high == out.high && open)) out.high = high, out.high_open = open;
  };
  for (const Condition& c : conditions) {
    switch (c.op) {
      case Operator::kMustBe:
        raise(c.value, false), lower(c.value, false);
        break;
      case Operator::kMustBeGreaterThan:
        raise(c.value, true);
        break;
      case Operator::kMustBeGreaterOrEqualTo:
        raise(c.value, false);
        break;
      case Operator::kMustBeLessThan:
        lower(c.value, true);
        break;
      case Operator::kMustBeLessOrEqualTo:
        lower(c.value, false);
        break;
      case Operator::kMustBeBetween:
        raise(c.value, false), lower(c.upper, false);
        break;
      default:
        return std::nullopt;
    }
  }
  return out;
}

bool inside(const Interval& a, const Interval& b) {
  const bool low = a.low > b.low || (a.low == b.low && (a.low_open || !b.low_open));
  const bool high = a.high < b.high || (a.high == b.high && (a.high_open || !b.high_open));
  return low && high;
}

Turn turn_of(const Interval& before, const Interval& after) {
  const bool narrower = inside(after, before), wider = inside(before, after);
  if (narrower && wider) return Turn::kNeutral;
  return narrower ? Turn::kTightened : wider ? Turn::kLoosened : Turn::kOther;
}

template <class Value>
Turn turn_of_set(const std::vector<Value>& before, const std::vector<Value>& after) {
  const auto within = [](const auto& a, const auto& b) {
    return std::ranges::all_of(a, [&](const Value& v) { return std::ranges::find(b, v) != b.end(); });
  };
  const bool fewer = within(after, before), more = within(before, after);
  if (fewer && more) return Turn::kNeutral;
  return fewer ? Turn::kTightened : more ? Turn::kLoosened : Turn::kOther;
}

Turn both(Turn a, Turn b) {
  if (a == Turn::kNeutral) return b;
  if (b == Turn::kNeutral || a == b) return a;
  return Turn::kOther;
}

std::string joined(const std::vector<std::string>& words) { return list_words(words); }

std::string squeezed(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool space = std::isspace(static_cast<unsigned char>(c)) != 0;
    if (space && (out.empty() || out.back() == ' ')) continue;
    out += space ? ' ' : c;
  }
  while (out.ends_with(' ')) out.pop_back();
  return out;
}

int access_rank(std::string_view classification) {
  constexpr std::array<std::string_view, 4> kOpen = {"public", "internal", "confidential", "restricted"};
  std::string lower(classification);
  std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (lower == "pii" || lower == "sensitive" || lower == "secret") return 3;
  const auto at = std::ranges::find(kOpen, lower);
  return at == kOpen.end() ? 0 : static_cast<int>(at - kOpen.begin());
}

/// Whether every value of the first type is exactly a value of the second.
bool widens(const std::string& from, const std::string& to) {
  static const std::vector<std::string> kWhole = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT"};
  const auto rank = [](const std::string& t) { return std::ranges::find(kWhole, t) - kWhole.begin(); };
  const auto none = static_cast<ptrdiff_t>(kWhole.size());
  if (rank(from) < none && rank(to) < none) return rank(from) < rank(to);
  if (rank(from) <= 2 && to == "DOUBLE") return true;
  if (from == "FLOAT" && to == "DOUBLE") return true;
  if (from == "DATE" && to == "TIMESTAMP") return true;
  int p1 = 0, s1 = 0, p2 = 0, s2 = 0;
  if (std::sscanf(from.c_str(), "DECIMAL(%d,%d)", &p1, &s1) == 2 &&
      std::sscanf(to.c_str(), "DECIMAL(%d,%d)", &p2, &s2) == 2)
    return s2 >= s1 && p2 - s2 >= p1 - s1;
  return false;
}

std::optional<double> hours_of(const Json& item) {
  if (!item["value"].is_number()) return std::nullopt;
  const std::string& unit = item["unit"].as_string();
  static const std::vector<std::pair<std::string_view, double>> kUnits = {
      {"s", 1.0 / 3600}, {"m", 1.0 / 60}, {"min", 1.0 / 60}, {"h", 1},      {"hour", 1}, {"hours", 1},
      {"d", 24},         {"day", 24},     {"days", 24},      {"w", 168},    {"y", 8760}, {"year", 8760},
      {"years", 8760},   {"month", 720},  {"months", 720},   {"weeks", 168}};
  for (const auto& [word, hours] : kUnits)
    if (word == unit) return item["value"].as_double() * hours;
  return std::nullopt;
}

class Differ {
 public:
  Differ(const Contract& before, const Contract& after, Side side) : before_(before), after_(after), side_(side) {}

  ContractDiff diff() {
    for (const Schema& old : before_.schemas) {
      const Schema* now = find_table(after_, old.name);
      if (now)
        table(old, *now);
      else
        note(old.name, Turn::kLoosened, "table", "", "the table is gone");
    }
    for (const Schema& now : after_.schemas)
      if (!find_table(before_, now.name)) note(now.name, Turn::kTightened, "", "table", "a table was added");
    service_levels();
    inform("version", before_.version, after_.version);
    inform("status", before_.status, after_.status);
    return std::move(out_);
  }

 private:
  static const Schema* find_table(const Contract& c, const std::string& name) {
    const auto at = std::ranges::find(c.schemas, name, &Schema::name);
    // The only table of a contract may be renamed: its folder is what readers see.
    if (at == c.schemas.end()) return nullptr;
    return &*at;
  }

  void note(std::string path, Turn turn, std::string before, std::string after, std::string reason) {
    ChangeClass c = ChangeClass::kInformational;
    const Turn breaks = side_ == Side::kPromise ? Turn::kLoosened : Turn::kTightened;
    if (turn == Turn::kOther || turn == breaks)
      c = ChangeClass::kBreaking;
    else if (turn != Turn::kNeutral)
      c = ChangeClass::kCompatible;
    out_.changes.push_back({std::move(path), c, std::move(before), std::move(after), std::move(reason)});
  }
  void inform(const std::string& path, const std::string& before, const std::string& after) {
    if (before != after) note(path, Turn::kNeutral, before, after, "says nothing about the data");
  }

  void table(const Schema& old, const Schema& now) {
    const std::string base = old.name + ".";
    if (old.physical_name != now.physical_name)
      note(base + "physicalName", Turn::kOther, old.physical_name, now.physical_name,
           "readers find the table by its folder");
    if (old.partition != now.partition)
      note(base + "partition", Turn::kOther, old.partition, now.partition, "the partitioning changed");
    if (old.closed != now.closed)
      note(base + "closed", now.closed ? Turn::kTightened : Turn::kLoosened, old.closed ? "closed" : "open",
           now.closed ? "closed" : "open",
           now.closed ? "further columns are excluded now" : "further columns may come now");
    for (const Property& p : old.properties) {
      const Property* other = now.find(p.name);
      if (other)
        column(base + p.name, p, *other);
      else
        note(base + p.name, Turn::kLoosened, describe(p), "", "the column was removed or renamed");
    }
    for (const Property& p : now.properties)
      if (!old.find(p.name)) note(base + p.name, Turn::kTightened, "", describe(p), "a column was added");
    keys(base + "key", "the old key is no longer promised to be unique", old.primary_key(), now.primary_key());
    rules(base + "rules.", old, now);
  }

  static std::string describe(const Property& p) {
    return fmt::format("{}{}", p.physical_type.empty() ? p.logical_type : p.physical_type,
                       p.required ? " required" : "");
  }

  /// Fewer columns that are unique together promise more.
  void keys(const std::string& path, std::string_view lost, std::vector<std::string> old,
            std::vector<std::string> now) {
    const std::string before = joined(old), after = joined(now);
    std::ranges::sort(old);
    std::ranges::sort(now);
    if (old == now) return;
    if (old.empty()) return note(path, Turn::kTightened, before, after, "a key was added");
    if (now.empty()) return note(path, Turn::kLoosened, before, after, "the key was dropped");
    const Turn turn = turn_of_set(old, now);
    if (turn == Turn::kTightened)
      return note(path, Turn::kTightened, before, after, "fewer columns are unique together");
    note(path, turn == Turn::kLoosened ? turn : Turn::kOther, before, after, std::string(lost));
  }

  void column(const std::string& path, const Property& old, const Property& now) {
    if (old.logical_type != now.logical_type ||
        canonical_type(old.physical_type) != canonical_type(now.physical_type)) {
      const bool wide = widens(canonical_type(old.physical_type), canonical_type(now.physical_type));
      note(path + ".type", wide && side_ == Side::kPromise ? Turn::kTightened : Turn::kOther,
           fmt::format("{} {}", old.logical_type, old.physical_type),
           fmt::format("{} {}", now.logical_type, now.physical_type),
           wide ? "every old value keeps its meaning in the wider type" : "the type changed");
    }
    flag(path + ".required", old.required, now.required, "required", "optional");
    flag(path + ".unique", old.unique, now.unique, "unique", "not unique");
    if (old.classification != now.classification) {
      const int from = access_rank(old.classification), to = access_rank(now.classification);
      const bool closes = to > from && side_ == Side::kPromise;
      note(path + ".classification", closes ? Turn::kOther : Turn::kNeutral, old.classification, now.classification,
           closes ? "fewer people may read the column" : "access is not narrowed");
    }
    options(path, old.options, now.options);
    inform(path + ".description", old.description, now.description);
  }

  void flag(const std::string& path, bool old, bool now, std::string_view yes, std::string_view no) {
    if (old == now) return;
    note(path, now ? Turn::kTightened : Turn::kLoosened, std::string(old ? yes : no), std::string(now ? yes : no),
         now ? "the guarantee is tightened" : "the guarantee is dropped");
  }

  void options(const std::string& path, const Json& old, const Json& now) {
    std::vector<std::string> keys;
    for (const Json* side : {&old, &now})
      for (const auto& [key, value] : side->members())
        if (std::ranges::find(keys, key) == keys.end()) keys.push_back(key);
    for (const std::string& key : keys) {
      const Json &a = old[key], &b = now[key];
      if (a == b) continue;
      const std::string at = fmt::format("{}.{}", path, key);
      const std::string before = a.is_null() ? "" : a.dump(), after = b.is_null() ? "" : b.dump();
      const bool low = key == "minimum" || key == "minLength" || key == "minItems" || key == "exclusiveMinimum";
      const bool high = key == "maximum" || key == "maxLength" || key == "maxItems" || key == "exclusiveMaximum";
      if (!low && !high && key != "pattern" && key != "multipleOf")
        note(at, Turn::kOther, before, after, "unit, format or time zone changed");
      else if (a.is_null())
        note(at, Turn::kTightened, before, after, "a limit was added");
      else if (b.is_null())
        note(at, Turn::kLoosened, before, after, "a limit was dropped");
      else if ((low || high) && a.is_number() && b.is_number())
        limit(at, before, after, low ? b.as_double() > a.as_double() : b.as_double() < a.as_double());
      else if ((low || high) && a.is_string() && b.is_string())
        limit(at, before, after, low ? b.as_string() > a.as_string() : b.as_string() < a.as_string());
      else
        note(at, Turn::kOther, before, after, "what both accept cannot be compared");
    }
  }
  void limit(const std::string& path, const std::string& before, const std::string& after, bool tighter) {
    note(path, tighter ? Turn::kTightened : Turn::kLoosened, before, after,
         tighter ? "the range is narrower" : "the range is wider");
  }

  static std::vector<const Rule*> all_rules(const Schema& s) {
    std::vector<const Rule*> out;
    for (const Property& p : s.properties)
      for (const Rule& r : p.rules) out.push_back(&r);
    for (const Rule& r : s.rules) out.push_back(&r);
    return out;
  }

  void rules(const std::string& base, const Schema& old, const Schema& now) {
    const std::vector<const Rule*> then = all_rules(old), today = all_rules(now);
    const auto same_id = [](const std::vector<const Rule*>& list, const Rule& r) {
      const auto at = std::ranges::find(list, r.id, &Rule::id);
      return at == list.end() ? nullptr : *at;
    };
    for (const Rule* r : then) {
      const Rule* other = same_id(today, *r);
      const bool blocks = r->severity == Severity::kError && r->kind != RuleKind::kText;
      if (other)
        rule(base + r->id, *r, *other);
      else
        note(base + r->id, blocks ? Turn::kLoosened : Turn::kNeutral, expected_text(*r), "", "the rule was dropped");
    }
    for (const Rule* r : today) {
      const bool blocks = r->severity == Severity::kError && r->kind != RuleKind::kText;
      if (!same_id(then, *r))
        note(base + r->id, blocks ? Turn::kTightened : Turn::kNeutral, "", expected_text(*r), "a rule was added");
    }
  }

  void rule(const std::string& path, const Rule& old, const Rule& now) {
    if (old.severity != now.severity)
      note(path + ".severity", now.severity == Severity::kError ? Turn::kTightened : Turn::kLoosened,
           std::string(word_of(old.severity)), std::string(word_of(now.severity)),
           now.severity == Severity::kError ? "it refuses now" : "it only warns now");
    if (old.kind != now.kind || old.metric != now.metric || old.unit != now.unit)
      return note(path, Turn::kOther, expected_text(old), expected_text(now), "it measures something else now");
    if (old.columns != now.columns && old.kind == RuleKind::kLibrary) {
      if (old.metric == Metric::kDuplicateValues)
        keys(path, "the old columns are no longer promised to be unique together", old.columns, now.columns);
      else
        note(path, Turn::kOther, joined(old.columns), joined(now.columns), "it tests another column now");
    }
    if (squeezed(old.query) != squeezed(now.query))
      note(path + ".query", Turn::kOther, squeezed(old.query), squeezed(now.query),
           "what two queries accept cannot be compared");
    values(path, old, now);
    if (old.conditions != now.conditions) {
      const auto from = interval_of(old.conditions), to = interval_of(now.conditions);
      const Turn turn = from && to ? turn_of(*from, *to) : Turn::kOther;
      note(path, turn, expected_text(old), expected_text(now), reason_of(turn));
    }
    baselines(path + ".meshBaseline", old, now);
    inform(path + ".description", old.description, now.description);
  }

  static std::string reason_of(Turn turn) {
    switch (turn) {
      case Turn::kNeutral:
        return "it accepts the same";
      case Turn::kTightened:
        return "it accepts less";
      case Turn::kLoosened:
        return "it accepts more";
      case Turn::kOther:
        return "it accepts something else";
    }
    return "";
  }

  void values(const std::string& path, const Rule& old, const Rule& now) {
    const auto text = [](const std::vector<Json>& values) {
      std::string out;
      for (const Json& v : values) out += (out.empty() ? "" : ", ") + (v.is_string() ? v.as_string() : v.dump());
      return out;
    };
    if (old.valid_values != now.valid_values) {
      Turn turn = turn_of_set(old.valid_values, now.valid_values);
      if (old.valid_values.empty()) turn = Turn::kTightened;
      if (now.valid_values.empty()) turn = Turn::kLoosened;
      if (turn != Turn::kNeutral)
        note(path + ".validValues", turn, text(old.valid_values), text(now.valid_values),
             turn == Turn::kLoosened ? "values may come that nobody knew" : reason_of(turn));
    }
    if (old.missing_values != now.missing_values) {
      const Turn turn = turn_of_set(now.missing_values, old.missing_values);  // more tokens count as missing: stricter
      if (turn != Turn::kNeutral)
        note(path + ".missingValues", turn, text(old.missing_values), text(now.missing_values), reason_of(turn));
    }
    if (old.pattern != now.pattern)
      note(path + ".pattern",
           old.pattern.empty()   ? Turn::kTightened
           : now.pattern.empty() ? Turn::kLoosened
                                 : Turn::kOther,
           old.pattern, now.pattern, "the pattern changed");
  }

  void baselines(const std::string& path, const Rule& old, const Rule& now) {
    if (old.baseline == now.baseline) return;
    const auto text = [](const std::optional<Baseline>& b) {
      Rule rule;
      rule.baseline = b;
      return b ? expected_text(rule) : std::string();
    };
    Turn turn = Turn::kNeutral;
    if (!old.baseline) {
      turn = Turn::kTightened;
    } else if (!now.baseline) {
      turn = Turn::kLoosened;
    } else {
      const auto side = [](const std::optional<double>& a, const std::optional<double>& b) {
        const double from = a.value_or(kInfinity), to = b.value_or(kInfinity);
        return from == to ? Turn::kNeutral : to < from ? Turn::kTightened : Turn::kLoosened;
      };
      turn = both(side(old.baseline->max_below_percent, now.baseline->max_below_percent),
                  side(old.baseline->max_above_percent, now.baseline->max_above_percent));
      if (old.baseline->partition != now.baseline->partition) turn = Turn::kOther;
    }
    note(path, turn, text(old.baseline), text(now.baseline),
         turn == Turn::kNeutral ? "it looks at other days" : reason_of(turn));
  }

  void service_levels() {
    const auto find = [](const Json& list, const Json& like) -> const Json* {
      for (const Json& item : list.items())
        if (item["property"] == like["property"] && item["element"] == like["element"]) return &item;
      return nullptr;
    };
    const auto text = [](const Json& item) {
      return fmt::format("{} {}", item["value"].is_string() ? item["value"].as_string() : item["value"].dump(),
                         item["unit"].as_string());
    };
    for (const Json& old : before_.sla.items()) {
      const std::string& name = old["property"].as_string();
      const std::string path = "sla." + name;
      const Json* now = find(after_.sla, old);
      if (!now) {
        note(path, Turn::kLoosened, text(old), "", "the service level was dropped");
        continue;
      }
      if (text(old) == text(*now)) continue;
      const auto from = hours_of(old), to = hours_of(*now);
      const bool less_is_better = name != "retention" && name != "availability" && name != "throughput";
      Turn turn = Turn::kOther;
      if (from && to)
        turn = *from == *to ? Turn::kNeutral : (*to < *from) == less_is_better ? Turn::kTightened : Turn::kLoosened;
      note(path, turn, text(old), text(*now),
           turn == Turn::kLoosened    ? "the service level is looser"
           : turn == Turn::kTightened ? "the service level is tighter"
                                      : "the service level changed");
    }
    for (const Json& now : after_.sla.items())
      if (!find(before_.sla, now))
        note("sla." + now["property"].as_string(), Turn::kTightened, "", text(now), "a service level was added");
  }

  const Contract& before_;
  const Contract& after_;
  const Side side_;
  ContractDiff out_;
};

}  // namespace

std::string_view word_of(ChangeClass c) {
  switch (c) {
    case ChangeClass::kInformational:
      return "informational";
    case ChangeClass::kCompatible:
      return "compatible";
    case ChangeClass::kBreaking:
      return "breaking";
  }
  return "";
}

ChangeClass ContractDiff::overall() const {
  ChangeClass most = ChangeClass::kInformational;
  for (const Change& c : changes) most = std::max(most, c.kind);
  return most;
}

Json ContractDiff::to_json() const {
  Json list = Json::array();
  for (const Change& c : changes) {
    Json item = Json::object({{"path", c.path}, {"class", word_of(c.kind)}});
    if (!c.before.empty()) item.set("before", c.before);
    if (!c.after.empty()) item.set("after", c.after);
    item.set("reason", c.reason);
    list.push(std::move(item));
  }
  const ChangeClass most = overall();
  const char* needs = changes.empty()                    ? "none"
                      : most == ChangeClass::kBreaking   ? "major"
                      : most == ChangeClass::kCompatible ? "minor"
                                                         : "patch";
  return Json::object({{"class", word_of(most)}, {"needs", needs}, {"changes", std::move(list)}});
}

ContractDiff diff_contracts(const Contract& before, const Contract& after, Side side) {
  return Differ(before, after, side).diff();
}

Result<void> check_version_step(const Contract& before, const Contract& after, const ContractDiff& diff) {
  if (!diff.breaking() || after.major() > before.major()) return {};
  std::string list;
  for (const Change& c : diff.changes)
    if (c.kind == ChangeClass::kBreaking)
      list += fmt::format("{}{}: {} ({} -> {})", list.empty() ? "" : "; ", c.path, c.reason,
                          c.before.empty() ? "nothing" : c.before, c.after.empty() ? "nothing" : c.after);
  return Error(
      Code::kInvalid, "contract",
      fmt::format("{}: version {} -> {} breaks those who rely on {}: {}. Publish it as a new major beside the old one: "
                  "version {}.0.0",
                  after.file, before.version, after.version, before.id, list, before.major() + 1));
}

}  // namespace tarn::quality
