#include "tree/detail/level_writer.h"

namespace tarn::tree::detail {
namespace {

/// An address tail is the end of the key: it follows the key to its new place.
void move_tail(AddressRow& address, std::string_view key) {
  if (!address.tail.empty()) address.tail = key.substr(key.size() - address.tail.size());
}

}  // namespace

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
  if (const auto it = known_.find(ref.id); it != known_.end()) {
    ref.at = it->second;
  } else {
    TRY_LET(ref.at, target_.sink.add_node(target_.ctx, ref.id, std::move(body), hints, target_.keep));
  }
  refs_.push_back(std::move(ref));
  rows_.clear();
  arena_.clear();
  if (held_.size() > 1) held_.erase(held_.begin(), held_.end() - 1);
  return {};
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
  if (const auto it = known_.find(ref.id); it != known_.end()) {
    ref.at = it->second;
  } else {
    TRY_LET(ref.at, target_.sink.add_node(target_.ctx, ref.id, std::move(body), hints, target_.keep));
  }
  refs_.push_back(std::move(ref));
  children_.clear();
  return {};
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

Result<Root> build_above(const Target& target, std::vector<Ref> refs, uint32_t level) {
  while (refs.size() > 1) {
    ++level;
    InternalWriter writer(target, level);
    for (Ref& ref : refs) TRY(writer.add(std::move(ref)));
    TRY(writer.flush());
    refs = std::move(writer.refs());
  }
  return root_of(target.parameters, refs.front(), level);
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
