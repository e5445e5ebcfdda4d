// Reading an object's bytes: RFC 9110 for ranges and conditions, one range a request.
#include <fmt/format.h>

#include <charconv>

#include "rest/bodies.h"
#include "rest/handlers.h"
#include "rest/shapes.h"

namespace tarn::rest {
namespace {

struct Range {
  uint64_t offset = 0, length = 0;
};

std::optional<uint64_t> number(std::string_view text) {
  uint64_t value = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || failed != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// nullopt: no range asked for, or one in a form that RFC 9110 14.2 lets a server ignore.
/// Errors: kInvalid subject "range" (not satisfiable, or several ranges).
Result<std::optional<Range>> range_of(std::string_view header, uint64_t size) {
  const Error unsatisfiable(Code::kInvalid, "range", "Requested Range Not Satisfiable");
  if (!header.starts_with("bytes=")) return std::optional<Range>();
  const std::string_view spec = http::trim(header.substr(6));
  if (spec.find(',') != std::string_view::npos) return unsatisfiable;
  const size_t dash = spec.find('-');
  if (dash == std::string_view::npos) return std::optional<Range>();
  const auto first = number(spec.substr(0, dash));
  const auto last = number(spec.substr(dash + 1));
  if (dash == 0) {
    if (!last) return std::optional<Range>();
    if (*last == 0 || size == 0) return unsatisfiable;
    const uint64_t length = std::min(*last, size);
    return std::optional<Range>(Range{size - length, length});
  }
  if (!first || (!last && dash + 1 != spec.size()) || (last && *last < *first)) return std::optional<Range>();
  if (*first >= size) return unsatisfiable;
  const uint64_t end = last ? std::min(*last, size - 1) : size - 1;
  return std::optional<Range>(Range{*first, end - *first + 1});
}

/// Whether an If-None-Match or If-Match list names the ETag.
bool names(std::string_view list, std::string_view etag) {
  while (!list.empty()) {
    const size_t comma = list.find(',');
    std::string_view item = http::trim(list.substr(0, comma));
    if (item == "*") return true;
    if (item.starts_with("W/")) item.remove_prefix(2);
    if (item.size() >= 2 && item.front() == '"' && item.back() == '"') item = item.substr(1, item.size() - 2);
    if (item == etag) return true;
    if (comma == std::string_view::npos) break;
    list.remove_prefix(comma + 1);
  }
  return false;
}

/// Types that a browser may show without running anything.
bool shows_inline(std::string_view type) {
  type = type.substr(0, type.find(';'));
  return type == "text/plain" || type == "image/png" || type == "image/jpeg" || type == "image/gif" ||
         type == "image/webp";
}

void describe(http::Response& response, const tree::Entry& entry) {
  const std::string& type = entry.content_type;
  response.headers.set("Content-Type", type.empty() ? "application/octet-stream" : type);
  response.headers.set("ETag", fmt::format("\"{}\"", entry.etag.text()));
  response.headers.set("Last-Modified", base::http_date(entry.mtime_ms));
  response.headers.set("Accept-Ranges", "bytes");
  response.headers.set("Cache-Control", "no-store, must-revalidate");
  response.headers.set("X-Content-Type-Options", "nosniff");
  response.headers.set("Content-Security-Policy", "default-src 'none'; sandbox");
  response.headers.set("Content-Disposition", shows_inline(type) ? "inline" : "attachment");
}

/// What the request's conditions and range ask for, given the object.
struct Plan {
  int status = 200;
  Range range;
};

Result<Plan> plan(const http::Headers& headers, const tree::Entry& entry) {
  const std::string etag = entry.etag.text();
  if (const auto match = headers.find("If-Match"); match && !names(*match, etag))
    return Error(Code::kConflict, "object", "the object's ETag is not the one in If-Match");
  if (const auto none = headers.find("If-None-Match"); none && names(*none, etag)) return Plan{304, {}};
  auto range = range_of(headers.find("Range").value_or(""), entry.size);
  if (!range) return Plan{416, {}};
  if (*range) return Plan{206, **range};
  return Plan{200, {0, entry.size}};
}

/// The head of the answer; the body comes from the caller.
http::Response head_of(const Plan& plan, const tree::Entry& entry) {
  http::Response response = http::empty(plan.status);
  if (plan.status == 416) {
    response = http::json(416, Json::object({{"message", "Requested Range Not Satisfiable"}}).dump());
    response.headers.set("Content-Range", fmt::format("bytes */{}", entry.size));
    return response;
  }
  describe(response, entry);
  if (plan.status == 206)
    response.headers.set("Content-Range", fmt::format("bytes {}-{}/{}", plan.range.offset,
                                                      plan.range.offset + plan.range.length - 1, entry.size));
  return response;
}

}  // namespace

// GET …/refs/{ref}/objects — operation getObject. 200, 206, 304; 404; 410 the foreign bytes are gone; 412; 416.
Answer get_object(Call& call) {
  TRY_LET(const std::string path, call.need_query("path"));
  TRY(call.refuse_presign());
  const std::string& repository = call.path("repository");
  const std::string& ref = call.path("ref");
  const http::Headers& headers = call.request.headers;
  if (!headers.has("Range") && !headers.has("If-Match") && !headers.has("If-None-Match")) {
    TRY_LET(auto open, call.doors.catalog.open_object(call.ctx, repository, ref, path));
    http::Response response = head_of(Plan{200, {0, open.length}}, open.info.entry);
    response.source = std::make_unique<ObjectBody>(std::move(open.reader), open.length);
    return response;
  }
  constexpr int kTries = 5;
  for (int attempt = 0; attempt < kTries; ++attempt) {
    TRY_LET(const auto info, call.doors.catalog.stat_object(call.ctx, repository, ref, path));
    TRY_LET(const Plan wanted, plan(headers, info.entry));
    http::Response response = head_of(wanted, info.entry);
    if (wanted.status != 200 && wanted.status != 206) return response;
    catalog::ByteRange range;
    if (wanted.status == 206) range = {wanted.range.offset, wanted.range.length};
    TRY_LET(auto open, call.doors.catalog.open_object(call.ctx, repository, ref, path, range));
    // Somebody wrote the path in between: the range was worked out for another object.
    if (open.info.entry.etag != info.entry.etag || open.info.entry.size != info.entry.size) continue;
    response.source = std::make_unique<ObjectBody>(std::move(open.reader), open.length);
    return response;
  }
  return Error(Code::kBusy, "object", "the object is written too often to be read: try again");
}

// HEAD …/refs/{ref}/objects — operation headObject. As GET, without the bytes.
Answer head_object(Call& call) {
  TRY_LET(const std::string path, call.need_query("path"));
  TRY(call.refuse_presign());
  TRY_LET(const auto info, call.doors.catalog.stat_object(call.ctx, call.path("repository"), call.path("ref"), path));
  TRY_LET(const Plan wanted, plan(call.request.headers, info.entry));
  http::Response response = head_of(wanted, info.entry);
  if (wanted.status == 200 || wanted.status == 206)
    response.headers.set("Content-Length", std::to_string(wanted.range.length));
  return response;
}

}  // namespace tarn::rest
