#include "versioning/detail/log_walk.h"

namespace tarn::versioning::detail {

Result<void> LogWalk::enter(const Context& ctx, CommitGraph::Index index) {
  const size_t word = index / 64;
  if (word >= seen_.size()) seen_.resize(std::max(word + 1, seen_.size() * 2));
  const uint64_t bit = uint64_t{1} << (index % 64);
  if (seen_[word] & bit) return {};
  seen_[word] |= bit;
  graph_.fetch_ahead(index);
  const CommitGraph::Node* node = graph_.loaded(index);
  if (node == nullptr) {
    TRY_LET(node, graph_.load(ctx, index));
  }
  waiting_.push({node->date_ms, node, index});
  return {};
}

Result<void> LogWalk::skip_towards(const Context& ctx, CommitGraph::Index target) {
  if (waiting_.size() != 1) return {};
  CommitGraph::Index at = waiting_.top().index;
  while (at != target) {
    const CommitGraph::Node* node = graph_.loaded(at);
    if (node == nullptr) {
      TRY_LET(node, graph_.load(ctx, at));
    }
    const CommitGraph::Index in_line = node->line - 1;
    if (target < at && at - target <= in_line) {
      at = target;
    } else if (in_line > 0) {
      at -= in_line;
    } else if (node->first != CommitGraph::kNone && (rule_.first_parent || node->second == CommitGraph::kNone)) {
      at = node->first;
    } else {
      break;
    }
  }
  if (at == waiting_.top().index) return {};
  waiting_.pop();
  return enter(ctx, at);
}

Result<CommitGraph::Index> LogWalk::next(const Context& ctx) {
  while (!waiting_.empty()) {
    const Waiting at = waiting_.top();
    waiting_.pop();
    if (rule_.since_ms && at.date_ms < *rule_.since_ms) continue;
    if (rule_.first_parent) {
      if (at.node->first != CommitGraph::kNone) TRY(enter(ctx, at.node->first));
    } else {
      TRY(at.node->each_parent([&](CommitGraph::Index parent) { return enter(ctx, parent); }));
    }
    return at.index;
  }
  return CommitGraph::kNone;
}

std::optional<LogPlaces::Place> LogPlaces::take(const std::string& key) {
  base::Lock lock(mutex_);
  for (auto it = places_.begin(); it != places_.end(); ++it) {
    if (it->first != key) continue;
    Place place = std::move(it->second);
    bytes_ -= it->first.size() + place.walk.memory();
    places_.erase(it);
    return place;
  }
  return std::nullopt;
}

void LogPlaces::put(std::string key, Place place) {
  base::Lock lock(mutex_);
  bytes_ += key.size() + place.walk.memory();
  places_.emplace_front(std::move(key), std::move(place));
  while (places_.size() > kPlacesMax || (bytes_ > kBytesMax && places_.size() > 1)) {
    bytes_ -= places_.back().first.size() + places_.back().second.walk.memory();
    places_.pop_back();
  }
}

void LogPlaces::clear() {
  base::Lock lock(mutex_);
  places_.clear();
  bytes_ = 0;
}

}  // namespace tarn::versioning::detail
