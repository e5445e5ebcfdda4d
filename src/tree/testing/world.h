#pragma once
// What the room's tests share: a store with faults, random entries and keys, a map beside the tree.
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "block/forwarding.h"
#include "block/memory.h"
#include "tree/tree.h"

namespace tarn::tree::testing {

using Model = std::map<std::string, Entry>;

/// Passes everything on; the n-th read can fail, and reads can be changed.
class FaultyStore final : public block::Forwarding {
 public:
  using Forwarding::Forwarding;
  using Forwarding::put;
  Result<block::Stored> put(const Context& ctx, const block::Name& name, block::ByteSource& source) override {
    if (fail_puts) return Error(Code::kUnavailable, "store", "planted: the store does not take it");
    ++puts;
    return inner_.put(ctx, name, source);
  }
  Result<std::string> read(const Context& ctx, const block::Name& name, uint64_t offset,
                           std::optional<uint64_t> length) override {
    ++reads;
    if (fail_read_at != 0 && reads == fail_read_at) return Error(Code::kUnavailable, "store", "planted: no answer");
    auto bytes = inner_.read(ctx, name, offset, length);
    if (bytes && flip_bit && flip_name == name.str()) {
      const uint64_t byte = *flip_bit / 8;
      if (byte >= offset && byte < offset + bytes->size())
        (*bytes)[byte - offset] = static_cast<char>((*bytes)[byte - offset] ^ (1 << (*flip_bit % 8)));
    }
    return bytes;
  }

  uint64_t reads = 0, puts = 0, fail_read_at = 0;
  bool fail_puts = false;
  std::optional<uint64_t> flip_bit;
  std::string flip_name;
};

/// Small nodes, so that few keys make deep trees.
inline Parameters small_nodes(uint64_t seed = 7) { return {seed, 2, 8, 16, 2, 8, 16}; }

class World {
 public:
  explicit World(uint64_t seed) : random(seed) {
    base::configure_log(base::Level::kError, base::LogStyle::kText);
    reopen();
  }
  void reopen() { packs = Packs::open(store, "repo/", cache = make_node_cache(64 << 20), clock, ids); }

  size_t below(size_t n) { return n == 0 ? 0 : random.u64() % n; }
  bool chance(size_t one_in) { return below(one_in) == 0; }
  std::string text(size_t size) {
    std::string out;
    for (size_t i = 0; i < size; ++i) out.push_back(static_cast<char>('a' + below(26)));
    return out;
  }

  Address simple_address(const std::string& key) {
    Address a;
    if (chance(4)) {
      a.kind = AddressKind::kForeign;
      a.uri = chance(3) ? "local:///elsewhere/" + text(below(12)) : "local:///source/" + key;
      a.pin = chance(2) ? "1234:" + std::to_string(below(1000)) : "";
    } else {
      a.partition = chance(3) ? random.u64() : 0xabcdef;
      a.sequence = chance(5) ? random.u64() : below(100'000);
    }
    return a;
  }

  /// Every kind of ETag, address and field turns up.
  Entry entry(const std::string& key) {
    Entry e;
    e.size = chance(10) ? random.u64() : below(1 << 20);
    e.mtime_ms =
        chance(20) ? static_cast<int64_t>(random.u64()) : 1'380'000'000'000 + static_cast<int64_t>(below(1000));
    std::string raw(16, '\0');
    random.fill(raw.data(), raw.size());
    switch (below(6)) {
      case 0:
        e.etag = {EtagKind::kMd5Parts, raw, static_cast<uint32_t>(1 + below(10'000))};
        break;
      case 1:
        e.etag = {EtagKind::kWeak, raw, 0};
        break;
      case 2:
        e.etag = {EtagKind::kOther, text(below(40)), 0};
        break;
      default:
        e.etag = Etag::md5(raw);
    }
    e.content_type = chance(4) ? text(below(20)) : "application/vnd.apache.parquet";
    e.address = simple_address(key);
    if (chance(12)) {
      e.address = {};
      e.address.kind = AddressKind::kManifest;
      for (size_t i = 0, n = below(5); i < n; ++i) {
        e.address.parts.push_back(simple_address(key));
        e.address.part_sizes.push_back(below(1 << 30));
      }
    }
    if (chance(5))
      for (size_t i = 0, n = below(4); i < n; ++i) e.metadata[text(1 + below(8))] = text(below(30));
    if (chance(30)) e.metadata["long"] = text(1000 + below(3000));
    if (chance(6)) e.tagged.push_back({kTagSha256, std::string(32, 's')});
    if (chance(9)) e.tagged.push_back({static_cast<uint32_t>(100 + below(1000)), text(below(10))});
    return e;
  }

  /// Few distinct keys with shared prefixes, awkward bytes, and some long ones.
  std::string key() {
    static const char* const kParts[] = {"a",  "b/", "date=2013-01-", "x", "\xff", std::string_view("\0", 1).data(),
                                         "zz/"};
    std::string out;
    for (size_t i = 0, n = below(5); i < n; ++i) out += kParts[below(std::size(kParts))];
    if (chance(3)) out.push_back('\0');
    out += std::to_string(below(60));
    if (chance(50)) out += std::string(below(700), 'L');
    return out;
  }

  /// Random edits against a model; applies them to it.
  std::vector<Edit> edits(Model& model, size_t count) {
    std::map<std::string, std::optional<Entry>> chosen;
    for (size_t i = 0; i < count; ++i) {
      std::string k = key();
      if (!model.empty() && chance(2)) {
        auto it = model.lower_bound(k);
        if (it == model.end()) it = model.begin();
        k = it->first;
      }
      if (chance(3))
        chosen[k] = std::nullopt;
      else
        chosen[k] = entry(k);
    }
    std::vector<Edit> out;
    for (auto& [k, e] : chosen) {
      if (e)
        put(model, k, *e);
      else
        model.erase(k);
      out.push_back({k, std::move(e)});
    }
    return out;
  }
  /// The rule of apply(): a record of equal identity stays.
  static void put(Model& model, const std::string& key, const Entry& entry) {
    const auto it = model.find(key);
    if (it == model.end())
      model.emplace(key, entry);
    else if (!same_identity(it->second, entry))
      it->second = entry;
  }

  Root build_from(const Model& model, const Parameters& p) {
    auto it = model.begin();
    const auto builder = packs->begin();
    auto root = build(
        ctx, p,
        [&]() -> Result<std::optional<Item>> {
          if (it == model.end()) return std::optional<Item>{};
          Item item{it->first, it->second};
          ++it;
          return std::optional(std::move(item));
        },
        *builder);
    EXPECT_TRUE(root) << root.error().text();
    EXPECT_TRUE(builder->finish(ctx));
    return *root;
  }
  Root apply_to(const Root& root, const std::vector<Edit>& list) {
    const auto builder = packs->begin();
    auto next = apply(ctx, packs, root, list, *builder);
    EXPECT_TRUE(next) << next.error().text();
    const auto finished = builder->finish(ctx);
    EXPECT_TRUE(finished);
    return next ? *next : root;
  }
  Model read_all(const Root& root) {
    Model out;
    const auto c = cursor(packs, root);
    for (;;) {
      auto item = c->next(ctx);
      EXPECT_TRUE(item) << item.error().text();
      if (!item || !*item) break;
      EXPECT_TRUE(out.empty() || out.rbegin()->first < (*item)->key);
      out.emplace((*item)->key, (*item)->entry);
    }
    return out;
  }

  Context ctx;
  base::FakeClock clock;
  base::SeededRandom random, ids{99};
  std::unique_ptr<block::Store> memory = block::make_memory_store(clock);
  FaultyStore store{*memory};
  std::shared_ptr<NodeCache> cache;
  std::shared_ptr<Packs> packs;
};

/// TARN_SEED replays one failing seed.
inline std::vector<uint64_t> seeds(size_t count) {
  if (const char* one = std::getenv("TARN_SEED")) return {std::strtoull(one, nullptr, 10)};
  std::vector<uint64_t> out;
  for (size_t i = 1; i <= count; ++i) out.push_back(i);
  return out;
}

inline std::vector<Change> model_diff(const Model& left, const Model& right) {
  std::vector<Change> out;
  auto l = left.begin();
  auto r = right.begin();
  while (l != left.end() || r != right.end()) {
    if (r == right.end() || (l != left.end() && l->first < r->first)) {
      out.push_back({l->first, ChangeType::kRemoved, l->second, std::nullopt});
      ++l;
    } else if (l == left.end() || r->first < l->first) {
      out.push_back({r->first, ChangeType::kAdded, std::nullopt, r->second});
      ++r;
    } else {
      if (!same_identity(l->second, r->second)) out.push_back({l->first, ChangeType::kChanged, l->second, r->second});
      ++l;
      ++r;
    }
  }
  return out;
}

inline bool same_change(const Change& a, const Change& b) {
  return a.key == b.key && a.type == b.type && a.left == b.left && a.right == b.right;
}

}  // namespace tarn::tree::testing
