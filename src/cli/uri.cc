#include "cli/uri.h"

#include <fmt/format.h>

#include "cli/command.h"

namespace tarn::cli {
namespace {

Result<Uri> split(std::string_view text) {
  std::string_view rest = text;
  for (const std::string_view scheme : {"tarn://", "lakefs://"})
    if (rest.starts_with(scheme)) rest.remove_prefix(scheme.size());
  if (rest.find("://") < rest.find('/'))
    return usage_error(fmt::format("'{}' is not an address in Tarn: write repository/ref/path", text));
  Uri out;
  const size_t first = rest.find('/');
  out.repository = rest.substr(0, first);
  if (out.repository.empty()) return usage_error(fmt::format("'{}' names no repository", text));
  if (first == std::string_view::npos) return out;
  rest.remove_prefix(first + 1);
  const size_t second = rest.find('/');
  out.ref = rest.substr(0, second);
  if (second != std::string_view::npos) out.path = rest.substr(second + 1);
  return out;
}

}  // namespace

std::string Uri::text() const {
  std::string out = repository;
  if (!ref.empty()) out += "/" + ref;
  if (!path.empty()) out += "/" + path;
  return out;
}

bool has_scheme(std::string_view text) { return text.starts_with("tarn://") || text.starts_with("lakefs://"); }

Result<Uri> parse_uri(std::string_view text, UriPart need) {
  TRY_LET(Uri out, split(text));
  const bool ref = need != UriPart::kRepository;
  if (ref && out.ref.empty())
    return usage_error(fmt::format("'{}' names no branch, tag or commit: write {}/main", text, out.repository));
  if (need == UriPart::kPath && out.path.empty())
    return usage_error(fmt::format("'{}' names no path: write {}/{}/some/path", text, out.repository, out.ref));
  if (!ref && !out.ref.empty())
    return usage_error(fmt::format("'{}' is more than a repository: write {}", text, out.repository));
  if (need == UriPart::kRef && !out.path.empty())
    return usage_error(fmt::format("'{}' has a path, and only {}/{} is wanted here", text, out.repository, out.ref));
  return out;
}

Result<Uri> parse_prefix_uri(std::string_view text) {
  TRY_LET(Uri out, split(text));
  if (out.ref.empty())
    return usage_error(fmt::format("'{}' names no branch, tag or commit: write {}/main/", text, out.repository));
  return out;
}

}  // namespace tarn::cli
