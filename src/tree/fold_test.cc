// Folding: fewer and smaller packs, and nothing else changes.
#include "tree/detail/folder.h"
#include "tree/testing/world.h"

namespace tarn::tree {
namespace {

using testing::Model;
using testing::seeds;
using testing::small_nodes;
using testing::World;

std::string commit_id(size_t n) {
  std::string id(32, '\0');
  for (size_t i = 0; i < 32; ++i) id[i] = static_cast<char>((n >> (8 * (i % 8))) + 37 * i);
  return id;
}

/// A history of commits, each with its pack, its map and its change-set.
struct History : World {
  explicit History(uint64_t seed, size_t commits = 40, Parameters p = small_nodes()) : World(seed) {
    Model model;
    Root root = empty_root(p);
    for (size_t n = 0; n < commits; ++n) {
      const Model before = model;
      const auto list = edits(model, n == 0 ? 60 : 1 + below(4));
      const auto builder = packs->begin();
      auto next = apply(ctx, packs, root, list, *builder);
      EXPECT_TRUE(next) << next.error().text();
      root = *next;
      const auto changes = testing::model_diff(before, model);
      builder->add_commit(commit_id(n), "record " + std::to_string(n));
      builder->add_change_set(commit_id(n), changes);
      names.push_back(builder->pack_id());
      EXPECT_TRUE(builder->finish(ctx));
      roots.push_back(root);
      models.push_back(model);
      change_sets.push_back(changes);
    }
  }
  /// Folds all, as versioning does: relocations first, then removal.
  Folded fold_all() {
    const auto folded = packs->fold(ctx, names);
    EXPECT_TRUE(folded) << folded.error().text();
    for (const std::string& pack : folded->replaced) {
      moved[pack] = folded->pack;
      EXPECT_TRUE(packs->remove(ctx, pack));
    }
    return *folded;
  }
  void reopen_with_relocations() {
    packs = Packs::open(store, "repo/", cache = make_node_cache(64 << 20), clock, ids,
                        [this](const Context&, const std::string& pack) -> Result<std::optional<std::string>> {
                          ++asked;
                          const auto it = moved.find(pack);
                          if (it == moved.end()) return std::optional<std::string>{};
                          return std::optional(it->second);
                        });
  }
  void expect_everything() {
    for (size_t n = 0; n < roots.size(); ++n) {
      SCOPED_TRACE("commit " + std::to_string(n));
      ASSERT_TRUE(read_all(roots[n]) == models[n]);
      const auto commits = packs->commits_of(ctx, names[n]);
      ASSERT_TRUE(commits) << commits.error().text();
      const auto found =
          std::find_if(commits->begin(), commits->end(), [&](const PackedCommit& c) { return c.id == commit_id(n); });
      ASSERT_TRUE(found != commits->end());
      ASSERT_EQ(found->record, "record " + std::to_string(n));
      const auto set = packs->change_set(ctx, names[n], commit_id(n));
      ASSERT_TRUE(set && *set);
      ASSERT_EQ((*set)->size(), change_sets[n].size());
      for (size_t i = 0; i < change_sets[n].size(); ++i)
        ASSERT_TRUE(testing::same_change((**set)[i], change_sets[n][i]));
      for (const Change& change : change_sets[n])
        ASSERT_TRUE(*packs->may_have_changed(ctx, names[n], commit_id(n), change.key));
      ASSERT_FALSE(*packs->may_have_changed(ctx, names[n], commit_id(n), "never/this"));
    }
  }
  std::vector<std::string> names;
  std::vector<Root> roots;
  std::vector<Model> models;
  std::vector<std::vector<Change>> change_sets;
  std::map<std::string, std::string> moved;
  int asked = 0;
};

TEST(Folding, KeepsEveryMapRecordAndChangeSet) {
  for (const uint64_t seed : seeds(12)) {
    SCOPED_TRACE("TARN_SEED=" + std::to_string(seed));
    History h(seed);
    const Folded folded = h.fold_all();
    EXPECT_EQ(folded.replaced, h.names);
    EXPECT_LT(folded.bytes_after, folded.bytes_before / 2);
    const auto packs = h.packs->list(h.ctx);
    ASSERT_TRUE(packs);
    ASSERT_EQ(packs->size(), 1u);
    EXPECT_TRUE((*packs)[0].folded);
    EXPECT_EQ((*packs)[0].size, folded.bytes_after);
    EXPECT_TRUE(h.packs->check_pack(h.ctx, folded.pack));
    EXPECT_EQ(*h.packs->replaced_by(h.ctx, folded.pack), h.names);
    h.reopen_with_relocations();
    h.expect_everything();
    EXPECT_LE(h.asked, static_cast<int>(h.names.size())) << "a relocation is asked for once";
  }
}

TEST(Folding, WithoutRelocationsNodesAreFoundByTheIndexes) {
  History h(3);
  h.fold_all();
  h.reopen();
  for (size_t n = 0; n < h.roots.size(); ++n) ASSERT_TRUE(h.read_all(h.roots[n]) == h.models[n]);
}

TEST(Folding, ReadersAndBuildersWhoKnewTheOldPlacesGoOn) {
  History h(4);
  h.reopen_with_relocations();
  h.fold_all();
  h.expect_everything();  // the same Packs: its memory of written nodes names the old packs
  Model model = h.models.back();
  const Root next = h.apply_to(h.roots.back(), h.edits(model, 5));
  EXPECT_TRUE(h.read_all(next) == model);
  h.reopen_with_relocations();
  EXPECT_TRUE(h.read_all(next) == model) << "hints of the new pack name old ones";
  EXPECT_EQ(next.id, h.build_from(model, small_nodes()).id);
}

TEST(Folding, ASecondRoundTakesWhatCameAfterTheFirst) {
  History h(5);
  h.reopen_with_relocations();
  const Folded first = h.fold_all();
  EXPECT_TRUE(h.packs->fold(h.ctx, std::vector{first.pack})->pack.empty()) << "a folded pack stays as it is";
  std::vector<std::string> later;
  Root root = h.roots.back();
  Model model = h.models.back();
  for (int i = 0; i < 10; ++i) {
    root = h.apply_to(root, h.edits(model, 2));
    h.roots.push_back(root);
    h.models.push_back(model);
  }
  const auto packs = h.packs->list(h.ctx);
  ASSERT_TRUE(packs);
  for (const PackInfo& pack : *packs)
    if (!pack.folded) later.push_back(pack.id);
  const std::vector<std::string> earlier = h.names;
  h.names = later;
  const Folded second = h.fold_all();
  EXPECT_EQ(second.replaced, later);
  EXPECT_EQ(h.packs->list(h.ctx)->size(), 2u);
  h.reopen_with_relocations();
  for (size_t n = 0; n < h.roots.size(); ++n) ASSERT_TRUE(h.read_all(h.roots[n]) == h.models[n]);

  // Folded packs are folded again: what named the first packs follows two relocations.
  h.names = {first.pack, second.pack};
  const Folded third = h.fold_all();
  EXPECT_EQ(third.replaced, h.names);
  EXPECT_LT(third.bytes_after, third.bytes_before);
  EXPECT_EQ(h.packs->list(h.ctx)->size(), 1u);
  EXPECT_TRUE(h.packs->check_pack(h.ctx, third.pack));
  h.reopen_with_relocations();
  for (size_t n = 0; n < h.roots.size(); ++n) ASSERT_TRUE(h.read_all(h.roots[n]) == h.models[n]);
  h.names = earlier;
  h.roots.resize(earlier.size());
  h.models.resize(earlier.size());
  h.expect_everything();
}

// Goal: a reader of an unfolded node in the middle of a fold gets it or says why, at every point.
TEST(Folding, EveryStateBetweenReadsTheSame) {
  History h(6, 12);
  h.reopen_with_relocations();
  const auto folded = h.packs->fold(h.ctx, h.names);
  ASSERT_TRUE(folded);
  for (const std::string& pack : folded->replaced) {
    h.expect_everything();
    h.moved[pack] = folded->pack;
    h.expect_everything();
    ASSERT_TRUE(h.packs->remove(h.ctx, pack));
    h.reopen_with_relocations();
    h.expect_everything();
  }
}

TEST(Folding, ADamagedPackIsLeftAlone) {
  History h(7, 6);
  h.store.flip_name = "repo/packs/" + h.names[2];
  h.store.flip_bit = 8 * 40;
  const auto folded = h.packs->fold(h.ctx, h.names);
  ASSERT_TRUE(folded);
  EXPECT_EQ(folded->replaced.size(), 5u);
  EXPECT_EQ(std::count(folded->replaced.begin(), folded->replaced.end(), h.names[2]), 0);
}

TEST(Folding, AStoreThatFailsFoldsNothing) {
  History h(8, 6);
  h.store.fail_puts = true;
  EXPECT_EQ(h.packs->fold(h.ctx, h.names).error().code(), Code::kUnavailable);
  h.store.fail_puts = false;
  for (uint64_t n = 1; n <= 6; ++n) {
    h.store.reads = 0;
    h.store.fail_read_at = n;
    EXPECT_EQ(h.packs->fold(h.ctx, h.names).error().code(), Code::kUnavailable) << n;
  }
  h.store.fail_read_at = 0;
  EXPECT_EQ(h.packs->list(h.ctx)->size(), 6u);
  h.expect_everything();
}

TEST(Folding, OnePackIsNotWorthIt) {
  History h(9, 1);
  EXPECT_TRUE(h.packs->fold(h.ctx, h.names)->pack.empty());
}

// Goal: as for plain packs, no flipped bit of a folded one goes unnoticed.
TEST(Folding, NoFlippedBitGoesUnnoticed) {
  History h(10, 10);
  const Folded folded = h.fold_all();
  const std::string good = *h.memory->read(h.ctx, block::Name("repo/packs/" + folded.pack), 0, std::nullopt);
  ASSERT_TRUE(h.packs->check_pack(h.ctx, folded.pack));
  h.store.flip_name = "repo/packs/" + folded.pack;
  for (uint64_t bit = 0; bit < good.size() * 8; bit += 1 + h.random.u64() % 29) {
    h.store.flip_bit = bit;
    ASSERT_FALSE(h.packs->check_pack(h.ctx, folded.pack)) << "bit " << bit;
  }
  for (uint64_t bit = 0; bit < good.size() * 8; bit += 1 + h.random.u64() % 997) {
    h.store.flip_bit = bit;
    h.reopen_with_relocations();
    for (size_t n = 0; n < h.roots.size(); n += 3) {
      const auto c = cursor(h.packs, h.roots[n]);
      auto want = h.models[n].begin();
      for (;;) {
        const auto item = c->next(h.ctx);
        if (!item) {
          ASSERT_TRUE(item.error().code() == Code::kCorrupt || item.error().code() == Code::kUnsupported)
              << item.error().text();
          break;
        }
        ASSERT_EQ(item->has_value(), want != h.models[n].end());
        if (!*item) break;
        ASSERT_TRUE((*item)->key == want->first && (*item)->entry == want->second) << "bit " << bit;
        ++want;
      }
    }
  }
}

TEST(Folding, ReadsNoMoreThanItsBytesWhateverTheyAre) {
  World w(11);
  for (int i = 0; i < 3000; ++i) {
    std::string body = "TARN";
    body += w.chance(2) ? 'B' : 'D';
    body += std::string("\x01\x01\x00", 3) + w.text(w.below(40));
    for (size_t n = w.below(4); n > 0; --n) body[8 + w.below(body.size() - 7) - 1] = static_cast<char>(w.below(256));
    (void)detail::parse_tail(body);
  }
}

}  // namespace
}  // namespace tarn::tree
