// Goal: policies decide as their rules say. Method: the vectors of tests/data/auth, and random policies, each against a
// second evaluator of a few lines (testing/naive_policy.h).
#include "auth/policy.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "auth/testing/naive_policy.h"
#include "base/random.h"
#include "base/testing/test_data.h"

namespace tarn::auth {
namespace {

using testing::NaivePolicy;

/// As it may lie in the store: without the checks that parse_statements() makes.
Statement unchecked(const Json& given) {
  Statement out;
  out.effect = given["effect"].as_string() == "allow" ? Statement::Effect::kAllow : Statement::Effect::kDeny;
  for (const Json& action : given["action"].items()) out.actions.push_back(action.as_string());
  out.resources.push_back(given["resource"].as_string());
  if (const auto list = Json::parse(out.resources[0]); list && list->is_array()) {
    out.resources.clear();
    for (const Json& item : list->items()) out.resources.push_back(item.as_string());
  }
  for (const auto& [op, keys] : given["condition"].members())
    for (const auto& [key, values] : keys.members()) {
      Condition condition{op, key, {}};
      for (const Json& value : values.items()) condition.values.push_back(value.as_string());
      out.conditions.push_back(std::move(condition));
    }
  return out;
}

PolicySet set_of(const std::vector<std::vector<Statement>>& policies) {
  PolicySet set;
  for (size_t i = 0; i < policies.size(); ++i) set.add("policy" + std::to_string(i), policies[i]);
  return set;
}

Json read_vectors() {
  std::ifstream file(base::testing::test_data() / "auth" / "policy_vectors.json");
  std::stringstream text;
  text << file.rdbuf();
  auto parsed = Json::parse(text.str());
  EXPECT_TRUE(parsed) << "run it in the root of the repository";
  return parsed ? *parsed : Json();
}

TEST(Policy, DecidesTheVectors) {
  const Json vectors = read_vectors();
  ASSERT_GE(vectors.size(), 60u);
  for (const Json& v : vectors.items()) {
    const std::string name = v["id"].as_string() + ": " + v["rule"].as_string();
    std::vector<std::vector<Statement>> policies;
    bool refused = false;
    for (const Json& policy : v["policies"].items()) {
      auto& statements = policies.emplace_back();
      for (const Json& s : policy.items()) statements.push_back(unchecked(s));
      const auto checked = parse_statements(policy);
      refused |= !checked;
      if (checked) {
        EXPECT_TRUE(*checked == statements) << name;
      }
    }
    EXPECT_EQ(refused, v["refused"].as_bool()) << name;
    const std::string user = v["user"].as_string(), ref = v["ref"].as_string();
    Asker asker{user, std::nullopt, std::nullopt};
    if (v.has("ip")) asker.source = parse_ip(v["ip"].as_string());
    if (v.has("ref")) asker.ref = ref;
    const bool expected = v["expect"].as_string() == "allow";
    const PolicySet set = set_of(policies);
    if (v.has("needed")) {
      const bool all = v["needed"].has("all");
      Needed needed{all ? Needed::Kind::kAll : Needed::Kind::kAny, {}, {}, {}};
      for (const Json& part : v["needed"][all ? "all" : "any"].items())
        needed.parts.push_back({Needed::Kind::kOne, part["action"].as_string(), part["resource"].as_string(), {}});
      EXPECT_EQ(set.decide(asker, needed).allowed, expected) << name;
      continue;
    }
    const std::string action = v["action"].as_string(), resource = v["resource"].as_string();
    EXPECT_EQ(set.decide(asker, action, resource).allowed, expected) << name;
    EXPECT_EQ(NaivePolicy::allows(policies, asker, action, resource), expected) << name << " (the second evaluator)";
  }
}

TEST(Policy, DecidesRandomOnesAsTheSecondEvaluatorDoes) {
  base::SeededRandom random(7);
  const auto below = [&](uint64_t n) { return random.u64() % n; };
  const auto pick = [&](const std::vector<std::string>& from) { return from[below(from.size())]; };
  const auto text = [&](bool pattern) {
    std::string out;
    for (uint64_t i = below(6); i > 0; --i)
      out += pick(pattern ? std::vector<std::string>{"a", "b", "/", "é", "*", "?", "**", "${user}"}
                          : std::vector<std::string>{"a", "b", "/", "é", "*", "${user}"});
    return out;
  };
  size_t allowed = 0;
  for (int round = 0; round < 30'000; ++round) {
    std::vector<std::vector<Statement>> policies(1 + below(2));
    for (auto& policy : policies)
      for (uint64_t i = 1 + below(3); i > 0; --i) {
        Statement s;
        s.effect = below(3) == 0 ? Statement::Effect::kDeny : Statement::Effect::kAllow;
        s.actions = {pick({"fs:Read", "fs:*", "*", "fs:R?ad", "fs:Write"})};
        for (uint64_t k = 1 + below(2); k > 0; --k) s.resources.push_back(text(true));
        if (below(2) == 0)
          s.conditions.push_back(
              {pick({"IpAddress", "NotIpAddress"}), "SourceIp", {pick({"10.0.0.0/8", "10.1.0.0/16", "bad", "::/0"})}});
        if (below(2) == 0)
          s.conditions.push_back(
              {pick({"StringLike", "StringNotLike", "Other"}), pick({"ref", "ref", "else"}), {text(true), text(true)}});
        policy.push_back(std::move(s));
      }
    const std::string user = pick({"a", "*", "${user}", "b"}), ref = text(false), resource = text(false);
    Asker asker{user, std::nullopt, std::nullopt};
    if (below(3) > 0) asker.source = parse_ip(pick({"10.1.1.1", "192.0.2.1", "2001:db8::1"}));
    if (below(3) > 0) asker.ref = ref;
    const bool expected = NaivePolicy::allows(policies, asker, "fs:Read", resource);
    allowed += expected ? 1 : 0;
    const Verdict verdict = set_of(policies).decide(asker, "fs:Read", resource);
    ASSERT_EQ(verdict.allowed, expected) << round << " '" << resource << "' user '" << user << "'";
    ASSERT_TRUE(!verdict.allowed || !verdict.policy.empty());
  }
  EXPECT_GT(allowed, 1'000u) << "both answers come up";
}

TEST(Policy, SaysWhoDecided) {
  PolicySet set;
  set.add("readers", {{{Statement::Effect::kAllow, {"fs:Read*"}, {"*"}, {}}}});
  set.add("no-secrets", {{{Statement::Effect::kAllow, {"fs:List*"}, {"*"}, {}},
                          {Statement::Effect::kDeny, {"*"}, {"*/secret/*"}, {}}}});
  EXPECT_EQ(set.decide({"bob", {}, {}}, "fs:ReadObject", "x").policy, "readers");
  const Verdict denied = set.decide({"bob", {}, {}}, "fs:ReadObject", "x/secret/y");
  EXPECT_FALSE(denied.allowed);
  EXPECT_EQ(denied.policy, "no-secrets");
  EXPECT_EQ(denied.statement, 1u);
  EXPECT_EQ(set.decide({"bob", {}, {}}, "fs:WriteObject", "x").policy, "") << "nobody allowed it";
}

TEST(Policy, WhatCouldNeverApplyIsRefusedAndSaysWhere) {
  const std::vector<std::pair<std::string, std::string>> bad = {
      {R"([])", "at least one statement"},
      {R"({})", "at least one statement"},
      {R"([{"effect":"allow","action":[],"resource":"*"}])", "action"},
      {R"([{"effect":"allow","action":["fs:ReadObject"],"resource":""}])", "resource"},
      {R"([{"effect":"allow","action":["fs:ReadObject"],"resource":"[]"}])", "resource"},
      {R"([{"effect":"allow","action":["fs:ReadObject"],"resource":"[\"*\""}])", "resource"},
      {R"([{"effect":"Allow","action":["fs:ReadObject"],"resource":"*"}])", "effect"},
      {R"([{"effect":"allow","action":["ReadObject"],"resource":"*"}])", "'ReadObject' names no service"},
      {R"([{"effect":"allow","action":["s3:GetObject"],"resource":"*"}])", "'s3:GetObject' names no service"},
      {R"([{"effect":"allow","action":[7],"resource":"*"}])", "action"},
      {R"([{"effect":"allow","action":["*"],"resource":"repository/a"}])", "is no ARN"},
      {R"([{"effect":"allow","action":["*"],"resource":"*"},{"effect":"deny","action":["*"]}])",
       "statement 2: resource"},
      {R"([{"effect":"deny","action":["*"],"resource":"*","condition":[]}])", "condition"},
      {R"([{"effect":"deny","action":["*"],"resource":"*","condition":{"IpAddress":{"SourceIp":["10.0.0.0/33"]}}}])",
       "10.0.0.0/33"},
      {R"([{"effect":"deny","action":["*"],"resource":"*","condition":{"IpAddress":{"ref":["main"]}}}])", "SourceIp"},
      {R"([{"effect":"deny","action":["*"],"resource":"*","condition":{"Like":{"ref":["main"]}}}])", "'Like'"},
  };
  for (const auto& [text, says] : bad) {
    const auto parsed = parse_statements(*Json::parse(text));
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().code(), Code::kInvalid);
    EXPECT_NE(parsed.error().message().find(says), std::string::npos) << parsed.error().message();
  }
}

TEST(Policy, GoesOutAsItCameIn) {
  const auto given = *Json::parse(
      R"([{"effect":"deny","action":["fs:*"],"resource":"[\"arn:lakefs:fs:::repository/a\",\"*\"]","condition":{"IpAddress":{"SourceIp":["10.0.0.0/8"]},"StringNotLike":{"ref":["main","v*"]}}}])");
  const auto statements = parse_statements(given);
  ASSERT_TRUE(statements);
  EXPECT_EQ(to_json((*statements)[0]).dump(), given.items()[0].dump());
}

TEST(Policy, NeedsOfNoPartsAreDenied) {
  PolicySet set;
  set.add("all", {{{Statement::Effect::kAllow, {"*"}, {"*"}, {}}}});
  EXPECT_FALSE(set.decide({"bob", {}, {}}, Needed{Needed::Kind::kAll, {}, {}, {}}).allowed);
  EXPECT_FALSE(set.decide({"bob", {}, {}}, Needed{Needed::Kind::kAny, {}, {}, {}}).allowed);
}

TEST(Cidr, HoldsItsAddressesAndRefusesWhatIsNone) {
  EXPECT_TRUE(parse_cidr("0.0.0.0/0")->contains(*parse_ip("203.0.113.9")));
  EXPECT_FALSE(parse_cidr("0.0.0.0/0")->contains(*parse_ip("2001:db8::1")));
  EXPECT_TRUE(parse_cidr("10.1.2.3/32")->contains(*parse_ip("10.1.2.3")));
  EXPECT_FALSE(parse_cidr("10.1.2.3/32")->contains(*parse_ip("10.1.2.2")));
  EXPECT_TRUE(parse_cidr("::/0")->contains(*parse_ip("10.1.2.3")));
  for (const char* bad :
       {"", "/", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/8x", "10.0.0.0/33", "::/129", "10.0.0/8", " 10.0.0.0", "a"})
    EXPECT_FALSE(parse_cidr(bad)) << bad;
}

}  // namespace
}  // namespace tarn::auth
