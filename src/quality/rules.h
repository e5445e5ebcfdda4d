#pragma once
// Reading of single rules and column options; part of the contract parser.
#include <string>
#include <string_view>
#include <vector>

#include "quality/contract.h"

namespace tarn::quality {

/// Reads one rule of a table (`property` null) or of a column.
/// Errors: kInvalid; the message names the rule and what is known, the caller adds file and place.
Result<Rule> parse_rule(const Json& node, const std::string& place, const Schema& schema, const Property* property,
                        std::vector<std::string>& warnings);

/// Checks logicalTypeOptions against the column's logical type. What is valid but not tested becomes a warning.
Result<void> check_options(const Property& property, const std::string& place, std::vector<std::string>& warnings);

/// What a rule asks for, in words: "nullValues of temp <= 5 percent" without the metric's name for plain counts.
std::string expected_text(const Rule& rule);

/// Numbers without trailing zeros.
std::string number_text(double value);

template <class Words>
std::string list_words(const Words& words) {
  std::string out;
  for (const std::string_view w : words) {
    if (!out.empty()) out += ", ";
    out += w;
  }
  return out;
}

}  // namespace tarn::quality
