#include "tree/detail/node_cache.h"

#include <algorithm>

#include "base/memory_only.h"
#include "base/metrics.h"

namespace tarn::tree {
namespace {
base::Counter& hits() {
  static base::Counter& counter = base::metrics().counter("tarn_node_cache_hits_total");
  return counter;
}
base::Counter& misses() {
  static base::Counter& counter = base::metrics().counter("tarn_node_cache_misses_total");
  return counter;
}
}  // namespace

Result<std::shared_ptr<const Node>> NodeCache::get(const Context& ctx, base::Clock& clock, uint64_t space,
                                                   const NodeId& id, const Loader& load) {
  const Key key{space, id};
  Shard& s = shard(key);
  base::Lock lock(s.mutex);
  for (;;) {
    if (Slot* slot = find_locked(s, key)) {
      slot->used = true;
      hits().add();
      return slot->node;
    }
    if (base::MemoryOnly::active()) return base::MemoryOnly::miss();
    const auto flying = s.flights.find(key);
    if (flying == s.flights.end()) break;
    const std::shared_ptr<Flight> flight = flying->second;
    while (!s.landed.wait_for(lock, std::chrono::milliseconds(50), [&] { return flight->done; })) TRY(ctx.check(clock));
    if (*flight->result) return **flight->result;
    const Code code = flight->result->error().code();
    // The leader's own end is not ours: try again, perhaps as the leader.
    if (code != Code::kDeadline && code != Code::kCancelled) return flight->result->error();
    TRY(ctx.check(clock));
  }
  misses().add();
  const auto flight = std::make_shared<Flight>();
  s.flights.emplace(key, flight);
  lock.unlock();
  auto result = load();
  lock.lock();
  if (result) put_locked(s, key, *result);
  flight->result = result;
  flight->done = true;
  s.flights.erase(key);
  s.landed.notify_all();
  return result;
}

std::shared_ptr<const Node> NodeCache::find(uint64_t space, const NodeId& id) {
  const Key key{space, id};
  Shard& s = shard(key);
  base::Lock lock(s.mutex);
  Slot* slot = find_locked(s, key);
  if (slot == nullptr) return nullptr;
  slot->used = true;
  hits().add();
  return slot->node;
}

void NodeCache::put(uint64_t space, const NodeId& id, std::shared_ptr<const Node> node) {
  const Key key{space, id};
  Shard& s = shard(key);
  base::Lock lock(s.mutex);
  put_locked(s, key, std::move(node));
}

NodeCache::Slot* NodeCache::find_locked(Shard& s, const Key& key) {
  if (s.buckets.empty()) return nullptr;
  for (uint32_t i = bucket(s, key); i != kNone; i = s.slots[i].next)
    if (s.slots[i].key == key) return &s.slots[i];
  return nullptr;
}

void NodeCache::put_locked(Shard& s, const Key& key, std::shared_ptr<const Node> node) {
  if (const Slot* old = find_locked(s, key)) remove_locked(s, static_cast<uint32_t>(old - s.slots.data()));
  const size_t size = node->memory();
  if (size > shard_bytes_max_) return;
  while (s.bytes + size > shard_bytes_max_) {
    if (s.hand >= s.slots.size()) s.hand = 0;
    Slot& slot = s.slots[s.hand];
    if (slot.node && !slot.used) remove_locked(s, s.hand);
    slot.used = false;
    ++s.hand;
  }
  if (s.free.empty()) grow_locked(s);
  const uint32_t number = s.free.back();
  s.free.pop_back();
  uint32_t& first = bucket(s, key);
  s.slots[number] = {key, std::move(node), first, false};
  first = number;
  s.bytes += size;
}

void NodeCache::remove_locked(Shard& s, uint32_t number) {
  Slot& slot = s.slots[number];
  uint32_t* at = &bucket(s, slot.key);
  while (*at != number) at = &s.slots[*at].next;
  *at = slot.next;
  s.bytes -= slot.node->memory();
  slot = {};
  s.free.push_back(number);
}

// Twice the slots, and as many buckets.
void NodeCache::grow_locked(Shard& s) {
  constexpr size_t kFirst = 16;
  const size_t before = s.slots.size(), after = std::max(kFirst, 2 * before);
  s.slots.resize(after);
  s.buckets.assign(after, kNone);
  for (size_t i = 0; i < before; ++i) {  // all are taken
    uint32_t& first = bucket(s, s.slots[i].key);
    s.slots[i].next = first;
    first = static_cast<uint32_t>(i);
  }
  for (size_t i = after; i > before; --i) s.free.push_back(static_cast<uint32_t>(i - 1));
}

size_t NodeCache::bytes() const {
  size_t sum = 0;
  for (const Shard& s : shards_) {
    base::Lock lock(s.mutex);
    sum += s.bytes;
  }
  return sum;
}

std::shared_ptr<NodeCache> make_node_cache(size_t bytes_max) { return std::make_shared<NodeCache>(bytes_max); }

}  // namespace tarn::tree
