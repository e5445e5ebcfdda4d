#pragma once
// Canonical bytes of a leaf: docs/formats/tree.md#leaf.
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "tree/detail/keys.h"
#include "tree/detail/row.h"

namespace tarn::tree::detail {

inline constexpr size_t kLeafFixed = 40;  ///< bytes before the groups

/// Numbers values in order of first use.
template <class T>
class Table {
 public:
  /// @return the number; `fresh` says whether it is new.
  uint64_t number(const T& value, bool& fresh) {
    fresh = false;
    if (!values_.empty() && values_[last_] == value) return last_;
    if (values_.size() <= kLinear) {
      for (size_t i = 0; i < values_.size(); ++i)
        if (values_[i] == value) return last_ = i;
    } else if (const auto it = index_.find(value); it != index_.end()) {
      return last_ = it->second;
    }
    fresh = true;
    last_ = values_.size();
    values_.push_back(value);
    if (values_.size() > kLinear) {
      if (index_.empty())
        for (size_t i = 0; i < values_.size(); ++i) index_.emplace(values_[i], i);
      else
        index_.emplace(value, last_);
    }
    return last_;
  }
  const std::vector<T>& values() const { return values_; }

 private:
  static constexpr size_t kLinear = 8;
  std::vector<T> values_;
  std::unordered_map<T, size_t> index_;
  size_t last_ = 0;
};

/// Writes canonical bytes of a leaf, row by row. Threads: one.
class LeafEncoder {
 public:
  void add(const Row& row) {
    if (count_ == 0) mtime_base_ = row.mtime_ms;
    keys_.add(row.key);
    add_record(row);
  }
  std::string finish() { return finish(keys_.groups(), keys_.bytes()); }

  // A leaf that keeps its keys: every row comes as the record that it was, or as a new one.

  void begin_with(int64_t mtime_base) { mtime_base_ = mtime_base; }
  void add_record(const Row& row) {
    begin_record();
    total_ += row.size;
    const bool etag_text = row.etag.size() != kEtagSize;
    uint8_t flags = static_cast<uint8_t>(static_cast<uint8_t>(row.etag_kind) | static_cast<uint8_t>(row.address.kind)
                                                                                   << kFlagAddressShift);
    if (!row.metadata.empty()) flags |= kFlagMetadata;
    if (row.spill) flags |= kFlagSpilled;
    if (!row.tagged.empty()) flags |= kFlagTagged;
    if (etag_text) flags |= kFlagEtagText;
    records_.push_back(static_cast<char>(flags));
    bool fresh = false;
    put_varint(records_, types_.number(row.content_type, fresh));
    put_varint(records_, row.size);
    put_varint(records_,
               zigzag(static_cast<int64_t>(static_cast<uint64_t>(row.mtime_ms) - static_cast<uint64_t>(mtime_base_))));
    if (row.etag_kind == EtagKind::kMd5Parts) put_varint(records_, row.etag_parts);
    if (etag_text) {
      put_text(records_, row.etag);
      etags_.append(kEtagSize, '\0');
    } else {
      etags_.append(row.etag);
    }
    if (row.address.kind == AddressKind::kManifest) {
      put_varint(records_, row.parts.size());
      for (size_t i = 0; i < row.parts.size(); ++i) {
        records_.push_back(static_cast<char>(row.parts[i].kind));
        address(row.parts[i], row.key);
        put_varint(records_, row.part_sizes[i]);
      }
    } else {
      address(row.address, row.key);
    }
    if (!row.metadata.empty()) put_text(records_, row.metadata);
    if (row.spill) {
      records_.append(row.spill->id.bytes());
      put_varint(records_, row.spill->length);
    }
    if (!row.tagged.empty()) put_text(records_, row.tagged);
  }

  /// @param record  bytes of it as stored, under the same numbers of types, partitions and heads.
  void copy_record(std::string_view record, std::string_view etag) {
    begin_record();
    records_.append(record);
    etags_.append(etag);
  }
  void add_to_total(uint64_t bytes) { total_ += bytes; }
  /// Whether what an old record calls `number` has that number here, now that the record comes.
  bool keeps_type(uint64_t number, std::string_view type) {
    bool fresh = false;
    return types_.number(type, fresh) == number;
  }
  bool keeps_head(uint64_t number, std::string_view head) {
    bool fresh = false;
    return heads_.number(std::string(head), fresh) == number;
  }
  /// @param first  whether the old record was the first of its partition: the base is its sequence.
  bool keeps_partition(uint64_t number, uint64_t partition, uint64_t base, bool first) {
    bool fresh = false;
    if (partitions_.number(partition, fresh) != number) return false;
    if (!fresh) return bases_[number] == base;
    bases_.push_back(base);
    return first;
  }
  template <class Groups>
  std::string finish(const Groups& key_groups, std::string_view keys) {
    std::string tables;
    put_varint(tables, types_.values().size());
    for (const std::string_view type : types_.values()) put_text(tables, type);
    put_varint(tables, partitions_.values().size());
    for (size_t i = 0; i < partitions_.values().size(); ++i) {
      put_le<uint64_t>(tables, partitions_.values()[i]);
      put_varint(tables, bases_[i]);
    }
    put_varint(tables, heads_.values().size());
    for (const std::string& head : heads_.values()) put_text(tables, head);

    std::string out;
    out.reserve(kLeafFixed + 8 * record_groups_.size() + tables.size() + keys.size() + records_.size() + etags_.size());
    put_header(out, Kind::kLeaf);
    put_le<uint32_t>(out, count_);
    put_le<uint32_t>(out, static_cast<uint32_t>(tables.size()));
    put_le<uint32_t>(out, static_cast<uint32_t>(keys.size()));
    put_le<uint32_t>(out, static_cast<uint32_t>(records_.size()));
    put_le<uint64_t>(out, total_);
    put_le<int64_t>(out, mtime_base_);
    for (const uint32_t start : key_groups) put_le<uint32_t>(out, start);
    for (const uint32_t start : record_groups_) put_le<uint32_t>(out, start);
    out.append(tables).append(keys).append(records_).append(etags_);
    return out;
  }

 private:
  void begin_record() {
    if (count_ % kGroup == 0) record_groups_.push_back(static_cast<uint32_t>(records_.size()));
    ++count_;
  }
  void address(const AddressRow& a, std::string_view key) {
    bool fresh = false;
    if (a.kind == AddressKind::kOwn) {
      const uint64_t number = partitions_.number(a.partition, fresh);
      if (fresh) bases_.push_back(a.sequence);
      put_varint(records_, number);
      put_varint(records_, zigzag(static_cast<int64_t>(a.sequence - bases_[number])));
      return;
    }
    // The URI's longest end that is also the key's goes without saying.
    size_t tail = 0;
    const size_t size = a.head.size() + a.tail.size();
    const auto from_end = [&](size_t i) {
      return i < a.tail.size() ? a.tail[a.tail.size() - 1 - i] : a.head[a.head.size() - 1 - (i - a.tail.size())];
    };
    while (tail < size && tail < key.size() && from_end(tail) == key[key.size() - 1 - tail]) ++tail;
    head_.assign(a.head.substr(0, std::min(a.head.size(), size - tail)));
    if (size - tail > a.head.size()) head_.append(a.tail.substr(0, size - tail - a.head.size()));
    put_varint(records_, heads_.number(head_, fresh));
    put_varint(records_, tail);
    put_text(records_, a.pin);
  }

  KeyWriter keys_;
  std::string records_, etags_, head_;
  std::vector<uint32_t> record_groups_;
  Table<std::string_view> types_;
  Table<uint64_t> partitions_;
  std::vector<uint64_t> bases_;
  Table<std::string> heads_;
  uint32_t count_ = 0;
  uint64_t total_ = 0;
  int64_t mtime_base_ = 0;
};

}  // namespace tarn::tree::detail
