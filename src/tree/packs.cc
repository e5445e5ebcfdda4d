// The packs of one repository, read: docs/formats/pack.md.
#include <list>
#include <map>

#include "base/ids.h"
#include "base/log.h"
#include "tree/detail/change_set.h"
#include "tree/detail/frame.h"
#include "tree/detail/node_cache.h"
#include "tree/detail/pack_file.h"
#include "tree/detail/pack_writer.h"
#include "tree/tree.h"

namespace tarn::tree {
namespace {

using detail::Frame;
using detail::Slot;
using detail::Tail;

constexpr size_t kWrittenMax = 20'000;       ///< nodes whose place is remembered, about 150 bytes each
constexpr size_t kTailWeightMax = 1u << 16;  ///< index entries kept in memory

/// Errors that say "not here" rather than "not now".
bool means_elsewhere(const Error& e) {
  return e.code() == Code::kNotFound || e.code() == Code::kInvalid || e.code() == Code::kCorrupt;
}

class StoredPacks final : public Packs, public detail::PackHome, public std::enable_shared_from_this<StoredPacks> {
 public:
  StoredPacks(block::Store& store, std::string prefix, std::shared_ptr<NodeCache> cache, base::Clock& clock,
              base::Random& random)
      : store_(store),
        prefix_(std::move(prefix) + "packs/"),
        cache_(cache ? std::move(cache) : make_node_cache(0)),
        space_(cache_->next_space()),
        clock_(clock),
        random_(random) {}

  std::unique_ptr<PackBuilder> begin(Codec codec) override {
    return std::make_unique<detail::PackWriter>(shared_from_this(), codec, detail::kPackSizeMax);
  }

  Result<std::shared_ptr<const Node>> load(const Context& ctx, const NodeId& id, const Location& at) override {
    if (const auto pending = find_pending(at.pack)) {
      std::string stored;
      {
        base::Lock lock(pending->mutex);
        if (at.offset <= pending->bytes.size()) stored = pending->bytes.substr(at.offset, at.length);
      }
      return open_node(id, stored);  // not cached: until it is written its location means nothing to others
    }
    return cache_->get(ctx, clock_, space_, id, [&] { return load_stored(ctx, id, at); });
  }

  std::shared_ptr<const Node> find_cached(const NodeId& id) override { return cache_->find(space_, id); }

  Result<std::vector<PackedCommit>> commits_of(const Context& ctx, const std::string& pack_id) override {
    TRY_LET(const auto tail, tail_of(ctx, pack_id));
    std::vector<PackedCommit> commits;
    for (const Slot& slot : tail->commits) {
      TRY_LET(const Frame frame, read_frame(ctx, pack_id, slot.offset, slot.length));
      TRY_LET(const std::string_view record, detail::commit_record(frame.body, slot.id));
      commits.push_back({slot.id, std::string(record)});
    }
    return commits;
  }

  Result<std::optional<std::vector<Change>>> change_set(const Context& ctx, const std::string& pack_id,
                                                        std::string_view commit_id32) override {
    TRY_LET(const auto tail, tail_of(ctx, pack_id));
    const Slot* slot = Tail::find(tail->change_sets, commit_id32);
    if (slot == nullptr) return std::optional<std::vector<Change>>{};
    TRY_LET(const Frame frame, read_frame(ctx, pack_id, slot->offset, slot->length));
    TRY_LET(std::vector<Change> changes, detail::decode_change_set(frame.body, commit_id32));
    return std::optional(std::move(changes));
  }

  Result<bool> may_have_changed(const Context& ctx, const std::string& pack_id, std::string_view commit_id32,
                                std::string_view path) override {
    TRY_LET(const auto tail, tail_of(ctx, pack_id));
    const Slot* slot = Tail::find(tail->filters, commit_id32);
    if (slot == nullptr) return true;
    TRY_LET(const Frame frame, read_frame(ctx, pack_id, slot->offset, slot->length));
    return detail::filter_may_contain(frame.body, commit_id32, path);
  }

  Result<void> check_pack(const Context& ctx, const std::string& pack_id) override {
    if (!detail::is_pack_id(pack_id)) return Error(Code::kNotFound, "pack", "there is no pack of such a name");
    TRY_LET(const std::string bytes, store_.read(ctx, name_of(pack_id), 0, std::nullopt));
    return detail::check_pack(bytes, pack_id);
  }

  // PackHome
  std::string new_pack_id() override { return base::uuid7(clock_, random_); }
  void set_pending(const std::string& pack_id, std::shared_ptr<detail::PendingPack> pack) override {
    base::Lock lock(mutex_);
    if (pack)
      pending_[pack_id] = std::move(pack);
    else
      pending_.erase(pack_id);
  }
  Result<void> write(const Context& ctx, const std::string& pack_id, std::string_view bytes) override {
    TRY(store_.put(ctx, name_of(pack_id), bytes));
    return {};
  }
  void publish(const NodeId& id, std::shared_ptr<const Node> node) override {
    cache_->put(space_, id, std::move(node));
  }
  std::optional<Location> find_written(const NodeId& id) override {
    base::Lock lock(mutex_);
    const auto it = written_.find(id);
    if (it == written_.end()) return std::nullopt;
    return it->second;
  }
  void remember_written(const NodeId& id, const Location& at) override {
    base::Lock lock(mutex_);
    if (written_.size() >= kWrittenMax) written_.clear();  // forgetting costs bytes, never correctness
    written_.emplace(id, at);
  }

 private:
  block::Name name_of(const std::string& pack_id) const { return block::Name(prefix_ + pack_id); }

  std::shared_ptr<detail::PendingPack> find_pending(const std::string& pack_id) {
    base::Lock lock(mutex_);
    if (pending_.empty()) return nullptr;
    const auto it = pending_.find(pack_id);
    return it == pending_.end() ? nullptr : it->second;
  }

  static Result<std::shared_ptr<const Node>> open_node(const NodeId& id, std::string_view stored) {
    TRY_LET(Frame frame, detail::open_frame(stored));
    if (base::sha256(frame.body) != id) return detail::corrupt("node", "its bytes do not give its id");
    return Node::make(std::move(frame.body), std::move(frame.hints));
  }

  Result<std::string> read_range(const Context& ctx, const std::string& pack_id, uint64_t offset, uint64_t length) {
    if (!detail::is_pack_id(pack_id)) return Error(Code::kNotFound, "pack", "there is no pack of such a name");
    TRY_LET(std::string bytes, store_.read(ctx, name_of(pack_id), offset, length));
    if (bytes.size() != length) return detail::corrupt("pack", "it ends early: pack " + pack_id);
    return bytes;
  }

  Result<Frame> read_frame(const Context& ctx, const std::string& pack_id, uint64_t offset, uint64_t length) {
    TRY_LET(const std::string stored, read_range(ctx, pack_id, offset, length));
    return detail::open_frame(stored);
  }

  Result<std::shared_ptr<const Node>> load_at(const Context& ctx, const NodeId& id, const std::string& pack,
                                              uint64_t offset, uint32_t length) {
    TRY_LET(const std::string stored, read_range(ctx, pack, offset, length));
    return open_node(id, stored);
  }

  Result<std::shared_ptr<const Node>> load_stored(const Context& ctx, const NodeId& id, const Location& at) {
    TRY(ctx.check(clock_));
    auto hinted = load_at(ctx, id, at.pack, at.offset, at.length);
    if (hinted || !means_elsewhere(hinted.error())) return hinted;
    base::log(ctx, base::Level::kWarning, "a node is not where it was said to be; looking in all packs",
              {{"node", id.hex()}, {"pack", at.pack}, {"reason", hinted.error().text()}});
    return search(ctx, id, at, hinted.error());
  }

  /// Looks a node up in the tail indexes of all packs. Cost: linear in the packs; only after a hint failed.
  Result<std::shared_ptr<const Node>> search(const Context& ctx, const NodeId& id, const Location& at,
                                             const Error& why) {
    std::vector<std::string> packs;
    TRY(store_.list(ctx, prefix_, [&](const block::Name& name, const block::Info&) -> Result<void> {
      packs.push_back(name.str().substr(prefix_.size()));
      return {};
    }));
    for (const std::string& pack : packs) {
      TRY(ctx.check(clock_));
      auto tail = tail_of(ctx, pack);
      if (!tail) {
        if (means_elsewhere(tail.error()) || tail.error().code() == Code::kUnsupported) continue;
        return std::move(tail).error();
      }
      const Slot* slot = Tail::find((*tail)->nodes, id.bytes());
      if (slot == nullptr || (pack == at.pack && slot->offset == at.offset && slot->length == at.length)) continue;
      auto found = load_at(ctx, id, pack, slot->offset, slot->length);
      if (found || !means_elsewhere(found.error())) return found;
    }
    return why.wrap(Code::kCorrupt, "node",
                    "node " + id.hex() + " is neither at its place in pack '" + at.pack +
                        "' nor in another pack: restore the pack from a copy, or run a check of the repository");
  }

  /// Errors: kNotFound (no such pack), kCorrupt, kUnsupported.
  Result<std::shared_ptr<const Tail>> tail_of(const Context& ctx, const std::string& pack_id) {
    {
      base::Lock lock(mutex_);
      for (auto it = tails_.begin(); it != tails_.end(); ++it)
        if ((*it)->pack_id == pack_id) {
          tails_.splice(tails_.begin(), tails_, it);
          return tails_.front();
        }
    }
    if (!detail::is_pack_id(pack_id)) return Error(Code::kNotFound, "pack", "there is no pack of such a name");
    TRY_LET(const block::Info info, store_.stat(ctx, name_of(pack_id)));
    const uint64_t take = std::min<uint64_t>(info.size, detail::kTailRead);
    TRY_LET(std::string end, read_range(ctx, pack_id, info.size - take, take));
    if (take < detail::kClosingSize) return detail::corrupt("pack", "it is cut short: pack " + pack_id);
    TRY_LET(const auto closing,
            detail::parse_closing(std::string_view(end).substr(take - detail::kClosingSize), info.size));
    std::string stored;
    if (closing.tail_length + detail::kClosingSize <= take) {
      stored = end.substr(take - detail::kClosingSize - closing.tail_length, closing.tail_length);
    } else {
      TRY_LET(stored, read_range(ctx, pack_id, closing.tail_offset, closing.tail_length));
    }
    TRY_LET(const Frame frame, detail::open_frame(stored));
    TRY_LET(Tail parsed, detail::parse_tail(frame.body));
    if (parsed.pack_id != pack_id)
      return detail::corrupt("pack", "pack " + pack_id + " holds the bytes of pack " + parsed.pack_id);
    auto tail = std::make_shared<const Tail>(std::move(parsed));
    base::Lock lock(mutex_);
    tails_.push_front(tail);
    tail_weight_ += tail->weight();
    while (tail_weight_ > kTailWeightMax && tails_.size() > 1) {
      tail_weight_ -= tails_.back()->weight();
      tails_.pop_back();
    }
    return tail;
  }

  block::Store& store_;
  const std::string prefix_;
  const std::shared_ptr<NodeCache> cache_;
  const uint64_t space_;
  base::Clock& clock_;
  base::Random& random_;
  base::Mutex mutex_;  ///< guards what follows; never held while reading
  std::map<std::string, std::shared_ptr<detail::PendingPack>, std::less<>> pending_;
  std::unordered_map<NodeId, Location, base::DigestHash> written_;
  std::list<std::shared_ptr<const Tail>> tails_;  ///< most recently used first
  size_t tail_weight_ = 0;
};

}  // namespace

std::shared_ptr<Packs> Packs::open(block::Store& store, std::string prefix, std::shared_ptr<NodeCache> cache,
                                   base::Clock& clock, base::Random& random) {
  return std::make_shared<StoredPacks>(store, std::move(prefix), std::move(cache), clock, random);
}

}  // namespace tarn::tree
