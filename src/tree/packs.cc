// The packs of one repository, read: docs/formats/pack.md.
#include <algorithm>
#include <list>
#include <map>

#include "base/ids.h"
#include "base/kill_point.h"
#include "base/log.h"
#include "tree/detail/bundle.h"
#include "tree/detail/change_set.h"
#include "tree/detail/folder.h"
#include "tree/detail/frame.h"
#include "tree/detail/node_cache.h"
#include "tree/detail/pack_file.h"
#include "tree/detail/pack_writer.h"
#include "tree/detail/walk.h"
#include "tree/tree.h"

namespace tarn::tree {
namespace {

using detail::Bundle;
using detail::Frame;
using detail::Slot;
using detail::Tail;

constexpr size_t kWrittenMax = 20'000;       ///< nodes whose place is remembered, about 150 bytes each
constexpr size_t kTailWeightMax = 1u << 16;  ///< index entries kept in memory
constexpr size_t kBundlesMax = 16u << 20;    ///< bytes of opened bundles kept in memory
constexpr int kHopsMax = 64;
constexpr uint64_t kReadAhead = 1u << 20;  ///< bytes of one read
constexpr uint64_t kGapMax = 32u << 10;    ///< bytes between siblings that are read at once
constexpr size_t kHelpers = 1;             ///< threads beside a builder's own, called for long runs only
constexpr size_t kMovedMax = 10'000;       ///< relocations kept in memory
constexpr uint64_t kSmallPack = 8u << 20;  ///< bytes: larger packs are not worth folding

/// Errors that say "not here" rather than "not now".
bool means_elsewhere(const Error& e) {
  return e.code() == Code::kNotFound || e.code() == Code::kInvalid || e.code() == Code::kCorrupt;
}

class StoredPacks final : public Packs,
                          public detail::PackHome,
                          public detail::SiblingReader,
                          public std::enable_shared_from_this<StoredPacks> {
 public:
  StoredPacks(block::Store& store, std::string prefix, std::shared_ptr<NodeCache> cache, base::Clock& clock,
              base::Random& random, Relocations relocations)
      : store_(store),
        prefix_(std::move(prefix) + "packs/"),
        cache_(cache ? std::move(cache) : make_node_cache(0)),
        space_(cache_->next_space()),
        clock_(clock),
        random_(random),
        relocations_(std::move(relocations)) {}

  std::unique_ptr<PackBuilder> begin(Codec codec) override {
    return std::make_unique<detail::PackWriter>(shared_from_this(), codec, detail::kPackSizeMax, kHelpers);
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
    Stretch near;
    for (const Slot& slot : tail->commits) {
      TRY_LET(const Frame frame,
              slot.member == detail::kAlone ? read_near(ctx, *tail, slot, near) : read_slot(ctx, tail->pack_id, slot));
      TRY_LET(std::string id, detail::whole_id('r', slot, frame.body));
      TRY_LET(const std::string_view record, detail::commit_record(frame.body, id));
      commits.push_back({std::move(id), std::string(record)});
    }
    return commits;
  }

  Result<std::optional<std::vector<Change>>> change_set(const Context& ctx, const std::string& pack_id,
                                                        std::string_view commit_id32, uint64_t bytes_max) override {
    TRY_LET(const auto tail, tail_of(ctx, pack_id));
    if (!tail->folded)  // else a slot says the size of its bundle
      for (const Slot& slot : Tail::find(tail->change_sets, commit_id32))
        if (slot.length > bytes_max) return std::optional<std::vector<Change>>{};
    TRY_LET(const auto body, find_part(ctx, *tail, 'c', tail->change_sets, commit_id32));
    if (!body || body->size() > bytes_max) return std::optional<std::vector<Change>>{};
    TRY_LET(std::vector<Change> changes, detail::decode_change_set(*body, commit_id32));
    return std::optional(std::move(changes));
  }

  Result<bool> may_have_changed(const Context& ctx, const std::string& pack_id, std::string_view commit_id32,
                                std::string_view path) override {
    TRY_LET(const auto tail, tail_of(ctx, pack_id));
    TRY_LET(const auto filter, find_part(ctx, *tail, 'f', tail->filters, commit_id32));
    if (filter) return detail::filter_may_contain(*filter, commit_id32, path);
    if (!tail->folded) return true;
    // Folding keeps no filter beside a change-set, which knows better.
    TRY_LET(const auto set, find_part(ctx, *tail, 'c', tail->change_sets, commit_id32));
    if (!set) return true;
    TRY_LET(const std::vector<Change> changes, detail::decode_change_set(*set, commit_id32));
    return std::any_of(changes.begin(), changes.end(), [&](const Change& change) {
      return change.key == path || (path.ends_with('/') && change.key.starts_with(path));
    });
  }

  Result<void> check_pack(const Context& ctx, const std::string& pack_id) override {
    if (!detail::is_pack_id(pack_id)) return Error(Code::kNotFound, "pack", "there is no pack of such a name");
    TRY_LET(const std::string bytes, store_.read(ctx, name_of(pack_id), 0, std::nullopt));
    return detail::check_pack(bytes, pack_id);
  }

  Result<std::vector<PackInfo>> list(const Context& ctx) override {
    std::vector<PackInfo> packs;
    TRY(store_.list(ctx, prefix_, [&](const block::Name& name, const block::Info& info) -> Result<void> {
      std::string id = name.str().substr(prefix_.size());
      if (detail::is_pack_id(id)) packs.push_back({std::move(id), info.size, false});
      return {};
    }));
    std::sort(packs.begin(), packs.end(), [](const PackInfo& a, const PackInfo& b) { return a.id < b.id; });
    for (PackInfo& pack : packs) {
      TRY(ctx.check(clock_));
      const auto folded = is_folded(ctx, pack);
      if (!folded && !means_elsewhere(folded.error()) && folded.error().code() != Code::kUnsupported)
        return folded.error();
      pack.folded = folded && *folded;
    }
    return packs;
  }

  Result<Folded> fold(const Context& ctx, std::span<const std::string> pack_ids, Effort effort) override {
    detail::Folder folder;
    Folded folded;
    for (const std::string& pack : pack_ids) {
      if (folder.full()) break;
      TRY(ctx.check(clock_));
      auto bytes = detail::is_pack_id(pack) ? store_.read(ctx, name_of(pack), 0, std::nullopt)
                                            : Result<std::string>(Error(Code::kNotFound, "pack", "no such pack"));
      if (bytes && bytes->size() > kSmallPack) continue;
      const auto added = bytes ? folder.add(*bytes, pack) : Result<void>(bytes.error());
      if (added) {
        folded.bytes_before += bytes->size();
      } else if (means_elsewhere(added.error()) || added.error().code() == Code::kUnsupported) {
        if (added.error().code() == Code::kCorrupt)
          base::log(ctx, base::Level::kError, "a damaged pack is left as it is: check the repository",
                    {{"pack", pack}, {"reason", added.error().text()}});
      } else {
        return added.error();
      }
    }
    if (folder.packs().size() < 2) return Folded{};
    folded.pack = new_pack_id();
    TRY_LET(const std::string bytes,
            folder.write(folded.pack, effort == Effort::kThorough ? detail::kFoldLevel : detail::kBackgroundFoldLevel));
    TRY(detail::check_pack(bytes, folded.pack));  // what is removed later must be readable here
    folded.bytes_after = bytes.size();
    KILL_POINT("tree.fold.before_write");
    TRY(write(ctx, folded.pack, bytes));
    KILL_POINT("tree.fold.after_write");
    folded.replaced = folder.packs();
    return folded;
  }

  Result<std::vector<std::string>> replaced_by(const Context& ctx, const std::string& folded_pack_id) override {
    TRY_LET(const auto tail, tail_of(ctx, folded_pack_id));
    return tail->replaces;
  }

  Result<void> remove(const Context& ctx, const std::string& pack_id) override {
    if (!detail::is_pack_id(pack_id)) return Error(Code::kNotFound, "pack", "there is no pack of such a name");
    TRY(store_.remove(ctx, name_of(pack_id)));
    base::Lock lock(mutex_);
    for (auto it = tails_.begin(); it != tails_.end(); ++it)
      if ((*it)->pack_id == pack_id) {
        tail_weight_ -= (*it)->weight();
        tails_.erase(it);
        break;
      }
    return {};
  }

  std::vector<detail::NodePtr> read_siblings(const Context& ctx, const Node& parent, uint32_t index,
                                             uint32_t most) override {
    std::vector<Location> places;
    const uint32_t end = std::min<uint32_t>(parent.count(), index + most);
    for (uint32_t i = index; i < end; ++i) {
      Location at = parent.location(i);
      if (at.codec == Codec::kFolded) break;
      if (!places.empty()) {
        const uint64_t behind = places.back().offset + places.back().length;
        if (at.pack != places.front().pack || at.offset < behind || at.offset - behind > kGapMax ||
            at.offset + at.length - places.front().offset > kReadAhead)
          break;
        if (cache_->find(space_, parent.internal().id(i))) break;
      }
      places.push_back(std::move(at));
    }
    if (places.size() < 2 || find_pending(places.front().pack) || moved_before(places.front().pack)) return {};
    const uint64_t from = places.front().offset;
    const auto bytes = read_range(ctx, places.front().pack, from, places.back().offset + places.back().length - from);
    if (!bytes) return {};
    std::vector<detail::NodePtr> nodes;
    for (const Location& at : places) {
      const NodeId id = parent.internal().id(index + static_cast<uint32_t>(nodes.size()));
      auto node = open_node(id, std::string_view(*bytes).substr(at.offset - from, at.length));
      if (!node || (*node)->level() + 1 != parent.level() || (*node)->kind() == detail::Kind::kMetadata) return {};
      cache_->put(space_, id, *node);
      nodes.push_back(std::move(*node));
    }
    return nodes;
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

  /// Bytes of a pack that were read ahead.
  struct Stretch {
    uint64_t offset = 0;
    std::string bytes;
  };
  /// A frame, and what lies behind it when frames are small: who reads many of them in their order asks the store once
  /// a megabyte.
  Result<Frame> read_near(const Context& ctx, const Tail& tail, const Slot& slot, Stretch& near) {
    if (slot.offset < near.offset || slot.offset + slot.length > near.offset + near.bytes.size()) {
      const Slot& last = tail.commits.back();
      const uint64_t end = std::max(last.offset + last.length, slot.offset + slot.length);
      near.offset = slot.offset;
      TRY_LET(near.bytes,
              read_range(ctx, tail.pack_id, slot.offset,
                         std::min<uint64_t>(std::max<uint64_t>(slot.length, kReadAhead), end - slot.offset)));
    }
    return detail::open_frame(std::string_view(near.bytes).substr(slot.offset - near.offset, slot.length));
  }

  /// What a slot of a pack's index names: a frame, or a member of the bundle in it.
  Result<Frame> read_slot(const Context& ctx, const std::string& pack_id, const Slot& slot) {
    if (slot.member == detail::kAlone) return read_frame(ctx, pack_id, slot.offset, slot.length);
    TRY_LET(const auto bundle, bundle_of(ctx, pack_id, slot));
    if (slot.member >= bundle->count())
      return detail::corrupt("pack", "a bundle has fewer members than its index says");
    TRY_LET(std::string body, bundle->body(slot.member));
    return Frame{std::move(body), std::string(bundle->member(slot.member).hints)};
  }

  Result<std::shared_ptr<const Bundle>> bundle_of(const Context& ctx, const std::string& pack_id, const Slot& slot) {
    {
      base::Lock lock(mutex_);
      for (auto it = bundles_.begin(); it != bundles_.end(); ++it)
        if (it->offset == slot.offset && it->pack == pack_id) {
          bundles_.splice(bundles_.begin(), bundles_, it);
          return it->bundle;
        }
    }
    TRY_LET(Frame frame, read_frame(ctx, pack_id, slot.offset, slot.length));
    TRY_LET(auto bundle, Bundle::open(std::move(frame.body)));
    base::Lock lock(mutex_);
    bundles_.push_front({pack_id, slot.offset, bundle});
    bundles_bytes_ += bundle->memory();
    while (bundles_bytes_ > kBundlesMax && bundles_.size() > 1) {
      bundles_bytes_ -= bundles_.back().bundle->memory();
      bundles_.pop_back();
    }
    return bundle;
  }

  /// The body of what a commit has in one of a pack's lists, or nullopt.
  Result<std::optional<std::string>> find_part(const Context& ctx, const Tail& tail, char list,
                                               const std::vector<Slot>& slots, std::string_view commit_id32) {
    for (const Slot& slot : Tail::find(slots, commit_id32)) {
      TRY_LET(Frame frame, read_slot(ctx, tail.pack_id, slot));
      TRY_LET(const std::string id, detail::whole_id(list, slot, frame.body));
      if (id == commit_id32) return std::optional(std::move(frame.body));
    }
    return std::optional<std::string>{};
  }

  Result<std::shared_ptr<const Node>> load_at(const Context& ctx, const NodeId& id, const std::string& pack,
                                              uint64_t offset, uint32_t length) {
    TRY_LET(const std::string stored, read_range(ctx, pack, offset, length));
    return open_node(id, stored);
  }

  /// By the index of a pack. Errors: kNotFound when the pack does not hold the node.
  Result<std::shared_ptr<const Node>> load_indexed(const Context& ctx, const NodeId& id, const std::string& pack) {
    TRY_LET(const auto tail, tail_of(ctx, pack));
    for (const Slot& slot : Tail::find(tail->nodes, id.bytes())) {
      TRY_LET(Frame frame, read_slot(ctx, tail->pack_id, slot));
      if (base::sha256(frame.body) == id) return Node::make(std::move(frame.body), std::move(frame.hints));
    }
    return Error(Code::kNotFound, "node", "pack " + pack + " does not hold it");
  }

  Result<std::shared_ptr<const Node>> load_stored(const Context& ctx, const NodeId& id, const Location& at) {
    TRY(ctx.check(clock_));
    const bool indexed = at.codec == Codec::kFolded || moved_before(at.pack);
    auto hinted = indexed ? load_indexed(ctx, id, at.pack) : load_at(ctx, id, at.pack, at.offset, at.length);
    if (hinted || !means_elsewhere(hinted.error())) return hinted;
    if (!indexed && hinted.error().code() == Code::kNotFound) {
      auto found = load_indexed(ctx, id, at.pack);  // follows relocations
      if (found || !means_elsewhere(found.error())) return found;
    }
    base::log(ctx, base::Level::kWarning, "a node is not where it was said to be; looking in all packs",
              {{"node", id.hex()}, {"pack", at.pack}, {"reason", hinted.error().text()}});
    return search(ctx, id, at, hinted.error());
  }

  bool moved_before(const std::string& pack_id) {
    base::Lock lock(mutex_);
    return moved_.contains(pack_id);
  }

  /// The folded pack that holds what `pack_id` held, or nullopt.
  Result<std::optional<std::string>> relocation(const Context& ctx, const std::string& pack_id) {
    {
      base::Lock lock(mutex_);
      if (const auto it = moved_.find(pack_id); it != moved_.end()) return std::optional(it->second);
    }
    if (!relocations_) return std::optional<std::string>{};
    TRY_LET(auto moved, relocations_(ctx, pack_id));
    if (!moved) return moved;
    base::Lock lock(mutex_);
    if (moved_.size() >= kMovedMax) moved_.clear();
    moved_.emplace(pack_id, *moved);
    return moved;
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
      const auto slots = Tail::find((*tail)->nodes, id.bytes());
      if (slots.empty()) continue;
      if (pack == at.pack && slots[0].offset == at.offset && slots[0].length == at.length) continue;  // tried before
      auto found = load_indexed(ctx, id, pack);
      if (found || !means_elsewhere(found.error())) return found;
    }
    return why.wrap(Code::kCorrupt, "node",
                    "node " + id.hex() + " is neither at its place in pack '" + at.pack +
                        "' nor in another pack: restore the pack from a copy, or run a check of the repository");
  }

  /// The index of a pack, or of the folded pack that stands for it: its pack_id says which.
  /// Errors: kNotFound (no such pack), kCorrupt, kUnsupported.
  Result<std::shared_ptr<const Tail>> tail_of(const Context& ctx, const std::string& pack_id) {
    std::string pack = pack_id;
    for (int hops = 0;; ++hops) {
      // Folded packs are folded again in time, so one relocation may lead to another.
      auto here = moved_before(pack)
                      ? Result<std::shared_ptr<const Tail>>(Error(Code::kNotFound, "pack", "it was folded"))
                      : tail_here(ctx, pack);
      if (here || here.error().code() != Code::kNotFound || hops == kHopsMax) return here;
      TRY_LET(const auto moved, relocation(ctx, pack));
      if (!moved) return here;
      pack = *moved;
    }
  }

  Result<bool> is_folded(const Context& ctx, const PackInfo& pack) {
    if (pack.size < detail::kClosingSize) return false;
    TRY_LET(const std::string end, read_range(ctx, pack.id, pack.size - detail::kClosingSize, detail::kClosingSize));
    TRY_LET(const detail::Closing closing, detail::parse_closing(end, pack.size));
    return closing.folded;
  }

  Result<std::shared_ptr<const Tail>> tail_here(const Context& ctx, const std::string& pack_id) {
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
  const Relocations relocations_;
  base::Mutex mutex_;  ///< guards what follows; never held while reading
  std::map<std::string, std::shared_ptr<detail::PendingPack>, std::less<>> pending_;
  std::unordered_map<NodeId, Location, base::DigestHash> written_;
  std::list<std::shared_ptr<const Tail>> tails_;  ///< most recently used first
  size_t tail_weight_ = 0;
  struct Opened {
    std::string pack;
    uint64_t offset;
    std::shared_ptr<const Bundle> bundle;
  };
  std::list<Opened> bundles_;  ///< most recently used first
  size_t bundles_bytes_ = 0;
  std::unordered_map<std::string, std::string> moved_;  ///< from folded packs to the packs that stand for them
};

}  // namespace

std::shared_ptr<Packs> Packs::open(block::Store& store, std::string prefix, std::shared_ptr<NodeCache> cache,
                                   base::Clock& clock, base::Random& random, Relocations relocations) {
  return std::make_shared<StoredPacks>(store, std::move(prefix), std::move(cache), clock, random,
                                       std::move(relocations));
}

}  // namespace tarn::tree
