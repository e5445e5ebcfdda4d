#include "tree/detail/folder.h"

#include <algorithm>
#include <tuple>

#include "base/hash.h"
#include "tree/detail/bundle.h"
#include "tree/detail/frame.h"
#include "tree/detail/node.h"

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
  if (tail.folded) return Error(Code::kInvalid, "pack", "pack " + pack_id + " is folded already");
  std::vector<Part> nodes, records;
  size_t raw = 0;
  const auto open = [&](char list, const Slot& slot) -> Result<Part> {
    if (slot.offset > bytes.size() || slot.length > bytes.size() - slot.offset)
      return corrupt("pack", "its tail index points behind its end");
    TRY_LET(Frame frame, open_frame(bytes.substr(slot.offset, slot.length)));
    TRY_LET(std::string id, whole_id(list, slot, frame.body));
    raw += frame.body.size() + frame.hints.size();
    return Part{list, std::move(id), std::move(frame.body), std::move(frame.hints), 0, {}, {}, 0};
  };
  for (const Slot& slot : tail.nodes) {
    if (known_.contains(slot.id)) continue;
    TRY_LET(Part part, open('n', slot));
    TRY(describe(part));
    nodes.push_back(std::move(part));
  }
  for (const Slot& slot : tail.commits) {
    TRY_LET(Part record, open('r', slot));
    records.push_back(std::move(record));
    // What belongs to one commit lies together: its id is stored once. A change-set answers what its filter does.
    const auto changes = Tail::find(tail.change_sets, slot.id), filters = Tail::find(tail.filters, slot.id);
    for (const auto& [list, found] : {std::pair('c', changes), std::pair('f', filters)}) {
      if (found.empty() || (list == 'f' && !changes.empty())) continue;
      TRY_LET(Part part, open(list, found.front()));
      records.push_back(std::move(part));
    }
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

Result<void> Folder::put(std::string& pack, std::vector<FoldedFrame>& frames, const std::vector<const Part*>& parts,
                         size_t raw_max, size_t bundle_from) const {
  for (size_t from = 0; from < parts.size();) {
    size_t to = from, raw = 0;
    while (to < parts.size() && (to == from || raw + parts[to]->body.size() + parts[to]->hints.size() <= raw_max)) {
      raw += parts[to]->body.size() + parts[to]->hints.size();
      ++to;
    }
    const bool bundle = parts.size() >= bundle_from;
    if (!bundle) to = from + 1;
    FoldedFrame frame;
    frame.bundle = bundle;
    const size_t offset = pack.size();
    if (bundle) {
      std::vector<Member> members;
      for (size_t i = from; i < to; ++i) members.push_back({parts[i]->body, parts[i]->hints});
      TRY(append_frame(pack, encode_bundle(members), {}, Codec::kZstd, kFoldLevel));
    } else {
      TRY(append_frame(pack, parts[from]->body, parts[from]->hints, Codec::kZstd, kFoldLevel));
    }
    for (size_t i = from; i < to; ++i) frame.members.emplace_back(parts[i]->list, parts[i]->id);
    frame.length = static_cast<uint32_t>(pack.size() - offset);
    frames.push_back(std::move(frame));
    from = to;
  }
  return {};
}

Result<std::string> Folder::write(const std::string& pack_id) {
  point_here(pack_id);
  std::string pack = opening();
  std::vector<FoldedFrame> frames;
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
    std::sort(versions.begin(), versions.end(), [](const Part* a, const Part* b) { return a->order < b->order; });
    TRY(put(pack, frames, versions, kBundleRawMax, kBundleFrom));
    from = to;
  }
  std::vector<const Part*> records;
  for (const Part& part : records_) records.push_back(&part);
  TRY(put(pack, frames, records, kRecordsRawMax, 1));
  TRY(append_folded_tail(pack, pack_id, packs_, frames));
  return pack;
}

}  // namespace tarn::tree::detail
