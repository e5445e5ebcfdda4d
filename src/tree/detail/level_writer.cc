#include "tree/detail/level_writer.h"

namespace tarn::tree::detail {
namespace {

/// An address tail is the end of the key: it follows the key to its new place.
void move_tail(AddressRow& address, std::string_view key) {
  if (!address.tail.empty()) address.tail = key.substr(key.size() - address.tail.size());
}

/// Where a node lies already, if it is one of the old ones.
const Location* find_old(OldRefs old, const NodeId& id) {
  if (old != nullptr)
    for (const Ref& ref : *old)
      if (ref.id == id) return &ref.at;
  return nullptr;
}

}  // namespace

LeafWriter::LeafWriter(const Target& target, RefTaker taker, OldRefs old)
    : target_(target), taker_(std::move(taker)), old_(old), boundary_(target.parameters, 0) {}

const Item& LeafWriter::hold(std::string key, Entry entry) {
  if (items_.capacity() == 0) items_.reserve(target_.parameters.leaf_max);
  ENSURE(items_.size() < items_.capacity());  // rows refer to items: they must not move
  return items_.emplace_back(std::move(key), std::move(entry));
}

Result<void> LeafWriter::add(Row row) {
  const bool ends = boundary_.add(row.key);
  rows_.push_back(std::move(row));
  return ends ? close() : base::ok();
}

Result<void> LeafWriter::add_stored(const std::shared_ptr<const Node>& node, const Row& row) {
  if (held_.empty() || held_.back() != node) held_.push_back(node);
  Row kept = row;
  kept.key = arena_.keep(row.key);
  move_tail(kept.address, kept.key);
  for (AddressRow& part : kept.parts) move_tail(part, kept.key);
  if (kept.spill) kept.spill->at = node->spill_location(kept.spill->id);
  return add(std::move(kept));
}

Result<void> LeafWriter::flush() {
  boundary_.reset();
  return rows_.empty() ? base::ok() : close();
}

Result<void> LeafWriter::close() {
  std::vector<Location> hints;
  uint64_t bytes = 0;
  for (Row& row : rows_) {
    bytes += row.size;
    if (row.metadata.size() > kSpillAbove) {
      std::string chunk = metadata_chunk(row.metadata);
      Spill spill{base::sha256(chunk), row.metadata.size(), {}};
      TRY_LET(spill.at, target_.sink.add_node(target_.ctx, spill.id, std::move(chunk), {}, NodeSink::Keep::kNo));
      row.metadata = {};
      row.spill = std::move(spill);
    }
    if (row.spill) hints.push_back(row.spill->at);
  }
  std::string body = encode_leaf(rows_);
  Ref ref{std::string(rows_.back().key), base::sha256(body), {}, rows_.size(), bytes};
  if (const Location* at = find_old(old_, ref.id)) {
    ref.at = *at;
  } else {
    TRY_LET(ref.at, target_.sink.add_node(target_.ctx, ref.id, std::move(body), hints, target_.keep));
  }
  rows_.clear();
  arena_.clear();
  items_.clear();
  if (held_.size() > 1) held_.erase(held_.begin(), held_.end() - 1);
  return taker_(std::move(ref));
}

Result<void> InternalWriter::add(Ref child) {
  const bool ends = boundary_.add(child.key);
  children_.push_back(std::move(child));
  return ends ? close() : base::ok();
}

Result<void> InternalWriter::flush() {
  boundary_.reset();
  return children_.empty() ? base::ok() : close();
}

Result<void> InternalWriter::close() {
  if (level_ > 255) return Error(Code::kInternal, "tree", "it has more than 255 levels");
  std::vector<Location> hints;
  hints.reserve(children_.size());
  uint64_t count = 0, bytes = 0;
  for (const Ref& child : children_) {
    hints.push_back(child.at);
    count += child.count;
    bytes += child.bytes;
  }
  std::string body = encode_internal(static_cast<uint8_t>(level_), children_);
  Ref ref{children_.back().key, base::sha256(body), {}, count, bytes};
  if (const Location* at = find_old(old_, ref.id)) {
    ref.at = *at;
  } else {
    TRY_LET(ref.at, target_.sink.add_node(target_.ctx, ref.id, std::move(body), hints, target_.keep));
  }
  children_.clear();
  return taker_(std::move(ref));
}

Root root_of(const Parameters& parameters, const Ref& ref, uint32_t level) {
  Root root;
  root.id = ref.id;
  root.location = ref.at;
  root.level = level;
  root.count = ref.count;
  root.bytes = ref.bytes;
  root.parameters = parameters;
  return root;
}

Result<void> Tower::add(Ref ref) {
  if (!parents_) {
    if (!only_) {
      only_ = std::move(ref);
      return {};
    }
    above_ = std::make_unique<Tower>(target_, level_ + 1);
    parents_ = std::make_unique<InternalWriter>(target_, level_ + 1,
                                                [this](Ref parent) { return above_->add(std::move(parent)); });
    TRY(parents_->add(std::move(*only_)));
  }
  return parents_->add(std::move(ref));
}

Result<std::optional<Root>> Tower::finish() {
  if (parents_) {
    TRY(parents_->flush());
    return above_->finish();
  }
  if (!only_) return std::optional<Root>{};
  return std::optional(root_of(target_.parameters, *only_, level_));
}

Result<void> check_item(std::string_view key, const Entry& entry) {
  if (key.size() > kKeySizeMax)
    return Error(Code::kInvalid, "path",
                 "a path of " + std::to_string(key.size()) + " bytes: at most 65535 are allowed");
  for (const Address& part : entry.address.parts)
    if (part.kind == AddressKind::kManifest)
      return Error(Code::kInvalid, "address", "a manifest's parts must not be manifests: " + std::string(key));
  return {};
}

NodeSink& sink_of(PackBuilder& builder) {
  auto* sink = dynamic_cast<NodeSink*>(&builder);
  ENSURE(sink != nullptr);
  return *sink;
}

}  // namespace tarn::tree::detail
