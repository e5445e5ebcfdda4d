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

/// The same from the trees: changes() knows no change-sets.
std::vector<std::string> by_the_trees(World& w, const Repository& r, const Commit& left, const Commit& right,
                                      const ListQuery& query) {
  std::vector<std::string> lines;
  for (tree::Change& change : must(w.engine->changes(w.ctx, r, left, r, right, query.prefix))) {
    const auto type = change.type == tree::ChangeType::kAdded     ? DiffItem::Type::kAdded
                      : change.type == tree::ChangeType::kRemoved ? DiffItem::Type::kRemoved
                                                                  : DiffItem::Type::kChanged;
    DiffItem item{type, change.key, false, change.left, change.right};
    const size_t cut = query.delimiter.empty() ? std::string::npos : change.key.find('/', query.prefix.size());
    if (cut != std::string::npos) item = {DiffItem::Type::kPrefixChanged, change.key.substr(0, cut + 1), true, {}, {}};
    if (lines.empty() || lines.back() != shown(item)) lines.push_back(shown(item));
  }
  return lines;
}

// Method: random commits, merges among them, each compared with the commits before it.
TEST(Diff, FromChangeSetsIsThatOfTheTrees) {
  for (uint64_t seed = 1; seed <= 12; ++seed) {
    World w(Backend::kMemory, seed);
    const Repository r = w.repository();
    const auto below = [&](uint64_t n) { return w.random.u64() % n; };
    const auto change_some = [&](const std::string& branch, uint64_t count) {
      for (uint64_t i = count; i > 0; --i) {
        const std::string path = "d" + std::to_string(below(12)) + "/" + std::to_string(below(60));
        if (below(4) == 0)
          must(w.engine->stage_removal(w.ctx, r, branch, path));
        else
          w.put(r, branch, path, below(3) == 0 ? "base" : "new" + std::to_string(below(3)));
      }
    };
    for (int i = 0; i < 300; ++i)
      w.put(r, "main", "d" + std::to_string(below(9)) + "/" + std::to_string(below(60)), "base");
    std::vector<Commit> commits = {w.commit(r, "main")};
    for (int step = 0; step < 5; ++step) {
      CommitSpec spec;
      spec.message = "step";
      spec.committer = "tester";
      spec.allow_empty = true;
      if (below(3) == 0) {
        const std::string branch = "b" + std::to_string(step);
        must(w.engine->create_branch(w.ctx, r, branch, "main"));
        change_some(branch, 1 + below(20));
        must(w.engine->commit(w.ctx, r, branch, spec));
        MergeSpec merge;
        merge.commit = spec;
        must(w.engine->merge(w.ctx, r, branch, "main", merge));
        commits.push_back(must(w.engine->resolve(w.ctx, r, "main")).commit);
        continue;
      }
      change_some("main", below(40));
      commits.push_back(must(w.engine->commit(w.ctx, r, "main", spec)));
    }
    for (const auto& [prefix, delimiter] : std::vector<std::pair<std::string, std::string>>{
             {"", ""}, {"", "/"}, {"d1", ""}, {"d1/", "/"}, {"d11/4", ""}, {"zz", ""}, {"d", "/"}}) {
      ListQuery query;
      query.prefix = prefix;
      query.delimiter = delimiter;
      for (size_t from = 0; from < commits.size(); ++from)
        for (size_t to = from; to < commits.size(); ++to)
          for (const DiffType type : {DiffType::kTwoDot, DiffType::kThreeDot})
            EXPECT_EQ(all_pages(w, r, commits[from].id.hex(), commits[to].id.hex(), type, query),
                      by_the_trees(w, r, commits[from], commits[to], query))
                << seed << " '" << prefix << "' '" << delimiter << "' " << from << ".." << to;
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
