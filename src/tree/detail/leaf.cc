#include "tree/detail/leaf.h"

#include "tree/detail/leaf_encoder.h"

namespace tarn::tree::detail {
namespace {

constexpr size_t kLinesAhead = 5;  ///< of memory, that a group of records usually has

Error damaged(std::string_view what) { return corrupt("leaf", what); }

}  // namespace

std::string encode_leaf(std::span<const Row> rows) {
  LeafEncoder encoder;
  for (const Row& row : rows) encoder.add(row);
  return encoder.finish();
}

Result<Leaf> Leaf::parse(std::string_view bytes) {
  TRY(expect_kind(bytes, Kind::kLeaf));
  if (bytes.size() < kLeafFixed) return damaged("its fixed part is cut short");
  const char* p = bytes.data();
  const auto count = load_le<uint32_t>(p + 8);
  const uint64_t tables_size = load_le<uint32_t>(p + 12), keys_size = load_le<uint32_t>(p + 16),
                 records_size = load_le<uint32_t>(p + 20);
  const uint64_t groups = (uint64_t{count} + kGroup - 1) / kGroup;
  if (bytes.size() != kLeafFixed + 8 * groups + tables_size + keys_size + records_size + uint64_t{count} * kEtagSize)
    return damaged("its parts do not fill it");
  Leaf leaf;
  leaf.total_bytes_ = load_le<uint64_t>(p + 24);
  leaf.mtime_base_ = load_le<int64_t>(p + 32);
  p += kLeafFixed;
  const char* key_groups = p;
  p += 4 * groups;
  leaf.record_groups_ = p;
  p += 4 * groups;
  Parser tables({p, static_cast<size_t>(tables_size)});
  p += tables_size;
  leaf.keys_ = Keys(count, key_groups, {p, static_cast<size_t>(keys_size)});
  p += keys_size;
  leaf.records_ = {p, static_cast<size_t>(records_size)};
  p += records_size;
  leaf.etags_ = {p, count * kEtagSize};

  const uint64_t types = tables.varint();
  for (uint64_t i = 0; i < types && !tables.failed(); ++i) leaf.types_.push_back(tables.text());
  const uint64_t partitions = tables.varint();
  for (uint64_t i = 0; i < partitions && !tables.failed(); ++i) {
    const auto id = tables.fixed<uint64_t>();
    leaf.partitions_.push_back({id, tables.varint()});
  }
  const uint64_t heads = tables.varint();
  for (uint64_t i = 0; i < heads && !tables.failed(); ++i) leaf.heads_.push_back(tables.text());
  if (tables.failed() || !tables.at_end()) return damaged("its tables are cut short or have a rest");
  return leaf;
}

void Leaf::read_address(Parser& in, std::string_view key, AddressRow& address) const {
  const uint64_t number = in.varint();
  if (address.kind == AddressKind::kOwn) {
    const int64_t delta = in.svarint();
    if (number >= partitions_.size()) return in.fail();
    address.partition = partitions_[number].id;
    address.sequence = partitions_[number].base + static_cast<uint64_t>(delta);
    return;
  }
  const uint64_t tail = in.varint();
  address.pin = in.text();
  if (number >= heads_.size() || tail > key.size()) return in.fail();
  address.head = heads_[number];
  address.tail = key.substr(key.size() - static_cast<size_t>(tail));
}

bool Leaf::read(Parser& in, uint32_t index, std::string_view key, Row& row) const {
  row.key = key;
  const uint8_t flags = in.u8();
  const unsigned address_kind = (flags >> kFlagAddressShift) & 3u;
  const uint64_t type = in.varint();
  row.size = in.varint();
  row.mtime_ms = static_cast<int64_t>(static_cast<uint64_t>(mtime_base_) + static_cast<uint64_t>(in.svarint()));
  row.etag_kind = static_cast<EtagKind>(flags & kFlagEtagMask);
  row.etag_parts = 0;
  if (row.etag_kind == EtagKind::kMd5Parts) {
    const uint64_t parts = in.varint();
    if (parts > UINT32_MAX) return false;
    row.etag_parts = static_cast<uint32_t>(parts);
  }
  if ((flags & kFlagEtagText) != 0) {
    row.etag = in.text();
    if (row.etag.size() == kEtagSize) return false;
  } else {
    row.etag = etags_.substr(index * kEtagSize, kEtagSize);
  }
  row.parts.clear();
  row.part_sizes.clear();
  row.address = {};
  if (address_kind > static_cast<unsigned>(AddressKind::kManifest)) return false;
  row.address.kind = static_cast<AddressKind>(address_kind);
  if (row.address.kind == AddressKind::kManifest) {
    const uint64_t count = in.varint();
    for (uint64_t i = 0; i < count && !in.failed(); ++i) {
      const uint8_t kind = in.u8();
      if (kind > static_cast<uint8_t>(AddressKind::kForeign)) return false;
      AddressRow& part = row.parts.emplace_back();
      part.kind = static_cast<AddressKind>(kind);
      read_address(in, key, part);
      row.part_sizes.push_back(in.varint());
    }
  } else {
    read_address(in, key, row.address);
  }
  if ((flags & kFlagMetadata) != 0) {
    row.metadata = in.text();
    if (row.metadata.empty() || (flags & kFlagSpilled) != 0) return false;
  } else {
    row.metadata = {};
  }
  row.spill.reset();
  if ((flags & kFlagSpilled) != 0) {
    const std::string_view id = in.raw(32);
    const uint64_t length = in.varint();
    if (in.failed()) return false;
    row.spill.emplace();
    row.spill->id = NodeId(id);
    row.spill->length = length;
  }
  if ((flags & kFlagTagged) != 0) {
    row.tagged = in.text();
    if (row.tagged.empty()) return false;
  } else {
    row.tagged = {};
  }
  if (in.failed() || type >= types_.size()) return false;
  row.content_type = types_[type];
  return true;
}

void Leaf::skip(Parser& in) {
  const auto skip_address = [&in](unsigned kind) {
    in.varint();
    in.varint();
    if (kind == static_cast<unsigned>(AddressKind::kForeign)) in.text();
  };
  const uint8_t flags = in.u8();
  const unsigned address_kind = (flags >> kFlagAddressShift) & 3u;
  for (int i = 0; i < 3; ++i) in.varint();
  if ((flags & kFlagEtagMask) == static_cast<uint8_t>(EtagKind::kMd5Parts)) in.varint();
  if ((flags & kFlagEtagText) != 0) in.text();
  if (address_kind == static_cast<unsigned>(AddressKind::kManifest)) {
    const uint64_t count = in.varint();
    for (uint64_t i = 0; i < count && !in.failed(); ++i) {
      skip_address(in.u8());
      in.varint();
    }
  } else {
    skip_address(address_kind);
  }
  if ((flags & kFlagMetadata) != 0) in.text();
  if ((flags & kFlagSpilled) != 0) {
    in.raw(32);
    in.varint();
  }
  if ((flags & kFlagTagged) != 0) in.text();
}

Result<void> Leaf::Walk::step(Row& row) {
  if (next_ >= leaf_->count()) return damaged("it ends before its count");
  TRY(keys_.step());
  if (!leaf_->read(records_, next_, keys_.key(), row)) return damaged("a record is cut short or out of range");
  ++next_;
  return {};
}

Result<Parser> Leaf::record_group(uint32_t number) const {
  const auto offset = load_le<uint32_t>(record_groups_ + size_t{4} * number);
  if (offset >= records_.size()) return damaged("a group of records starts outside");
  return Parser(records_.substr(offset));
}

Result<bool> Leaf::find(std::string_view key, Row& row) const {
  if (count() == 0) return false;
  TRY_LET(const uint32_t group, keys_.group_for(key));
  TRY_LET(Parser records, record_group(group));
  for (size_t ahead = 0; ahead < kLinesAhead; ++ahead) __builtin_prefetch(records.position() + 64 * ahead);
  TRY_LET(const Keys::Found found, keys_.lower_bound_in(group, key));
  if (!found.equal) return false;
  __builtin_prefetch(etags_.data() + found.index * kEtagSize);
  for (auto i = static_cast<uint32_t>(group * kGroup); i < found.index; ++i) skip(records);
  if (!read(records, found.index, key, row)) return damaged("a record is cut short or out of range");
  return true;
}

Result<Leaf::Walk> Leaf::walk(uint32_t index) const {
  Walk w;
  w.leaf_ = this;
  const auto start = static_cast<uint32_t>(index / kGroup * kGroup);
  w.next_ = start;
  if (index >= count()) {
    w.next_ = count();
    return w;
  }
  TRY_LET(w.keys_, keys_.walk(start));
  TRY_LET(w.records_, record_group(static_cast<uint32_t>(start / kGroup)));
  for (; w.next_ < index; ++w.next_) {
    TRY(w.keys_.step());
    skip(w.records_);
  }
  return w;
}

Result<std::vector<NodeId>> Leaf::spills() const {
  std::vector<NodeId> ids;
  TRY_LET(Walk w, walk(0));
  Row row;
  for (uint32_t i = 0; i < count(); ++i) {
    TRY(w.step(row));
    if (row.spill) ids.push_back(row.spill->id);
  }
  return ids;
}

}  // namespace tarn::tree::detail
