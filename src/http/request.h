#pragma once
// One request as a handler sees it.
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "http/body.h"
#include "http/headers.h"
#include "http/url.h"

namespace tarn::http {

enum class Method { kGet, kHead, kPut, kPost, kDelete, kPatch, kOptions };
constexpr size_t kMethods = 7;

std::string_view name_of(Method method);
/// Exact, upper case.
std::optional<Method> parse_method(std::string_view text);

/// Lives on the worker's stack while its handler runs; not to be kept.
struct Request {
  Method method = Method::kGet;
  std::string method_text;
  std::string target;     ///< raw bytes of the request target, as signed by SigV4
  std::string raw_path;   ///< the target's path, not decoded: segments are split here, so that %2F stays inside one
  std::string path;       ///< percent-decoded once
  std::string raw_query;  ///< after '?', not decoded
  Query query;            ///< decoded
  Headers headers;
  std::string peer_address;  ///< without port
  bool peer_is_loopback = false;
  bool secure = false;                                 ///< came over TLS
  std::optional<uint64_t> content_length;              ///< 0 when there is no body; nullopt when it is chunked
  BodyReader* body = nullptr;                          ///< never null inside a handler
  std::map<std::string, std::string> path_parameters;  ///< by the router, each decoded once
  std::string route;                                   ///< the pattern that matched, for metrics and audit
  std::string request_id;

  /// Errors: kTooLarge beyond `limit` bytes (at once when the declared length says so), and those of the reader.
  Result<std::string> read_body(size_t limit);
};

}  // namespace tarn::http
