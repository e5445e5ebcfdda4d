// The checker says yes to what the room writes, and no to a tree that tells one lie with a fitting hash.
#include "tree/detail/boundary.h"
#include "tree/detail/level_writer.h"
#include "tree/testing/world.h"

namespace tarn::tree {
namespace {

using testing::Model;
using testing::small_nodes;
using testing::World;

TEST(Checker, PassesWhatIsWrittenAndReadsSharedNodesOnce) {
  World w(21);
  Model model;
  const Root first = w.apply_to(empty_root(small_nodes()), w.edits(model, 500));
  const auto checker = Checker::make(w.packs);
  size_t seen = 0;
  const auto count = [&](const Item& item) -> Result<void> {
    EXPECT_TRUE(model.at(item.key) == item.entry);
    ++seen;
    return {};
  };
  const auto checked = checker->check(w.ctx, first, count);
  ASSERT_TRUE(checked) << checked.error().text();
  EXPECT_EQ(seen, model.size());
  EXPECT_EQ(checked->entries, model.size());
  const Root second = w.apply_to(first, w.edits(model, 1));
  const auto again = checker->check(w.ctx, second, count);
  ASSERT_TRUE(again) << again.error().text();
  EXPECT_LT(again->nodes, 3 * (second.level + 1)) << "only what is new";
  EXPECT_TRUE(checker->check(w.ctx, empty_root(small_nodes()), count));
}

TEST(Checker, PassesEveryRandomTree) {
  for (const uint64_t seed : testing::seeds(20)) {
    World w(seed);
    Model model;
    Root root = w.apply_to(empty_root(small_nodes(seed)), w.edits(model, w.below(600)));
    root = w.apply_to(root, w.edits(model, w.below(60)));
    const auto checked = Checker::make(w.packs)->check(w.ctx, root, [](const Item&) { return base::ok(); });
    ASSERT_TRUE(checked) << seed << " " << checked.error().text();
  }
}

class Lies : public ::testing::Test {
 protected:
  std::string reason(const Root& root) {
    const auto checked = Checker::make(w.packs)->check(w.ctx, root, [](const Item&) { return base::ok(); });
    if (checked) return "passed";
    EXPECT_EQ(checked.error().code(), Code::kCorrupt);
    return checked.error().message();
  }
  /// Writes a leaf of these keys, wherever its boundary would be.
  detail::Ref leaf(const std::vector<std::string>& keys) {
    std::deque<Entry> entries;
    detail::Arena arena;
    std::vector<detail::Row> rows;
    for (const std::string& key : keys) rows.push_back(detail::row_of(key, entries.emplace_back(), arena));
    return node(detail::encode_leaf(rows), {}, keys.back(), keys.size());
  }
  detail::Ref node(std::string body, const std::vector<Location>& hints, const std::string& last, uint64_t count) {
    detail::Ref ref{last, base::sha256(body), {}, count, 0};
    ref.at = *sink().add_node(w.ctx, ref.id, std::move(body), hints, detail::NodeSink::Keep::kNo);
    return ref;
  }
  detail::Ref parent(const std::vector<detail::Ref>& children) {
    std::vector<Location> hints;
    uint64_t count = 0;
    for (const detail::Ref& child : children) hints.push_back(child.at), count += child.count;
    return node(detail::encode_internal(1, children), hints, children.back().key, count);
  }
  Root root(const detail::Ref& ref, uint32_t level) { return detail::root_of(small_nodes(), ref, level); }
  detail::NodeSink& sink() { return detail::sink_of(*builder); }
  /// Keys that fill one leaf exactly to its boundary, all above `after`.
  std::vector<std::string> full_leaf(const std::string& prefix) {
    detail::Boundary boundary(small_nodes(), 0);
    std::vector<std::string> keys;
    for (int i = 10;; ++i) {
      keys.push_back(prefix + std::to_string(i));
      if (boundary.add(keys.back())) return keys;
    }
  }
  World w{22};
  std::unique_ptr<PackBuilder> builder = w.packs->begin();
};

TEST_F(Lies, AreNamed) {
  const detail::Ref a = leaf(full_leaf("a")), b = leaf(full_leaf("b"));
  EXPECT_EQ(reason(root(parent({a, b}), 1)), "passed");
  EXPECT_NE(reason(root(parent({b, a}), 1)).find("not in order"), std::string::npos);

  detail::Ref wrong = a;
  wrong.count += 1;
  EXPECT_NE(reason(root(parent({wrong, b}), 1)).find("another count"), std::string::npos);
  wrong = a;
  wrong.key += "x";
  EXPECT_NE(reason(root(parent({wrong, b}), 1)).find("another last key"), std::string::npos);
  Root miscounted = root(parent({a, b}), 1);
  miscounted.count += 1;
  EXPECT_NE(reason(miscounted).find("another count"), std::string::npos);
  EXPECT_NE(reason(root(parent({a}), 1)).find("one child"), std::string::npos);

  std::vector<std::string> short_keys = full_leaf("a");
  short_keys.pop_back();
  EXPECT_NE(reason(root(parent({leaf(short_keys), b}), 1)).find("boundary"), std::string::npos);
  std::vector<std::string> long_keys = full_leaf("a");
  long_keys.push_back("azz");
  EXPECT_NE(reason(root(leaf(long_keys), 0)).find("boundary"), std::string::npos);

  EXPECT_NE(reason(root(leaf({"b", "a"}), 0)).find("not in order"), std::string::npos);
  Root level = root(a, 0);
  level.level = 1;
  EXPECT_NE(reason(level).find("level"), std::string::npos);
  Root empty = empty_root(small_nodes());
  empty.id = a.id;
  EXPECT_NE(reason(empty).find("empty"), std::string::npos);
}

}  // namespace
}  // namespace tarn::tree
