#include "s3/object_headers.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.h"
#include "s3/checksums.h"
#include "s3/errors.h"

namespace tarn::s3 {
namespace {

constexpr std::string_view kMetaPrefix = "x-amz-meta-";
constexpr size_t kMetadataMax = 2 * 1024;

struct StoredHeader {
  std::string_view name;
  uint32_t tag;
};
constexpr StoredHeader kStored[] = {
    {"Cache-Control", tree::kTagCacheControl},
    {"Content-Disposition", tree::kTagContentDisposition},
    {"Content-Language", tree::kTagContentLanguage},
};

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  return out;
}

/// "gzip, aws-chunked" is "gzip": the coding of the transfer is not the object's.
std::string without_aws_chunked(std::string_view list) {
  std::string out;
  while (true) {
    const size_t comma = list.find(',');
    const std::string_view token = http::trim(list.substr(0, comma));
    if (!token.empty() && !http::equal_ignoring_case(token, "aws-chunked")) {
      if (!out.empty()) out += ", ";
      out += token;
    }
    if (comma == std::string_view::npos) return out;
    list.remove_prefix(comma + 1);
  }
}

bool is_header_name(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
  });
}

bool is_header_value(std::string_view value) {
  return std::all_of(value.begin(), value.end(),
                     [](char c) { return static_cast<unsigned char>(c) >= 0x20 && c != 0x7f; });
}

Result<void> read_metadata(const http::Headers& headers, versioning::Metadata& metadata) {
  size_t bytes = 0;
  for (const auto& header : headers) {
    const std::string name = lower(header.name);
    if (!name.starts_with(kMetaPrefix)) continue;
    const std::string key = name.substr(kMetaPrefix.size());
    if (!base::is_utf8(header.value))
      return refuse("InvalidArgument", fmt::format("the value of x-amz-meta-{} is not UTF-8", key));
    std::string& slot = metadata[key];
    if (!slot.empty()) slot += ",";
    slot += header.value;
    bytes += key.size() + header.value.size();
  }
  if (bytes > kMetadataMax)
    return refuse("MetadataTooLarge",
                  fmt::format("Your metadata headers exceed the maximum allowed metadata size: {} of {} bytes", bytes,
                              kMetadataMax));
  return {};
}

}  // namespace

void set_tag(std::vector<tree::TaggedField>& tagged, uint32_t tag, std::string value) {
  const auto at = std::lower_bound(tagged.begin(), tagged.end(), tag,
                                   [](const tree::TaggedField& field, uint32_t t) { return field.tag < t; });
  if (at != tagged.end() && at->tag == tag)
    at->value = std::move(value);
  else
    tagged.insert(at, {tag, std::move(value)});
}

Result<void> read_object_headers(const http::Headers& headers, catalog::PutOptions& options) {
  TRY(read_metadata(headers, options.metadata));
  const auto text = [](std::string_view name, std::string_view value) -> Result<std::string> {
    if (!base::is_utf8(value)) return refuse("InvalidArgument", fmt::format("the header {} is not UTF-8", name));
    return std::string(value);
  };
  if (const auto type = headers.find("Content-Type")) {
    TRY_LET(options.content_type, text("Content-Type", *type));
  }
  for (const auto& stored : kStored)
    if (const auto value = headers.find(stored.name); value && !value->empty()) {
      TRY_LET(auto kept, text(stored.name, *value));
      set_tag(options.tagged, stored.tag, std::move(kept));
    }
  if (const auto encoding = headers.find("Content-Encoding")) {
    TRY_LET(auto kept, text("Content-Encoding", without_aws_chunked(*encoding)));
    if (!kept.empty()) set_tag(options.tagged, tree::kTagContentEncoding, std::move(kept));
  }
  if (const auto expires = headers.find("Expires"); expires && !expires->empty()) {
    const auto at = base::parse_http_date(*expires);
    if (!at || *at < 0) return refuse("InvalidArgument", "Expires must be an HTTP date");
    base::ByteWriter out;
    out.varint(static_cast<uint64_t>(*at));
    set_tag(options.tagged, tree::kTagExpiry, out.take());
  }
  return {};
}

Result<void> refuse_unsupported_headers(const http::Headers& headers) {
  for (const auto& header : headers) {
    const std::string name = lower(header.name);
    if (!name.starts_with("x-amz-")) continue;
    if (name.starts_with("x-amz-server-side-encryption") ||
        name.starts_with("x-amz-copy-source-server-side-encryption"))
      return refuse("NotImplemented", fmt::format("{}: this server does not encrypt objects itself", name));
    if (name.starts_with("x-amz-object-lock-") || name == "x-amz-website-redirect-location" ||
        name == "x-amz-write-offset-bytes")
      return refuse("NotImplemented", fmt::format("{} is not supported", name));
    if (name == "x-amz-tagging" && !header.value.empty())
      return refuse("NotImplemented", "object tags are not supported: use user metadata (x-amz-meta-*)");
    if (name.starts_with("x-amz-grant-") ||
        (name == "x-amz-acl" && header.value != "private" && header.value != "bucket-owner-full-control"))
      return refuse("AccessControlListNotSupported", "The bucket does not allow ACLs: permissions belong to users");
    if (name == "x-amz-storage-class" && header.value != "STANDARD")
      return refuse("InvalidStorageClass", "The storage class you specified is not valid: there is only STANDARD");
  }
  return {};
}

void write_object_headers(http::Response& response, const tree::Entry& entry, const http::Headers& request) {
  auto& headers = response.headers;
  headers.add("ETag", quoted_etag(entry));
  headers.add("Last-Modified", base::http_date(entry.mtime_ms));
  headers.add("Accept-Ranges", "bytes");
  const std::string& type = entry.content_type;
  headers.add("Content-Type", type.empty() || !is_header_value(type) ? "application/octet-stream" : type);
  // Bytes of users come from the API's own origin: nothing in them may run.
  headers.add("X-Content-Type-Options", "nosniff");
  headers.add("Content-Security-Policy", "default-src 'none'; sandbox");
  for (const auto& stored : kStored)
    if (const auto* value = entry.find_tagged(stored.tag); value != nullptr && is_header_value(*value))
      headers.add(stored.name, *value);
  if (const auto* value = entry.find_tagged(tree::kTagContentEncoding); value != nullptr && is_header_value(*value))
    headers.add("Content-Encoding", *value);
  if (const auto* value = entry.find_tagged(tree::kTagExpiry))
    if (const auto at = base::ByteReader(*value).varint())
      headers.add("Expires", base::http_date(static_cast<base::WallMs>(*at)));
  size_t missing = 0;
  for (const auto& [key, value] : entry.metadata) {
    if (is_header_name(key) && is_header_value(value))
      headers.add(std::string(kMetaPrefix) + key, value);
    else
      ++missing;
  }
  if (missing > 0) headers.add("x-amz-missing-meta", std::to_string(missing));
  if (response.status == 200 && http::equal_ignoring_case(request.find("x-amz-checksum-mode").value_or(""), "ENABLED"))
    for (const ChecksumKind kind : kChecksumKinds)
      if (const auto* raw = entry.find_tagged(tag_of(kind))) {
        headers.add(header_of(kind), base::to_base64(*raw));
        headers.set("x-amz-checksum-type", "FULL_OBJECT");
      }
}

Result<void> override_headers(http::Response& response, const http::Query& query) {
  constexpr std::string_view kNames[] = {"Content-Type",  "Content-Language",    "Expires",
                                         "Cache-Control", "Content-Disposition", "Content-Encoding"};
  for (const auto name : kNames) {
    const auto value = query.find("response-" + lower(name));
    if (!value) continue;
    if (!is_header_value(*value))
      return refuse("InvalidArgument", fmt::format("response-{} holds control characters", lower(name)));
    response.headers.set(name, *value);
  }
  return {};
}

void keep_checksums(const tree::Entry& from, std::vector<tree::TaggedField>& tagged) {
  for (const ChecksumKind kind : kChecksumKinds)
    if (const auto* raw = from.find_tagged(tag_of(kind))) set_tag(tagged, tag_of(kind), *raw);
}

std::string quoted_etag(const tree::Entry& entry) { return fmt::format("\"{}\"", entry.etag.text()); }

std::string iso_time(base::WallMs ms) {
  std::string text = base::rfc3339(ms);
  if (text.find('.') == std::string::npos) text.insert(text.size() - 1, ".000");
  return text;
}

}  // namespace tarn::s3
