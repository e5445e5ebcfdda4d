#include <fmt/format.h>

#include <charconv>

#include "rest/doors.h"

namespace tarn::rest {
namespace {

Result<Json> parse(const Call& call, size_t limit, bool may_be_absent) {
  TRY_LET(const std::string text, call.request.read_body(limit));
  if (text.empty() && may_be_absent) return Json::object();
  auto json = Json::parse(text);
  if (!json) return json.error().wrap(Code::kInvalid, "body", "request body is not JSON: " + json.error().message());
  return json;
}

}  // namespace

const std::string& Call::path(std::string_view name) const {
  const auto found = request.path_parameters.find(std::string(name));
  ENSURE(found != request.path_parameters.end());
  return found->second;
}

std::string Call::query(std::string_view name, std::string_view otherwise) const {
  return std::string(request.query.find(name).value_or(otherwise));
}

Result<std::string> Call::need_query(std::string_view name) const {
  const auto found = request.query.find(name);
  if (!found)
    return Error(Code::kInvalid, std::string(name), fmt::format("query parameter {} is required but missing", name));
  if (found->empty())
    return Error(Code::kInvalid, std::string(name), fmt::format("query parameter {} must not be empty", name));
  return std::string(*found);
}

Result<bool> Call::flag(std::string_view name, bool otherwise) const {
  const auto found = request.query.find(name);
  if (!found) return otherwise;
  // Python clients write True and False.
  if (http::equal_ignoring_case(*found, "true") || *found == "1") return true;
  if (http::equal_ignoring_case(*found, "false") || *found == "0") return false;
  return Error(Code::kInvalid, std::string(name), fmt::format("query parameter {} must be true or false", name));
}

Result<void> Call::refuse_presign() const {
  TRY_LET(const bool asked, flag("presign", false));
  if (!asked) return {};
  return Error(Code::kUnsupported, "presign",
               "presign=true is not supported: this server makes no presigned addresses over REST yet; leave presign "
               "out and read through the server, or presign on the S3 side");
}

Result<versioning::PageQuery> Call::page() const {
  versioning::PageQuery page{query("prefix"), query("after"), 100};
  if (const auto text = request.query.find("amount")) {
    int64_t amount = 0;
    const auto [end, failed] = std::from_chars(text->data(), text->data() + text->size(), amount);
    if (failed != std::errc{} || end != text->data() + text->size() || amount < -1)
      return Error(Code::kInvalid, "amount", "query parameter amount must be a number from -1 to 1000");
    page.amount = amount <= 0 ? 100 : static_cast<size_t>(std::min<int64_t>(amount, 1000));
  }
  return page;
}

Result<versioning::ListQuery> Call::list_query() const {
  TRY_LET(const auto asked, page());
  return versioning::ListQuery{asked.prefix, asked.after, query("delimiter"), asked.amount};
}

Result<Json> Call::body() const { return parse(*this, doors.settings.json_body_max, false); }
Result<Json> Call::bulk_body() const { return parse(*this, doors.settings.bulk_body_max, false); }
Result<Json> Call::optional_body() const { return parse(*this, doors.settings.json_body_max, true); }

Result<void> Call::allow(auth::Action action, const auth::Resource& resource) const {
  return auth::Guard::allow(principal, action, resource);
}

Result<versioning::Repository> Call::repository() const { return engine().get_repository(ctx, path("repository")); }

}  // namespace tarn::rest
