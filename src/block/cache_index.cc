#include "block/cache_index.h"

#include <algorithm>

namespace tarn::block {
namespace {

constexpr int64_t kOneLookMs = 2'000;
constexpr size_t kSizesMax = 4'096, kGoneMin = 1'024;

}  // namespace

std::optional<cache_file::FileName> CacheIndex::find(const Key& key, uint64_t offset) const {
  const auto object = objects_.find(key);
  if (object == objects_.end()) return std::nullopt;
  const auto block = object->second.blocks.find(offset);
  if (block == object->second.blocks.end()) return std::nullopt;
  return file_of({key, offset}, block->second);
}

void CacheIndex::touch(const Key& key, uint64_t offset, int64_t now_ms) {
  const auto object = objects_.find(key);
  if (object == objects_.end()) return;
  const auto block = object->second.blocks.find(offset);
  if (block == object->second.blocks.end()) return;
  Slot& slot = block->second;
  if (slot.queue == Queue::kMain || slot.kind == cache_file::Kind::kPack || now_ms - slot.since_ms >= kOneLookMs)
    slot.used = true;
}

void CacheIndex::insert(const FileName& file, int64_t now_ms) {
  const bool back = gone_.contains(number_of({file.key, file.offset}));
  add(file, back ? Queue::kMain : Queue::kProbation, now_ms);
}

void CacheIndex::restore(const FileName& file) {
  add(file, file.kind == cache_file::Kind::kPack ? Queue::kMain : Queue::kProbation, 0);
}

void CacheIndex::add(const FileName& file, Queue queue, int64_t now_ms) {
  Object& object = objects_[file.key];
  if (object.size == cache_file::kUnknownSize) object.size = file.object_size;
  auto& list = queue == Queue::kMain ? main_ : probation_;
  list.push_front({file.key, file.offset});
  const bool fresh = object.blocks
                         .emplace(file.offset, Slot{file.length, file.object_size, file.serial, now_ms, list.begin(),
                                                    file.kind, queue, false})
                         .second;
  ENSURE(fresh);
  if (queue == Queue::kProbation) probation_bytes_ += file.charge();
  ++blocks_;
}

cache_file::FileName CacheIndex::erase(const Ref& ref) {
  const auto object = objects_.find(ref.key);
  const auto block = object->second.blocks.find(ref.offset);
  const Ref at = ref;  // it may lie in the list
  const FileName file = file_of(at, block->second);
  if (block->second.queue == Queue::kProbation) probation_bytes_ -= file.charge();
  (block->second.queue == Queue::kMain ? main_ : probation_).erase(block->second.place);
  object->second.blocks.erase(block);
  if (object->second.blocks.empty()) objects_.erase(object);
  --blocks_;
  return file;
}

std::optional<cache_file::FileName> CacheIndex::evict() {
  while (!probation_.empty() || !main_.empty()) {
    if (!probation_.empty() && (probation_bytes_ > probation_bytes_max_ || main_.empty())) {
      Slot& slot = slot_of(probation_.back());
      if (!slot.used) {
        remember(probation_.back());
        return erase(probation_.back());
      }
      slot.used = false;
      slot.queue = Queue::kMain;
      probation_bytes_ -= file_of(probation_.back(), slot).charge();
      main_.splice(main_.begin(), probation_, slot.place);
      continue;
    }
    Slot& slot = slot_of(main_.back());
    if (!slot.used) return erase(main_.back());
    slot.used = false;
    main_.splice(main_.begin(), main_, slot.place);
  }
  return std::nullopt;
}

bool CacheIndex::take(const FileName& file) {
  const auto now = find(file.key, file.offset);
  if (!now || now->serial != file.serial) return false;
  erase({file.key, file.offset});
  return true;
}

std::vector<cache_file::FileName> CacheIndex::take_all(const Key& key) {
  sizes_.erase(key);
  std::vector<FileName> files;
  const auto object = objects_.find(key);
  if (object == objects_.end()) return files;
  std::vector<uint64_t> offsets;
  for (const auto& [offset, slot] : object->second.blocks) offsets.push_back(offset);
  files.reserve(offsets.size());
  for (const uint64_t offset : offsets) files.push_back(erase({key, offset}));
  return files;
}

std::optional<uint64_t> CacheIndex::size_of(const Key& key) const {
  const auto object = objects_.find(key);
  if (object != objects_.end() && object->second.size != cache_file::kUnknownSize) return object->second.size;
  const auto size = sizes_.find(key);
  if (size != sizes_.end()) return size->second;
  return std::nullopt;
}

void CacheIndex::learn_size(const Key& key, uint64_t size) {
  if (const auto object = objects_.find(key); object != objects_.end()) {
    object->second.size = size;
    return;
  }
  if (sizes_.size() >= kSizesMax) sizes_.clear();
  sizes_[key] = size;
}

void CacheIndex::remember(const Ref& ref) {
  const uint64_t number = number_of(ref);
  if (gone_.insert(number).second) gone_order_.push_back(number);
  while (gone_order_.size() > std::max(kGoneMin, blocks_)) {
    gone_.erase(gone_order_.front());
    gone_order_.pop_front();
  }
}

}  // namespace tarn::block
