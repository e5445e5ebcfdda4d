#include "tree/entry.h"

#include <charconv>

#include "base/bytes.h"
#include "tree/detail/header.h"
#include "tree/detail/row.h"

namespace tarn::tree {
namespace {

using detail::Parser;
using detail::put_text;
using detail::put_varint;

constexpr uint8_t kEntryVersion = 1;
constexpr std::string_view kWeakPrefix = "weak-";

bool is_hex16(std::string_view text) {
  if (text.size() != 32) return false;
  for (const char c : text)
    if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) return false;
  return true;
}

void put_simple_address(std::string& out, const Address& a) {
  if (a.kind == AddressKind::kOwn) {
    detail::put_le<uint64_t>(out, a.partition);
    put_varint(out, a.sequence);
  } else {
    put_text(out, a.uri);
    put_text(out, a.pin);
  }
}

void read_simple_address(Parser& in, Address& a) {
  if (a.kind == AddressKind::kOwn) {
    a.partition = in.fixed<uint64_t>();
    a.sequence = in.varint();
  } else {
    a.uri = in.text();
    a.pin = in.text();
  }
}

}  // namespace

std::string Etag::text() const {
  switch (kind) {
    case EtagKind::kMd5:
      return base::to_hex(bytes);
    case EtagKind::kMd5Parts:
      return base::to_hex(bytes) + "-" + std::to_string(parts);
    case EtagKind::kWeak:
      return std::string(kWeakPrefix) + base::to_hex(bytes);
    case EtagKind::kOther:
      return bytes;
  }
  return bytes;
}

Etag Etag::parse(std::string_view text) {
  if (is_hex16(text)) return {EtagKind::kMd5, *base::from_hex(text), 0};
  if (text.starts_with(kWeakPrefix) && is_hex16(text.substr(kWeakPrefix.size())))
    return {EtagKind::kWeak, *base::from_hex(text.substr(kWeakPrefix.size())), 0};
  if (text.size() > 33 && text[32] == '-' && text[33] != '0' && is_hex16(text.substr(0, 32))) {
    uint32_t parts = 0;
    const auto [end, error] = std::from_chars(text.data() + 33, text.data() + text.size(), parts);
    if (error == std::errc{} && end == text.data() + text.size())
      return {EtagKind::kMd5Parts, *base::from_hex(text.substr(0, 32)), parts};
  }
  return {EtagKind::kOther, std::string(text), 0};
}

const std::string* Entry::find_tagged(uint32_t tag) const {
  for (const TaggedField& field : tagged)
    if (field.tag == tag) return &field.value;
  return nullptr;
}

base::Digest identity(const Entry& entry) {
  std::string out;
  detail::put_header(out, detail::Kind::kIdentity);
  out.push_back(static_cast<char>(entry.etag.kind));
  put_varint(out, entry.etag.kind == EtagKind::kMd5Parts ? entry.etag.parts : 0);
  put_text(out, entry.etag.bytes);
  put_varint(out, entry.size);
  put_text(out, entry.content_type);
  put_text(out, detail::encode_metadata(entry.metadata));
  return base::sha256(out);
}

bool same_identity(const Entry& a, const Entry& b) {
  return a.size == b.size && a.etag.kind == b.etag.kind && a.etag.bytes == b.etag.bytes &&
         (a.etag.kind != EtagKind::kMd5Parts || a.etag.parts == b.etag.parts) && a.content_type == b.content_type &&
         a.metadata == b.metadata;
}

std::string encode_entry(const Entry& entry) {
  std::string out;
  out.reserve(64 + entry.content_type.size() + entry.address.uri.size());
  out.push_back(static_cast<char>(kEntryVersion));
  const bool etag_text = entry.etag.bytes.size() != detail::kEtagSize;
  uint8_t flags = static_cast<uint8_t>(static_cast<uint8_t>(entry.etag.kind) | static_cast<uint8_t>(entry.address.kind)
                                                                                   << detail::kFlagAddressShift);
  if (!entry.metadata.empty()) flags |= detail::kFlagMetadata;
  if (!entry.tagged.empty()) flags |= detail::kFlagTagged;
  if (etag_text) flags |= detail::kFlagEtagText;
  out.push_back(static_cast<char>(flags));
  put_varint(out, entry.size);
  put_varint(out, detail::zigzag(entry.mtime_ms));
  if (etag_text)
    put_text(out, entry.etag.bytes);
  else
    out.append(entry.etag.bytes);
  if (entry.etag.kind == EtagKind::kMd5Parts) put_varint(out, entry.etag.parts);
  put_text(out, entry.content_type);
  if (entry.address.kind == AddressKind::kManifest) {
    put_varint(out, entry.address.parts.size());
    for (size_t i = 0; i < entry.address.parts.size(); ++i) {
      const Address& part = entry.address.parts[i];
      ENSURE(part.kind != AddressKind::kManifest);
      out.push_back(static_cast<char>(part.kind));
      put_simple_address(out, part);
      put_varint(out, i < entry.address.part_sizes.size() ? entry.address.part_sizes[i] : 0);
    }
  } else {
    put_simple_address(out, entry.address);
  }
  if (!entry.metadata.empty()) put_text(out, detail::encode_metadata(entry.metadata));
  if (!entry.tagged.empty()) put_text(out, detail::encode_tagged(entry.tagged));
  return out;
}

Result<Entry> decode_entry(std::string_view bytes) {
  if (bytes.empty()) return detail::corrupt("entry", "it is empty");
  const auto version = static_cast<uint8_t>(bytes[0]);
  if (version != kEntryVersion) return detail::unsupported("entry", "entry version", version);
  Parser in(bytes.substr(1));
  const uint8_t flags = in.u8();
  const unsigned kind = (flags >> detail::kFlagAddressShift) & 3u;
  if (kind > static_cast<unsigned>(AddressKind::kManifest)) return detail::unsupported("entry", "address kind", kind);
  if ((flags & detail::kFlagSpilled) != 0) return detail::corrupt("entry", "its metadata is elsewhere");
  Entry entry;
  entry.size = in.varint();
  entry.mtime_ms = in.svarint();
  entry.etag.kind = static_cast<EtagKind>(flags & detail::kFlagEtagMask);
  entry.etag.bytes = (flags & detail::kFlagEtagText) != 0 ? in.text() : in.raw(detail::kEtagSize);
  if ((flags & detail::kFlagEtagText) != 0 && entry.etag.bytes.size() == detail::kEtagSize) in.fail();
  if (entry.etag.kind == EtagKind::kMd5Parts) {
    const uint64_t parts = in.varint();
    if (parts > UINT32_MAX) in.fail();
    entry.etag.parts = static_cast<uint32_t>(parts);
  }
  entry.content_type = in.text();
  entry.address.kind = static_cast<AddressKind>(kind);
  if (entry.address.kind == AddressKind::kManifest) {
    const uint64_t count = in.varint();
    for (uint64_t i = 0; i < count && !in.failed(); ++i) {
      const uint8_t part_kind = in.u8();
      if (in.failed()) break;
      if (part_kind > static_cast<uint8_t>(AddressKind::kForeign))
        return detail::unsupported("entry", "address kind of a part", part_kind);
      Address part;
      part.kind = static_cast<AddressKind>(part_kind);
      read_simple_address(in, part);
      entry.address.part_sizes.push_back(in.varint());
      entry.address.parts.push_back(std::move(part));
    }
  } else {
    read_simple_address(in, entry.address);
  }
  const std::string_view metadata = (flags & detail::kFlagMetadata) != 0 ? in.text() : std::string_view{};
  const std::string_view tagged = (flags & detail::kFlagTagged) != 0 ? in.text() : std::string_view{};
  if (in.failed()) return detail::corrupt("entry", "it is cut short or a field is out of range");
  if (!in.at_end()) return detail::corrupt("entry", "bytes follow its end");
  if ((flags & detail::kFlagMetadata) != 0) {
    TRY_LET(entry.metadata, detail::decode_metadata(metadata));
  }
  if ((flags & detail::kFlagTagged) != 0) {
    if (tagged.empty()) return detail::corrupt("entry", "its tagged fields are empty");
    TRY_LET(entry.tagged, detail::decode_tagged(tagged));
  }
  return entry;
}

}  // namespace tarn::tree
