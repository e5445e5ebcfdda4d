#pragma once
// YAML in, Json out: the rest of the house knows one value type.
#include <string_view>

#include "base/json.h"

namespace tarn::base {

/// Parses one YAML document of at most 1 MiB and 32 levels. Plain scalars become numbers, booleans and null by the
/// YAML 1.2 core rules (so `on`, `yes` and dates stay strings); quoted ones are strings. Aliases are refused.
///
/// Errors: kInvalid with line and column.
Result<Json> parse_yaml(std::string_view text);

/// Block-style YAML with stable order. Strings are quoted where YAML would read them as something else.
std::string to_yaml(const Json& value);

}  // namespace tarn::base
