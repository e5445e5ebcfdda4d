#pragma once
// The policy language: statements that allow or deny actions on resources, and what a set of them decides. No I/O.
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "auth/cidr.h"
#include "base/json.h"
#include "base/result.h"

namespace tarn::auth {

/// "StringLike: {ref: [main, release-*]}". The operators are IpAddress and NotIpAddress (key SourceIp), StringLike and
/// StringNotLike (key ref, Tarn's own: the branch, tag or commit that is asked for).
struct Condition {
  std::string op, key;
  std::vector<std::string> values;
  bool operator==(const Condition&) const = default;
};

/// Patterns: '*' any run of characters, also of none and across '/'; '?' one character; "${user}" the asking user's
/// name, taken literally; all else itself, case included.
struct Statement {
  enum class Effect : uint8_t { kAllow, kDeny } effect = Effect::kDeny;
  std::vector<std::string> actions;    ///< patterns over "service:Name"
  std::vector<std::string> resources;  ///< patterns over "arn:lakefs:service:::kind/id…"
  std::vector<Condition> conditions;   ///< all must hold; of the values of one, one
  bool operator==(const Statement&) const = default;
};

/// The statements of a policy as REST has them; a resource is one pattern, or a text that holds a JSON list of them.
/// Errors: kInvalid naming the statement and its member: nothing that could never apply, or could not be read, is let
/// in.
Result<std::vector<Statement>> parse_statements(const Json& statements);
Json to_json(const Statement& statement);

/// Who asks, and from where.
struct Asker {
  std::string_view user;
  std::optional<IpAddress> source;      ///< nullopt: not known
  std::optional<std::string_view> ref;  ///< nullopt: the action has none
};

/// What an operation needs: one action on one resource, or all or any of several.
struct Needed {
  enum class Kind : uint8_t { kOne, kAll, kAny } kind = Kind::kOne;
  std::string action, resource;  ///< of kOne
  std::vector<Needed> parts;     ///< of the others
};

/// Who decided, for people: the statement's place. Nothing allowed it: `policy` is empty.
struct Verdict {
  bool allowed = false;
  std::string policy;
  size_t statement = 0;
  std::string action, resource;  ///< of the part of `Needed` that decided
};

/// The statements of all policies of one user, ready to decide. A statement that denies and applies wins over all that
/// allow; what nothing allows is denied. What cannot be understood (an operator or range written by another version)
/// denies where it stands in a denying statement, and allows nothing.
/// Threads: any, once filled. Cost of a decision: a comparison a statement; a pattern costs at most its length times
/// the text's.
class PolicySet {
 public:
  void add(const std::string& policy, std::span<const Statement> statements);
  Verdict decide(const Asker& asker, std::string_view action, std::string_view resource) const;
  Verdict decide(const Asker& asker, const Needed& needed) const;

 private:
  using Pattern = std::u32string;  ///< code points, and the marks of policy.cc
  struct Test {
    enum class Kind : uint8_t { kIp, kRef, kUnknown } kind = Kind::kUnknown;
    bool negated = false;
    std::vector<Cidr> ranges;
    std::vector<Pattern> patterns;
  };
  struct Rule {
    std::string policy;
    size_t statement = 0;
    bool denies = false;
    std::vector<Pattern> actions, resources;
    std::vector<Test> tests;
  };
  static Test test_of(const Condition& condition);
  static bool applies(const Rule& rule, const Asker& asker, std::u32string_view user, std::u32string_view action,
                      std::u32string_view resource);
  std::vector<Rule> rules_;
};

}  // namespace tarn::auth
