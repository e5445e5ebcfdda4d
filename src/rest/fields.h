#pragma once
// Strict readers of optional members of a JSON body. Errors of all: kInvalid naming the member.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "versioning/types.h"

namespace tarn::rest {

Result<std::string> optional_string(const Json& body, std::string_view key, std::string_view otherwise = {});
Result<bool> optional_bool(const Json& body, std::string_view key, bool otherwise);
Result<std::optional<int64_t>> optional_int(const Json& body, std::string_view key);
/// An array of strings. Absent is an error only when `required`.
Result<std::vector<std::string>> string_list(const Json& body, std::string_view key, bool required);
/// User or commit metadata: a map of strings of at most 64 KiB in all.
Result<versioning::Metadata> metadata_of(const Json& body, std::string_view key = "metadata");
/// Errors when the body is no JSON object.
Result<void> need_object(const Json& body);

}  // namespace tarn::rest
