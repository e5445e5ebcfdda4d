// Objects, except reading their bytes (object_get.cc).
#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.h"
#include "http/multipart.h"
#include "rest/bodies.h"
#include "rest/errors.h"
#include "rest/fields.h"
#include "rest/handlers.h"
#include "rest/shapes.h"

namespace tarn::rest {
namespace {

constexpr std::string_view kMetaHeader = "x-lakefs-meta-";
constexpr std::string_view kInternalHeader = "x-lakefs-internal-";
constexpr std::string_view kInternalKey = "::lakefs::";
constexpr size_t kDeleteMax = 1000;

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return out;
}

/// User metadata travels as headers: X-Lakefs-Meta-<key>, and X-Lakefs-Internal-<key> for what clients keep for
/// themselves.
versioning::Metadata metadata_headers(const http::Headers& headers) {
  versioning::Metadata out;
  for (const auto& header : headers) {
    const std::string name = lower(header.name);
    if (name.starts_with(kMetaHeader))
      out[name.substr(kMetaHeader.size())] = header.value;
    else if (name.starts_with(kInternalHeader))
      out[std::string(kInternalKey) + name.substr(kInternalHeader.size())] = header.value;
  }
  return out;
}

std::string_view unquoted(std::string_view etag) {
  if (etag.size() >= 2 && etag.front() == '"' && etag.back() == '"') return etag.substr(1, etag.size() - 2);
  return etag;
}

/// What the writer expects to find. Errors: kUnsupported (If-None-Match other than "*"), kInvalid (both).
Result<versioning::Expect> expectation(const http::Headers& headers) {
  const auto none = headers.find("If-None-Match");
  const auto match = headers.find("If-Match");
  if (none && match) return Error(Code::kInvalid, "If-Match", "send If-Match or If-None-Match, not both");
  if (none) {
    if (http::trim(*none) != "*")
      return Error(Code::kUnsupported, "If-None-Match",
                   "uploads take If-None-Match: * only (write if the path is free)");
    return versioning::Expect{versioning::Expect::Kind::kAbsent, {}};
  }
  if (match) return versioning::Expect{versioning::Expect::Kind::kEtag, std::string(unquoted(http::trim(*match)))};
  return versioning::Expect{};
}

Result<catalog::ObjectInfo> put(Call& call, const std::string& path, http::BodyReader& body,
                                catalog::PutOptions options) {
  BodyBytes bytes(body);
  return call.doors.catalog.put_object(call.ctx, call.path("repository"), call.path("branch"), path, bytes, options);
}

/// The part named "content" of a form; parts before it are skipped, and what comes after it must be whole.
Result<catalog::ObjectInfo> put_form(Call& call, const std::string& path, catalog::PutOptions options) {
  TRY_LET(auto form, http::MultipartForm::open(call.request));
  while (true) {
    TRY_LET(const auto part, form.next());
    if (!part) return Error(Code::kInvalid, "content", "the form has no part named content");
    if (part->name != "content") continue;
    options.content_type = std::string(part->headers.find("Content-Type").value_or(""));
    options.verify = [&form]() -> Result<void> {
      while (true) {
        TRY_LET(const auto rest, form.next());
        if (!rest) return {};
      }
    };
    return put(call, path, *part->body, std::move(options));
  }
}

http::Response stats_answer(int status, const catalog::ObjectInfo& info) {
  std::string out;
  write_stats(out, info.path, info.entry, info.physical_address, true);
  return http::json(status, std::move(out));
}

}  // namespace

// POST …/branches/{branch}/objects — operation uploadObject. The bytes are the body, or the form's part `content`.
// 201 ObjectStats; 400 bad path; 403 protected or read-only; 404 branch; 412 the precondition does not hold; 507 full.
Answer upload_object(Call& call) {
  TRY_LET(const std::string path, call.need_query("path"));
  TRY(versioning::check_path(path));
  catalog::PutOptions options;
  options.metadata = metadata_headers(call.request.headers);
  TRY_LET(options.expect, expectation(call.request.headers));
  const std::string_view type = call.request.headers.find("Content-Type").value_or("");
  if (const auto md5 = call.request.headers.find("Content-MD5")) {
    options.md5 = base::from_base64(*md5);
    if (!options.md5 || options.md5->size() != 16)
      return Error(Code::kInvalid, "Content-MD5", "Content-MD5 must be the base64 of 16 bytes");
  }
  const bool form = lower(type).starts_with("multipart/form-data");
  if (form)
    options.md5.reset();
  else
    options.content_type = std::string(type);
  auto stored =
      form ? put_form(call, path, std::move(options)) : put(call, path, *call.request.body, std::move(options));
  if (!stored && stored.error().code() == Code::kConflict && call.request.headers.has("If-None-Match"))
    return stored.error().wrap(Code::kConflict, "object", "path already exists");
  TRY_LET(const auto info, std::move(stored));
  return stats_answer(201, info);
}

// GET …/refs/{ref}/objects/ls — operation listObjects. 200, bytewise order; 404.
Answer list_objects(Call& call) {
  TRY_LET(const auto query, call.list_query());
  TRY_LET(const bool with_metadata, call.flag("user_metadata", true));
  TRY(call.refuse_presign());
  TRY_LET(const auto repository, call.repository());
  TRY_LET(const auto found, call.doors.catalog.list_objects(call.ctx, repository.name, call.path("ref"), query));
  constexpr size_t kBytesEach = 320;
  std::string out = begin_page(found.items.size(), found.has_more, found.next_after, kBytesEach);
  for (size_t i = 0; i < found.items.size(); ++i) {
    const auto& item = found.items[i];
    if (i > 0) out.push_back(',');
    if (item.is_prefix)
      write_prefix(out, item.path);
    else
      write_stats(out, item.path, item.entry, call.doors.catalog.physical_address(repository, item.entry),
                  with_metadata);
  }
  out.append("]}");
  return http::json(200, std::move(out));
}

// GET …/refs/{ref}/objects/stat — operation statObject. 200; 404.
Answer stat_object(Call& call) {
  TRY_LET(const std::string path, call.need_query("path"));
  TRY_LET(const bool with_metadata, call.flag("user_metadata", true));
  TRY(call.refuse_presign());
  TRY_LET(const auto info, call.doors.catalog.stat_object(call.ctx, call.path("repository"), call.path("ref"), path));
  std::string out;
  write_stats(out, info.path, info.entry, info.physical_address, with_metadata);
  return http::json(200, std::move(out));
}

// DELETE …/branches/{branch}/objects — operation deleteObject. 204, also when it was not there; 403; 404 branch.
Answer delete_object(Call& call) {
  TRY_LET(const std::string path, call.need_query("path"));
  TRY(call.doors.catalog.delete_object(call.ctx, call.path("repository"), call.path("branch"), path));
  return no_content();
}

// POST …/branches/{branch}/objects/delete — operation deleteObjects. 200 what could not be deleted; 400 over 1,000
// paths.
Answer delete_objects(Call& call) {
  TRY_LET(const Json body, call.bulk_body());
  TRY(need_object(body));
  TRY_LET(const auto asked, string_list(body, "paths", true));
  if (asked.size() > kDeleteMax)
    return Error(Code::kInvalid, "paths",
                 fmt::format("{} paths given; one call deletes at most {}", asked.size(), kDeleteMax));
  const std::string& repository = call.path("repository");
  const std::string& branch = call.path("branch");
  Json errors = Json::array();
  const auto failed = [&](const std::string& path, const Error& error) {
    errors.push(Json::object({{"path", path}, {"status_code", status_of(error)}, {"message", error.message()}}));
  };
  std::vector<std::string> paths;
  for (const auto& path : asked) {
    if (path.empty()) continue;
    if (auto may = call.allow(auth::Action::kDeleteObject, {.repository = repository, .ref = branch, .path = path});
        !may)
      failed(path, may.error());
    else
      paths.push_back(path);
  }
  if (!paths.empty()) {
    TRY_LET(const auto refused, call.doors.catalog.delete_objects(call.ctx, repository, branch, paths));
    for (const auto& item : refused) failed(item.path, item.error);
  }
  return ok(Json::object({{"errors", std::move(errors)}}));
}

// POST …/branches/{branch}/objects/copy — operation copyObject. 201, no byte is copied; 404.
Answer copy_object(Call& call) {
  TRY_LET(const std::string destination, call.need_query("dest_path"));
  TRY(versioning::check_path(destination));
  TRY_LET(const Json body, call.body());
  TRY(need_object(body));
  TRY_LET(const std::string source, body.need_string("src_path"));
  const std::string& repository = call.path("repository");
  const std::string& branch = call.path("branch");
  TRY_LET(std::string source_ref, optional_string(body, "src_ref"));
  if (source_ref.empty()) source_ref = branch;
  TRY(call.allow(auth::Action::kReadObject, {.repository = repository, .ref = source_ref, .path = source}));
  TRY(call.allow(auth::Action::kWriteObject, {.repository = repository, .ref = branch, .path = destination}));
  TRY_LET(const auto info, call.doors.catalog.copy_object(call.ctx, repository, source_ref, source, repository, branch,
                                                          destination, {}, false));
  return stats_answer(201, info);
}

// PUT …/branches/{branch}/objects/stat/user_metadata — operation updateObjectUserMetadata. 204, replaces the map; 404.
Answer update_object_user_metadata(Call& call) {
  TRY_LET(const std::string path, call.need_query("path"));
  TRY_LET(const Json body, call.body());
  TRY(need_object(body));
  TRY_LET(const auto metadata, metadata_of(body, "set"));
  TRY(call.doors.catalog.set_user_metadata(call.ctx, call.path("repository"), call.path("branch"), path, metadata));
  return no_content();
}

// GET …/refs/{ref}/objects/underlyingProperties — operation getUnderlyingProperties. 200: the local store has classes
// of no kind; 404.
Answer get_underlying_properties(Call& call) {
  TRY_LET(const std::string path, call.need_query("path"));
  TRY(call.doors.catalog.stat_object(call.ctx, call.path("repository"), call.path("ref"), path));
  return ok(Json::object({{"storage_class", nullptr}}));
}

}  // namespace tarn::rest
