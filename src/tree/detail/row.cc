#include "tree/detail/row.h"

#include <algorithm>

namespace tarn::tree::detail {
namespace {

AddressRow address_row(const Address& a) {
  AddressRow row;
  row.kind = a.kind;
  if (a.kind == AddressKind::kOwn) {
    row.partition = a.partition;
    row.sequence = a.sequence;
  } else if (a.kind == AddressKind::kForeign) {
    row.head = a.uri;
    row.pin = a.pin;
  }
  return row;
}

Address address_of(const AddressRow& row) {
  Address a;
  a.kind = row.kind;
  a.partition = row.partition;
  a.sequence = row.sequence;
  a.uri.reserve(row.head.size() + row.tail.size());
  a.uri.append(row.head).append(row.tail);
  a.pin = row.pin;
  return a;
}

}  // namespace

bool same_identity(const Row& a, const Row& b) {
  if (a.size != b.size || a.etag_kind != b.etag_kind || a.etag_parts != b.etag_parts || a.etag != b.etag ||
      a.content_type != b.content_type)
    return false;
  if (!a.spill && !b.spill) return a.metadata == b.metadata;
  const auto id = [](const Row& r) { return r.spill ? r.spill->id : base::sha256(metadata_chunk(r.metadata)); };
  return id(a) == id(b);
}

Row keep_row(const Row& row, Arena& arena) {
  Row kept = row;
  kept.key = arena.keep(row.key);
  // An address tail is the end of the key: it follows the key to its new place.
  const auto move_tail = [&](AddressRow& address) {
    if (!address.tail.empty()) address.tail = kept.key.substr(kept.key.size() - address.tail.size());
  };
  move_tail(kept.address);
  for (AddressRow& part : kept.parts) move_tail(part);
  return kept;
}

Row row_of(std::string_view key, const Entry& entry, Arena& arena) {
  Row row;
  row.key = key;
  row.size = entry.size;
  row.mtime_ms = entry.mtime_ms;
  row.etag_kind = entry.etag.kind;
  row.etag_parts = entry.etag.kind == EtagKind::kMd5Parts ? entry.etag.parts : 0;
  row.etag = entry.etag.bytes;
  row.address = address_row(entry.address);
  if (entry.address.kind == AddressKind::kManifest) {
    for (size_t i = 0; i < entry.address.parts.size(); ++i) {
      row.parts.push_back(address_row(entry.address.parts[i]));
      row.part_sizes.push_back(i < entry.address.part_sizes.size() ? entry.address.part_sizes[i] : 0);
    }
  }
  row.content_type = entry.content_type;
  if (!entry.metadata.empty()) row.metadata = arena.keep(encode_metadata(entry.metadata));
  if (!entry.tagged.empty()) row.tagged = arena.keep(encode_tagged(entry.tagged));
  return row;
}

Result<Entry> entry_of(const Row& row, std::string_view metadata) {
  Entry entry;
  entry.size = row.size;
  entry.mtime_ms = row.mtime_ms;
  entry.etag.kind = row.etag_kind;
  entry.etag.parts = row.etag_parts;
  entry.etag.bytes = row.etag;
  entry.content_type = row.content_type;
  entry.address = address_of(row.address);
  for (const AddressRow& part : row.parts) entry.address.parts.push_back(address_of(part));
  entry.address.part_sizes = row.part_sizes;
  if (!metadata.empty()) {
    TRY_LET(entry.metadata, decode_metadata(metadata));
  }
  if (!row.tagged.empty()) {
    TRY_LET(entry.tagged, decode_tagged(row.tagged));
  }
  return entry;
}

std::string metadata_chunk(std::string_view metadata) {
  std::string out;
  out.reserve(kHeaderSize + metadata.size());
  put_header(out, Kind::kMetadata);
  out.append(metadata);
  return out;
}

std::string encode_metadata(const std::map<std::string, std::string>& metadata) {
  std::string out;
  if (metadata.empty()) return out;
  put_varint(out, metadata.size());
  for (const auto& [key, value] : metadata) {
    put_text(out, key);
    put_text(out, value);
  }
  return out;
}

Result<std::map<std::string, std::string>> decode_metadata(std::string_view bytes) {
  std::map<std::string, std::string> out;
  Parser in(bytes);
  const uint64_t count = in.varint();
  for (uint64_t i = 0; i < count && !in.failed(); ++i) {
    const std::string_view key = in.text(), value = in.text();
    if (in.failed()) break;
    if (!out.empty() && key <= std::string_view(out.rbegin()->first))
      return corrupt("entry", "its metadata is not in order");
    out.emplace_hint(out.end(), std::string(key), std::string(value));
  }
  if (in.failed() || !in.at_end() || count == 0) return corrupt("entry", "its metadata is cut short or has a rest");
  return out;
}

std::string encode_tagged(const std::vector<TaggedField>& fields) {
  std::vector<const TaggedField*> sorted;
  for (const TaggedField& field : fields) sorted.push_back(&field);
  std::stable_sort(sorted.begin(), sorted.end(), [](const auto* a, const auto* b) { return a->tag < b->tag; });
  std::string out;
  for (size_t i = 0; i < sorted.size(); ++i) {
    if (i + 1 < sorted.size() && sorted[i + 1]->tag == sorted[i]->tag) continue;  // the last one given stays
    put_varint(out, sorted[i]->tag);
    put_text(out, sorted[i]->value);
  }
  return out;
}

Result<std::vector<TaggedField>> decode_tagged(std::string_view bytes) {
  std::vector<TaggedField> out;
  Parser in(bytes);
  while (!in.failed() && !in.at_end()) {
    const uint64_t tag = in.varint();
    const std::string_view value = in.text();
    if (in.failed()) break;
    if (tag > UINT32_MAX || (!out.empty() && tag <= out.back().tag))
      return corrupt("entry", "its tagged fields are not in order");
    out.push_back({static_cast<uint32_t>(tag), std::string(value)});
  }
  if (in.failed()) return corrupt("entry", "its tagged fields are cut short");
  return out;
}

}  // namespace tarn::tree::detail
