#include "tree/detail/pack_writer.h"

#include <algorithm>

#include "base/kill_point.h"
#include "tree/detail/change_set.h"
#include "tree/detail/frame.h"

namespace tarn::tree::detail {
namespace {
constexpr size_t kKeptBytesMax = 16u << 20;
constexpr uint64_t kChangesAlwaysKept = 1000, kChangesShare = 16;
}  // namespace

PackWriter::PackWriter(std::shared_ptr<PackHome> home, Codec codec, uint64_t size_max)
    : home_(std::move(home)), codec_(codec), size_max_(size_max) {
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

Result<Location> PackWriter::add_node(const Context& ctx, const NodeId& id, std::string body,
                                      const std::vector<Location>& hints, Keep keep) {
  ENSURE(!finished_);
  if (const auto it = known_.find(id); it != known_.end()) return it->second;
  if (const auto written = home_->find_written(id)) {
    known_.emplace(id, *written);
    return *written;
  }
  std::string hint_bytes = encode_hints(hints);
  std::string frame;
  TRY_LET(const Codec codec, append_frame(frame, body, hint_bytes, codec_));
  if (!tail_.nodes.empty() && pack_->bytes.size() + frame.size() > size_max_) {
    TRY(write(ctx));
    open();
  }
  Location at{tail_.pack_id, pack_->bytes.size(), static_cast<uint32_t>(frame.size()), codec};
  {
    base::Lock lock(pack_->mutex);
    pack_->bytes.append(frame);
  }
  Slot& slot = tail_.nodes.emplace_back();
  slot.id = id.bytes();
  slot.offset = at.offset;
  slot.length = at.length;
  known_.emplace(id, at);
  if (keep == Keep::kYes && kept_bytes_ < kKeptBytesMax) {
    TRY_LET(auto node, Node::make(std::move(body), std::move(hint_bytes)));
    kept_bytes_ += node->memory();
    kept_.emplace_back(id, std::move(node));
  }
  return at;
}

Result<void> PackWriter::finish(const Context& ctx) {
  if (finished_) return Error(Code::kInvalid, "pack", "this pack is written already: begin another");
  if (!tail_.nodes.empty() || !records_.empty()) TRY(write(ctx));
  finished_ = true;
  for (const auto& [id, at] : known_) home_->remember_written(id, at);
  for (auto& [id, node] : kept_) home_->publish(id, std::move(node));
  kept_.clear();
  return {};
}

Result<void> PackWriter::write(const Context& ctx) {
  // The pending bytes stay as they are, so that a failed write may be tried again.
  std::string bytes;
  bytes.reserve(pack_->bytes.size() + 4096);
  bytes = pack_->bytes;
  Tail tail = tail_;
  for (const Record& record : records_) {
    const uint64_t offset = bytes.size();
    TRY(append_frame(bytes, record.body, {}, codec_));
    (tail.*record.list).push_back({record.id, offset, static_cast<uint32_t>(bytes.size() - offset)});
  }
  TRY(append_tail(bytes, tail, codec_));
  KILL_POINT("tree.pack.before_write");
  TRY(home_->write(ctx, tail.pack_id, bytes));
  KILL_POINT("tree.pack.after_write");
  wrote_ = true;
  home_->set_pending(tail.pack_id, nullptr);
  return {};
}

}  // namespace tarn::tree::detail
