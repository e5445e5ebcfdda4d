#pragma once
// What the disk cache holds, in memory, and who goes first: new blocks wait on probation, and only those that were read
// again move on, so that one scan through everything pushes out nothing but itself.
#include <cstdint>
#include <deque>
#include <list>
#include <map>
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "block/cache_file.h"

namespace tarn::block {

/// After 2Q and S3-FIFO. *Probation*, first in first out, a quarter of the limit; *main*, a clock with one hand. A
/// block at the end of probation moves to main when it was read again: a pack's block at any time, a data block not
/// within the first two seconds, when reads of neighbouring ranges are one look at it. Else it goes, and its number is
/// remembered for a while: who comes back starts in main.
///
/// Threads: one at a time. Memory: about 250 bytes a block. Cost: constant, evict() amortised.
class CacheIndex {
 public:
  using FileName = cache_file::FileName;
  using Key = cache_file::Key;

  explicit CacheIndex(uint64_t bytes_max) : probation_bytes_max_(bytes_max / 4) {}

  std::optional<FileName> find(const Key& key, uint64_t offset) const;
  bool holds(const Key& key) const { return objects_.contains(key); }
  /// The block is read again.
  void touch(const Key& key, uint64_t offset, int64_t now_ms);
  /// The block must not be there.
  void insert(const FileName& file, int64_t now_ms);
  /// As insert(), for a file found at start: packs come into main.
  void restore(const FileName& file);
  /// Takes the next block to go out of the index.
  std::optional<FileName> evict();
  /// Takes it out, if the file is still this one.
  bool take(const FileName& file);
  /// Takes all blocks of an object out, and forgets its size.
  std::vector<FileName> take_all(const Key& key);

  std::optional<uint64_t> size_of(const Key& key) const;
  /// Sizes of objects without a block are remembered for a while.
  void learn_size(const Key& key, uint64_t size);
  size_t blocks() const { return blocks_; }

 private:
  struct Ref {
    Key key;
    uint64_t offset;
  };
  enum class Queue : char { kProbation, kMain };
  struct Slot {
    uint64_t length, object_size, serial;
    int64_t since_ms;
    std::list<Ref>::iterator place;
    cache_file::Kind kind;
    Queue queue;
    bool used;
  };
  struct Object {
    uint64_t size = cache_file::kUnknownSize;
    std::map<uint64_t, Slot> blocks;
  };

  static FileName file_of(const Ref& ref, const Slot& slot) {
    return {ref.key, ref.offset, slot.length, slot.object_size, slot.kind, slot.serial};
  }
  static uint64_t number_of(const Ref& ref) { return ref.key.low ^ (ref.offset * 0x9e3779b97f4a7c15u); }
  Slot& slot_of(const Ref& ref) { return objects_.find(ref.key)->second.blocks.find(ref.offset)->second; }
  void add(const FileName& file, Queue queue, int64_t now_ms);
  FileName erase(const Ref& ref);
  void remember(const Ref& ref);

  const uint64_t probation_bytes_max_;
  uint64_t probation_bytes_ = 0;
  size_t blocks_ = 0;
  std::unordered_map<Key, Object, cache_file::KeyHash> objects_;
  std::list<Ref> probation_, main_;  ///< the next to go is last
  std::unordered_map<Key, uint64_t, cache_file::KeyHash> sizes_;
  std::unordered_set<uint64_t> gone_;  ///< numbers of blocks that left probation unread
  std::deque<uint64_t> gone_order_;
};

}  // namespace tarn::block
