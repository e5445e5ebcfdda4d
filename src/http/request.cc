#include "http/request.h"

#include <fmt/core.h>

#include <array>

namespace tarn::http {
namespace {
constexpr std::array<std::string_view, kMethods> kNames = {"GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "OPTIONS"};

Error too_large(size_t limit) {
  return Error(Code::kTooLarge, "body",
               fmt::format("the request body is larger than the {} bytes allowed here", limit));
}
}  // namespace

std::string_view name_of(Method method) { return kNames[static_cast<size_t>(method)]; }

std::optional<Method> parse_method(std::string_view text) {
  for (size_t i = 0; i < kNames.size(); ++i)
    if (kNames[i] == text) return static_cast<Method>(i);
  return std::nullopt;
}

Result<std::string> read_all(BodyReader& reader, size_t limit) {
  std::string out;
  char buffer[16 * 1024];
  for (;;) {
    TRY_LET(const size_t n, reader.read(buffer, sizeof buffer));
    if (n == 0) return out;
    if (n > limit - out.size()) return too_large(limit);
    out.append(buffer, n);
  }
}

Result<std::string> Request::read_body(size_t limit) {
  if (content_length && *content_length > limit) return too_large(limit);
  if (body == nullptr) return std::string();
  return read_all(*body, limit);
}

}  // namespace tarn::http
