// Parsers of stored bytes against random and damaged bytes: an error or a value, never a crash or a read outside.
// Inputs lie in exactly sized heap blocks, so that the address sanitizer sees one byte too many.
#include "tree/detail/change_set.h"
#include "tree/detail/frame.h"
#include "tree/detail/level_writer.h"
#include "tree/detail/pack_file.h"
#include "tree/testing/world.h"

namespace tarn::tree {
namespace {

using testing::Model;
using testing::seeds;
using testing::World;

constexpr int kRounds = 4000;

class Fuzz : public ::testing::Test {
 protected:
  /// Gives `parse` damaged copies of `valid` and plain noise.
  template <class Parse>
  void run(const std::string& valid, Parse parse) {
    for (int i = 0; i < kRounds; ++i) {
      std::string bytes = valid;
      if (w.chance(8)) {
        bytes.assign(w.below(200), '\0');
        w.random.fill(bytes.data(), bytes.size());
        if (w.chance(2)) bytes = valid.substr(0, w.below(48)) + bytes;
      }
      for (size_t n = 1 + w.below(4); n > 0 && !bytes.empty(); --n) damage(bytes);
      const std::unique_ptr<char[]> exact(new char[bytes.size()]);
      std::copy(bytes.begin(), bytes.end(), exact.get());
      parse(std::string_view(exact.get(), bytes.size()));
    }
    parse(std::string_view());
  }

  void damage(std::string& bytes) {
    const size_t at = w.below(bytes.size());
    switch (w.below(6)) {
      case 0:
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << w.below(8)));
        break;
      case 1:
        bytes[at] = static_cast<char>(w.random.u64());
        break;
      case 2:
        bytes[at] = '\xff';
        break;
      case 3:
        bytes.resize(at);
        break;
      case 4:
        bytes.insert(at, w.text(1 + w.below(4)));
        break;
      default:
        bytes.erase(at, 1 + w.below(4));
    }
  }

  std::string leaf_body() {
    detail::Arena arena;
    std::vector<detail::Row> rows;
    for (int i = 0; i < 40; ++i) {
      keys.push_back("path/" + std::to_string(1000 + i));
      entries.push_back(w.entry(keys.back()));
    }
    for (size_t i = 0; i < 40; ++i) {
      detail::Row row = detail::row_of(keys[i], entries[i], arena);
      if (row.metadata.size() > detail::kSpillAbove) {
        row.spill = detail::Spill{NodeId{}, row.metadata.size(), {}};
        row.metadata = {};
        ++spills;
      }
      rows.push_back(std::move(row));
    }
    return detail::encode_leaf(rows);
  }

  World w{17};
  std::deque<std::string> keys;
  std::deque<Entry> entries;
  size_t spills = 0;
};

void use(const Node& node) {
  if (node.kind() == detail::Kind::kMetadata) {
    static_cast<void>(detail::decode_metadata(node.metadata()));
    return;
  }
  const detail::Keys& keys = node.is_leaf() ? node.leaf().keys() : node.internal().keys();
  for (const char* key : {"", "path/1017", "path/1017x", "path/", "q", "\xff"})
    static_cast<void>(keys.lower_bound(key));
  for (uint32_t i = 0; i < node.count() && i < 100; i += 7) static_cast<void>(keys.at(i));
  if (!node.is_leaf()) {
    for (uint32_t i = 0; i < node.count(); ++i) static_cast<void>(node.child(i, {}));
    return;
  }
  for (uint32_t from = 0; from <= node.count(); from += 11) {
    auto walk = node.leaf().walk(from);
    detail::Row row;
    for (uint32_t i = from; walk && i < node.count(); ++i) {
      if (!walk->step(row)) break;
      static_cast<void>(detail::entry_of(row, row.metadata));
      if (row.spill) static_cast<void>(node.spill_location(row.spill->id));
    }
  }
}

TEST_F(Fuzz, Entries) {
  for (int i = 0; i < 8; ++i)
    run(encode_entry(w.entry("k")), [](std::string_view b) { static_cast<void>(decode_entry(b)); });
}

TEST_F(Fuzz, Roots) {
  Root root = empty_root({});
  root.location.pack = "018bcfe5-6800-7342-a469-9d8718b91a08";
  run(root.encode(), [](std::string_view b) { static_cast<void>(Root::decode(b)); });
}

TEST_F(Fuzz, Leaves) {
  const std::string body = leaf_body();
  ASSERT_GT(spills, 0u);
  const std::string hints =
      detail::encode_hints(std::vector<Location>(spills, Location{"pack", 16, 100, Codec::kZstd}));
  run(body, [&](std::string_view b) {
    for (const std::string& h : {std::string(), hints})
      if (const auto node = Node::make(std::string(b), h)) use(**node);
  });
  run(hints, [&](std::string_view b) {
    if (const auto node = Node::make(body, std::string(b))) use(**node);
  });
}

TEST_F(Fuzz, InternalNodes) {
  std::vector<detail::Ref> refs;
  std::vector<Location> at;
  for (int i = 0; i < 50; ++i) {
    at.push_back({"pack" + std::to_string(i % 3), 16u + static_cast<uint64_t>(i), 99, Codec::kLz4});
    refs.push_back({"path/" + std::to_string(1000 + i), NodeId{}, at.back(), 3, 4});
  }
  const std::string body = detail::encode_internal(1, refs), hints = detail::encode_hints(at);
  run(body, [&](std::string_view b) {
    if (const auto node = Node::make(std::string(b), hints)) use(**node);
  });
  run(hints, [&](std::string_view b) {
    if (const auto node = Node::make(body, std::string(b))) use(**node);
  });
}

// The checksum is made to fit again, so that what lies behind it is reached.
TEST_F(Fuzz, Frames) {
  for (const Codec codec : {Codec::kNone, Codec::kZstd, Codec::kLz4}) {
    std::string frame;
    ASSERT_TRUE(detail::append_frame(frame, leaf_body(), "some hints", codec));
    run(frame, [](std::string_view b) {
      static_cast<void>(detail::open_frame(b));
      if (b.size() < 16) return;
      std::string fitting(b.substr(0, b.size() - 16));
      fitting += base::xxh3_128(fitting);
      static_cast<void>(detail::open_frame(fitting));
    });
  }
}

TEST_F(Fuzz, ChangeSetsAndFilters) {
  const std::string id(32, 'c');
  Model left, right;
  w.edits(left, 40);
  right = left;
  w.edits(right, 30);
  const auto changes = testing::model_diff(left, right);
  run(detail::encode_change_set(id, changes),
      [&](std::string_view b) { static_cast<void>(detail::decode_change_set(b, id)); });
  for (const size_t n : {size_t{4}, changes.size()})
    run(detail::encode_filter(id, std::span(changes).subspan(0, n)),
        [&](std::string_view b) { static_cast<void>(detail::filter_may_contain(b, id, "b/")); });
}

TEST_F(Fuzz, TailsAndClosings) {
  detail::Tail tail;
  tail.pack_id = "018bcfe5-6800-7342-a469-9d8718b91a08";
  for (int i = 0; i < 20; ++i) tail.nodes.push_back({std::string(32, 'n'), 16u + 100u * static_cast<uint64_t>(i), 100});
  tail.commits.push_back({std::string(32, 'c'), 9000, 10});
  std::string pack = detail::opening();
  ASSERT_TRUE(detail::append_tail(pack, tail, Codec::kZstd));
  const auto closing = detail::parse_closing(pack.substr(pack.size() - detail::kClosingSize), pack.size());
  ASSERT_TRUE(closing);
  const auto frame = detail::open_frame(std::string_view(pack).substr(closing->tail_offset, closing->tail_length));
  ASSERT_TRUE(frame);
  run(frame->body, [](std::string_view b) { static_cast<void>(detail::parse_tail(b)); });
  run(pack.substr(pack.size() - detail::kClosingSize), [&](std::string_view b) {
    for (const size_t size : {pack.size(), size_t{0}, size_t{48}}) static_cast<void>(detail::parse_closing(b, size));
  });
  run(pack, [&](std::string_view b) { static_cast<void>(detail::check_pack(b, tail.pack_id)); });
}

}  // namespace
}  // namespace tarn::tree
