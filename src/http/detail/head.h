#pragma once
// The head of a request: where it ends, whether it may be believed, and what frames its body (RFC 9112).
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "http/request.h"
#include "http/server.h"

namespace tarn::http::detail {

struct Head {
  Method method = Method::kGet;
  std::string method_text;
  std::string target;
  int minor_version = 1;
  Headers headers;
  std::optional<uint64_t> content_length;  ///< 0 without a body; nullopt when chunked
  bool keep_alive = true;
  bool expect_continue = false;
};

/// A request that is answered without a handler, and whose connection is then closed.
struct Refusal {
  int status = 400;
  std::string message;
};

/// Finds the end of a head in a buffer that grows; each byte is looked at once. Refuses bare LF and sizes early.
class HeadScanner {
 public:
  enum class Verdict { kMore, kComplete, kRefused };
  /// @param buffer  all bytes since the head's first; the same bytes again plus more at the next call.
  Verdict scan(std::string_view buffer, const Limits& limits);
  /// Bytes of the head with its empty line; after kComplete.
  size_t size() const { return at_; }
  const Refusal& refusal() const { return refusal_; }
  void reset() { *this = HeadScanner(); }
  /// Part of a head was seen and more is needed.
  bool pending() const { return at_ > 0; }

 private:
  Verdict refuse(int status, std::string message);
  size_t at_ = 0;
  size_t line_ = 0;          // where the current line begins
  size_t lines_ = 0;         // complete lines before it
  size_t header_begin_ = 0;  // after the request line
  bool line_checked_ = false;
  Refusal refusal_;
};

/// @param bytes  exactly one head, as HeadScanner cut it.
/// Every smuggling rule of the room is here; Boost.Beast reads the fields, and both readings must agree.
std::variant<Head, Refusal> parse_head(std::string_view bytes);

/// Splits and decodes the target into path and query. @return false when a percent-encoding is broken.
bool fill_target(Request& request);

}  // namespace tarn::http::detail
