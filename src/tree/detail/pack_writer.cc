#include "tree/detail/pack_writer.h"

#include <algorithm>

#include "base/kill_point.h"
#include "tree/detail/change_set.h"
#include "tree/detail/frame.h"

namespace tarn::tree::detail {
namespace {
constexpr size_t kKeptBytesMax = 16u << 20;
constexpr size_t kBigPack = 4u << 20;  ///< bytes
constexpr uint64_t kChangesAlwaysKept = 1000, kChangesShare = 16;
}  // namespace

Result<Framed> frame_node(std::string body, const std::vector<Location>& hints, Codec codec) {
  Framed node;
  node.id = base::sha256(body);
  node.body = std::move(body);
  node.hints = encode_hints(hints);
  TRY_LET(node.codec, append_frame(node.frame, node.body, node.hints, codec));
  return node;
}

PackWriter::PackWriter(std::shared_ptr<PackHome> home, Codec codec, uint64_t size_max, size_t helpers)
    : home_(std::move(home)), codec_(codec), size_max_(size_max), helpers_(helpers), flights_(home_) {
  open();
}

PackWriter::~PackWriter() { home_->set_pending(tail_.pack_id, nullptr); }

void PackWriter::open() {
  tail_ = {};
  tail_.pack_id = home_->new_pack_id();
  records_.clear();
  pack_ = std::make_shared<PendingPack>();
  pack_->bytes = opening();
  home_->set_pending(tail_.pack_id, pack_);
}

bool PackWriter::empty() const { return tail_.nodes.empty() && records_.empty() && !wrote_; }

void PackWriter::add_commit(std::string id32, std::string record) {
  ENSURE(id32.size() == 32);
  std::string body;
  put_header(body, Kind::kCommit);
  body.append(id32).append(record);
  records_.push_back({&Tail::commits, std::move(id32), std::move(body)});
}

void PackWriter::add_change_set(std::string id32, std::span<const Change> changes) {
  ENSURE(id32.size() == 32);
  std::string filter = encode_filter(id32, changes);
  if (!filter.empty()) records_.push_back({&Tail::filters, id32, std::move(filter)});
  if (changes.size() > std::max(kChangesAlwaysKept, entries_ / kChangesShare)) return;
  std::string body = encode_change_set(id32, changes);
  if (body.size() > kBodySizeMax) return;
  records_.push_back({&Tail::change_sets, std::move(id32), std::move(body)});
}

std::optional<Location> PackWriter::find(const NodeId& id) {
  ENSURE(!finished_);
  if (const auto it = known_.find(id); it != known_.end()) return it->second;
  const auto written = home_->find_written(id);
  if (written) known_.emplace(id, *written);
  return written;
}

Result<Location> PackWriter::add_node(const Context& ctx, const NodeId& id, std::string body,
                                      const std::vector<Location>& hints, Keep keep) {
  if (const auto at = find(id)) return *at;
  Framed node;
  node.id = id;
  node.body = std::move(body);
  node.hints = encode_hints(hints);
  TRY_LET(node.codec, append_frame(node.frame, node.body, node.hints, codec_));
  return add_framed(ctx, std::move(node), keep);
}

Result<Location> PackWriter::add_framed(const Context& ctx, Framed node, Keep keep) {
  if (const auto at = find(node.id)) return *at;
  if (!tail_.nodes.empty() && pack_->bytes.size() + node.frame.size() > size_max_) TRY(go_on(ctx));
  Location at{tail_.pack_id, pack_->bytes.size(), static_cast<uint32_t>(node.frame.size()), node.codec};
  {
    base::Lock lock(pack_->mutex);
    // A big pack gets its room at once instead of by doubling; pages that are not filled cost nothing.
    if (pack_->bytes.size() > kBigPack && pack_->bytes.capacity() < size_max_)
      pack_->bytes.reserve(size_max_ + kBigPack);
    pack_->bytes.append(node.frame);
  }
  Slot& slot = tail_.nodes.emplace_back();
  slot.id = node.id.bytes();
  slot.offset = at.offset;
  slot.length = at.length;
  known_.emplace(node.id, at);
  if (keep == Keep::kYes && kept_bytes_ < kKeptBytesMax) {
    TRY_LET(auto made, Node::make(std::move(node.body), std::move(node.hints)));
    kept_bytes_ += made->memory();
    kept_.emplace_back(node.id, std::move(made));
  }
  return at;
}

Result<void> PackWriter::finish(const Context& ctx) {
  if (finished_) return Error(Code::kInvalid, "pack", "this pack is written already: begin another");
  // The pack with the commits comes last: who finds a commit finds its nodes.
  TRY(flights_.settle(ctx));
  if (!tail_.nodes.empty() || !records_.empty()) TRY(write_last(ctx));
  finished_ = true;
  for (const auto& [id, at] : known_) home_->remember_written(id, at);
  for (auto& [id, node] : kept_) home_->publish(id, std::move(node));
  kept_.clear();
  return {};
}

Result<void> PackWriter::complete() {
  // In place: a copy would be a pack.
  base::Lock lock(pack_->mutex);
  const uint64_t nodes_end = pack_->bytes.size();
  const auto append = [&]() -> Result<void> {
    Tail tail = tail_;
    for (const Record& record : records_) {
      const uint64_t offset = pack_->bytes.size();
      TRY(append_frame(pack_->bytes, record.body, {}, codec_));
      (tail.*record.list).push_back({record.id, offset, static_cast<uint32_t>(pack_->bytes.size() - offset)});
    }
    return append_tail(pack_->bytes, tail, codec_);
  };
  auto appended = append();
  if (!appended) pack_->bytes.resize(nodes_end);
  return appended;
}

Result<void> PackWriter::go_on(const Context& ctx) {
  TRY(flights_.wait_for_room());
  TRY(complete());
  flights_.send(ctx, tail_.pack_id, pack_);
  wrote_ = true;
  open();
  return {};
}

Result<void> PackWriter::write_last(const Context& ctx) {
  const uint64_t nodes_end = pack_->bytes.size();
  TRY(complete());
  KILL_POINT("tree.pack.before_write");
  if (auto written = home_->write(ctx, tail_.pack_id, pack_->bytes); !written) {
    base::Lock lock(pack_->mutex);
    pack_->bytes.resize(nodes_end);  // more may come before it is tried again
    return written;
  }
  KILL_POINT("tree.pack.after_write");
  wrote_ = true;
  home_->set_pending(tail_.pack_id, nullptr);
  return {};
}

}  // namespace tarn::tree::detail
