#pragma once
// What a local store keeps in memory: which names exist and where, and what each segment still holds.
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/mutex.h"
#include "block/journal.h"

namespace tarn::block {

/// XXH3-128 of a name.
struct Key {
  uint64_t high = 0, low = 0;
  static Key of(std::string_view name);
  bool operator==(const Key&) const = default;
};
struct KeyHash {
  size_t operator()(const Key& key) const { return static_cast<size_t>(key.high ^ key.low); }
};
using KeySet = std::unordered_set<Key, KeyHash>;

struct Entry {
  Place place;
  uint64_t size : 63 = 0;
  uint64_t large : 1 = 0;
};

/// What a segment holds. A record is live when the index points at it.
struct SegmentUse {
  uint64_t live_bytes = 0;       ///< of live records
  uint64_t tombstone_bytes = 0;  ///< of tombstones, needed or not
  uint64_t tombstones = 0;
};

/// Which names exist and where; which are being made, removed or moved right now; and the accounts of the segments.
/// Changes of one name are made by the holder of its Reservation. Threads: any.
/// Memory: about 80 bytes an object, 16 a removed one or tombstone whose record a segment still holds.
class Index {
 public:
  std::optional<Entry> find(const Key& key);
  /// A record about the object was written; one that was there before is dead.
  void insert(const Key& key, const Entry& entry, size_t name_bytes);
  /// A tombstone was written: if the object was there, its record is dead.
  void bury(const Key& key, size_t name_bytes, Place tombstone);
  /// The record was written once more at `to`: the one before is dead.
  void move(const Key& key, Place to, size_t name_bytes);
  /// The segment has been removed.
  void drop(uint32_t segment);
  /// Nothing has been told yet.
  void clear();

  /// Bytes of all live objects, and of those of them that have a file of their own.
  uint64_t bytes();
  uint64_t large_bytes();
  SegmentUse use(uint32_t segment);
  /// Which of the segment's tombstones still have work to do: an older segment holds a dead record of the name, which
  /// would come back without them. Cost: linear in the dead records of all older segments; none locked for long.
  KeySet needed_tombstones(uint32_t segment);

  void reserve(const Key& key);
  void release(const Key& key);

 private:
  struct Account {
    SegmentUse use;
    std::vector<Key> dead;        ///< names of the records about objects that are not live
    std::vector<Key> tombstones;  ///< names of the tombstones
  };
  void kill(const Key& key, const Entry& entry, size_t name_bytes);

  base::Mutex mutex_;
  base::Condition released_;
  std::unordered_map<Key, Entry, KeyHash> entries_;
  std::map<uint32_t, Account> segments_;
  KeySet reserved_;
  uint64_t bytes_ = 0, large_bytes_ = 0;
};

/// One writer at a time for a name: whoever comes second sees what became of the first. Only the compactor, which is
/// one, holds several; everybody else waits for no second one, so nobody waits in a circle.
class Reservation {
 public:
  Reservation(Index& index, const Key& key) : index_(index), key_(key) { index_.reserve(key_); }
  ~Reservation() { index_.release(key_); }
  Reservation(const Reservation&) = delete;
  Reservation& operator=(const Reservation&) = delete;

 private:
  Index& index_;
  Key key_;
};

}  // namespace tarn::block
