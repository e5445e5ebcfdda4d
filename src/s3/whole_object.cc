#include "s3/whole_object.h"

#include <fmt/format.h>

#include <charconv>
#include <vector>

#include "base/bytes.h"
#include "s3/errors.h"

namespace tarn::s3 {
namespace {

std::optional<uint64_t> number(std::string_view text) {
  uint64_t value = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || failed != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

Result<WholeObject> WholeObject::parse(const http::Headers& headers) {
  WholeObject out;
  for (const auto& header : headers) {
    const auto kind = checksum_of_header(header.name);
    if (!kind) continue;
    if (out.checksum) return refuse("InvalidRequest", "Expecting a single x-amz-checksum- header");
    std::string_view text = header.value;
    if (const size_t dash = text.find('-'); dash != std::string_view::npos) {
      const auto parts = number(text.substr(dash + 1));
      if (!parts || *parts == 0 || *parts > 10'000)
        return refuse("InvalidRequest", fmt::format("Value for {} header is invalid", header.name));
      out.type = Type::kComposite;
      out.parts = static_cast<size_t>(*parts);
      text = text.substr(0, dash);
    }
    TRY_LET(auto raw, decode_checksum(*kind, text));
    out.checksum = ChecksumValue{*kind, std::move(raw)};
  }
  if (const auto type = headers.find("x-amz-checksum-type")) {
    if (*type != "FULL_OBJECT" && *type != "COMPOSITE")
      return refuse("InvalidRequest", "Value for x-amz-checksum-type header is invalid: FULL_OBJECT or COMPOSITE");
    if (*type == "FULL_OBJECT" && out.parts > 0)
      return refuse("InvalidRequest", "A checksum of the type FULL_OBJECT has no number of parts behind it");
    out.type = *type == "COMPOSITE" ? Type::kComposite : Type::kFullObject;
  }
  if (const auto size = headers.find("x-amz-mp-object-size")) {
    out.size = number(*size);
    if (!out.size) return refuse("InvalidRequest", "Value for x-amz-mp-object-size header is invalid");
  }
  return out;
}

std::string checksum_text(const WholeObject& said) {
  const std::string text = base::to_base64(said.checksum->raw);
  return said.parts > 0 ? fmt::format("{}-{}", text, said.parts) : text;
}

Result<void> WholeObjectCheck::add(block::ByteReader& part) {
  std::vector<char> buffer(256 * 1024);
  Checksum one(said_.checksum->kind);
  while (true) {
    TRY_LET(const size_t n, part.read(buffer.data(), buffer.size()));
    if (n == 0) break;
    (said_.type == WholeObject::Type::kComposite ? one : all_).update({buffer.data(), n});
  }
  if (said_.type == WholeObject::Type::kComposite) all_.update(one.finish());
  ++parts_;
  return {};
}

Result<void> WholeObjectCheck::finish() const {
  if (all_.finish() == said_.checksum->raw && (said_.parts == 0 || said_.parts == parts_)) return {};
  return refuse("BadDigest", fmt::format("The {} you specified did not match the calculated checksum of the object.",
                                         header_of(said_.checksum->kind).substr(15)));
}

}  // namespace tarn::s3
