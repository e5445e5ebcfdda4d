#pragma once
// The server's REST interface as the commands use it.
#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>

#include "base/json.h"
#include "cli/profile.h"
#include "http/client.h"
#include "http/url.h"

namespace tarn::cli {

using Pairs = std::initializer_list<std::pair<std::string, std::string>>;
/// Empty values are left out: the server's default counts.
http::Query query_of(Pairs pairs);
/// "repositories/a/branches/b" from its segments, each percent-encoded.
std::string path_of(std::initializer_list<std::string_view> segments);

/// An answer of any status.
struct Answer {
  int status = 0;
  Json body;         ///< null when it is no JSON
  std::string text;  ///< as received
  http::Headers headers;
  bool ok() const { return status / 100 == 2; }
};

/// The error that an answer stands for; its message is the server's.
Error error_of(const Answer& answer);

/// Threads: any.
class Api {
 public:
  explicit Api(Target target) : target_(std::move(target)) {}
  const Target& target() const { return target_; }

  /// Errors: only where no answer came: kUnavailable, kDeadline, kUnknownOutcome.
  /// Repeats what is safe to repeat a few times with a growing pause: GET when the server is busy or away, others when
  /// it answers 429.
  Result<Answer> ask(std::string_view method, std::string_view path, const http::Query& query = {},
                     const Json* body = nullptr, int64_t timeout_ms = 60'000);
  /// The body of a 2xx answer; every other answer is an error.
  Result<Json> call(std::string_view method, std::string_view path, const http::Query& query = {},
                    const Json* body = nullptr, int64_t timeout_ms = 60'000);
  Result<Json> get(std::string_view path, const http::Query& query = {}) { return call("GET", path, query); }
  Result<Json> post(std::string_view path, const Json& body, const http::Query& query = {}) {
    return call("POST", path, query, &body);
  }
  Result<Json> put(std::string_view path, const Json& body, const http::Query& query = {}) {
    return call("PUT", path, query, &body);
  }
  Result<Json> remove(std::string_view path, const http::Query& query = {}) { return call("DELETE", path, query); }

  /// One request with credentials; `request.url` is the path below /api/v1. No repeats.
  Result<http::ClientResponse> send(http::ClientRequest request);

  /// Calls `each` for every item of a paged list, page by page; stops after `amount` items (0: all).
  Result<void> each(std::string_view path, const http::Query& query, int64_t amount,
                    const std::function<Result<void>(const Json&)>& each);
  /// All of a paged list as one body.
  Result<Json> list(std::string_view path, const http::Query& query, int64_t amount);

 private:
  Target target_;
  http::CurlClient client_;
  Context ctx_;
};

}  // namespace tarn::cli
