#pragma once
// The policy language once more, as slowly and plainly as it can be said: what the engine is compared with.
#include <map>
#include <string>
#include <vector>

#include "auth/policy.h"

namespace tarn::auth::testing {

class NaivePolicy {
 public:
  static bool allows(const std::vector<std::vector<Statement>>& policies, const Asker& asker, const std::string& action,
                     const std::string& resource) {
    bool allowed = false, denied = false;
    for (const auto& policy : policies)
      for (const Statement& s : policy) {
        const bool denies = s.effect == Statement::Effect::kDeny;
        bool action_fits = false, resource_fits = false;
        for (const std::string& pattern : s.actions)
          action_fits |= like(split(pattern, nullptr), split(action, nullptr));
        const std::string user(asker.user);
        for (const std::string& pattern : s.resources)
          resource_fits |= like(split(pattern, &user), split(resource, nullptr));
        if (!action_fits || !resource_fits) continue;
        bool holds = true, unclear = false;
        for (const Condition& c : s.conditions) test(c, asker, holds, unclear);
        if (unclear ? denies : holds) (denies ? denied : allowed) = true;
      }
    return allowed && !denied;
  }

 private:
  /// One character; "*" and "?" are wild when `wild`.
  struct Piece {
    std::string text;
    bool wild = false;
  };
  using Pieces = std::vector<Piece>;

  static Pieces split(const std::string& text, const std::string* user) {
    Pieces out;
    for (size_t i = 0; i < text.size();) {
      if (user != nullptr && text.compare(i, 7, "${user}") == 0) {
        for (Piece& piece : split(*user, nullptr)) out.push_back({piece.text, false});
        i += 7;
        continue;
      }
      size_t size = 1;
      while (i + size < text.size() && (static_cast<unsigned char>(text[i]) & 0xc0) == 0xc0 &&
             (static_cast<unsigned char>(text[i + size]) & 0xc0) == 0x80)
        ++size;
      const std::string one = text.substr(i, size);
      out.push_back({one, one == "*" || one == "?"});
      i += size;
    }
    return out;
  }

  static bool like(const Pieces& pattern, const Pieces& text) {
    // fits[t]: the pattern so far fits the first t characters.
    std::vector<bool> fits(text.size() + 1, false);
    fits[0] = true;
    for (const Piece& piece : pattern) {
      std::vector<bool> next(text.size() + 1, false);
      for (size_t t = 0; t <= text.size(); ++t) {
        if (piece.wild && piece.text == "*")
          next[t] = fits[t] || (t > 0 && next[t - 1]);
        else if (t > 0)
          next[t] = fits[t - 1] && (piece.wild || piece.text == text[t - 1].text);
      }
      fits = next;
    }
    return fits[text.size()];
  }

  static void test(const Condition& c, const Asker& asker, bool& holds, bool& unclear) {
    bool found = false;
    if ((c.op == "IpAddress" || c.op == "NotIpAddress") && c.key == "SourceIp") {
      for (const std::string& value : c.values) {
        const auto range = parse_cidr(value);
        if (!range)
          unclear = true;
        else
          found |= asker.source && range->contains(*asker.source);
      }
    } else if ((c.op == "StringLike" || c.op == "StringNotLike") && c.key == "ref") {
      const std::string user(asker.user);
      for (const std::string& value : c.values)
        found |= asker.ref && like(split(value, &user), split(std::string(*asker.ref), nullptr));
    } else {
      unclear = true;
    }
    const bool negated = c.op == "NotIpAddress" || c.op == "StringNotLike";
    if (found == negated) holds = false;
  }
};

}  // namespace tarn::auth::testing
