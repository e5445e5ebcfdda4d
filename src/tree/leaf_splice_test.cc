// Goal: a leaf with some values replaced has the bytes that its rows give when they are encoded from nothing.
#include "tree/detail/leaf.h"
#include "tree/testing/world.h"

namespace tarn::tree {
namespace {

using detail::Replacement;
using testing::seeds;
using testing::small_nodes;
using testing::World;

/// As one server writes: few types, few partitions, imported files among them.
Entry plain_entry(World& w, const std::string& key) {
  Entry e;
  e.size = w.below(1 << 20);
  e.mtime_ms = 1'380'000'000'000 + static_cast<int64_t>(w.below(100'000));
  e.etag = Etag::md5(w.text(16));
  e.content_type = w.chance(6) ? "text/csv" : "application/vnd.apache.parquet";
  e.address.partition = w.chance(4) ? 7 : 8;
  e.address.sequence = w.below(100'000);
  if (w.chance(3)) {
    e.address = {};
    e.address.kind = AddressKind::kForeign;
    e.address.uri = "local:///source" + std::to_string(w.below(2)) + "/" + key;
  }
  return e;
}

struct Outcome {
  size_t spliced = 0, encoded = 0;
};

void compare(World& w, const std::function<Entry(const std::string&)>& entry, Outcome& outcome) {
  std::map<std::string, Entry> entries;
  for (size_t i = 2 + w.below(80); i > 0; --i) {
    const std::string key = w.key() + std::to_string(i);
    Entry e = entry(key);
    e.metadata.erase("long");
    entries.emplace(key, std::move(e));
  }
  detail::Arena arena;
  std::vector<detail::Row> rows;
  for (const auto& [key, e] : entries) rows.push_back(detail::row_of(key, e, arena));
  const std::string old = detail::encode_leaf(rows);
  const auto leaf = detail::Leaf::parse(old);
  ASSERT_TRUE(leaf);
  std::deque<Entry> fresh;
  std::vector<Replacement> with;
  for (uint32_t i = 0; i < rows.size(); ++i) {
    if (!w.chance(8)) continue;
    const std::string key(rows[i].key);
    Entry& e = fresh.emplace_back(entry(key));
    e.metadata.erase("long");
    with.push_back({i, detail::row_of(entries.find(key)->first, e, arena)});
    rows[i] = with.back().row;
  }
  if (with.empty()) return;
  const std::string expected = detail::encode_leaf(rows);
  const auto got = detail::replace_in_leaf(*leaf, with);
  ASSERT_TRUE(got) << got.error().text();
  EXPECT_EQ(*got, expected);
  const auto spliced = detail::splice_leaf(*leaf, with);
  if (spliced) {
    EXPECT_EQ(*spliced, expected);
  }
  ++(spliced ? outcome.spliced : outcome.encoded);
}

TEST(LeafSplice, GivesTheBytesOfAnEncodedLeaf) {
  Outcome wild, plain;
  for (const uint64_t seed : seeds(40)) {
    World w(seed);
    const auto any = [&](const std::string& key) { return w.entry(key); };
    const auto usual = [&](const std::string& key) { return plain_entry(w, key); };
    for (int i = 0; i < 40; ++i) {
      compare(w, any, wild);
      compare(w, usual, plain);
    }
  }
  EXPECT_GT(wild.encoded, 0u);
  EXPECT_GT(plain.spliced, plain.encoded) << "what a server writes is spliced mostly";
}

TEST(LeafSplice, DamagedLeavesGiveAnErrorAndNoBytes) {
  World w(3);
  std::map<std::string, Entry> entries;
  for (int i = 0; i < 40; ++i) entries.emplace("k" + std::to_string(100 + i), plain_entry(w, "k"));
  detail::Arena arena;
  std::vector<detail::Row> rows;
  for (const auto& [key, e] : entries) rows.push_back(detail::row_of(key, e, arena));
  const std::string whole = detail::encode_leaf(rows);
  const std::vector<Replacement> with = {{5, rows[5]}, {30, rows[30]}};
  for (int i = 0; i < 20'000; ++i) {
    std::string damaged = whole;
    for (size_t n = 1 + w.below(3); n > 0; --n) damaged[w.below(damaged.size())] = static_cast<char>(w.below(256));
    const auto leaf = detail::Leaf::parse(damaged);
    if (leaf) (void)detail::replace_in_leaf(*leaf, with);  // under the sanitizers: no step outside
  }
}

// Method: every way in and out of a leaf that is whole: values only, then a removal, an addition, spilled metadata, the
// first and the last row, edits that change nothing.
TEST(LeafSplice, TreesOfReplacedRowsAreThoseOfABuild) {
  for (const uint64_t seed : seeds(40)) {
    World w(seed);
    std::map<std::string, Entry> model;
    std::vector<Edit> edits;
    for (int i = 0; i < 600; ++i) {
      const std::string key = "k" + std::to_string(1000 + i);
      model[key] = plain_entry(w, key);
      edits.push_back({key, model[key]});
    }
    Root root = w.apply_to(empty_root(small_nodes(seed)), edits);
    for (int round = 0; round < 12; ++round) {
      std::map<std::string, std::optional<Entry>> chosen;
      for (size_t n = 1 + w.below(60); n > 0; --n) {
        const bool known = !w.chance(8);
        const std::string key = known ? std::next(model.begin(), static_cast<ptrdiff_t>(w.below(model.size())))->first
                                      : "k" + std::to_string(1000 + w.below(700)) + w.text(1);
        if (w.chance(20))
          chosen[key] = std::nullopt;
        else if (w.chance(15) && model.contains(key))
          chosen[key] = model[key];
        else
          chosen[key] = w.chance(25) ? w.entry(key) : plain_entry(w, key);
      }
      edits.clear();
      for (const auto& [key, entry] : chosen) {
        edits.push_back({key, entry});
        if (!entry)
          model.erase(key);
        else if (!model.contains(key) || !same_identity(model[key], *entry))
          model[key] = *entry;
      }
      root = w.apply_to(root, edits);
      std::vector<Edit> all;
      for (const auto& [key, entry] : model) all.push_back({key, entry});
      const Root built = w.apply_to(empty_root(small_nodes(seed)), all);
      ASSERT_EQ(root.id, built.id) << "seed " << seed << " round " << round;
      ASSERT_EQ(root.bytes, built.bytes);
      ASSERT_EQ(root.count, model.size());
    }
  }
}

}  // namespace
}  // namespace tarn::tree
