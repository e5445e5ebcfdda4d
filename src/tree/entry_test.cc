#include "tree/entry.h"

#include "base/bytes.h"
#include "tree/testing/world.h"

namespace tarn::tree {
namespace {

using testing::World;

TEST(Entry, ComesBackFromItsBytes) {
  World w(1);
  for (int i = 0; i < 3000; ++i) {
    const Entry entry = w.entry(w.key());
    const std::string bytes = encode_entry(entry);
    const auto back = decode_entry(bytes);
    ASSERT_TRUE(back) << back.error().text();
    ASSERT_TRUE(*back == entry);
    ASSERT_EQ(encode_entry(*back), bytes);
  }
  ASSERT_TRUE(*decode_entry(encode_entry({})) == Entry{});
}

TEST(Entry, RefusesNewerVersionsCutBytesAndRests) {
  World w(2);
  std::string bytes = encode_entry(w.entry("k"));
  for (size_t n = 0; n < bytes.size(); ++n) EXPECT_FALSE(decode_entry(bytes.substr(0, n))) << n;
  EXPECT_EQ(decode_entry(bytes + "x").error().code(), Code::kCorrupt);
  bytes[0] = 2;
  const auto newer = decode_entry(bytes);
  ASSERT_FALSE(newer);
  EXPECT_EQ(newer.error().code(), Code::kUnsupported);
  EXPECT_NE(newer.error().message().find("newer version"), std::string::npos);
}

TEST(Entry, TaggedFieldsAreSortedAndTheLastOfATagStays) {
  Entry entry;
  entry.tagged = {{900, "b"}, {3, "a"}, {900, "c"}};
  const auto back = decode_entry(encode_entry(entry));
  ASSERT_TRUE(back);
  EXPECT_EQ(back->tagged, (std::vector<TaggedField>{{3, "a"}, {900, "c"}}));
  EXPECT_EQ(*back->find_tagged(900), "c");
  EXPECT_EQ(back->find_tagged(901), nullptr);
}

TEST(Identity, CoversSizeEtagTypeAndMetadataOnly) {
  World w(3);
  for (int i = 0; i < 300; ++i) {
    const Entry a = w.entry("k");
    Entry b = a;
    b.mtime_ms += 1;
    b.address = w.simple_address("k");
    b.tagged = {{1, "x"}};
    EXPECT_TRUE(same_identity(a, b));
    EXPECT_EQ(identity(a), identity(b));
    const auto differs = [&](auto change) {
      Entry c = a;
      change(c);
      EXPECT_FALSE(same_identity(a, c));
      EXPECT_NE(identity(a), identity(c));
    };
    differs([](Entry& e) { e.size += 1; });
    differs([](Entry& e) { e.etag.bytes += "x"; });
    differs([](Entry& e) { e.etag.kind = e.etag.kind == EtagKind::kMd5 ? EtagKind::kWeak : EtagKind::kMd5; });
    differs([](Entry& e) { e.content_type += "x"; });
    differs([](Entry& e) { e.metadata["key-not-there"] = ""; });
  }
}

// Goal: no two different contents share an identity (lengths are part of it).
TEST(Identity, FieldsDoNotRunIntoEachOther) {
  Entry a, b;
  a.etag = {EtagKind::kOther, "ab", 0};
  a.content_type = "c";
  b.etag = {EtagKind::kOther, "a", 0};
  b.content_type = "bc";
  EXPECT_NE(identity(a), identity(b));
  a = b = {};
  a.metadata = {{"a", "bc"}};
  b.metadata = {{"ab", "c"}};
  EXPECT_NE(identity(a), identity(b));
}

TEST(Etag, TextAndParseAreInverse) {
  const std::string raw = *base::from_hex("00112233445566778899aabbccddeeff");
  const std::string hex = base::to_hex(raw);
  for (const Etag& etag : {Etag::md5(raw), Etag{EtagKind::kMd5Parts, raw, 17}, Etag{EtagKind::kWeak, raw, 0},
                           Etag{EtagKind::kOther, "0x8D4BCC2E4835CD0", 0}, Etag{EtagKind::kOther, "", 0}})
    EXPECT_EQ(Etag::parse(etag.text()), etag) << etag.text();
  EXPECT_EQ(Etag::parse(hex + "-3").parts, 3u);
  for (const std::string& text :
       {hex + "-", hex + "-03", hex + "-0", hex + "-3x", hex + "-99999999999", "AA" + hex.substr(2), hex + "0"}) {
    EXPECT_EQ(Etag::parse(text).kind, EtagKind::kOther) << text;
    EXPECT_EQ(Etag::parse(text).text(), text);
  }
}

}  // namespace
}  // namespace tarn::tree
