#pragma once
// Uncompressed nodes in memory: shards by hash, a byte limit, a second chance for what was used; concurrent misses of
// one node load it once.
#include <array>
#include <functional>
#include <memory>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "tree/detail/node.h"

namespace tarn::tree {

/// Threads: any; no lock is held while loading.
class NodeCache {
 public:
  using Loader = std::function<Result<std::shared_ptr<const Node>>()>;
  explicit NodeCache(size_t bytes_max) : shard_bytes_max_(bytes_max / kShards) {}

  /// A number for one repository's nodes: location hints make equal ids of two repositories different nodes.
  uint64_t next_space() { return spaces_.fetch_add(1); }
  /// The node, from memory or through `load`. A waiter gives up when its context ends.
  Result<std::shared_ptr<const Node>> get(const Context& ctx, base::Clock& clock, uint64_t space, const NodeId& id,
                                          const Loader& load);
  /// The node if it is there, else nullptr.
  std::shared_ptr<const Node> find(uint64_t space, const NodeId& id);
  /// Replaces what was there.
  void put(uint64_t space, const NodeId& id, std::shared_ptr<const Node> node);
  size_t bytes() const;

 private:
  static constexpr size_t kShards = 16;
  struct Key {
    uint64_t space;
    NodeId id;
    bool operator==(const Key&) const = default;
  };
  struct KeyHash {
    size_t operator()(const Key& k) const { return base::DigestHash{}(k.id) ^ (k.space * 0x9e3779b97f4a7c15u); }
  };
  /// One line of memory: a hit sets a mark, moves nothing and touches no neighbour.
  struct alignas(64) Slot {
    Key key;
    std::shared_ptr<const Node> node;  ///< nullptr: the slot is free
    uint32_t next = kNone;             ///< of the same bucket
    bool used = false;                 ///< since it came, or since the hand passed it
  };
  struct Flight {
    bool done = false;
    std::optional<Result<std::shared_ptr<const Node>>> result;
  };
  /// Slots in a ring: a hand passes over those that were used since its last visit, and takes the others.
  struct Shard {
    mutable base::Mutex mutex;
    base::Condition landed;
    std::vector<uint32_t> buckets;  ///< a power of two of them: the first slot of each; short, so that it stays near
    std::vector<Slot> slots;
    std::vector<uint32_t> free;
    uint32_t hand = 0;
    std::unordered_map<Key, std::shared_ptr<Flight>, KeyHash> flights;
    size_t bytes = 0;
  };
  static constexpr uint32_t kNone = UINT32_MAX;
  Shard& shard(const Key& key) { return shards_[KeyHash{}(key) >> 8 & (kShards - 1)]; }
  static uint32_t& bucket(Shard& s, const Key& key) { return s.buckets[KeyHash{}(key) >> 16 & (s.buckets.size() - 1)]; }
  static Slot* find_locked(Shard& s, const Key& key);
  void put_locked(Shard& s, const Key& key, std::shared_ptr<const Node> node);
  static void remove_locked(Shard& s, uint32_t number);
  static void grow_locked(Shard& s);

  const size_t shard_bytes_max_;
  std::atomic<uint64_t> spaces_{1};
  std::array<Shard, kShards> shards_;
};

}  // namespace tarn::tree
