// Rules that keep writes and commits off a branch. `settings/branch_protection` is the API; the shorter paths are its
// deprecated form, which old clients still call.
#include <algorithm>

#include "rest/fields.h"
#include "rest/handlers.h"
#include "rest/shapes.h"

namespace tarn::rest {
namespace {

Result<versioning::ProtectionRule> rule_of(const Json& item) {
  TRY(need_object(item));
  TRY_LET(std::string pattern, item.need_string("pattern"));
  if (pattern.empty()) return Error(Code::kInvalid, "pattern", "a protection rule's pattern must not be empty");
  return versioning::ProtectionRule{std::move(pattern)};
}

/// Reads the rules, lets `change` edit them, and writes them if nobody else did in between; a few tries.
Result<void> edit(Call& call, const std::function<Result<void>(std::vector<versioning::ProtectionRule>&)>& change) {
  constexpr int kTries = 5;
  TRY_LET(const auto repository, call.repository());
  for (int attempt = 0;; ++attempt) {
    TRY_LET(const std::string etag, call.engine().protection_etag(call.ctx, repository));
    TRY_LET(auto rules, call.engine().protection(call.ctx, repository));
    TRY(change(rules));
    auto set = call.engine().set_protection(call.ctx, repository, rules, etag);
    if (set || set.error().code() != Code::kConflict) return set;
    if (attempt == kTries) return Error(Code::kBusy, "protection", "the rules change too often: try again");
  }
}

}  // namespace

// GET …/settings/branch_protection — operation getBranchProtectionRules. 200 the list and its ETag; 404.
Answer get_branch_protection_rules(Call& call) {
  TRY_LET(const auto repository, call.repository());
  TRY_LET(const std::string etag, call.engine().protection_etag(call.ctx, repository));
  TRY_LET(const auto rules, call.engine().protection(call.ctx, repository));
  Json out = Json::array();
  for (const auto& rule : rules) out.push(Json::object({{"pattern", rule.pattern}}));
  http::Response response = ok(out);
  response.headers.set("ETag", etag);
  return response;
}

// PUT …/settings/branch_protection — operation setBranchProtectionRules. 204; 404; 412 when If-Match does not hold
// (an empty If-Match: there must be no rules).
Answer set_branch_protection_rules(Call& call) {
  TRY_LET(const Json body, call.body());
  if (!body.is_array()) return Error(Code::kInvalid, "body", "the body must be an array of rules");
  std::vector<versioning::ProtectionRule> rules;
  for (const Json& item : body.items()) {
    TRY_LET(auto rule, rule_of(item));
    rules.push_back(std::move(rule));
  }
  std::optional<std::string> expected;
  if (const auto match = call.request.headers.find("If-Match")) {
    std::string_view etag = *match;
    if (etag.size() >= 2 && etag.front() == '"' && etag.back() == '"') etag = etag.substr(1, etag.size() - 2);
    expected = std::string(etag);
  }
  TRY_LET(const auto repository, call.repository());
  TRY(call.engine().set_protection(call.ctx, repository, rules, expected));
  return no_content();
}

// POST …/branch_protection — operation internalCreateBranchProtectionRule. 204; 404.
Answer create_branch_protection_rule(Call& call) {
  TRY_LET(const Json body, call.body());
  TRY_LET(const auto rule, rule_of(body));
  TRY(edit(call, [&](std::vector<versioning::ProtectionRule>& rules) -> Result<void> {
    const bool there =
        std::any_of(rules.begin(), rules.end(), [&](const auto& r) { return r.pattern == rule.pattern; });
    if (!there) rules.push_back(rule);
    return {};
  }));
  return no_content();
}

// DELETE …/branch_protection — operation internalDeleteBranchProtectionRule. 204; 404 no such rule.
Answer delete_branch_protection_rule(Call& call) {
  TRY_LET(const Json body, call.body());
  TRY_LET(const auto rule, rule_of(body));
  TRY(edit(call, [&](std::vector<versioning::ProtectionRule>& rules) -> Result<void> {
    if (std::erase_if(rules, [&](const auto& r) { return r.pattern == rule.pattern; }) == 0)
      return Error(Code::kNotFound, "rule", "no protection rule has this pattern");
    return {};
  }));
  return no_content();
}

// GET …/set_allowed, GET …/stage_allowed: the permission was asked for by the route. 204.
Answer preflight(Call& call) {
  TRY(call.repository());
  return no_content();
}

}  // namespace tarn::rest
