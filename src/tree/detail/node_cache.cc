#include "tree/detail/node_cache.h"

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
    if (const auto it = s.index.find(key); it != s.index.end()) {
      it->second.used = true;
      hits().add();
      return it->second.node;
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
  const auto it = s.index.find(key);
  if (it == s.index.end()) return nullptr;
  it->second.used = true;
  hits().add();
  return it->second.node;
}

void NodeCache::put(uint64_t space, const NodeId& id, std::shared_ptr<const Node> node) {
  const Key key{space, id};
  Shard& s = shard(key);
  base::Lock lock(s.mutex);
  put_locked(s, key, std::move(node));
}

void NodeCache::put_locked(Shard& s, const Key& key, std::shared_ptr<const Node> node) {
  if (const auto it = s.index.find(key); it != s.index.end()) {
    s.bytes -= it->second.node->memory();
    s.order.erase(it->second.place);
    s.index.erase(it);
  }
  const size_t size = node->memory();
  if (size > shard_bytes_max_) return;
  const auto placed = s.index.emplace(key, Slot{std::move(node), false, {}}).first;
  s.order.push_front(&placed->first);
  placed->second.place = s.order.begin();
  s.bytes += size;
  while (s.bytes > shard_bytes_max_) {
    const auto last = s.index.find(*s.order.back());
    if (last->second.used) {
      last->second.used = false;
      s.order.splice(s.order.begin(), s.order, std::prev(s.order.end()));
      continue;
    }
    s.bytes -= last->second.node->memory();
    s.order.pop_back();
    s.index.erase(last);
  }
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
