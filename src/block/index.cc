#include "block/index.h"

#include <cstring>

#include "base/hash.h"

namespace tarn::block {
namespace {

uint64_t record_bytes(const Entry& entry, size_t name_bytes) {
  return segment::record_bytes(name_bytes, entry.large ? segment::kLargeBodyBytes : entry.size);
}

}  // namespace

Key Key::of(std::string_view name) {
  const std::string raw = base::xxh3_128(name);
  Key out;
  std::memcpy(&out.high, raw.data(), 8);
  std::memcpy(&out.low, raw.data() + 8, 8);
  return out;
}

std::optional<Entry> Index::find(const Key& key) {
  base::Lock lock(mutex_);
  const auto it = entries_.find(key);
  return it == entries_.end() ? std::nullopt : std::optional<Entry>(it->second);
}

void Index::kill(const Key& key, const Entry& entry, size_t name_bytes) {
  Account& account = segments_[entry.place.segment];
  account.use.live_bytes -= record_bytes(entry, name_bytes);
  account.dead.push_back(key);
}

void Index::insert(const Key& key, const Entry& entry, size_t name_bytes) {
  base::Lock lock(mutex_);
  const auto [it, added] = entries_.try_emplace(key, entry);
  if (!added) {
    kill(key, it->second, name_bytes);
    bytes_ -= it->second.size;
    if (it->second.large) large_bytes_ -= it->second.size;
    it->second = entry;
  }
  bytes_ += entry.size;
  if (entry.large) large_bytes_ += entry.size;
  segments_[entry.place.segment].use.live_bytes += record_bytes(entry, name_bytes);
}

void Index::bury(const Key& key, size_t name_bytes, Place tombstone) {
  base::Lock lock(mutex_);
  Account& account = segments_[tombstone.segment];
  account.tombstones.push_back(key);
  ++account.use.tombstones;
  account.use.tombstone_bytes += segment::record_bytes(name_bytes, 0);
  const auto it = entries_.find(key);
  if (it == entries_.end()) return;
  kill(key, it->second, name_bytes);
  bytes_ -= it->second.size;
  if (it->second.large) large_bytes_ -= it->second.size;
  entries_.erase(it);
}

void Index::move(const Key& key, Place to, size_t name_bytes) {
  base::Lock lock(mutex_);
  const auto it = entries_.find(key);
  if (it == entries_.end()) return;
  kill(key, it->second, name_bytes);
  it->second.place = to;
  segments_[to.segment].use.live_bytes += record_bytes(it->second, name_bytes);
}

void Index::drop(uint32_t segment) {
  Account freed;  // outside the lock
  base::Lock lock(mutex_);
  const auto it = segments_.find(segment);
  if (it == segments_.end()) return;
  freed = std::move(it->second);
  segments_.erase(it);
}

void Index::clear() {
  base::Lock lock(mutex_);
  entries_.clear();
  segments_.clear();
  bytes_ = large_bytes_ = 0;
}

uint64_t Index::bytes() {
  base::Lock lock(mutex_);
  return bytes_;
}

uint64_t Index::large_bytes() {
  base::Lock lock(mutex_);
  return large_bytes_;
}

SegmentUse Index::use(uint32_t segment) {
  base::Lock lock(mutex_);
  const auto it = segments_.find(segment);
  return it == segments_.end() ? SegmentUse() : it->second.use;
}

KeySet Index::needed_tombstones(uint32_t segment) {
  std::vector<Key> tombstones;
  {
    base::Lock lock(mutex_);
    if (const auto it = segments_.find(segment); it != segments_.end()) tombstones = it->second.tombstones;
  }
  const KeySet wanted(tombstones.begin(), tombstones.end());
  KeySet needed;
  if (wanted.empty()) return needed;
  for (uint32_t older = 0;;) {
    std::vector<Key> dead;
    {
      base::Lock lock(mutex_);
      const auto it = segments_.upper_bound(older);
      if (it == segments_.end() || it->first >= segment) return needed;
      older = it->first;
      dead = it->second.dead;
    }
    for (const Key& key : dead)
      if (wanted.contains(key)) needed.insert(key);
  }
}

void Index::reserve(const Key& key) {
  base::Lock lock(mutex_);
  released_.wait(lock, [&] { return !reserved_.contains(key); });
  reserved_.insert(key);
}

void Index::release(const Key& key) {
  {
    base::Lock lock(mutex_);
    reserved_.erase(key);
  }
  released_.notify_all();
}

}  // namespace tarn::block
