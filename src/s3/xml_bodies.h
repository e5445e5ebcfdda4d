#pragma once
// The XML that clients send. Capped before it is parsed: 2 MiB, no DOCTYPE, depth 32.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace tarn::s3 {

inline constexpr size_t kXmlBodyMax = 2 << 20;

struct DeleteRequest {
  struct Object {
    std::string key;
    std::string version_id;
    std::optional<std::string> etag;  ///< delete only what has this ETag
  };
  std::vector<Object> objects;
  bool quiet = false;
};
/// Errors: MalformedXML, also for no key and for more than 1,000.
Result<DeleteRequest> parse_delete(std::string_view xml);

struct CompletePart {
  int number = 0;
  std::string etag;  ///< without quotes, lower case
};
/// In the order given. Errors: MalformedXML, also for no part and for more than 10,000.
Result<std::vector<CompletePart>> parse_complete(std::string_view xml);

}  // namespace tarn::s3
