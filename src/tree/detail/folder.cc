#include "tree/detail/folder.h"

#include <algorithm>
#include <deque>
#include <tuple>

#include "base/hash.h"
#include "tree/detail/bundle.h"
#include "tree/detail/frame.h"
#include "tree/detail/node.h"
#include "tree/detail/version.h"

namespace tarn::tree::detail {
namespace {

/// Ids of the children that a node's hints speak of, in their order.
Result<std::vector<NodeId>> hinted(const Node& node) {
  if (node.is_leaf()) return node.leaf().spills();
  std::vector<NodeId> ids;
  if (node.kind() == Kind::kInternal)
    for (uint32_t i = 0; i < node.count(); ++i) ids.push_back(node.internal().id(i));
  return ids;
}

/// The bytes of a folded pack on their way.
class FoldedPack {
 public:
  FoldedPack(std::string id, int zstd_level) : id_(std::move(id)), level_(zstd_level), bytes_(opening()) {}

  Result<void> add_alone(char list, const std::string& id, std::string_view body, std::string_view hints) {
    return append(body, hints, {.bundle = false, .members = {{list, id}}});
  }

  Result<void> add(char list, const std::string& id, std::string_view body, std::string_view hints) {
    if (raw_ + body.size() + hints.size() > kBundleRawMax && !members_.empty()) TRY(flush());
    raw_ += body.size() + hints.size();
    members_.push_back({std::string(body), std::string(hints)});
    frame_.members.emplace_back(list, id);
    return {};
  }

  /// The same for a node, as what differs from the nearest of its recent versions when that is small.
  Result<void> add_version(char list, const std::string& id, std::string_view body, std::string_view hints) {
    TRY_LET(auto records, LeafRecords::of(body));
    if (!records) return add(list, id, body, hints);
    const Base* best = nullptr;
    size_t fewest = records->records.size() / 4 + 1;
    for (const Base& base : bases_) {
      if (base.depth >= kChainMax) continue;
      const size_t count = differing(base.records, *records, fewest);
      if (count >= fewest) continue;
      fewest = count;
      best = &base;
    }
    size_t depth = 0;
    std::string version;
    if (best != nullptr) {
      version = encode_version(best->records, *records, members_.size() - best->member);
      depth = best->depth + 1;
    }
    const size_t bundles = flushed_;
    if (best != nullptr && raw_ + version.size() <= kBundleRawMax) {
      TRY(add(list, id, version, hints));
    } else {
      depth = 0;
      TRY(add(list, id, body, hints));
    }
    if (flushed_ != bundles) bases_.clear();  // a base lies in the same bundle
    bases_.push_front({std::move(*records), members_.size() - 1, depth});
    if (bases_.size() > kBasesTried) bases_.pop_back();
    return {};
  }
  void forget_bases() { bases_.clear(); }

  Result<std::string> finish(std::span<const std::string> replaces) {
    if (!members_.empty()) TRY(flush());
    TRY(append_folded_tail(bytes_, id_, replaces, frames_));
    return std::move(bytes_);
  }

 private:
  struct Base {
    LeafRecords records;
    size_t member;
    size_t depth;
  };
  Result<void> flush() {
    std::vector<Member> members;
    for (const auto& [body, hints] : members_) members.push_back({body, hints});
    frame_.bundle = true;
    TRY(append(encode_bundle(members), {}, std::move(frame_)));
    frame_ = {};
    members_.clear();
    raw_ = 0;
    ++flushed_;
    return {};
  }
  Result<void> append(std::string_view body, std::string_view hints, FoldedFrame frame) {
    const size_t offset = bytes_.size();
    TRY(append_frame(bytes_, body, hints, Codec::kZstd, level_));
    frame.length = static_cast<uint32_t>(bytes_.size() - offset);
    frames_.push_back(std::move(frame));
    return {};
  }

  const std::string id_;
  const int level_;
  std::string bytes_;
  std::vector<FoldedFrame> frames_;
  FoldedFrame frame_;                                         ///< of the bundle on its way
  std::vector<std::pair<std::string, std::string>> members_;  ///< of it: body, hints
  size_t raw_ = 0, flushed_ = 0;
  std::deque<Base> bases_;  ///< newest first, all in the bundle on its way
};

}  // namespace

Result<void> Folder::describe(Part& part) {
  TRY_LET(const auto node, Node::make(part.body, part.hints));
  part.level = static_cast<uint8_t>(node->level());
  if (node->count() == 0 || node->kind() == Kind::kMetadata) return {};
  const Keys& keys = node->is_leaf() ? node->leaf().keys() : node->internal().keys();
  TRY_LET(part.first, keys.at(0));
  TRY_LET(part.last, keys.at(node->count() - 1));
  return {};
}

Result<void> Folder::add(std::string_view bytes, const std::string& pack_id) {
  TRY_LET(const Tail tail, read_tail(bytes, pack_id));
  std::vector<Part> nodes, records;
  size_t raw = 0;
  std::shared_ptr<const Bundle> bundle;
  uint64_t bundle_at = 0;
  const auto open = [&](char list, const Slot& slot) -> Result<Part> {
    if (slot.offset > bytes.size() || slot.length > bytes.size() - slot.offset)
      return corrupt("pack", "its tail index points behind its end");
    Frame frame;
    if (slot.member == kAlone) {
      TRY_LET(frame, open_frame(bytes.substr(slot.offset, slot.length)));
    } else {
      if (!bundle || bundle_at != slot.offset) {
        TRY_LET(Frame whole, open_frame(bytes.substr(slot.offset, slot.length)));
        TRY_LET(bundle, Bundle::open(std::move(whole.body)));
        bundle_at = slot.offset;
      }
      if (slot.member >= bundle->count()) return corrupt("pack", "a bundle has fewer members than its index says");
      TRY_LET(frame.body, bundle->body(slot.member));
      frame.hints = bundle->member(slot.member).hints;
    }
    TRY_LET(std::string id, whole_id(list, slot, frame.body));
    raw += frame.body.size() + frame.hints.size();
    return Part{list, std::move(id), std::move(frame.body), std::move(frame.hints), 0, {}, {}, 0};
  };
  struct Place {
    char list;
    const Slot* slot;
  };
  std::vector<Place> places;  // as they lie: what belongs to one commit stays together, and its id is stored once
  for (const auto& [list, slots] : {std::pair('n', &tail.nodes), std::pair('r', &tail.commits),
                                    std::pair('c', &tail.change_sets), std::pair('f', &tail.filters)})
    for (const Slot& slot : *slots) places.push_back({list, &slot});
  std::sort(places.begin(), places.end(), [](const Place& a, const Place& b) {
    return std::tie(a.slot->offset, a.slot->member) < std::tie(b.slot->offset, b.slot->member);
  });
  for (const Place& place : places) {
    if (place.list == 'n') {
      if (place.slot->id.size() == 32 && known_.contains(place.slot->id)) continue;
      TRY_LET(Part part, open('n', *place.slot));
      if (known_.contains(part.id)) continue;
      TRY(describe(part));
      nodes.push_back(std::move(part));
      continue;
    }
    // A change-set answers what its filter does.
    if (place.list == 'f' && !Tail::find(tail.change_sets, place.slot->id).empty()) continue;
    TRY_LET(Part part, open(place.list, *place.slot));
    records.push_back(std::move(part));
  }
  for (Part& part : nodes) {
    part.order = nodes_.size();
    known_.emplace(part.id, nodes_.size());
    nodes_.push_back(std::move(part));
  }
  for (Part& part : records) records_.push_back(std::move(part));
  packs_.push_back(pack_id);
  raw_ += raw;
  return {};
}

// A node whose children move along names their new place.
void Folder::point_here(const std::string& pack_id) {
  const Location here{pack_id, 0, 0, Codec::kFolded};
  for (Part& part : nodes_) {
    if (part.hints.empty()) continue;
    const auto node = Node::make(part.body, part.hints);
    if (!node) continue;  // describe() has made it before
    const auto ids = hinted(**node);
    const auto old = ids ? Hints::parse(part.hints, ids->size()) : Result<Hints>(ids.error());
    if (!old) continue;
    std::vector<Location> places;
    for (size_t i = 0; i < ids->size(); ++i)
      places.push_back(known_.contains(std::string((*ids)[i].bytes())) ? here : old->at(i));
    part.hints = encode_hints(places);
  }
}

Result<std::string> Folder::write(const std::string& pack_id, int zstd_level) {
  point_here(pack_id);
  FoldedPack pack(pack_id, zstd_level);
  // Nodes of one level whose keys overlap are versions of the same part of the map.
  std::vector<const Part*> sorted;
  for (const Part& part : nodes_) sorted.push_back(&part);
  std::sort(sorted.begin(), sorted.end(), [](const Part* a, const Part* b) {
    return std::tie(a->level, a->first, a->order) < std::tie(b->level, b->first, b->order);
  });
  for (size_t from = 0; from < sorted.size();) {
    std::vector<const Part*> versions;
    std::string_view last = sorted[from]->last;
    size_t to = from;
    while (to < sorted.size() && sorted[to]->level == sorted[from]->level &&
           (to == from || (!last.empty() && sorted[to]->first <= last))) {
      last = std::max(last, std::string_view(sorted[to]->last));
      versions.push_back(sorted[to++]);
    }
    from = to;
    if (versions.size() < kBundleFrom) {
      for (const Part* part : versions) TRY(pack.add_alone(part->list, part->id, part->body, part->hints));
      continue;
    }
    std::sort(versions.begin(), versions.end(), [](const Part* a, const Part* b) { return a->order < b->order; });
    pack.forget_bases();
    for (const Part* part : versions) TRY(pack.add_version(part->list, part->id, part->body, part->hints));
  }
  for (const Part& part : records_) TRY(pack.add(part.list, part.id, part.body, part.hints));
  return pack.finish(packs_);
}

}  // namespace tarn::tree::detail
