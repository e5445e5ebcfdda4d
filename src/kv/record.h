#pragma once
// JSON records in the store: one version byte, then the text. Rooms with hot or big rows use a binary form instead.
#include <string>
#include <string_view>

#include "base/json.h"
#include "kv/store.h"

namespace tarn::kv {

inline constexpr char kJsonRecord = '\x01';

inline std::string encode_record(const Json& json) { return std::string(1, kJsonRecord) + json.dump(); }

/// Errors: kCorrupt for an unknown version byte or damaged text.
inline Result<Json> decode_record(std::string_view value, std::string_view subject) {
  if (value.empty() || value.front() != kJsonRecord)
    return Error(Code::kCorrupt, std::string(subject),
                 "a stored record has a format that this version does not know: use the version that wrote it");
  auto json = Json::parse(value.substr(1));
  if (!json) return json.error().wrap(Code::kCorrupt, std::string(subject), "a stored record is damaged");
  return json;
}

}  // namespace tarn::kv
