// Goal: a diff to the parent comes from the commit's change-set, and says what the trees say.
#include <gtest/gtest.h>

#include <atomic>

#include "block/forwarding.h"
#include "versioning/testing/world.h"

namespace tarn::versioning {
namespace {

using testing::Backend;
using testing::must;
using testing::World;

class CountingBlocks final : public block::Forwarding {
 public:
  using Forwarding::Forwarding;
  Result<std::string> read(const Context& ctx, const block::Name& name, uint64_t offset,
                           std::optional<uint64_t> length) override {
    bytes += length.value_or(0);
    return inner_.read(ctx, name, offset, length);
  }
  std::atomic<uint64_t> bytes{0};
};

std::string shown(const DiffItem& item) {
  const auto text = [](const auto& entry) { return entry ? entry->etag.text() : std::string("-"); };
  return std::to_string(static_cast<int>(item.type)) + " " + item.path + " " + text(item.left) + " " + text(item.right);
}

std::vector<std::string> all_pages(World& w, const Repository& r, const std::string& left, const std::string& right,
                                   DiffType type, ListQuery query) {
  std::vector<std::string> lines;
  query.amount = 3;
  while (true) {
    const auto page = must(w.engine->diff(w.ctx, r, left, right, type, query));
    for (const DiffItem& item : page.items) lines.push_back(shown(item));
    if (!page.has_more) return lines;
    query.after = page.next_after;
  }
}

// Method: the same maps behind commits without change-sets: a chain in which the second commit undoes nothing, so that
// its grandparent's map is compared by the trees.
TEST(Diff, FromTheChangeSetIsThatOfTheTrees) {
  for (uint64_t seed = 1; seed <= 12; ++seed) {
    World w(Backend::kMemory, seed);
    const Repository r = w.repository();
    const auto below = [&](uint64_t n) { return w.random.u64() % n; };
    for (int i = 0; i < 300; ++i)
      w.put(r, "main", "d" + std::to_string(below(9)) + "/" + std::to_string(below(90)), "base");
    w.commit(r, "main");
    for (int i = 0; i < 60; ++i) {
      const std::string path = "d" + std::to_string(below(12)) + "/" + std::to_string(below(90));
      if (below(4) == 0)
        must(w.engine->stage_removal(w.ctx, r, "main", path));
      else
        w.put(r, "main", path, below(3) == 0 ? "base" : "new");
    }
    const Commit child = w.commit(r, "main");
    ASSERT_FALSE(child.pack.empty());
    const std::string parent = child.parents.front().hex();
    // An empty commit over the child: its map is the child's, and its parent is not `parent`.
    CommitSpec same;
    same.message = "nothing";
    same.committer = "tester";
    same.allow_empty = true;
    const Commit grandchild = must(w.engine->commit(w.ctx, r, "main", same));
    for (const auto& [prefix, delimiter] : std::vector<std::pair<std::string, std::string>>{
             {"", ""}, {"", "/"}, {"d1", ""}, {"d1/", "/"}, {"d11/4", ""}, {"zz", ""}, {"d", "/"}}) {
      ListQuery query;
      query.prefix = prefix;
      query.delimiter = delimiter;
      for (const DiffType type : {DiffType::kTwoDot, DiffType::kThreeDot})
        EXPECT_EQ(all_pages(w, r, parent, child.id.hex(), type, query),
                  all_pages(w, r, parent, grandchild.id.hex(), type, query))
            << seed << " '" << prefix << "' '" << delimiter << "'";
    }
  }
}

// Method: a store that counts, an engine that has read nothing yet.
TEST(Diff, ToTheParentCostsItsChangesAndNotTheTree) {
  World w(Backend::kMemory);
  const Repository r = w.repository();
  std::vector<tree::Edit> edits;
  for (int i = 0; i < 40'000; ++i) edits.push_back({"k" + std::to_string(100'000 + i), testing::entry_of("1")});
  must(w.engine->stage_many(w.ctx, r, "main", edits));
  w.commit(r, "main");
  for (int i = 0; i < 100; ++i) w.put(r, "main", "k" + std::to_string(100'000 + i * 400), "2");
  const Commit child = w.commit(r, "main");
  CountingBlocks counting(*w.blocks);
  const auto engine = must(Engine::open(*w.kv, counting, w.clock, w.random, {}));
  const Resolved at = must(engine->resolve(w.ctx, r, child.id.hex()));
  counting.bytes = 0;
  const auto page = must(engine->diff(w.ctx, r, child.parents.front().hex(), child.id.hex(), DiffType::kTwoDot, {}));
  EXPECT_EQ(page.items.size(), 100u);
  EXPECT_GT(counting.bytes, 0u);
  EXPECT_LT(counting.bytes, 1u << 20) << "the tail of its pack";
  counting.bytes = 0;
  (void)must(engine->diff(w.ctx, r, child.parents.front().hex(), child.id.hex(), DiffType::kTwoDot, {}));
  EXPECT_LT(counting.bytes, 20'000u) << "its change-set";
}

}  // namespace
}  // namespace tarn::versioning
