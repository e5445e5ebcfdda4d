#include "tree/detail/level_writer.h"

namespace tarn::tree::detail {
namespace {

constexpr size_t kBeforeHelpers = 16;  ///< leaves that are made before helpers are called: most commits are short
constexpr size_t kBatchesMax = 12;     ///< leaves under way

/// Where a node lies already, if it is one of the old ones.
const Location* find_old(OldRefs old, const NodeId& id) {
  if (old != nullptr)
    for (const Ref& ref : *old)
      if (ref.id == id) return &ref.at;
  return nullptr;
}

}  // namespace

LeafWriter::LeafWriter(const Target& target, RefTaker taker, OldRefs old)
    : target_(target),
      taker_(std::move(taker)),
      old_(old),
      boundary_(target.parameters, 0),
      open_(std::make_shared<Batch>()) {}

const Item& LeafWriter::hold(std::string key, Entry entry) {
  std::vector<Item>& items = open_->items;
  if (items.capacity() == 0) items.reserve(target_.parameters.leaf_max);
  ENSURE(items.size() < items.capacity());  // rows refer to items: they must not move
  return items.emplace_back(std::move(key), std::move(entry));
}

Result<void> LeafWriter::add(Row row) {
  const bool ends = boundary_.add(row.key);
  open_->rows.push_back(std::move(row));
  return ends ? close() : base::ok();
}

Result<void> LeafWriter::add_stored(const std::shared_ptr<const Node>& node, const Row& row) {
  std::vector<std::shared_ptr<const Node>>& held = open_->held;
  if (held.empty() || held.back() != node) held.push_back(node);
  Row kept = keep_row(row, open_->arena);
  if (kept.spill) kept.spill->at = node->spill_location(kept.spill->id);
  return add(std::move(kept));
}

Result<void> LeafWriter::flush() {
  boundary_.reset();
  if (!open_->rows.empty()) TRY(close());
  return hand_on(0);
}

Result<void> LeafWriter::close() {
  Batch& batch = *open_;
  bool spills = false;
  uint64_t bytes = 0;
  for (const Row& row : batch.rows) {
    bytes += row.size;
    spills = spills || row.spill || row.metadata.size() > kSpillAbove;
  }
  batch.ref = {std::string(batch.rows.back().key), {}, {}, batch.rows.size(), bytes};
  return hand_over(spills);
}

Result<void> LeafWriter::add_edited(const std::shared_ptr<const Node>& node, Ref ref, std::vector<Replacement> with) {
  ENSURE(closed());
  open_->ref = std::move(ref);
  open_->edited = node;
  open_->with = std::move(with);
  return hand_over(false);
}

Result<void> LeafWriter::pass(Ref ref) {
  ENSURE(closed());
  TRY(hand_on(0));
  open_->clear();
  return taker_(std::move(ref));
}

Result<void> LeafWriter::hand_over(bool spills) {
  ++closed_;
  // Spilled metadata needs a place in the pack before its leaf: such leaves are made here.
  if (spills || closed_ <= kBeforeHelpers || target_.sink.helpers() == 0) {
    TRY(hand_on(0));
    return close_here();
  }
  if (!helpers_) helpers_ = std::make_unique<base::ThreadPool>(target_.sink.helpers());
  under_way_.push_back(open_);
  helpers_->submit([shared = shared_, one = open_, codec = target_.sink.codec()] {
    if (take(*shared, *one)) encode(*shared, *one, codec);
  });
  if (spare_.empty()) {
    open_ = std::make_shared<Batch>();
  } else {
    open_ = std::move(spare_.back());  // its memory is used again
    spare_.pop_back();
  }
  return hand_on(kBatchesMax);
}

Result<void> LeafWriter::close_here() {
  Batch& batch = *open_;
  std::vector<Location> hints;
  for (Row& row : batch.rows) {
    if (row.metadata.size() > kSpillAbove) {
      std::string chunk = metadata_chunk(row.metadata);
      Spill spill{base::sha256(chunk), row.metadata.size(), {}};
      TRY_LET(spill.at, target_.sink.add_node(target_.ctx, spill.id, std::move(chunk), {}, NodeSink::Keep::kNo));
      row.metadata = {};
      row.spill = std::move(spill);
    }
    if (row.spill) hints.push_back(row.spill->at);
  }
  TRY_LET(std::string body, batch.body());
  Ref ref = std::move(batch.ref);
  ref.id = base::sha256(body);
  if (const Location* at = find_old(old_, ref.id)) {
    ref.at = *at;
  } else {
    TRY_LET(ref.at, target_.sink.add_node(target_.ctx, ref.id, std::move(body), hints, target_.keep));
  }
  batch.clear();
  return taker_(std::move(ref));
}

bool LeafWriter::take(Shared& shared, Batch& batch) {
  base::Lock lock(shared.mutex);
  return !std::exchange(batch.taken, true);
}

void LeafWriter::encode(Shared& shared, Batch& batch, Codec codec) {
  const auto make = [&]() -> Result<Framed> {
    TRY_LET(std::string body, batch.body());
    return frame_node(std::move(body), {}, codec);
  };
  auto leaf = make();
  {
    base::Lock lock(shared.mutex);
    batch.leaf = std::move(leaf);
    batch.done = true;
  }
  shared.changed.notify_all();
}

bool LeafWriter::is_done(const Batch& batch) {
  base::Lock lock(shared_->mutex);
  return batch.done;
}

Result<void> LeafWriter::hand_on(size_t most) {
  while (!under_way_.empty()) {
    Batch& first = *under_way_.front();
    if (under_way_.size() <= most && !is_done(first)) return {};
    // Rather than wait for the first, make one that nobody has taken.
    for (const auto& batch : under_way_) {
      if (is_done(first)) break;
      if (take(*shared_, *batch)) encode(*shared_, *batch, target_.sink.codec());
    }
    {
      base::Lock lock(shared_->mutex);
      shared_->changed.wait(lock, [&] { return first.done; });
    }
    if (!*first.leaf) return first.leaf->error();
    Ref ref = std::move(first.ref);
    ref.id = (*first.leaf)->id;
    if (const Location* at = find_old(old_, ref.id)) {
      ref.at = *at;
    } else {
      TRY_LET(ref.at, target_.sink.add_framed(target_.ctx, std::move(**first.leaf), target_.keep));
    }
    first.clear();
    if (under_way_.front().use_count() == 1) spare_.push_back(std::move(under_way_.front()));
    under_way_.pop_front();
    TRY(taker_(std::move(ref)));
  }
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
