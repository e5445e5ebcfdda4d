// Packs: what is written is what is read, and damage never goes unnoticed.
#include "base/executor.h"
#include "tree/detail/node_cache.h"
#include "tree/detail/pack_writer.h"
#include "tree/testing/world.h"

namespace tarn::tree {
namespace {

using testing::Model;
using testing::small_nodes;
using testing::World;

std::string commit_id(int n) {
  std::string id(32, 'c');
  id.back() = static_cast<char>(n);
  return id;
}

struct Fixture : World {
  explicit Fixture(uint64_t seed, size_t keys = 60, Codec codec = Codec::kZstd) : World(seed) {
    edits_of_commit = edits(model, keys);
    const auto builder = packs->begin(codec);
    auto applied = apply(ctx, packs, empty_root(small_nodes()), edits_of_commit, *builder);
    EXPECT_TRUE(applied);
    root = *applied;
    changes = testing::model_diff({}, model);
    builder->add_commit(commit_id(1), "record one");
    builder->add_change_set(commit_id(1), changes);
    builder->add_commit(commit_id(2), "record two");
    pack = builder->pack_id();
    EXPECT_TRUE(builder->finish(ctx));
    reopen();
  }
  block::Name name() const { return block::Name("repo/packs/" + pack); }
  Model model;
  std::vector<Edit> edits_of_commit;
  std::vector<Change> changes;
  Root root;
  std::string pack;
};

TEST(Pack, GivesBackCommitsChangeSetsAndFilters) {
  Fixture f(1);
  EXPECT_EQ(f.root.location.pack, f.pack);
  const auto commits = f.packs->commits_of(f.ctx, f.pack);
  ASSERT_TRUE(commits);
  ASSERT_EQ(commits->size(), 2u);
  EXPECT_EQ((*commits)[0].id, commit_id(1));
  EXPECT_EQ((*commits)[0].record, "record one");
  EXPECT_EQ((*commits)[1].record, "record two");
  const auto set = f.packs->change_set(f.ctx, f.pack, commit_id(1));
  ASSERT_TRUE(set && *set);
  ASSERT_EQ((*set)->size(), f.changes.size());
  for (size_t i = 0; i < f.changes.size(); ++i) EXPECT_TRUE(testing::same_change((**set)[i], f.changes[i]));
  EXPECT_FALSE(*f.packs->change_set(f.ctx, f.pack, commit_id(2)));
  for (const auto& [key, entry] : f.model) EXPECT_TRUE(*f.packs->may_have_changed(f.ctx, f.pack, commit_id(1), key));
  EXPECT_TRUE(*f.packs->may_have_changed(f.ctx, f.pack, commit_id(1), "b/"));
  EXPECT_TRUE(*f.packs->may_have_changed(f.ctx, f.pack, commit_id(2), "without a filter everything may have"));
  int hits = 0;
  for (int i = 0; i < 1000; ++i)
    hits += *f.packs->may_have_changed(f.ctx, f.pack, commit_id(1), "never/" + std::to_string(i)) ? 1 : 0;
  EXPECT_LT(hits, 40) << "one in a hundred is what the filter promises";
  EXPECT_EQ(f.packs->commits_of(f.ctx, "no-such-pack").error().code(), Code::kNotFound);
  EXPECT_TRUE(f.packs->check_pack(f.ctx, f.pack));
}

TEST(Pack, FewChangesHaveAnExactFilter) {
  Fixture f(1);
  const auto builder = f.packs->begin();
  const std::vector<Change> changes = {{"a/b/c", ChangeType::kAdded, std::nullopt, Entry{}}};
  builder->add_commit(commit_id(3), "");
  builder->add_change_set(commit_id(3), changes);
  const std::string pack = builder->pack_id();
  ASSERT_TRUE(builder->finish(f.ctx));
  for (const char* path : {"a/b/c", "a/b/", "a/"})
    EXPECT_TRUE(*f.packs->may_have_changed(f.ctx, pack, commit_id(3), path));
  for (const char* path : {"a/b", "a", "b/", "a/b/c/", ""})
    EXPECT_FALSE(*f.packs->may_have_changed(f.ctx, pack, commit_id(3), path));
}

TEST(Pack, ManyChangesHaveNoChangeSetButAFilter) {
  World w(1);
  std::vector<Change> changes;
  for (int i = 0; i < 1001; ++i)
    changes.push_back({"key" + std::to_string(10'000 + i), ChangeType::kAdded, std::nullopt, Entry{}});
  const auto builder = w.packs->begin();
  builder->add_commit(commit_id(1), "");
  builder->add_change_set(commit_id(1), changes);
  const std::string pack = builder->pack_id();
  ASSERT_TRUE(builder->finish(w.ctx));
  EXPECT_FALSE(*w.packs->change_set(w.ctx, pack, commit_id(1)));
  EXPECT_TRUE(*w.packs->may_have_changed(w.ctx, pack, commit_id(1), "key10500"));
  EXPECT_FALSE(*w.packs->may_have_changed(w.ctx, pack, commit_id(1), "nothing/of/this/"));
}

TEST(Pack, EveryCodecReadsBack) {
  std::vector<uint64_t> sizes;
  for (const Codec codec : {Codec::kNone, Codec::kZstd, Codec::kLz4}) {
    Fixture f(5, 300, codec);
    EXPECT_TRUE(f.read_all(f.root) == f.model);
    EXPECT_TRUE(f.packs->check_pack(f.ctx, f.pack));
    sizes.push_back(f.memory->stat(f.ctx, f.name())->size);
  }
  EXPECT_LT(sizes[1], sizes[0]);
  EXPECT_LT(sizes[2], sizes[0]);
}

// Goal: one flipped bit is an error or changes nothing; a check of the whole pack finds every one.
TEST(Pack, NoFlippedBitGoesUnnoticed) {
  Fixture f(2, 24);
  const uint64_t bits = f.memory->stat(f.ctx, f.name())->size * 8;
  f.store.flip_name = f.name().str();
  uint64_t detected = 0, harmless = 0;
  for (uint64_t bit = f.random.u64() % 7; bit < bits; bit += 1 + f.random.u64() % 13) {
    f.store.flip_bit = bit;
    f.reopen();
    bool error = false;
    const auto c = cursor(f.packs, f.root);
    auto want = f.model.begin();
    for (;;) {
      const auto item = c->next(f.ctx);
      if (!item) {
        EXPECT_TRUE(item.error().code() == Code::kCorrupt) << item.error().text();
        error = true;
        break;
      }
      ASSERT_EQ(item->has_value(), want != f.model.end()) << "bit " << bit;
      if (!*item) break;
      ASSERT_TRUE((*item)->key == want->first && (*item)->entry == want->second) << "bit " << bit;
      ++want;
    }
    const auto commits = f.packs->commits_of(f.ctx, f.pack);
    if (commits) {
      ASSERT_EQ(commits->size(), 2u);
      ASSERT_EQ((*commits)[0].record, "record one");
    }
    const auto set = f.packs->change_set(f.ctx, f.pack, commit_id(1));
    if (set) {
      ASSERT_TRUE(*set && (*set)->size() == f.changes.size());
      for (size_t i = 0; i < f.changes.size(); ++i)
        ASSERT_TRUE(testing::same_change((**set)[i], f.changes[i])) << "bit " << bit;
    }
    const auto maybe = f.packs->may_have_changed(f.ctx, f.pack, commit_id(1), f.model.begin()->first);
    if (maybe) {
      ASSERT_TRUE(*maybe);
    }
    if (error || !commits || !set || !maybe)
      ++detected;
    else
      ++harmless;
    const auto checked = f.packs->check_pack(f.ctx, f.pack);
    ASSERT_FALSE(checked) << "bit " << bit;
  }
  EXPECT_GT(detected, 1000u);
  EXPECT_LT(harmless, detected / 100) << "only the opening is not read every day";
}

// Goal: promise G19. Method: the n-th read of a walk fails, for every n; the walk says so, and goes on afterwards.
TEST(Pack, AFailedReadIsAnErrorAndNeverTheEnd) {
  Fixture f(3, 200);
  for (uint64_t n = 1;; ++n) {
    f.reopen();
    f.store.reads = 0;
    f.store.fail_read_at = n;
    Model got;
    size_t errors = 0;
    const auto c = cursor(f.packs, f.root);
    for (;;) {
      const auto item = c->next(f.ctx);
      if (!item) {
        EXPECT_EQ(item.error().code(), Code::kUnavailable);
        ASSERT_EQ(++errors, 1u);
        continue;
      }
      if (!*item) break;
      got.emplace((*item)->key, (*item)->entry);
    }
    ASSERT_TRUE(got == f.model) << "read " << n;
    if (errors == 0) break;
    ASSERT_LT(n, 10'000u);
  }
}

TEST(Pack, DiffApplyMergeAndTotalsPassReadErrorsOn) {
  Fixture f(3, 200);
  Model right = f.model;
  const auto edits = f.edits(right, 40);
  const Root r = f.apply_to(f.root, edits);
  const auto want = testing::model_diff(f.model, right);
  for (uint64_t n = 1, failed = 1; failed != 0; ++n) {
    failed = 0;
    const auto arm = [&] {
      f.reopen();
      f.store.reads = 0;
      f.store.fail_read_at = n;
    };
    arm();
    std::vector<Change> got;
    const auto changes = diff(f.packs, f.root, r);
    for (;;) {
      const auto change = changes->next(f.ctx);
      if (!change) {
        EXPECT_EQ(change.error().code(), Code::kUnavailable);
        EXPECT_FALSE(changes->next(f.ctx)) << "an error is never the end";
        ++failed;
        break;
      }
      if (!*change) {
        ASSERT_EQ(got.size(), want.size()) << "read " << n;
        break;
      }
      got.push_back(**change);
    }
    arm();
    const auto builder = f.packs->begin();
    if (const auto root = apply(f.ctx, f.packs, f.root, edits, *builder)) {
      ASSERT_EQ(root->id, r.id);
    } else {
      ++failed;
    }
    arm();
    const auto merger = f.packs->begin();
    if (const auto merged = merge(f.ctx, f.packs, f.root, r, f.root, Strategy::kNone, *merger)) {
      ASSERT_EQ(merged->root.id, r.id);
    } else {
      ++failed;
    }
    arm();
    const auto sum = totals(f.ctx, *f.packs, f.root, "b/");
    if (!sum) ++failed;
  }
}

TEST(Pack, ABadHintIsFoundInTheTailIndexes) {
  Fixture f(4, 100);
  for (Location at :
       {Location{"gone", 16, 99, Codec::kZstd}, Location{f.pack, 17, f.root.location.length, Codec::kZstd},
        Location{f.pack, 1u << 30, 10, Codec::kZstd}, Location{"../data/1/2", 0, 10, Codec::kNone}, Location{},
        Location{f.pack, 16, 0, Codec::kZstd}}) {
    f.reopen();
    Root root = f.root;
    root.location = at;
    EXPECT_TRUE(f.read_all(root) == f.model);
  }
}

TEST(Pack, AMissingPackIsCorruptAndNamed) {
  Fixture f(4, 100);
  ASSERT_TRUE(f.memory->remove(f.ctx, f.name()));
  const auto got = get(f.ctx, *f.packs, f.root, "a");
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code(), Code::kCorrupt);
  EXPECT_NE(got.error().message().find(f.pack), std::string::npos);
  EXPECT_EQ(f.packs->commits_of(f.ctx, f.pack).error().code(), Code::kNotFound);
}

TEST(Pack, APackUnderAnotherNameIsRefused) {
  Fixture f(4, 100);
  const std::string bytes = *f.memory->read(f.ctx, f.name(), 0, {});
  ASSERT_TRUE(f.memory->put(f.ctx, block::Name("repo/packs/other"), bytes));
  EXPECT_EQ(f.packs->commits_of(f.ctx, "other").error().code(), Code::kCorrupt);
}

TEST(PackBuilder, NothingIsReadableBeforeItIsWrittenExceptThroughItself) {
  World w(6);
  Model model;
  auto builder = w.packs->begin();
  EXPECT_TRUE(builder->empty());
  const auto first = apply(w.ctx, w.packs, empty_root(small_nodes()), w.edits(model, 100), *builder);
  ASSERT_TRUE(first);
  EXPECT_FALSE(builder->empty());
  // A train: the next commit builds on the one before, in the same pack.
  const auto second = apply(w.ctx, w.packs, *first, w.edits(model, 50), *builder);
  ASSERT_TRUE(second);
  EXPECT_TRUE(w.read_all(*second) == model);
  const auto other = Packs::open(w.store, "repo/", make_node_cache(1 << 20), w.clock, w.ids);
  EXPECT_EQ(get(w.ctx, *other, *second, "a").error().code(), Code::kCorrupt);
  ASSERT_TRUE(builder->finish(w.ctx));
  EXPECT_EQ(w.store.puts, 1u);
  EXPECT_TRUE(get(w.ctx, *other, *second, "a"));
  EXPECT_FALSE(builder->finish(w.ctx));
  builder.reset();
  EXPECT_TRUE(w.read_all(*second) == model);
  EXPECT_EQ(second->id, w.build_from(model, small_nodes()).id);
}

TEST(PackBuilder, AbandonedNodesLeaveNothingBehind) {
  World w(6);
  Model model;
  const Root base = w.apply_to(empty_root(small_nodes()), w.edits(model, 100));
  const auto edits = w.edits(model, 30);
  Root lost;
  {
    const auto builder = w.packs->begin();
    lost = *apply(w.ctx, w.packs, base, edits, *builder);
  }
  EXPECT_EQ(get(w.ctx, *w.packs, lost, "a").error().code(), Code::kCorrupt);
  const Root again = w.apply_to(base, edits);
  EXPECT_EQ(again.id, lost.id);
  EXPECT_TRUE(w.read_all(again) == model);
  w.reopen();
  EXPECT_TRUE(w.read_all(again) == model);
}

TEST(PackBuilder, AFailedWriteMayBeTriedAgain) {
  World w(6);
  Model model;
  const auto builder = w.packs->begin();
  const auto root = apply(w.ctx, w.packs, empty_root(small_nodes()), w.edits(model, 100), *builder);
  builder->add_commit(commit_id(1), "r");
  w.store.fail_puts = true;
  const auto failed = builder->finish(w.ctx);
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code(), Code::kUnavailable);
  w.store.fail_puts = false;
  ASSERT_TRUE(builder->finish(w.ctx));
  w.reopen();
  EXPECT_TRUE(w.read_all(*root) == model);
  EXPECT_EQ(w.packs->commits_of(w.ctx, builder->pack_id())->size(), 1u);
}

TEST(PackBuilder, AnEmptyOneWritesNothing) {
  World w(6);
  ASSERT_TRUE(w.packs->begin()->finish(w.ctx));
  EXPECT_EQ(w.store.puts, 0u);
}

TEST(PackBuilder, ABigBuildFillsSeveralPacks) {
  World w(8);
  Model model;
  const auto edits = w.edits(model, 2000);
  const std::shared_ptr<detail::PackHome> home(w.packs, dynamic_cast<detail::PackHome*>(w.packs.get()));
  detail::PackWriter builder(home, Codec::kZstd, 20'000);
  const auto root = apply(w.ctx, w.packs, empty_root(small_nodes()), edits, builder);
  ASSERT_TRUE(root);
  builder.add_commit(commit_id(1), "r");
  const std::string last = builder.pack_id();
  EXPECT_EQ(root->location.pack, last);
  ASSERT_TRUE(builder.finish(w.ctx));
  EXPECT_GT(w.store.puts, 3u);
  w.reopen();
  EXPECT_TRUE(w.read_all(*root) == model);
  EXPECT_EQ(w.packs->commits_of(w.ctx, last)->size(), 1u);
  ASSERT_TRUE(w.memory->list(w.ctx, "repo/packs/", [&](const block::Name& name, const block::Info& info) {
    EXPECT_LT(info.size, 30'000u);
    return w.packs->check_pack(w.ctx, name.str().substr(11));
  }));
}

TEST(NodeCache, WorksWithNoMemoryAtAll) {
  Fixture f(9, 200);
  f.packs = Packs::open(f.store, "repo/", make_node_cache(0), f.clock, f.ids);
  EXPECT_TRUE(f.read_all(f.root) == f.model);
  Model model = f.model;
  const Root next = f.apply_to(f.root, f.edits(model, 20));
  EXPECT_TRUE(f.read_all(next) == model);
}

TEST(NodeCache, StaysBelowItsLimit) {
  Fixture f(9, 2000);
  const auto cache = make_node_cache(200'000);
  f.packs = Packs::open(f.store, "repo/", cache, f.clock, f.ids);
  EXPECT_TRUE(f.read_all(f.root) == f.model);
  EXPECT_LE(cache->bytes(), 200'000u);
  EXPECT_GT(cache->bytes(), 50'000u);
}

// Goal: two repositories with equal nodes in different packs do not mix up their locations.
TEST(NodeCache, KeepsRepositoriesApart) {
  World w(10);
  const auto cache = make_node_cache(1 << 20);
  const auto a = Packs::open(w.store, "a/", cache, w.clock, w.ids),
             b = Packs::open(w.store, "b/", cache, w.clock, w.ids);
  Model model;
  const auto edits = w.edits(model, 300);
  w.packs = a;
  const Root in_a = w.apply_to(empty_root(small_nodes()), edits);
  w.packs = b;
  const Root in_b = w.apply_to(empty_root(small_nodes()), edits);
  EXPECT_EQ(in_a.id, in_b.id);
  w.store.reads = 0;
  w.packs = a;
  EXPECT_TRUE(w.read_all(in_a) == model);
  const uint64_t reads = w.store.reads;
  w.packs = b;
  EXPECT_TRUE(w.read_all(in_b) == model);
  EXPECT_LE(w.store.reads, 2 * reads) << "no search through tail indexes";
}

TEST(NodeCache, ConcurrentMissesLoadOnce) {
  World w(1);
  NodeCache cache(1 << 20);
  const auto node = *Node::make(detail::encode_leaf({}), {});
  std::atomic<int> loads{0};
  {
    base::ThreadPool pool(8);
    for (int i = 0; i < 64; ++i)
      pool.submit([&] {
        const auto got =
            cache.get(w.ctx, base::system_clock(), 1, NodeId{}, [&]() -> Result<std::shared_ptr<const Node>> {
              ++loads;
              base::system_clock().sleep_ms(20);
              return node;
            });
        EXPECT_TRUE(got && *got == node);
      });
  }
  EXPECT_EQ(loads.load(), 1);
}

TEST(Spill, LongMetadataLiesInItsOwnChunkOnce) {
  World w(11);
  Model model;
  std::vector<Edit> edits;
  for (int i = 0; i < 100; ++i) {
    Entry e = w.entry("k");
    e.metadata = {{"long", std::string(20'000, 'm')}};
    edits.push_back({"k" + std::to_string(1000 + i), e});
    model.emplace(edits.back().key, e);
  }
  const Root root = w.apply_to(empty_root(small_nodes()), edits);
  EXPECT_LT(w.memory->stored_bytes(w.ctx).value(), 60'000u) << "equal metadata is stored once";
  w.reopen();
  EXPECT_TRUE(w.read_all(root) == model);
  // A neighbour's edit keeps the chunk where it is, through a pack that does not hold it.
  Entry other = w.entry("k");
  const Root next = w.apply_to(root, {{"k1050", other}});
  model["k1050"] = other;
  w.reopen();
  EXPECT_TRUE(w.read_all(next) == model);
  EXPECT_EQ(next.id, w.build_from(model, small_nodes()).id);
  Entry touched = model["k1051"];
  touched.mtime_ms += 1;
  EXPECT_EQ(w.apply_to(next, {{"k1051", touched}}).id, next.id) << "identity is known without loading the chunk";
  touched.metadata["long"].back() = 'n';
  const Root changed = w.apply_to(next, {{"k1051", touched}});
  EXPECT_NE(changed.id, next.id);
  const auto d = diff(w.packs, next, changed);
  const auto change = d->next(w.ctx);
  ASSERT_TRUE(change && *change);
  EXPECT_EQ((*change)->key, "k1051");
  EXPECT_FALSE(d->next(w.ctx)->has_value());
}

}  // namespace
}  // namespace tarn::tree
