#include "auth/policy.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace tarn::auth {
namespace {

constexpr char32_t kOne = 0x110000, kRun = 0x110001, kUser = 0x110002;  ///< marks of patterns: no code points
constexpr char32_t kBadByte = 0x110100;                                 ///< plus a byte that is no UTF-8: itself only
constexpr std::string_view kUserText = "${user}";
constexpr std::array<std::string_view, 8> kServices = {"fs",       "auth", "ci",      "retention",
                                                       "branches", "pr",   "catalog", "mesh"};

std::u32string characters_of(std::string_view text) {
  std::u32string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const size_t size = lead < 0x80 ? 1 : lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 0;
    char32_t c = size <= 1 ? lead : lead & (0x7fu >> size);
    bool good = size > 0 && i + size <= text.size();
    for (size_t k = 1; good && k < size; ++k) {
      const auto next = static_cast<unsigned char>(text[i + k]);
      good = (next & 0xc0) == 0x80;
      c = c << 6 | (next & 0x3f);
    }
    good = good && c < kOne;
    out.push_back(good ? c : kBadByte + lead);
    i += good ? size : 1;
  }
  return out;
}

std::u32string pattern_of(std::string_view text) {
  std::u32string out;
  while (!text.empty()) {
    const size_t at = text.find(kUserText);
    for (const char32_t c : characters_of(text.substr(0, at)))
      if (c == U'*' && !out.empty() && out.back() == kRun)
        continue;  // two runs are one
      else
        out.push_back(c == U'*' ? kRun : c == U'?' ? kOne : c);
    if (at == std::string_view::npos) break;
    out.push_back(kUser);
    text.remove_prefix(at + kUserText.size());
  }
  return out;
}

/// Goes back to the last run only: never more than the product of both sizes.
bool matches_plain(std::u32string_view pattern, std::u32string_view text) {
  size_t p = 0, t = 0, run = std::u32string_view::npos, mark = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == kRun) {
      run = p++;
      mark = t;
    } else if (p < pattern.size() && (pattern[p] == kOne || pattern[p] == text[t])) {
      ++p;
      ++t;
    } else if (run != std::u32string_view::npos) {
      p = run + 1;
      t = ++mark;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == kRun) ++p;
  return p == pattern.size();
}

bool matches(const std::u32string& pattern, std::u32string_view text, std::u32string_view user) {
  if (pattern.find(kUser) == std::u32string::npos) return matches_plain(pattern, text);
  std::u32string filled;
  for (const char32_t c : pattern)
    if (c == kUser)
      filled.append(user);
    else
      filled.push_back(c);
  return matches_plain(filled, text);
}

bool any_matches(const std::vector<std::u32string>& patterns, std::u32string_view text, std::u32string_view user) {
  return std::any_of(patterns.begin(), patterns.end(),
                     [&](const auto& pattern) { return matches(pattern, text, user); });
}

/// A part of "arn:lakefs:fs:::repository/…": service names are letters, '*' stands for all.
bool is_service(std::string_view name) {
  return name == "*" || std::find(kServices.begin(), kServices.end(), name) != kServices.end();
}

Error refused(size_t statement, std::string_view member, const std::string& why) {
  return Error(Code::kInvalid, "policy", fmt::format("statement {}: {} {}", statement + 1, member, why));
}

Result<std::vector<std::string>> texts_of(const Json& list, size_t at, std::string_view member) {
  std::vector<std::string> out;
  if (!list.is_array() || list.size() == 0) return refused(at, member, "must be a list of at least one text");
  for (const Json& item : list.items()) {
    if (!item.is_string() || item.as_string().empty())
      return refused(at, member, "must hold texts, none of them empty");
    out.push_back(item.as_string());
  }
  return out;
}

Result<std::vector<std::string>> resources_of(const Json& given, size_t at) {
  if (!given.is_string() || given.as_string().empty())
    return refused(at, "resource", "must be an ARN, or a text that holds a JSON list of ARNs");
  std::vector<std::string> out;
  if (given.as_string().front() == '[') {
    const auto list = Json::parse(given.as_string());
    if (!list) return refused(at, "resource", "begins like a JSON list and is none: " + list.error().message());
    TRY_LET(out, texts_of(*list, at, "resource"));
  } else {
    out.push_back(given.as_string());
  }
  constexpr std::string_view kBegin = "arn:lakefs:";
  for (const std::string& arn : out) {
    if (arn == "*") continue;
    const size_t colon = arn.find(':', std::min(kBegin.size(), arn.size()));
    if (!arn.starts_with(kBegin) || colon == std::string::npos ||
        !is_service(std::string_view(arn).substr(kBegin.size(), colon - kBegin.size())))
      return refused(
          at, "resource",
          fmt::format("'{}' is no ARN of this server: write * or arn:lakefs:fs:::repository/NAME/object/KEY", arn));
  }
  return out;
}

Result<Condition> condition_of(const std::string& op, const std::string& key, const Json& values, size_t at) {
  Condition out{op, key, {}};
  const bool ip = op == "IpAddress" || op == "NotIpAddress";
  if (!ip && op != "StringLike" && op != "StringNotLike")
    return refused(
        at, "condition",
        fmt::format("has the unknown operator '{}': IpAddress, NotIpAddress, StringLike or StringNotLike", op));
  if (key != (ip ? "SourceIp" : "ref"))
    return refused(at, "condition", fmt::format("{} compares {}, not '{}'", op, ip ? "SourceIp" : "ref", key));
  if (values.is_string()) {
    out.values.push_back(values.as_string());
  } else {
    TRY_LET(out.values, texts_of(values, at, "condition"));
  }
  for (const std::string& value : out.values)
    if (ip && !parse_cidr(value))
      return refused(at, "condition", fmt::format("'{}' is no range of addresses, such as 10.0.0.0/8", value));
  return out;
}

Result<Statement> statement_of(const Json& given, size_t at) {
  if (!given.is_object()) return refused(at, "it", "must be an object with effect, action and resource");
  Statement out;
  const std::string& effect = given["effect"].as_string();
  if (effect != "allow" && effect != "deny") return refused(at, "effect", "must be allow or deny");
  out.effect = effect == "allow" ? Statement::Effect::kAllow : Statement::Effect::kDeny;
  TRY_LET(out.actions, texts_of(given["action"], at, "action"));
  for (const std::string& action : out.actions) {
    const size_t colon = action.find(':');
    if (action != "*" &&
        (colon == std::string::npos || !is_service(action.substr(0, colon)) || colon + 1 == action.size()))
      return refused(at, "action", fmt::format("'{}' names no service: write fs:ReadObject, fs:* or *", action));
  }
  TRY_LET(out.resources, resources_of(given["resource"], at));
  const Json& conditions = given["condition"];
  if (!conditions.is_null() && !conditions.is_object()) return refused(at, "condition", "must be an object");
  for (const auto& [op, keys] : conditions.members()) {
    if (!keys.is_object() || keys.size() == 0) return refused(at, "condition", op + " must be an object of keys");
    for (const auto& [key, values] : keys.members()) {
      TRY_LET(Condition condition, condition_of(op, key, values, at));
      out.conditions.push_back(std::move(condition));
    }
  }
  return out;
}

}  // namespace

Result<std::vector<Statement>> parse_statements(const Json& statements) {
  if (!statements.is_array() || statements.size() == 0)
    return Error(Code::kInvalid, "policy", "statement must be a list of at least one statement");
  std::vector<Statement> out;
  for (const Json& given : statements.items()) {
    TRY_LET(Statement statement, statement_of(given, out.size()));
    out.push_back(std::move(statement));
  }
  return out;
}

Json to_json(const Statement& statement) {
  Json actions = Json::array(), resources = Json::array();
  for (const std::string& action : statement.actions) actions.push(action);
  for (const std::string& resource : statement.resources) resources.push(resource);
  Json out = Json::object({{"effect", statement.effect == Statement::Effect::kAllow ? "allow" : "deny"},
                           {"action", std::move(actions)},
                           {"resource", statement.resources.size() == 1 ? statement.resources[0] : resources.dump()}});
  if (statement.conditions.empty()) return out;
  Json conditions = Json::object();
  for (const Condition& condition : statement.conditions) {
    Json keys = conditions[condition.op].is_null() ? Json::object() : conditions[condition.op];
    Json values = Json::array();
    for (const std::string& value : condition.values) values.push(value);
    keys.set(condition.key, std::move(values));
    conditions.set(condition.op, std::move(keys));
  }
  return out.set("condition", std::move(conditions));
}

PolicySet::Test PolicySet::test_of(const Condition& condition) {
  Test test;
  const bool ip = condition.op == "IpAddress" || condition.op == "NotIpAddress";
  test.negated = condition.op == "NotIpAddress" || condition.op == "StringNotLike";
  if (ip && condition.key == "SourceIp") {
    for (const std::string& value : condition.values) {
      const auto range = parse_cidr(value);
      if (!range) return {};
      test.ranges.push_back(*range);
    }
    test.kind = Test::Kind::kIp;
  } else if ((condition.op == "StringLike" || condition.op == "StringNotLike") && condition.key == "ref") {
    for (const std::string& value : condition.values) test.patterns.push_back(pattern_of(value));
    test.kind = Test::Kind::kRef;
  }
  return test;
}

void PolicySet::add(const std::string& policy, std::span<const Statement> statements) {
  for (size_t i = 0; i < statements.size(); ++i) {
    Rule rule{policy, i, statements[i].effect == Statement::Effect::kDeny, {}, {}, {}};
    for (const std::string& action : statements[i].actions) rule.actions.push_back(pattern_of(action));
    for (const std::string& resource : statements[i].resources) rule.resources.push_back(pattern_of(resource));
    for (const Condition& condition : statements[i].conditions) rule.tests.push_back(test_of(condition));
    rules_.push_back(std::move(rule));
  }
}

bool PolicySet::applies(const Rule& rule, const Asker& asker, std::u32string_view user, std::u32string_view action,
                        std::u32string_view resource) {
  if (!any_matches(rule.actions, action, {}) || !any_matches(rule.resources, resource, user)) return false;
  bool holds = true;
  for (const Test& test : rule.tests) {
    bool found = false;
    switch (test.kind) {
      case Test::Kind::kUnknown:
        return rule.denies;
      case Test::Kind::kIp:
        found = asker.source && std::any_of(test.ranges.begin(), test.ranges.end(),
                                            [&](const Cidr& range) { return range.contains(*asker.source); });
        break;
      case Test::Kind::kRef:
        found = asker.ref && any_matches(test.patterns, characters_of(*asker.ref), user);
        break;
    }
    holds = holds && found != test.negated;
  }
  return holds;
}

Verdict PolicySet::decide(const Asker& asker, std::string_view action, std::string_view resource) const {
  const std::u32string user = characters_of(asker.user), what = characters_of(action), on = characters_of(resource);
  Verdict verdict{false, {}, 0, std::string(action), std::string(resource)};
  for (const Rule& rule : rules_) {
    if (verdict.allowed && !rule.denies) continue;
    if (!applies(rule, asker, user, what, on)) continue;
    verdict.allowed = !rule.denies;
    verdict.policy = rule.policy;
    verdict.statement = rule.statement;
    if (rule.denies) break;
  }
  return verdict;
}

Verdict PolicySet::decide(const Asker& asker, const Needed& needed) const {
  if (needed.kind == Needed::Kind::kOne) return decide(asker, needed.action, needed.resource);
  const bool all = needed.kind == Needed::Kind::kAll;
  Verdict verdict;
  for (const Needed& part : needed.parts) {
    verdict = decide(asker, part);
    if (verdict.allowed != all) break;
  }
  return verdict;  // of no parts: denied
}

}  // namespace tarn::auth
