#include "s3/conditions.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "s3/errors.h"

namespace tarn::s3 {
namespace {

std::string_view unquoted(std::string_view item) {
  item = http::trim(item);
  if (item.starts_with("W/")) item.remove_prefix(2);
  if (item.size() >= 2 && item.front() == '"' && item.back() == '"') item = item.substr(1, item.size() - 2);
  return item;
}

Error failed(std::string_view header) {
  return refuse("PreconditionFailed",
                fmt::format("At least one of the pre-conditions you specified did not hold: {}", header));
}

}  // namespace

std::optional<uint64_t> parse_number(std::string_view text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

Result<std::optional<Range>> resolve_range(std::optional<std::string_view> header, uint64_t size) {
  const std::optional<Range> none;
  if (!header || !header->starts_with("bytes=")) return none;
  const std::string_view spec = http::trim(header->substr(6));
  const size_t dash = spec.find('-');
  if (dash == std::string_view::npos || spec.find(',') != std::string_view::npos) return none;
  const auto first = parse_number(spec.substr(0, dash));
  const auto last = parse_number(spec.substr(dash + 1));
  const auto outside = [] { return refuse("InvalidRange", "The requested range is not satisfiable"); };
  if (dash == 0) {
    if (!last) return none;
    if (*last == 0 || size == 0) return outside();
    const uint64_t length = std::min(*last, size);
    return std::optional<Range>(Range{size - length, length});
  }
  if (!first || (!last && dash + 1 != spec.size()) || (last && *last < *first)) return none;
  if (*first >= size) return outside();
  const uint64_t end = last ? std::min(*last, size - 1) : size - 1;
  return std::optional<Range>(Range{*first, end - *first + 1});
}

Result<Range> resolve_copy_range(std::string_view header, uint64_t size) {
  const auto bad = [] {
    return refuse("InvalidArgument",
                  "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the "
                  "zero-based offsets of the first and last bytes to copy");
  };
  if (!header.starts_with("bytes=")) return bad();
  header.remove_prefix(6);
  const size_t dash = header.find('-');
  if (dash == std::string_view::npos) return bad();
  const auto first = parse_number(header.substr(0, dash));
  const auto last = parse_number(header.substr(dash + 1));
  if (!first || !last || *last < *first) return bad();
  if (*last >= size)
    return refuse("InvalidRange", fmt::format("Range specified is not valid for source object of size: {}", size));
  return Range{*first, *last - *first + 1};
}

bool names_etag(std::string_view list, std::string_view etag) {
  while (true) {
    const size_t comma = list.find(',');
    const std::string_view item = unquoted(list.substr(0, comma));
    if (item == "*" || item == etag) return true;
    if (comma == std::string_view::npos) return false;
    list.remove_prefix(comma + 1);
  }
}

Result<Verdict> check_read(const http::Headers& headers, const tree::Entry& entry, std::string_view prefix) {
  const bool copy = !prefix.empty();
  const auto find = [&](std::string_view name) { return headers.find(std::string(prefix) + std::string(name)); };
  const auto date = [&](std::string_view name) -> std::optional<int64_t> {
    const auto text = find(name);
    const auto at = text ? base::parse_http_date(*text) : std::nullopt;
    return at ? std::optional<int64_t>(*at / 1000) : std::nullopt;
  };
  const std::string etag = entry.etag.text();
  const int64_t modified = entry.mtime_ms / 1000;
  if (const auto match = find("if-match")) {
    if (!names_etag(*match, etag)) return failed("If-Match");
  } else if (const auto since = date("if-unmodified-since"); since && modified > *since) {
    return failed("If-Unmodified-Since");
  }
  if (const auto none = find("if-none-match")) {
    if (!names_etag(*none, etag)) return Verdict::kGo;
    if (copy) return failed("x-amz-copy-source-if-none-match");
    return Verdict::kNotModified;
  }
  if (const auto since = date("if-modified-since"); since && modified <= *since) {
    if (copy) return failed("x-amz-copy-source-if-modified-since");
    return Verdict::kNotModified;
  }
  return Verdict::kGo;
}

Result<versioning::Expect> write_expectation(const http::Headers& headers) {
  const auto none = headers.find("If-None-Match");
  const auto match = headers.find("If-Match");
  if (none && match) return refuse("InvalidRequest", "Send If-Match or If-None-Match, not both");
  if (none) {
    if (http::trim(*none) != "*")
      return refuse("NotImplemented", "A write takes If-None-Match: * only (write if the key is free)");
    return versioning::Expect{versioning::Expect::Kind::kAbsent, {}};
  }
  if (match) return versioning::Expect{versioning::Expect::Kind::kEtag, std::string(unquoted(*match))};
  return versioning::Expect{};
}

}  // namespace tarn::s3
