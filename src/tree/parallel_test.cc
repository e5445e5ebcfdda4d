// Helpers, read-ahead and small caches change the time that things take, and nothing else.
#include "tree/detail/level_writer.h"
#include "tree/detail/node_cache.h"
#include "tree/position.h"
#include "tree/testing/world.h"

namespace tarn::tree {
namespace {

using testing::Model;
using testing::seeds;
using testing::small_nodes;
using testing::World;

/// Keeps packs in memory; ids are counted, so that two homes give the same ones.
class CountingHome final : public detail::PackHome {
 public:
  std::string new_pack_id() override {
    char id[64];
    std::snprintf(id, sizeof id, "00000000-0000-7000-8000-%012zu", ++ids_);
    return id;
  }
  void set_pending(const std::string&, std::shared_ptr<detail::PendingPack>) override {}
  Result<void> write(const Context&, const std::string& id, std::string_view bytes) override {
    base::Lock lock(mutex_);
    if (failing && --*failing < 0) return Error(Code::kUnavailable, "store", "planted");
    ++under_way_;
    changed_.notify_all();
    if (together > 0) changed_.wait(lock, [&] { return under_way_ >= together; });
    packs[id] = bytes;
    order.push_back(id);
    return {};
  }
  void publish(const NodeId&, std::shared_ptr<const Node>) override {}
  std::optional<Location> find_written(const NodeId&) override { return std::nullopt; }
  void remember_written(const NodeId&, const Location&) override {}
  std::map<std::string, std::string> packs;
  std::vector<std::string> order;  ///< in which they were written
  size_t together = 0;             ///< a write waits until so many have begun
  std::optional<int> failing;      ///< so many writes succeed, the others fail

 private:
  size_t ids_ = 0, under_way_ = 0;
  base::Mutex mutex_;
  base::Condition changed_;
};

// Goal: leaves that helpers make give the packs that one thread gives, bit for bit, full packs and spilled metadata
// included.
TEST(Build, IsTheSameWithAnyNumberOfHelpers) {
  for (const uint64_t seed : seeds(4)) {
    World w(seed);
    Model model;
    for (int i = 0; i < 6000; ++i) {
      const std::string key = "k" + std::to_string(w.random.u64() % 100'000'000) + w.text(w.below(20));
      model.emplace(key, w.entry(key));
    }
    std::string first_root;
    std::map<std::string, std::string> first;
    for (const size_t helpers : {0, 1, 3}) {
      const auto home = std::make_shared<CountingHome>();
      detail::PackWriter writer(home, Codec::kZstd, 200'000, helpers);
      auto it = model.begin();
      const auto root = build(
          w.ctx, small_nodes(seed),
          [&]() -> Result<std::optional<Item>> {
            if (it == model.end()) return std::optional<Item>{};
            Item item{it->first, it->second};
            ++it;
            return std::optional(std::move(item));
          },
          writer);
      ASSERT_TRUE(root) << root.error().text();
      ASSERT_TRUE(writer.finish(w.ctx));
      if (helpers == 0) {
        first_root = root->encode();
        first = home->packs;
        EXPECT_GT(first.size(), 2u) << "several packs";
      }
      EXPECT_EQ(root->encode(), first_root) << helpers;
      EXPECT_TRUE(home->packs == first) << helpers;
    }
  }
}

TEST(Build, AnErrorOfTheSourceEndsItWhileHelpersAreAtWork) {
  for (int at : {1, 300, 5000}) {
    detail::PackWriter writer(std::make_shared<CountingHome>(), Codec::kZstd, detail::kPackSizeMax, 2);
    int n = 0;
    const auto root = build(
        {}, small_nodes(),
        [&]() -> Result<std::optional<Item>> {
          if (++n == at) return Error(Code::kCancelled, "request", "planted");
          return std::optional(Item{"k" + std::to_string(100'000 + n), Entry{}});
        },
        writer);
    ASSERT_FALSE(root);
    EXPECT_EQ(root.error().code(), Code::kCancelled);
  }
}

/// A map of `count` entries, in ascending order.
ItemSource counted(int count) {
  return [n = 0, count]() mutable -> Result<std::optional<Item>> {
    if (n == count) return std::optional<Item>{};
    return std::optional(Item{"k" + std::to_string(100'000 + n++), Entry{}});
  };
}

// Goal: full packs are written beside each other while the next is filled, the one with the commits after all others.
// Method: a write does not end before a second one has begun.
TEST(PackFlights, SeveralFullPacksAreWrittenAtOnce) {
  const auto home = std::make_shared<CountingHome>();
  home->together = 2;
  detail::PackWriter writer(home, Codec::kNone, 20'000);
  ASSERT_TRUE(build({}, small_nodes(), counted(20'000), writer));
  writer.add_commit(std::string(32, 'c'), "record");
  ASSERT_TRUE(writer.finish({}));
  ASSERT_GT(home->order.size(), 4u);
  EXPECT_EQ(home->order.back(), writer.pack_id());
}

// Goal: a failed write of a full pack ends the build, and finish() does not say "durable" before that pack is written.
TEST(PackFlights, AFailedWriteComesBackAndIsTriedAgain) {
  const auto home = std::make_shared<CountingHome>();
  home->failing = 1;
  detail::PackWriter writer(home, Codec::kNone, 20'000);
  const auto root = build({}, small_nodes(), counted(50'000), writer);
  ASSERT_FALSE(root);
  EXPECT_EQ(root.error().code(), Code::kUnavailable);
  EXPECT_FALSE(writer.finish({}));
  const size_t written = home->packs.size();
  home->failing.reset();
  ASSERT_TRUE(writer.finish({}));
  EXPECT_GT(home->packs.size(), written + 1) << "those that failed, and the open one";
}

// Goal: positions are those of a plain map. Method: random maps, every kind of key, from both ends.
TEST(Position, CountsAndFindsAsAPlainMap) {
  for (const uint64_t seed : seeds(8)) {
    World w(seed);
    Model model;
    const Root root = w.apply_to(empty_root(small_nodes(seed)), w.edits(model, w.below(500)));
    for (int i = 0; i < 100; ++i) {
      const std::string key = w.chance(20) ? std::string() : w.key();
      Totals want;
      for (auto it = model.begin(); it != model.lower_bound(key); ++it) {
        ++want.count;
        want.bytes += it->second.size;
      }
      const auto got = below(w.ctx, *w.packs, root, key);
      ASSERT_TRUE(got);
      EXPECT_EQ(got->count, want.count) << key;
      EXPECT_EQ(got->bytes, want.bytes) << key;
    }
    uint64_t position = 0;
    for (const auto& [key, entry] : model) {
      const auto item = at_position(w.ctx, *w.packs, root, position++);
      ASSERT_TRUE(item && *item);
      EXPECT_EQ((*item)->key, key);
      EXPECT_TRUE((*item)->entry == entry);
    }
    for (const uint64_t end : {position, position + 1, UINT64_MAX}) {
      const auto none = at_position(w.ctx, *w.packs, root, end);
      ASSERT_TRUE(none);
      EXPECT_FALSE(*none);
    }
  }
}

/// Many leaves below few nodes.
Parameters wide() { return {7, 2, 8, 16, 128, 256, 512}; }

Model many(World& w, int count) {
  Model model;
  for (int i = 0; i < count; ++i) {
    const std::string key = "k" + std::to_string(1'000'000 + i);
    model.emplace(key, w.entry(key));
  }
  return model;
}

// Goal: a scan does not wait for the store leaf by leaf, even when nothing stays in the cache, and a look at one key or
// one page reads what it needs. Method: reads of a cold tree of a thousand leaves are counted.
TEST(Cursor, ReadsSiblingsAhead) {
  World w(3);
  const Model model = many(w, 10'000);
  const Root root = w.build_from(model, wide());
  for (const size_t cache : {size_t{0}, size_t{64} << 20}) {
    const auto cold = [&] { w.packs = Packs::open(w.store, "repo/", make_node_cache(cache), w.clock, w.ids); };
    cold();
    w.store.reads = 0;
    EXPECT_TRUE(w.read_all(root) == model);
    const uint64_t spilled = 10'000 / 25;  // long metadata is read one by one
    EXPECT_LE(w.store.reads, 80 + spilled) << "of more than 1,000 leaves";
    cold();
    w.store.reads = 0;
    const auto c = cursor(w.packs, root);
    ASSERT_TRUE(c->seek(w.ctx, "k1005000"));
    ASSERT_TRUE(c->next(w.ctx));
    EXPECT_LE(w.store.reads, root.level + 2);
  }
}

TEST(Cursor, DamageAheadIsHeardWhenItIsReached) {
  World w(3);
  const Model model = many(w, 2000);
  const Root root = w.build_from(model, wide());
  std::vector<std::string> names;
  ASSERT_TRUE(w.memory->list(w.ctx, "", [&](const block::Name& name, const block::Info&) {
    names.push_back(name.str());
    return base::ok();
  }));
  ASSERT_EQ(names.size(), 1u);
  const uint64_t size = w.memory->stat(w.ctx, block::Name(names[0]))->size;
  w.store.flip_name = names[0];
  w.store.flip_bit = size / 2 * 8;
  w.packs = Packs::open(w.store, "repo/", make_node_cache(0), w.clock, w.ids);
  const auto c = cursor(w.packs, root);
  size_t read = 0;
  auto item = c->next(w.ctx);
  for (; item && *item; item = c->next(w.ctx)) ++read;
  ASSERT_FALSE(item);
  EXPECT_EQ(item.error().code(), Code::kCorrupt);
  EXPECT_GT(read, 100u) << "what lies before it is given";
}

// Goal: a cache far below the tree's size costs time only.
TEST(NodeCache, ATinyOneServesEverything) {
  World w(9);
  Model model = many(w, 20'000);
  Root root = w.build_from(model, Parameters{});
  w.cache = make_node_cache(128 << 10);
  w.packs = Packs::open(w.store, "repo/", w.cache, w.clock, w.ids);
  EXPECT_TRUE(w.read_all(root) == model);
  const Root before = root;
  root = w.apply_to(root, w.edits(model, 500));
  EXPECT_EQ(root.id, w.build_from(model, Parameters{}).id);
  size_t changes = 0;
  const auto changed = diff(w.packs, before, root);
  for (auto c = changed->next(w.ctx); c && *c; c = changed->next(w.ctx)) ++changes;
  EXPECT_GT(changes, 100u);
  for (int i = 0; i < 300; ++i) {
    auto it = model.lower_bound(w.key());
    if (it == model.end()) continue;
    const auto entry = get(w.ctx, *w.packs, root, it->first);
    ASSERT_TRUE(entry && *entry);
    EXPECT_TRUE(**entry == it->second);
  }
  EXPECT_LE(w.cache->bytes(), 128u << 10);
}

}  // namespace
}  // namespace tarn::tree
