// Random mutations in place of a corpus: whatever comes in, the verdict must not depend on how the bytes fell apart,
// and what is accepted must read the same when it is written out again.
#include "http/detail/head.h"

#include <gtest/gtest.h>

#include "base/random.h"
#include "http/detail/chunked.h"

namespace tarn::http::detail {
namespace {

const Limits kLimits;

// The verdict over a whole stream that comes in pieces of `step` bytes; "more" when the head is not complete.
std::string verdict(std::string_view bytes, size_t step) {
  HeadScanner scanner;
  for (size_t have = std::min(step, bytes.size());; have = std::min(have + step, bytes.size())) {
    const auto found = scanner.scan(bytes.substr(0, have), kLimits);
    if (found == HeadScanner::Verdict::kRefused) return "refused";
    if (found == HeadScanner::Verdict::kComplete) {
      const auto parsed = parse_head(bytes.substr(0, scanner.size()));
      if (std::holds_alternative<Refusal>(parsed)) return "refused";
      return "accepted " + std::to_string(scanner.size());
    }
    if (have == bytes.size()) return "more";
  }
}

std::string mutate(std::string text, base::Random& random) {
  static const std::vector<std::string> kBits = {"\r\n",
                                                 "\n",
                                                 "\r",
                                                 " ",
                                                 "\t",
                                                 ":",
                                                 std::string(1, '\0'),
                                                 "%00",
                                                 "\x7f",
                                                 "chunked",
                                                 ",",
                                                 ";",
                                                 "0",
                                                 "HTTP",
                                                 "/1.1",
                                                 "Host: y\r\n",
                                                 "\r\n\r\n",
                                                 "Content-Length: 3\r\n",
                                                 "Transfer-Encoding: chunked\r\n",
                                                 "\x80",
                                                 "\"",
                                                 "Connection: close\r\n"};
  for (uint64_t n = random.u64() % 4; n > 0; --n) {
    const size_t at = random.u64() % (text.size() + 1);
    switch (random.u64() % 4) {
      case 0:
        text.insert(at, kBits[random.u64() % kBits.size()]);
        break;
      case 1:
        text.erase(at, random.u64() % 4);
        break;
      case 2:
        if (at < text.size()) text[at] = static_cast<char>(random.u64());
        break;
      default:
        text.insert(at, text.substr(random.u64() % (text.size() + 1), random.u64() % 12));
        break;
    }
  }
  return text;
}

std::string written(const Head& head) {
  std::string out = head.method_text + " " + head.target + " HTTP/1." + std::to_string(head.minor_version) + "\r\n";
  for (const Header& field : head.headers) out += field.name + ": " + field.value + "\r\n";
  return out + "\r\n";
}

TEST(HeadFuzz, TheVerdictDoesNotDependOnTheSplitAndSurvivesARoundTrip) {
  const std::vector<std::string> seeds = {
      "GET /a%20b?x=1 HTTP/1.1\r\nHost: x:80\r\nA: b c\r\n\r\n",
      "POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: 12\r\nExpect: 100-continue\r\n\r\n",
      "PUT /p HTTP/1.1\r\nTransfer-Encoding: chunked\r\nHost: x\r\n\r\n",
      "GET http://x/p HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, close\r\n\r\n", "OPTIONS * HTTP/1.0\r\n\r\n"};
  int accepted = 0;
  int refused = 0;
  for (uint64_t seed = 1; seed <= 30'000; ++seed) {
    base::SeededRandom random(seed);
    const std::string bytes = mutate(seeds[random.u64() % seeds.size()], random);
    const std::string whole = verdict(bytes, bytes.size() + 1);
    const size_t step = 1 + random.u64() % 20;
    ASSERT_EQ(whole, verdict(bytes, step)) << "seed " << seed << "\n" << bytes;
    if (!whole.starts_with("accepted")) {
      refused += whole == "refused" ? 1 : 0;
      continue;
    }
    ++accepted;
    const size_t size = std::stoul(whole.substr(9));
    const Head head = std::get<Head>(parse_head(std::string_view(bytes).substr(0, size)));
    const bool chunked = head.headers.has("Transfer-Encoding");
    ASSERT_EQ(chunked, !head.content_length) << bytes;
    ASSERT_FALSE(chunked && head.headers.has("Content-Length")) << bytes;
    for (const Header& field : head.headers)
      ASSERT_EQ((field.name + field.value).find_first_of(std::string_view("\r\n\0", 3)), std::string::npos) << bytes;
    const auto again = parse_head(written(head));
    ASSERT_TRUE(std::holds_alternative<Head>(again)) << bytes;
    ASSERT_EQ(written(std::get<Head>(again)), written(head)) << bytes;
    ASSERT_EQ(std::get<Head>(again).content_length, head.content_length) << bytes;
    ASSERT_EQ(std::get<Head>(again).keep_alive, head.keep_alive) << bytes;
  }
  EXPECT_GT(accepted, 5000);
  EXPECT_GT(refused, 5000);
}

// Decodes in pieces; the text, or "bad", or "more".
std::string decoded(std::string_view bytes, size_t step, size_t out_size, size_t& used) {
  ChunkDecoder decoder(kLimits);
  std::string text, buffer(out_size, '\0');
  used = 0;
  for (size_t have = std::min(step, bytes.size());; have = std::min(have + step, bytes.size())) {
    for (;;) {
      const auto result = decoder.decode(bytes.substr(used, have - used), buffer.data(), buffer.size());
      if (!result) return "bad";
      used += result->consumed;
      text.append(buffer.data(), result->produced);
      if (decoder.done()) return "done " + text;
      if (result->consumed == 0 || used == have) break;
    }
    if (have == bytes.size()) return "more";
  }
}

TEST(ChunkFuzz, TheVerdictDoesNotDependOnTheSplit) {
  const std::string seed_body =
      "4;ext=1\r\nabcd\r\n0A\r\n0123456789\r\n000\r\nTrailer: x\r\nB: y\r\n\r\nGET / HTTP/1.1";
  int done = 0;
  int bad = 0;
  for (uint64_t seed = 1; seed <= 30'000; ++seed) {
    base::SeededRandom random(seed);
    const std::string bytes = mutate(seed_body, random);
    size_t used_whole = 0, used_split = 0;
    const std::string whole = decoded(bytes, bytes.size() + 1, 1000, used_whole);
    const std::string split = decoded(bytes, 1 + random.u64() % 9, 1 + random.u64() % 9, used_split);
    ASSERT_EQ(whole, split) << "seed " << seed << "\n" << bytes;
    if (whole.starts_with("done")) {
      ++done;
      ASSERT_EQ(used_whole, used_split) << bytes;
      ASSERT_EQ(bytes.substr(used_whole - 4, 4), "\r\n\r\n") << bytes;
    }
    bad += whole == "bad" ? 1 : 0;
  }
  EXPECT_GT(done, 5000);
  EXPECT_GT(bad, 5000);
}

TEST(TargetText, GivesPathAndQueryDecodedOnce) {
  Request request;
  request.target = "http://x:1/a%2Fb%2520?q=%31&r#no";
  ASSERT_TRUE(fill_target(request));
  EXPECT_EQ(request.raw_path, "/a%2Fb%2520");
  EXPECT_EQ(request.path, "/a/b%20");
  EXPECT_EQ(request.query.find("q"), "1");
  Request bare;
  bare.target = "http://x";
  ASSERT_TRUE(fill_target(bare));
  EXPECT_EQ(bare.path, "/");
}

}  // namespace
}  // namespace tarn::http::detail
