#include "versioning/detail/voids.h"

#include <algorithm>

#include "base/hash.h"

namespace tarn::versioning::detail {
namespace {

constexpr size_t kStretchesMax = 4'096;  ///< in a shard
constexpr size_t kChangedMax = 1'024;    ///< paths that a reader remembers; more spoil what it learns

}  // namespace

Voids::Shard& Voids::shard(const std::string& branch_id) { return shards_[base::xxh3_64(branch_id) % shards_.size()]; }

// The path itself leaves the stretch; what lies before and behind it stays void.
void Voids::split(Shard& shard, Branch& branch, std::string_view path) {
  auto at = branch.stretches.upper_bound(path);
  if (at == branch.stretches.begin()) return;
  --at;
  if (path >= at->second.to) return;
  Stretch behind = at->second;
  std::string next(path);
  next.push_back('\0');
  if (at->first == path) {
    branch.stretches.erase(at);
    --shard.stretches;
  } else {
    at->second.to = path;
  }
  if (next < behind.to) {
    branch.stretches.emplace(std::move(next), std::move(behind));
    ++shard.stretches;
  }
}

void Voids::touch(Reader& reader, const Change& change) {
  if (change.everything_ || reader.changed_.size() + change.paths_.size() > kChangedMax)
    reader.all_changed_ = true;
  else
    reader.changed_.insert(reader.changed_.end(), change.paths_.begin(), change.paths_.end());
}

void Voids::keep(Shard& shard, Branch& branch, std::string from, std::string to) {
  if (from >= to) return;
  auto at = branch.stretches.upper_bound(from);
  if (at != branch.stretches.begin() && std::prev(at)->second.to >= from) --at;
  while (at != branch.stretches.end() && at->first <= to) {
    from = std::min(from, at->first);
    to = std::max(to, at->second.to);
    at = branch.stretches.erase(at);
    --shard.stretches;
  }
  if (shard.stretches >= kStretchesMax) {
    for (auto& [id, other] : shard.branches) other.stretches.clear();
    std::erase_if(shard.branches, [&](const auto& other) { return &other.second != &branch && other.second.idle(); });
    shard.stretches = 0;
  }
  branch.stretches.emplace(std::move(from), Stretch{std::move(to), ++branch.clock});
  ++shard.stretches;
}

void Voids::open(const Change& change) {
  Shard& s = shard(change.branch_id_);
  base::Lock lock(s.mutex);
  Branch& branch = s.branches[change.branch_id_];
  branch.changes.push_back(&change);
  for (Reader* reader : branch.readers) touch(*reader, change);
  if (change.everything_) {
    s.stretches -= branch.stretches.size();
    branch.stretches.clear();
  } else if (!branch.stretches.empty()) {
    for (const std::string& path : change.paths_) split(s, branch, path);
  }
}

Voids::Change::Change(Voids& voids, std::string branch_id, std::span<const tree::Edit> edits)
    : voids_(voids), branch_id_(std::move(branch_id)), everything_(false) {
  for (const tree::Edit& edit : edits)
    if (edit.entry) paths_.push_back(edit.key);
  if (!paths_.empty()) voids_.open(*this);
}

Voids::Change::Change(Voids& voids, std::string branch_id)
    : voids_(voids), branch_id_(std::move(branch_id)), everything_(true) {
  voids_.open(*this);
}

Voids::Change::~Change() {
  if (!everything_ && paths_.empty()) return;
  Shard& s = voids_.shard(branch_id_);
  base::Lock lock(s.mutex);
  const auto at = s.branches.find(branch_id_);
  Branch& branch = at->second;
  std::erase(branch.changes, this);
  if (open_for_ever_) {
    branch.never_at_all |= everything_ || branch.never.size() + paths_.size() > kChangedMax;
    if (!branch.never_at_all) branch.never.insert(branch.never.end(), paths_.begin(), paths_.end());
  }
  if (branch.idle()) s.branches.erase(at);
}

Voids::Reader::Reader(Voids& voids, std::string branch_id) : voids_(voids), branch_id_(std::move(branch_id)) {
  Shard& s = voids_.shard(branch_id_);
  base::Lock lock(s.mutex);
  Branch& branch = s.branches[branch_id_];
  opened_ = ++branch.clock;
  all_changed_ = branch.never_at_all;
  changed_ = branch.never;
  for (const Change* change : branch.changes) touch(*this, *change);
  branch.readers.push_back(this);
}

Voids::Reader::~Reader() {
  Shard& s = voids_.shard(branch_id_);
  base::Lock lock(s.mutex);
  const auto at = s.branches.find(branch_id_);
  Branch& branch = at->second;
  std::erase(branch.readers, this);
  if (!all_changed_ && !learned_.empty()) {
    std::sort(changed_.begin(), changed_.end());
    for (auto& [from, to] : learned_) {
      auto path = std::lower_bound(changed_.begin(), changed_.end(), from);
      for (; path != changed_.end() && *path < to; ++path) {
        keep(s, branch, from, *path);
        from = *path + '\0';
      }
      keep(s, branch, std::move(from), std::move(to));
    }
  }
  if (branch.idle()) s.branches.erase(at);
}

// Only what was learned before this reader was opened: a later stretch may be void in a newer view only. What changed
// since then was cut out when the change was opened.
std::optional<std::string> Voids::Reader::end_around(std::string_view path) const {
  Shard& s = voids_.shard(branch_id_);
  base::Lock lock(s.mutex);
  const Branch& branch = s.branches.find(branch_id_)->second;
  auto at = branch.stretches.upper_bound(path);
  if (at == branch.stretches.begin()) return std::nullopt;
  --at;
  if (path >= at->second.to || at->second.learned > opened_) return std::nullopt;
  return at->second.to;
}

void Voids::Reader::learn(std::string from, std::string to) {
  if (from >= to) return;
  if (!learned_.empty() && learned_.back().second >= from)
    learned_.back().second = std::max(learned_.back().second, to);
  else
    learned_.emplace_back(std::move(from), std::move(to));
}

}  // namespace tarn::versioning::detail
