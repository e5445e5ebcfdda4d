#include "s3/xml_bodies.h"

#include <fmt/format.h>

#include <charconv>
#include <pugixml.hpp>

#include "base/bytes.h"
#include "http/headers.h"
#include "s3/errors.h"

namespace tarn::s3 {
namespace {

constexpr size_t kDepthMax = 32;
constexpr size_t kDeleteMax = 1'000;
constexpr size_t kPartsMax = 10'000;

Error malformed(std::string_view what) {
  return refuse("MalformedXML",
                fmt::format("The XML you provided was not well-formed or did not validate against our published "
                            "schema: {}",
                            what));
}

/// What a tree parser should never get to see.
Result<void> check_shape(std::string_view xml) {
  if (xml.find('\0') != std::string_view::npos || !base::is_utf8(xml)) return malformed("it is not UTF-8");
  size_t depth = 0;
  for (size_t at = xml.find('<'); at != std::string_view::npos; at = xml.find('<', at)) {
    const std::string_view rest = xml.substr(at);
    std::string_view until = ">";
    if (rest.starts_with("<!--"))
      until = "-->";
    else if (rest.starts_with("<![CDATA["))
      until = "]]>";
    else if (rest.starts_with("<!"))
      return malformed("DOCTYPE and entities are not allowed");
    const size_t end = xml.find(until, at);
    if (end == std::string_view::npos) return malformed("a tag does not end");
    if (rest.starts_with("</")) {
      if (depth > 0) --depth;
    } else if (rest[1] != '!' && rest[1] != '?' && xml[end - 1] != '/') {
      if (++depth > kDepthMax) return malformed("it is nested too deeply");
    }
    at = end;
  }
  return {};
}

Result<pugi::xml_node> parse(pugi::xml_document& document, std::string_view xml, const char* root) {
  TRY(check_shape(xml));
  const auto parsed = document.load_buffer(xml.data(), xml.size(), pugi::parse_default | pugi::parse_ws_pcdata_single,
                                           pugi::encoding_utf8);
  if (!parsed) return malformed(parsed.description());
  const pugi::xml_node node = document.child(root);
  if (!node) return malformed(fmt::format("the root element must be {}", root));
  return node;
}

std::string unquoted(std::string_view etag) {
  etag = http::trim(etag);
  if (etag.size() >= 2 && etag.front() == '"' && etag.back() == '"') etag = etag.substr(1, etag.size() - 2);
  return std::string(etag);
}

}  // namespace

Result<DeleteRequest> parse_delete(std::string_view xml) {
  pugi::xml_document document;
  TRY_LET(const auto root, parse(document, xml, "Delete"));
  DeleteRequest out;
  out.quiet = std::string_view(root.child_value("Quiet")) == "true";
  for (const auto& object : root.children("Object")) {
    DeleteRequest::Object one;
    one.key = object.child_value("Key");
    if (one.key.empty()) return malformed("an Object has no Key");
    one.version_id = object.child_value("VersionId");
    if (const auto etag = object.child("ETag")) one.etag = unquoted(etag.child_value());
    if (out.objects.size() == kDeleteMax) return malformed("a request deletes at most 1,000 keys");
    out.objects.push_back(std::move(one));
  }
  if (out.objects.empty()) return malformed("it names no Object");
  return out;
}

Result<std::vector<CompletePart>> parse_complete(std::string_view xml) {
  pugi::xml_document document;
  TRY_LET(const auto root, parse(document, xml, "CompleteMultipartUpload"));
  std::vector<CompletePart> out;
  for (const auto& part : root.children("Part")) {
    CompletePart one;
    const std::string_view number = http::trim(part.child_value("PartNumber"));
    const auto [end, failed] = std::from_chars(number.data(), number.data() + number.size(), one.number);
    if (failed != std::errc() || end != number.data() + number.size()) return malformed("a Part has no PartNumber");
    one.etag = unquoted(part.child_value("ETag"));
    for (char& c : one.etag)
      if (c >= 'A' && c <= 'F') c = static_cast<char>(c + 32);
    if (one.etag.empty()) return malformed("a Part has no ETag");
    if (out.size() == kPartsMax) return malformed("an upload has at most 10,000 parts");
    out.push_back(std::move(one));
  }
  if (out.empty()) return malformed("it names no Part");
  return out;
}

}  // namespace tarn::s3
