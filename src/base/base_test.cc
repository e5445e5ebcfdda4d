#include <gtest/gtest.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/disk.h"
#include "base/executor.h"
#include "base/hash.h"
#include "base/ids.h"
#include "base/json.h"
#include "base/metrics.h"
#include "base/random.h"
#include "base/secret.h"
#include "base/yaml.h"

namespace tarn::base {
namespace {

TEST(Bytes, VarintsRoundTripAtTheirLimits) {
  ByteWriter w;
  for (const uint64_t v : {uint64_t{0}, uint64_t{127}, uint64_t{128}, ~uint64_t{0}}) w.varint(v);
  w.varint_signed(-5);
  ByteReader r(w.str());
  EXPECT_EQ(*r.varint(), 0u);
  EXPECT_EQ(*r.varint(), 127u);
  EXPECT_EQ(*r.varint(), 128u);
  EXPECT_EQ(*r.varint(), ~uint64_t{0});
  EXPECT_EQ(*r.varint_signed(), -5);
  EXPECT_TRUE(r.empty());
  EXPECT_EQ(r.varint().error().code(), Code::kCorrupt);
}

TEST(Bytes, Base64AndHexRoundTrip) {
  for (const std::string text : {"", "a", "ab", "abc", "abcd"}) {
    EXPECT_EQ(*from_base64(to_base64(text)), text);
    EXPECT_EQ(*from_base64url(to_base64url(text)), text);
    EXPECT_EQ(*from_hex(to_hex(text)), text);
  }
  EXPECT_FALSE(from_hex("0g"));
  EXPECT_FALSE(from_base64("a?=="));
}

TEST(Bytes, Utf8RefusesOverlongAndSurrogates) {
  EXPECT_TRUE(is_utf8("Zürich \xf0\x9f\x98\x80"));
  EXPECT_FALSE(is_utf8("\xc0\x80"));
  EXPECT_FALSE(is_utf8("\xed\xa0\x80"));
  EXPECT_FALSE(is_utf8("\xff"));
}

TEST(Clock, DatesRoundTripInEveryForm) {
  const WallMs ms = *parse_rfc3339("2013-11-03T06:00:00.250Z");
  EXPECT_EQ(rfc3339(ms), "2013-11-03T06:00:00.250Z");
  EXPECT_EQ(*parse_rfc3339("2013-11-03T01:00:00-05:00"), *parse_rfc3339("2013-11-03T06:00:00Z"));
  EXPECT_EQ(*parse_rfc3339("2013-11-03"), *parse_rfc3339("2013-11-03 00:00"));
  EXPECT_EQ(*parse_amz_date(amz_date(ms)), ms - 250);
  EXPECT_EQ(*parse_http_date(http_date(ms)), ms - 250);
  EXPECT_FALSE(parse_rfc3339("2013-02-30"));
  EXPECT_FALSE(parse_rfc3339("yesterday"));
}

TEST(Hash, KnownAnswers) {
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(to_hex(md5("abc")), "900150983cd24fb0d6963f7d28e17f72");
  Hasher h(Algorithm::kSha256);
  h.update("a");
  h.update("bc");
  EXPECT_EQ(to_hex(h.finish()), sha256_hex("abc"));
  EXPECT_EQ(Digest::from_hex(sha256_hex("abc"))->hex(), sha256_hex("abc"));
}

TEST(Json, ParsesAndPrintsWhatItRead) {
  const auto j = Json::parse(R"({"b":[1,2.5,null,true],"a":{"x":"q\"\n"},"n":-9007199254740993})");
  ASSERT_TRUE(j);
  EXPECT_EQ(j->dump(), R"({"b":[1,2.5,null,true],"a":{"x":"q\"\n"},"n":-9007199254740993})");
  EXPECT_EQ((*j)["a"]["x"].as_string(), "q\"\n");
  EXPECT_TRUE((*j)["absent"]["deeper"].is_null());
}

TEST(Json, RefusesRubbishAndDeepNesting) {
  EXPECT_EQ(Json::parse("{").error().code(), Code::kInvalid);
  EXPECT_EQ(Json::parse("1 2").error().code(), Code::kInvalid);
  EXPECT_EQ(Json::parse(std::string(100, '[') + std::string(100, ']')).error().code(), Code::kInvalid);
}

TEST(Json, StringsAreEscapedAndBrokenBytesReplaced) {
  const auto quoted = [](std::string_view text) {
    std::string out;
    append_json_string(out, text);
    return out;
  };
  EXPECT_EQ(quoted(""), "\"\"");
  EXPECT_EQ(quoted("a/b.parquet"), "\"a/b.parquet\"");
  EXPECT_EQ(quoted("\"a\\\n\r\tb\x01"), "\"\\\"a\\\\\\n\\r\\tb\\u0001\"");
  EXPECT_EQ(quoted("Zürich\"x"), "\"Zürich\\\"x\"");
  EXPECT_EQ(quoted("a\xff"
                   "b\xc3"),
            "\"a\xef\xbf\xbd"
            "b\xef\xbf\xbd\"");
  EXPECT_EQ(quoted(std::string_view("\0", 1)), "\"\\u0000\"");
  for (int c = 0; c < 256; ++c)
    for (size_t at = 0; at < 20; ++at) {
      std::string text(20, 'a');
      text[at] = static_cast<char>(c);
      const std::string out = quoted(text);
      if (c >= 0x80) {
        EXPECT_EQ(out, "\"" + text.substr(0, at) + "\xef\xbf\xbd" + text.substr(at + 1) + "\"");
      } else {
        EXPECT_EQ(out.size() == 22, c >= 0x20 && c != '"' && c != '\\') << c;
        EXPECT_EQ(Json::parse(out)->as_string(), text) << c;
      }
    }
}

TEST(Json, WriterPlacesCommas) {
  JsonWriter w;
  w.begin_object()
      .key("a")
      .begin_array()
      .value(1)
      .value("x")
      .end_array()
      .key("b")
      .begin_object()
      .end_object()
      .end_object();
  EXPECT_EQ(w.take(), R"({"a":[1,"x"],"b":{}})");
}

TEST(Yaml, ScalarsFollowTheCoreSchema) {
  const auto y = parse_yaml("a: 1\nb: '1'\nc: yes\nd: 2013-10-25\ne: [1.5, ~, true]\n");
  ASSERT_TRUE(y) << y.error().text();
  EXPECT_EQ(y->dump(), R"({"a":1,"b":"1","c":"yes","d":"2013-10-25","e":[1.5,null,true]})");
}

TEST(Yaml, ErrorsNameThePlace) {
  const auto y = parse_yaml("a: [1\nb: 2\n");
  ASSERT_FALSE(y);
  EXPECT_NE(y.error().message().find("line"), std::string::npos);
  EXPECT_EQ(parse_yaml("a: 1\na: 2\n").error().code(), Code::kInvalid);
}

TEST(Yaml, WritesWhatItReadsBack) {
  const auto j = Json::parse(R"({"a":[{"b":1,"c":["x","y: z"]},"1"],"d":{},"e":"true","f":"","g":[]})");
  const auto back = parse_yaml(to_yaml(*j));
  ASSERT_TRUE(back) << back.error().text() << to_yaml(*j);
  EXPECT_EQ(back->dump(), j->dump());
}

TEST(Disk, ExclusiveMovesNeverReplace) {
  Disk& disk = system_disk();
  const std::string dir = ::testing::TempDir() + "/disk_" + system_random().hex(4);
  ASSERT_TRUE(disk.make_directories(dir));
  ASSERT_TRUE(disk.write_atomic(dir + "/a", "one"));
  ASSERT_TRUE(disk.write_atomic(dir + "/b", "two"));
  EXPECT_EQ(disk.rename_exclusive(dir + "/a", dir + "/b").error().code(), Code::kAlreadyExists);
  EXPECT_EQ(*disk.read_all(dir + "/b"), "two");
  EXPECT_EQ(disk.stat(dir + "/none").error().code(), Code::kNotFound);
  EXPECT_EQ(disk.list(dir)->size(), 2u);
  const auto first = disk.lock(dir + "/lock");
  ASSERT_TRUE(first);
  EXPECT_EQ(disk.lock(dir + "/lock").error().code(), Code::kBusy);
  ASSERT_TRUE(disk.remove_all(dir));
}

TEST(Executor, FinishesWhatItTook) {
  std::atomic<int> done{0};
  {
    ThreadPool pool(3);
    for (int i = 0; i < 100; ++i) EXPECT_TRUE(pool.submit([&] { done.fetch_add(1); }));
  }
  EXPECT_EQ(done.load(), 100);
}

TEST(Ids, HaveTheirForms) {
  FakeClock clock;
  SeededRandom random(1);
  EXPECT_EQ(uuid7(clock, random).size(), 36u);
  EXPECT_EQ(xid(clock, random).size(), 20u);
  EXPECT_EQ(access_key_id(random).size(), 20u);
  EXPECT_EQ(secret_access_key(random).size(), 40u);
}

TEST(Random, TheSameSeedGivesTheSameBytes) {
  SeededRandom a(7), b(7), c(8);
  EXPECT_EQ(a.hex(16), b.hex(16));
  EXPECT_NE(a.hex(16), c.hex(16));
}

}  // namespace
}  // namespace tarn::base
