// The tree against a plain map: any history, any batching.
#include "tree/testing/world.h"

namespace tarn::tree {
namespace {

using testing::Model;
using testing::model_diff;
using testing::same_change;
using testing::seeds;
using testing::small_nodes;
using testing::World;

std::vector<Change> read_diff(World& w, const Root& left, const Root& right, std::string_view prefix = {},
                              std::string_view from = {}) {
  std::vector<Change> out;
  const auto changes = diff(w.packs, left, right, prefix, from);
  for (;;) {
    auto change = changes->next(w.ctx);
    EXPECT_TRUE(change) << change.error().text();
    if (!change || !*change) break;
    out.push_back(**change);
  }
  return out;
}

void expect_changes(const std::vector<Change>& got, const std::vector<Change>& want) {
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < got.size(); ++i) EXPECT_TRUE(same_change(got[i], want[i])) << i << " " << want[i].key;
}

// Goal: the root depends on the content only.
// Method: random edit histories in batches of any size; after each, the map is rebuilt from scratch and read back.
TEST(Tree, AnyHistoryGivesTheRootOfARebuild) {
  for (const uint64_t seed : seeds(60)) {
    SCOPED_TRACE("TARN_SEED=" + std::to_string(seed));
    World w(seed);
    const Parameters p = small_nodes(w.random.u64());
    Model model;
    Root root = empty_root(p);
    for (int step = 0; step < 12; ++step) {
      const auto edits = w.edits(model, w.chance(3) ? 1 + w.below(400) : 1 + w.below(6));
      root = w.apply_to(root, edits);
      const Root rebuilt = w.build_from(model, p);
      ASSERT_EQ(root.id.hex(), rebuilt.id.hex()) << "step " << step << ", " << model.size() << " keys";
      ASSERT_EQ(root.level, rebuilt.level);
      ASSERT_EQ(root.count, model.size());
      ASSERT_EQ(root.bytes, rebuilt.bytes);
      if (w.chance(3)) w.reopen();
      ASSERT_TRUE(w.read_all(root) == model);
    }
  }
}

TEST(Tree, DeletingEverythingGivesTheEmptyRoot) {
  World w(3);
  const Parameters p = small_nodes();
  Model model;
  Root root = w.apply_to(empty_root(p), w.edits(model, 500));
  std::vector<Edit> removals;
  for (const auto& [key, entry] : model) removals.push_back({key, std::nullopt});
  root = w.apply_to(root, removals);
  EXPECT_EQ(root.id, empty_root(p).id);
  EXPECT_EQ(root.count, 0u);
  EXPECT_EQ(root.level, 0u);
  EXPECT_TRUE(w.read_all(root).empty());
}

TEST(Tree, DeletingOneByOneEndsEmptyInEveryOrder) {
  for (const uint64_t seed : seeds(6)) {
    World w(seed);
    const Parameters p = small_nodes(seed);
    Model model;
    Root root = w.apply_to(empty_root(p), w.edits(model, 150));
    while (!model.empty()) {
      auto it = model.begin();
      if (seed % 3 == 1) it = std::prev(model.end());
      if (seed % 3 == 2) std::advance(it, static_cast<ptrdiff_t>(w.below(model.size())));
      root = w.apply_to(root, {{it->first, std::nullopt}});
      model.erase(it);
      ASSERT_EQ(root.id, w.build_from(model, p).id) << model.size();
    }
    EXPECT_EQ(root.id, empty_root(p).id);
  }
}

TEST(Tree, BatchingDoesNotMatter) {
  for (const uint64_t seed : seeds(10)) {
    World w(seed);
    const Parameters p = small_nodes(seed);
    Model model;
    const auto edits = w.edits(model, 300);
    const Root once = w.apply_to(empty_root(p), edits);
    Root many = empty_root(p);
    for (size_t at = 0; at < edits.size();) {
      const size_t n = std::min(edits.size() - at, 1 + w.below(20));
      many = w.apply_to(many,
                        {edits.begin() + static_cast<ptrdiff_t>(at), edits.begin() + static_cast<ptrdiff_t>(at + n)});
      at += n;
    }
    EXPECT_EQ(once.id, many.id);
  }
}

EditSource source_of(const std::vector<Edit>& edits) {
  return [&edits, at = size_t{0}]() mutable -> Result<std::optional<Edit>> {
    if (at == edits.size()) return std::optional<Edit>{};
    return std::optional(edits[at++]);
  };
}

Root stream_to(World& w, const Root& root, const std::vector<Edit>& edits) {
  const auto builder = w.packs->begin();
  const auto next = apply(w.ctx, w.packs, root, source_of(edits), *builder);
  EXPECT_TRUE(next) << next.error().text();
  EXPECT_TRUE(builder->finish(w.ctx));
  return next ? *next : root;
}

// Goal: edits from a source do what the same edits in a span do, and what a build from scratch does: the whole root is
// equal, level and sums too, for scattered edits, long runs of appended and replaced keys, and cleared ranges.
TEST(Tree, EditsFromASourceGiveTheRootOfASpanAndOfARebuild) {
  for (const uint64_t seed : seeds(40)) {
    SCOPED_TRACE("TARN_SEED=" + std::to_string(seed));
    World w(seed);
    const Parameters p = w.chance(4) ? Parameters{} : small_nodes(seed);
    Model model;
    Root root = empty_root(p);
    for (int step = 0; step < 8; ++step) {
      std::vector<Edit> edits;
      if (w.chance(3)) {  // a range: replaced, cleared, or appended behind all
        const std::string prefix = w.chance(3) ? "\xff\xff" + std::to_string(step) : w.key().substr(0, w.below(3));
        std::map<std::string, std::optional<Entry>> range;
        for (auto it = model.lower_bound(prefix); it != model.end() && it->first.starts_with(prefix); ++it)
          range[it->first] = w.chance(2) ? std::optional(w.entry(it->first)) : std::nullopt;
        if (!w.chance(4))
          for (size_t i = 0, n = w.below(300); i < n; ++i) {
            std::string key = prefix + w.key() + w.text(w.below(3));
            range[key] = w.entry(key);
          }
        for (auto& [key, entry] : range) {
          if (entry)
            World::put(model, key, *entry);
          else
            model.erase(key);
          edits.push_back({key, std::move(entry)});
        }
      } else {
        edits = w.edits(model, w.below(w.chance(2) ? 5 : 200));
      }
      const Root span = w.apply_to(root, edits), streamed = stream_to(w, root, edits), rebuilt = w.build_from(model, p);
      ASSERT_EQ(streamed.id.hex(), rebuilt.id.hex()) << "step " << step << ", " << model.size() << " keys";
      ASSERT_EQ(span.id.hex(), rebuilt.id.hex());
      ASSERT_EQ(std::tuple(streamed.level, streamed.count, streamed.bytes),
                std::tuple(rebuilt.level, rebuilt.count, rebuilt.bytes));
      root = w.chance(2) ? span : streamed;
      if (w.chance(3)) w.reopen();
      ASSERT_TRUE(w.read_all(root) == model);
    }
  }
}

TEST(Tree, AnErrorOfTheSourceComesBackAsItIs) {
  World w(1);
  Model model;
  const Root root = w.apply_to(empty_root(small_nodes()), w.edits(model, 200));
  for (const Root& base : {root, empty_root(small_nodes())}) {
    const auto builder = w.packs->begin();
    int n = 0;
    const auto result = apply(
        w.ctx, w.packs, base,
        [&]() -> Result<std::optional<Edit>> {
          if (++n == 50) return Error(Code::kCancelled, "request", "planted");
          return std::optional(Edit{"k" + std::to_string(1000 + n), Entry{}});
        },
        *builder);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code(), Code::kCancelled);
  }
}

// Goal: what is read and written follows the change, not the map. Method: a cold tree, one key, counted.
TEST(Tree, OneEditReadsAndWritesItsPathOnly) {
  World w(4);
  Model model;
  for (int i = 0; i < 60'000; ++i) model.emplace("k" + std::to_string(i), Entry{});
  const Root root = w.build_from(model, small_nodes());
  w.reopen();
  w.store.reads = 0;
  const uint64_t before = *w.memory->stored_bytes(w.ctx);
  Entry entry;
  entry.size = 5;
  const Root next = w.apply_to(root, {{"k30000", entry}});
  EXPECT_NE(next.id, root.id);
  EXPECT_LE(w.store.reads, 3 * (root.level + 1));
  EXPECT_LE(*w.memory->stored_bytes(w.ctx) - before, 8192u);
}

TEST(Tree, DefaultNodeSizesAreCanonicalToo) {
  World w(5);
  Parameters p;
  p.seed = 11;
  Model model;
  for (int i = 0; i < 20'000; ++i) {
    const std::string key = "data/year=" + std::to_string(i % 7) + "/part-" + std::to_string(i);
    model.emplace(key, w.entry(key));
  }
  Root root = w.build_from(model, p);
  EXPECT_GE(root.level, 1u);
  for (int round = 0; round < 10; ++round) {
    const auto edits = w.edits(model, 30);
    root = w.apply_to(root, edits);
    ASSERT_EQ(root.id, w.build_from(model, p).id);
  }
  EXPECT_TRUE(w.read_all(root) == model);
}

// Keys chosen against the seed: every boundary is at the maximum, or every key is a boundary.
TEST(Tree, ChosenKeysStayCanonicalAndBounded) {
  const Parameters p{42, 4, 16, 48, 4, 16, 48};
  for (const bool boundaries : {false, true}) {
    World w(1);
    Model model;
    for (int i = 0; model.size() < 400; ++i) {
      const std::string key = "k" + std::to_string(i);
      const uint64_t h = base::xxh3_64(key, p.seed);
      if (boundaries ? h % 32 == 0 : h % 2 != 0) model.emplace(key, w.entry(key));
    }
    Root root = w.build_from(model, p);
    for (int i = 0; i < 20; ++i) {
      auto it = model.begin();
      std::advance(it, static_cast<ptrdiff_t>(w.below(model.size())));
      root = w.apply_to(root, {{it->first, std::nullopt}});
      model.erase(it);
      ASSERT_EQ(root.id, w.build_from(model, p).id);
    }
    EXPECT_TRUE(w.read_all(root) == model);
  }
}

TEST(Tree, AnEditOfEqualIdentityKeepsTheRecord) {
  World w(2);
  Model model;
  const Root root = w.apply_to(empty_root(small_nodes()), w.edits(model, 100));
  std::vector<Edit> touched;
  for (const auto& [key, entry] : model) {
    Entry other = entry;
    other.mtime_ms += 5;
    other.address = {};
    other.tagged.clear();
    touched.push_back({key, other});
  }
  EXPECT_EQ(w.apply_to(root, touched).id, root.id);
  EXPECT_EQ(w.apply_to(root, {{"no such key", std::nullopt}}).id, root.id);
}

TEST(Tree, GetFindsWhatIsThereAndNothingElse) {
  for (const uint64_t seed : seeds(10)) {
    World w(seed);
    Model model;
    const Root root = w.apply_to(empty_root(small_nodes(seed)), w.edits(model, 400));
    for (const auto& [key, entry] : model) {
      const auto got = get(w.ctx, *w.packs, root, key);
      ASSERT_TRUE(got && *got);
      ASSERT_TRUE(**got == entry) << key;
    }
    for (int i = 0; i < 500; ++i) {
      const std::string key = w.key();
      const auto got = get(w.ctx, *w.packs, root, key);
      ASSERT_TRUE(got);
      EXPECT_EQ(got->has_value(), model.contains(key));
    }
  }
}

TEST(Cursor, SeeksToTheFirstKeyAtOrAbove) {
  for (const uint64_t seed : seeds(10)) {
    World w(seed);
    Model model;
    const Root root = w.apply_to(empty_root(small_nodes(seed)), w.edits(model, 300));
    const auto c = cursor(w.packs, root);
    for (int i = 0; i < 300; ++i) {
      const std::string key = w.key();
      ASSERT_TRUE(c->seek(w.ctx, key));
      auto want = model.lower_bound(key);
      for (size_t n = 0, steps = w.below(25); n <= steps; ++n) {
        const auto item = c->next(w.ctx);
        ASSERT_TRUE(item);
        ASSERT_EQ(item->has_value(), want != model.end());
        if (!*item) break;
        ASSERT_EQ((*item)->key, want->first);
        ASSERT_TRUE((*item)->entry == want->second);
        ++want;
      }
    }
  }
}

TEST(Totals, EqualTheSumsOverThePrefix) {
  for (const uint64_t seed : seeds(10)) {
    World w(seed);
    Model model;
    const Root root = w.apply_to(empty_root(small_nodes(seed)), w.edits(model, 400));
    for (const std::string& prefix :
         {std::string(), std::string("a"), std::string("b/"), std::string("date=2013-01-"), std::string("\xff"),
          std::string("\xff\xff"), std::string(1, '\0'), std::string("nothing"), w.key(), w.key()}) {
      Totals want;
      for (const auto& [key, entry] : model)
        if (key.starts_with(prefix)) {
          ++want.count;
          want.bytes += entry.size;
        }
      const auto got = totals(w.ctx, *w.packs, root, prefix);
      ASSERT_TRUE(got);
      EXPECT_EQ(got->count, want.count) << prefix;
      EXPECT_EQ(got->bytes, want.bytes) << prefix;
    }
  }
}

TEST(Diff, EqualsTheDifferenceOfTheMaps) {
  for (const uint64_t seed : seeds(40)) {
    SCOPED_TRACE("TARN_SEED=" + std::to_string(seed));
    World w(seed);
    const Parameters p = small_nodes(seed);
    Model left, right;
    const Root l = w.apply_to(empty_root(p), w.edits(left, w.below(500)));
    right = left;
    Root r = l;
    if (w.chance(5)) {
      right.clear();
      r = empty_root(p);
    }
    r = w.apply_to(r, w.edits(right, 1 + w.below(w.chance(2) ? 5 : 200)));
    expect_changes(read_diff(w, l, r), model_diff(left, right));
    expect_changes(read_diff(w, r, l), model_diff(right, left));
    EXPECT_TRUE(read_diff(w, r, r).empty());
    for (int i = 0; i < 12; ++i) {
      const std::string prefix = w.chance(2) ? w.key().substr(0, w.below(4)) : "", from = w.chance(2) ? w.key() : "";
      std::vector<Change> want;
      for (Change& c : model_diff(left, right))
        if (c.key.starts_with(prefix) && c.key >= from) want.push_back(std::move(c));
      expect_changes(read_diff(w, l, r, prefix, from), want);
    }
  }
}

TEST(Diff, WorksAcrossRepositories) {
  World a(1), b(2);
  Model left, right;
  const Root l = a.apply_to(empty_root(small_nodes(1)), a.edits(left, 200));
  const Root r = b.apply_to(empty_root(small_nodes(9)), b.edits(right, 200));
  std::vector<Change> got;
  const auto changes = diff(a.packs, l, b.packs, r);
  for (;;) {
    auto change = changes->next(a.ctx);
    ASSERT_TRUE(change);
    if (!*change) break;
    got.push_back(**change);
  }
  expect_changes(got, model_diff(left, right));
}

// Goal: the cost of a diff follows the change. Method: reads of a cold tree are counted.
TEST(Diff, ReadsOnlyChangedLeaves) {
  World w(4);
  Model left;
  for (int i = 0; i < 5000; ++i) left.emplace("k" + std::to_string(i), w.entry("k"));
  const Root l = w.build_from(left, small_nodes());
  const Root r = w.apply_to(l, {{"k2500", w.entry("k2500")}});
  w.reopen();
  w.store.reads = 0;
  EXPECT_EQ(read_diff(w, l, r).size(), 1u);
  EXPECT_LE(w.store.reads, 2 * (l.level + 1) + 2);
}

struct MergeWant {
  Model result;
  std::vector<std::string> conflicts;
};
MergeWant model_merge(const Model& base, const Model& source, const Model& destination, Strategy strategy) {
  MergeWant want{destination, {}};
  std::map<std::string, int> keys;
  for (const Model* m : {&base, &source, &destination})
    for (const auto& [key, entry] : *m) keys[key] = 1;
  const auto find = [](const Model& m, const std::string& key) {
    const auto it = m.find(key);
    return it == m.end() ? std::optional<Entry>{} : std::optional(it->second);
  };
  const auto same = [](const std::optional<Entry>& a, const std::optional<Entry>& b) { return same_identity(a, b); };
  for (const auto& [key, unused] : keys) {
    const auto b = find(base, key), s = find(source, key), d = find(destination, key);
    if (same(b, s) || same(s, d)) continue;
    if (!same(b, d)) {
      if (strategy == Strategy::kNone) want.conflicts.push_back(key);
      if (strategy != Strategy::kSourceWins) continue;
    }
    if (s)
      World::put(want.result, key, *s);
    else
      want.result.erase(key);
  }
  return want;
}

/// TARN_MERGES: so many merges instead of 120, for a long run; the seeds go on where those of the short run end.
size_t merge_seeds() {
  const char* merges = std::getenv("TARN_MERGES");
  return merges ? (std::strtoull(merges, nullptr, 10) + 2) / 3 : 40;
}

TEST(Merge, EqualsTheMergeOfTheMapsUnderEveryStrategy) {
  size_t merges = 0, refused = 0;
  for (const uint64_t seed : seeds(merge_seeds())) {
    SCOPED_TRACE("TARN_SEED=" + std::to_string(seed));
    if (HasFailure()) return;
    World w(seed);
    const Parameters p = small_nodes(seed);
    Model base, source, destination;
    const Root b = w.apply_to(empty_root(p), w.edits(base, w.below(300)));
    source = destination = base;
    const size_t many = w.chance(4) ? 900 : 80;  // merges of few changes and of many go different ways
    Root s = w.apply_to(b, w.edits(source, w.below(w.chance(2) ? 6 : many)));
    Root d = w.apply_to(b, w.edits(destination, w.below(w.chance(2) ? 6 : 80)));
    if (w.chance(2)) {  // the same change on both sides, with other addresses
      std::vector<Edit> list;
      Model both;
      for (Edit& edit : w.edits(both, 5)) {
        list.push_back(edit);
        if (edit.entry)
          World::put(source, edit.key, *edit.entry);
        else
          source.erase(edit.key);
        if (edit.entry)
          World::put(destination, edit.key, *edit.entry);
        else
          destination.erase(edit.key);
      }
      s = w.apply_to(s, list);
      for (Edit& edit : list)
        if (edit.entry && destination.at(edit.key) == *edit.entry) {
          edit.entry->mtime_ms += 1;
          destination.at(edit.key) = *edit.entry;
        }
      d = w.apply_to(d, list);
      if (w.read_all(d) != destination) destination = w.read_all(d);
    }
    for (const Strategy strategy : {Strategy::kNone, Strategy::kSourceWins, Strategy::kDestinationWins}) {
      const MergeWant want = model_merge(base, source, destination, strategy);
      const auto builder = w.packs->begin();
      auto merged = merge(w.ctx, w.packs, b, s, d, strategy, *builder);
      ASSERT_TRUE(merged) << merged.error().text();
      ++merges;
      refused += !want.conflicts.empty();
      ASSERT_EQ(merged->conflicts.size(), want.conflicts.size());
      for (size_t i = 0; i < want.conflicts.size(); ++i) {
        const Conflict& c = merged->conflicts[i];
        EXPECT_EQ(c.key, want.conflicts[i]);
        EXPECT_EQ(c.source.has_value(), source.contains(c.key));
        if (c.source) {
          EXPECT_TRUE(*c.source == source.at(c.key));
        }
        EXPECT_EQ(c.destination.has_value(), destination.contains(c.key));
        if (c.base) {
          EXPECT_TRUE(*c.base == base.at(c.key));
        }
      }
      if (!want.conflicts.empty()) continue;
      ASSERT_TRUE(builder->finish(w.ctx));
      EXPECT_EQ(merged->root.id, w.build_from(want.result, p).id);
      const auto changed = model_diff(destination, want.result);
      ASSERT_EQ(merged->changes.size(), changed.size());
      for (size_t i = 0; i < changed.size(); ++i) {
        EXPECT_EQ(merged->changes[i].key, changed[i].key);
        EXPECT_EQ(merged->changes[i].type, changed[i].type);
        EXPECT_TRUE(merged->changes[i].right == changed[i].right);
        EXPECT_EQ(merged->changes[i].left.has_value(), changed[i].left.has_value());
        if (changed[i].left) {
          EXPECT_TRUE(same_identity(*merged->changes[i].left, *changed[i].left));
        }
      }
    }
  }
  if (merges > 1000) std::printf("%zu merges, %zu of them with conflicts: all as the maps say\n", merges, refused);
}

TEST(Build, RefusesKeysOutOfOrder) {
  World w(1);
  const auto builder = w.packs->begin();
  int n = 0;
  const auto root = build(
      w.ctx, small_nodes(),
      [&]() -> Result<std::optional<Item>> {
        ++n;
        return std::optional(Item{n == 1 ? "b" : "a", {}});
      },
      *builder);
  ASSERT_FALSE(root);
  EXPECT_EQ(root.error().code(), Code::kInvalid);
  const std::vector<Edit> twice = {{"a", Entry{}}, {"a", Entry{}}};
  EXPECT_EQ(apply(w.ctx, w.packs, empty_root(small_nodes()), twice, *builder).error().code(), Code::kInvalid);
  const std::vector<Edit> long_key = {{std::string(70'000, 'k'), Entry{}}};
  EXPECT_EQ(apply(w.ctx, w.packs, empty_root(small_nodes()), long_key, *builder).error().code(), Code::kInvalid);
}

}  // namespace
}  // namespace tarn::tree
