// A leaf with other values under the same keys: most commits overwrite a few of its rows, or one.
#include "tree/detail/leaf.h"
#include "tree/detail/leaf_encoder.h"

namespace tarn::tree::detail {

/// Copies the records that stay. That is right as long as each number of a type, partition or head stands for the same
/// in both leaves, which are numbered in order of first use.
class LeafSplice {
 public:
  LeafSplice(const Leaf& leaf, std::span<const Replacement> with)
      : leaf_(leaf),
        with_(with),
        in_(leaf.records_),
        types_kept_(leaf.types_.size()),
        heads_kept_(leaf.heads_.size()),
        partitions_kept_(leaf.partitions_.size()) {}

  /// nullopt: encode it anew.
  std::optional<std::string> run() {
    if (with_.empty() || with_.front().index == 0) return std::nullopt;  // the first row is the base of all mtimes
    out_.begin_with(leaf_.mtime_base_);
    out_.add_to_total(leaf_.total_bytes_);
    size_t next = 0;
    for (uint32_t i = 0; i < leaf_.count(); ++i) {
      const bool stays = next == with_.size() || with_[next].index != i;
      const char* begin = in_.position();
      if (!pass(stays)) return std::nullopt;
      if (stays)
        out_.copy_record({begin, static_cast<size_t>(in_.position() - begin)},
                         leaf_.etags_.substr(i * kEtagSize, kEtagSize));
      else
        out_.add_record(with_[next++].row);
    }
    if (next != with_.size() || !in_.at_end()) return std::nullopt;
    std::vector<uint32_t> groups;
    for (uint32_t i = 0; i < leaf_.keys_.groups(); ++i) groups.push_back(leaf_.keys_.start_of(i));
    return out_.finish(groups, leaf_.keys_.bytes());
  }

 private:
  /// Goes behind a record of the old leaf.
  bool pass(bool stays) {
    const uint8_t flags = in_.u8();
    const unsigned kind = (flags >> kFlagAddressShift) & 3u;
    const uint64_t type = in_.varint(), size = in_.varint();
    in_.varint();
    if ((flags & kFlagEtagMask) == static_cast<uint8_t>(EtagKind::kMd5Parts)) in_.varint();
    if ((flags & kFlagEtagText) != 0) in_.text();
    if ((flags & kFlagSpilled) != 0 || in_.failed() || type >= leaf_.types_.size()) return false;
    if (stays && !keeps(types_kept_, type, [&] { return out_.keeps_type(type, leaf_.types_[type]); })) return false;
    if (!stays) out_.add_to_total(-size);
    if (kind == static_cast<unsigned>(AddressKind::kManifest)) {
      const uint64_t parts = in_.varint();
      for (uint64_t i = 0; i < parts && !in_.failed(); ++i) {
        if (!pass_address(in_.u8(), stays)) return false;
        in_.varint();
      }
    } else if (!pass_address(kind, stays)) {
      return false;
    }
    if ((flags & kFlagMetadata) != 0) in_.text();
    if ((flags & kFlagTagged) != 0) in_.text();
    return !in_.failed();
  }

  bool pass_address(unsigned kind, bool stays) {
    const uint64_t number = in_.varint();
    in_.varint();
    if (kind == static_cast<unsigned>(AddressKind::kForeign)) {
      in_.text();
      if (in_.failed() || number >= leaf_.heads_.size()) return false;
      return !stays || keeps(heads_kept_, number, [&] { return out_.keeps_head(number, leaf_.heads_[number]); });
    }
    if (in_.failed() || number >= leaf_.partitions_.size()) return false;
    const bool first = number == partitions_seen_;
    if (first) ++partitions_seen_;
    const Leaf::Partition& partition = leaf_.partitions_[number];
    return !stays || keeps(partitions_kept_, number,
                           [&] { return out_.keeps_partition(number, partition.id, partition.base, first); });
  }

  /// What is the same once is the same for good.
  template <class Ask>
  static bool keeps(std::vector<bool>& kept, uint64_t number, const Ask& ask) {
    if (!kept[number]) kept[number] = ask();
    return kept[number];
  }

  const Leaf& leaf_;
  const std::span<const Replacement> with_;
  Parser in_;
  LeafEncoder out_;
  std::vector<bool> types_kept_, heads_kept_, partitions_kept_;
  uint64_t partitions_seen_ = 0;
};

std::optional<std::string> splice_leaf(const Leaf& leaf, std::span<const Replacement> with) {
  return LeafSplice(leaf, with).run();
}

Result<std::string> replace_in_leaf(const Leaf& leaf, std::span<const Replacement> with) {
  if (auto spliced = splice_leaf(leaf, with)) return std::move(*spliced);
  Arena arena;
  std::vector<Row> rows;
  rows.reserve(leaf.count());
  TRY_LET(Leaf::Walk walk, leaf.walk(0));
  Row row;
  size_t next = 0;
  for (uint32_t i = 0; i < leaf.count(); ++i) {
    TRY(walk.step(row));
    const bool stays = next == with.size() || with[next].index != i;
    rows.push_back(stays ? keep_row(row, arena) : with[next++].row);
  }
  return encode_leaf(rows);
}

}  // namespace tarn::tree::detail
