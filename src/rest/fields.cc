#include "rest/fields.h"

#include <fmt/format.h>

namespace tarn::rest {
namespace {

constexpr size_t kMetadataBytesMax = 64 * 1024;

Error wrong(std::string_view key, std::string_view kind) {
  return Error(Code::kInvalid, std::string(key), fmt::format("member {} of the body must be {}", key, kind));
}

const Json* present(const Json& body, std::string_view key) {
  const Json* found = body.find(key);
  return found != nullptr && found->is_null() ? nullptr : found;
}

}  // namespace

Result<void> need_object(const Json& body) {
  if (!body.is_object()) return Error(Code::kInvalid, "body", "the body must be a JSON object");
  return {};
}

Result<std::string> optional_string(const Json& body, std::string_view key, std::string_view otherwise) {
  const Json* found = present(body, key);
  if (found == nullptr) return std::string(otherwise);
  if (!found->is_string()) return wrong(key, "a string");
  return found->as_string();
}

Result<bool> optional_bool(const Json& body, std::string_view key, bool otherwise) {
  const Json* found = present(body, key);
  if (found == nullptr) return otherwise;
  if (!found->is_bool()) return wrong(key, "true or false");
  return found->as_bool();
}

Result<std::optional<int64_t>> optional_int(const Json& body, std::string_view key) {
  const Json* found = present(body, key);
  if (found == nullptr) return std::optional<int64_t>();
  if (!found->is_int()) return wrong(key, "an integer");
  return std::optional<int64_t>(found->as_int());
}

Result<std::vector<std::string>> string_list(const Json& body, std::string_view key, bool required) {
  std::vector<std::string> out;
  const Json* found = present(body, key);
  if (found == nullptr) {
    if (required) return Error(Code::kInvalid, std::string(key), fmt::format("member {} of the body is missing", key));
    return out;
  }
  if (!found->is_array()) return wrong(key, "an array of strings");
  for (const auto& item : found->items()) {
    if (!item.is_string()) return wrong(key, "an array of strings");
    out.push_back(item.as_string());
  }
  return out;
}

Result<versioning::Metadata> metadata_of(const Json& body, std::string_view key) {
  TRY_LET(versioning::Metadata out, body.string_map(key));
  size_t bytes = 0;
  for (const auto& [name, value] : out) bytes += name.size() + value.size();
  if (bytes > kMetadataBytesMax)
    return Error(Code::kInvalid, std::string(key),
                 fmt::format("{} holds {} bytes; at most {} are stored", key, bytes, kMetadataBytesMax));
  return out;
}

}  // namespace tarn::rest
