#pragma once
// Uncompressed nodes in memory: shards by hash, a byte limit, a second chance for what was used; concurrent misses of
// one node load it once.
#include <array>
#include <functional>
#include <list>
#include <memory>
#include <unordered_map>

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
  /// A hit sets a mark and moves nothing: it costs the index entry and the node, no neighbours.
  struct Slot {
    std::shared_ptr<const Node> node;
    bool used = false;  ///< since it came, or since its last chance
    std::list<const Key*>::iterator place;
  };
  struct Flight {
    bool done = false;
    std::optional<Result<std::shared_ptr<const Node>>> result;
  };
  struct Shard {
    mutable base::Mutex mutex;
    base::Condition landed;
    std::list<const Key*> order;  ///< the next to go is last; keys lie in the index
    std::unordered_map<Key, Slot, KeyHash> index;
    std::unordered_map<Key, std::shared_ptr<Flight>, KeyHash> flights;
    size_t bytes = 0;
  };
  Shard& shard(const Key& key) { return shards_[KeyHash{}(key) >> 8 & (kShards - 1)]; }
  void put_locked(Shard& s, const Key& key, std::shared_ptr<const Node> node);

  const size_t shard_bytes_max_;
  std::atomic<uint64_t> spaces_{1};
  std::array<Shard, kShards> shards_;
};

}  // namespace tarn::tree
