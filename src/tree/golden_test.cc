// The format does not move: bytes written once are written again, and read.
// TARN_WRITE_GOLDEN=1 writes missing files; a file that is there is never changed.
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/bytes.h"
#include "base/testing/test_data.h"
#include "tree/detail/frame.h"
#include "tree/detail/level_writer.h"
#include "tree/detail/pack_writer.h"
#include "tree/testing/world.h"

namespace tarn::tree {
namespace {

using testing::Model;
using testing::World;

std::filesystem::path data_folder() { return base::testing::test_data() / "tree"; }

std::string read_golden(const std::string& name) {
  std::ifstream in(data_folder() / name, std::ios::binary);
  std::stringstream out;
  out << in.rdbuf();
  return out.str();
}

void expect_golden(const std::string& name, const std::string& bytes) {
  const auto path = data_folder() / name;
  if (!std::filesystem::exists(path) && std::getenv("TARN_WRITE_GOLDEN") != nullptr) {
    std::filesystem::create_directories(data_folder());
    std::ofstream(path, std::ios::binary) << bytes;
  }
  const std::string want = read_golden(name);
  ASSERT_FALSE(want.empty()) << path << " is missing: run from below the source folder";
  EXPECT_EQ(base::to_hex(bytes), base::to_hex(want)) << name << " is written differently: the format is final";
}

std::string raw16(int n) {
  std::string out(16, '\0');
  for (int i = 0; i < 16; ++i) out[static_cast<size_t>(i)] = static_cast<char>(n * 16 + i);
  return out;
}

Entry entry_of(int i) {
  Entry e;
  e.size = static_cast<uint64_t>(i) * 1000 + 7;
  e.mtime_ms = 1'380'585'600'000 + i * 60'000 - (i % 3) * 100'000'000;
  e.etag = Etag::md5(raw16(i));
  if (i % 5 == 1) e.etag = {EtagKind::kMd5Parts, raw16(i), static_cast<uint32_t>(i + 1)};
  if (i % 5 == 2) e.etag = {EtagKind::kWeak, raw16(i), 0};
  if (i % 5 == 3) e.etag = {EtagKind::kOther, "etag-" + std::to_string(i), 0};
  e.content_type = i % 4 == 0 ? "text/csv" : "application/vnd.apache.parquet";
  e.address.partition = i % 6 == 0 ? 0xfedcba9876543210u : 0x0123456789abcdefu;
  e.address.sequence = 1000 + static_cast<uint64_t>(i) * 3;
  if (i % 7 == 3)
    e.address = {AddressKind::kForeign, 0, 0, "local:///data/part-" + std::to_string(100 + i), "1:2", {}, {}};
  if (i % 11 == 5) {
    Address own, foreign{AddressKind::kForeign, 0, 0, "local:///other", "", {}, {}};
    own.partition = 5;
    own.sequence = 6;
    e.address = {AddressKind::kManifest, 0, 0, "", "", {own, foreign}, {10, 20}};
  }
  if (i % 8 == 2) e.metadata = {{"owner", "ops"}, {"x", ""}};
  if (i == 12) e.metadata = {{"long", std::string(1500, 'm')}};
  if (i % 9 == 4) e.tagged = {{kTagSha256, std::string(32, 's')}, {77, "kept"}};
  return e;
}

std::string key_of(int i) {
  return "flights/date=2013-10-0" + std::to_string(i / 10) + "/part-" + std::to_string(100 + i);
}

Model golden_model() {
  Model model;
  for (int i = 0; i < 100; ++i) model.emplace(key_of(i), entry_of(i));
  return model;
}

constexpr Parameters kParameters{20130101, 4, 8, 12, 2, 8, 8};
const std::string kPackId = "01410000-0000-7000-8000-000000000001";
const std::string kCommit = "0123456789abcdef0123456789abcdef";

/// Keeps the pack in memory, under a fixed name.
class GoldenHome final : public detail::PackHome {
 public:
  std::string new_pack_id() override { return kPackId; }
  void set_pending(const std::string&, std::shared_ptr<detail::PendingPack>) override {}
  Result<void> write(const Context&, const std::string&, std::string_view bytes) override {
    pack = bytes;
    return {};
  }
  void publish(const NodeId& id, std::shared_ptr<const Node> node) override { nodes.emplace_back(id, std::move(node)); }
  std::optional<Location> find_written(const NodeId&) override { return std::nullopt; }
  void remember_written(const NodeId&, const Location&) override {}
  std::string pack;
  std::vector<std::pair<NodeId, std::shared_ptr<const Node>>> nodes;
};

struct Written {
  Root root;
  std::string pack;
  std::shared_ptr<const Node> leaf, internal;
};

Written write_pack(Codec codec) {
  const Context ctx;
  const auto home = std::make_shared<GoldenHome>();
  detail::PackWriter writer(home, codec, detail::kPackSizeMax);
  const Model model = golden_model();
  const detail::Target target{ctx, writer, kParameters, detail::NodeSink::Keep::kYes};
  std::vector<detail::Ref> refs;
  detail::LeafWriter leaves(target, [&](detail::Ref ref) {
    refs.push_back(std::move(ref));
    return base::ok();
  });
  for (const auto& [key, entry] : model) EXPECT_TRUE(leaves.add(detail::row_of(key, entry, leaves.arena())));
  EXPECT_TRUE(leaves.flush());
  Written out;
  detail::Tower tower(target, 0);
  for (detail::Ref& ref : refs) EXPECT_TRUE(tower.add(std::move(ref)));
  out.root = **tower.finish();
  writer.add_commit(kCommit, "a commit record");
  std::vector<Change> changes;
  for (int i = 0; i < 12; ++i) {
    const bool added = i % 3 != 1, removed = i % 3 != 0;
    Change change{key_of(i), ChangeType::kChanged, std::nullopt, std::nullopt};
    if (removed) change.left = entry_of(i);
    if (added) change.right = entry_of(i + 1);
    changes.push_back(std::move(change));
  }
  writer.add_change_set(kCommit, changes);
  EXPECT_TRUE(writer.finish(ctx));
  out.pack = home->pack;
  for (const auto& [id, node] : home->nodes) {
    if (node->is_leaf() && node->hint_bytes().size() > 0) out.leaf = node;
    if (node->kind() == detail::Kind::kInternal) out.internal = node;
  }
  return out;
}

TEST(Golden, EntriesAreWrittenAsEver) {
  std::string all;
  for (int i = 0; i < 40; ++i) {
    const std::string bytes = encode_entry(entry_of(i));
    all.push_back(static_cast<char>(bytes.size() & 0xff));
    all.push_back(static_cast<char>(bytes.size() >> 8));
    all.append(bytes);
  }
  expect_golden("entries-v1.bin", all);
  const std::string stored = read_golden("entries-v1.bin");
  size_t at = 0;
  for (int i = 0; i < 40; ++i) {
    const size_t size =
        static_cast<unsigned char>(stored.at(at)) + 256u * static_cast<unsigned char>(stored.at(at + 1));
    const auto entry = decode_entry(std::string_view(stored).substr(at + 2, size));
    ASSERT_TRUE(entry);
    EXPECT_TRUE(*entry == entry_of(i));
    at += 2 + size;
  }
}

TEST(Golden, NodesAndRootAreWrittenAsEver) {
  const Written w = write_pack(Codec::kNone);
  ASSERT_TRUE(w.leaf && w.internal);
  EXPECT_EQ(w.root.level, 2u);
  expect_golden("leaf-v1.bin", std::string(w.leaf->body()));
  expect_golden("leaf-hints-v1.bin", std::string(w.leaf->hint_bytes()));
  expect_golden("internal-v1.bin", std::string(w.internal->body()));
  expect_golden("internal-hints-v1.bin", std::string(w.internal->hint_bytes()));
  expect_golden("root-v1.bin", w.root.encode());
  EXPECT_EQ(base::to_hex(empty_root(kParameters).encode()), base::to_hex(read_golden("root-empty-v1.bin")));
}

TEST(Golden, TheEmptyMapHasItsRoot) {
  expect_golden("root-empty-v1.bin", empty_root(kParameters).encode());
  EXPECT_EQ(empty_root({}).id.hex(),
            base::sha256_hex(std::string("TARNL\x01\x01\x00\x00\x00\x00\x00\x03", 13) + std::string(30, '\0')));
}

TEST(Golden, ThePackIsWrittenAsEver) { expect_golden("pack-none-v1.bin", write_pack(Codec::kNone).pack); }

// Compressed bytes may differ between versions of the libraries: only reading is fixed.
TEST(Golden, OldPacksOpen) {
  const Written written = write_pack(Codec::kNone);
  for (const auto& [name, codec] :
       {std::pair("pack-none-v1.bin", Codec::kNone), std::pair("pack-zstd-v1.bin", Codec::kZstd),
        std::pair("pack-lz4-v1.bin", Codec::kLz4)}) {
    if (read_golden(name).empty()) expect_golden(name, write_pack(codec).pack);
    World w(1);
    ASSERT_TRUE(w.memory->put(w.ctx, block::Name("repo/packs/" + kPackId), read_golden(name)));
    const auto decoded = Root::decode(read_golden("root-v1.bin"));
    ASSERT_TRUE(decoded);
    Root root = *decoded;
    EXPECT_EQ(root.id, written.root.id);
    EXPECT_TRUE(root.parameters == kParameters);
    EXPECT_TRUE(w.read_all(root) == golden_model()) << name;
    EXPECT_TRUE(w.packs->check_pack(w.ctx, kPackId)) << name;
    const auto commits = w.packs->commits_of(w.ctx, kPackId);
    ASSERT_TRUE(commits);
    EXPECT_EQ(commits->at(0).record, "a commit record");
    const auto set = w.packs->change_set(w.ctx, kPackId, kCommit);
    ASSERT_TRUE(set && *set);
    ASSERT_EQ((*set)->size(), 12u);
    EXPECT_EQ((**set)[0].type, ChangeType::kAdded);
    EXPECT_EQ((**set)[1].type, ChangeType::kRemoved);
    EXPECT_TRUE((**set)[2].type == ChangeType::kChanged && *(**set)[2].left == entry_of(2));
    EXPECT_TRUE(*w.packs->may_have_changed(w.ctx, kPackId, kCommit, "flights/date=2013-10-00/"));
  }
}

TEST(Golden, NewerVersionsAreRefusedByName) {
  const std::string leaf = read_golden("leaf-v1.bin");
  for (const auto& [at, what] :
       {std::pair<size_t, std::string>(5, "node format version"), {6, "hash algorithm"}, {4, "kind"}}) {
    std::string newer = leaf;
    newer[at] = at == 4 ? 'Z' : 9;
    const auto node = Node::make(newer, {});
    ASSERT_FALSE(node);
    EXPECT_EQ(node.error().code(), Code::kUnsupported);
    EXPECT_NE(node.error().message().find(what), std::string::npos) << node.error().message();
  }
  std::string root = read_golden("root-v1.bin");
  root[0] = 9;
  EXPECT_EQ(Root::decode(root).error().code(), Code::kUnsupported);
}

TEST(Root, ComesBackFromItsBytes) {
  const Root root = write_pack(Codec::kZstd).root;
  const auto back = Root::decode(root.encode());
  ASSERT_TRUE(back);
  EXPECT_EQ(back->id, root.id);
  EXPECT_TRUE(back->location == root.location && back->parameters == root.parameters);
  EXPECT_EQ(back->level, root.level);
  EXPECT_EQ(back->count, root.count);
  EXPECT_EQ(back->bytes, root.bytes);
  Root bad = root;
  bad.parameters.node_min = 1;
  EXPECT_EQ(Root::decode(bad.encode()).error().code(), Code::kCorrupt);
}

}  // namespace
}  // namespace tarn::tree
