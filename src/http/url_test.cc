#include "http/url.h"

#include <gtest/gtest.h>

#include "base/random.h"
#include "http/headers.h"

namespace tarn::http {
namespace {

TEST(PercentEncoding, KeepsOnlyUnreservedBytes) {
  EXPECT_EQ(percent_encode("a b/ä~-._"), "a%20b%2F%C3%A4~-._");
  EXPECT_EQ(percent_encode("a/b+c", KeepSlash::kYes), "a/b%2Bc");
}

TEST(PercentEncoding, DecodeIsTheInverseForAnyBytes) {
  base::SeededRandom random(7);
  for (int i = 0; i < 2000; ++i) {
    std::string bytes(random.u64() % 40, '\0');
    random.fill(bytes.data(), bytes.size());
    const auto back = percent_decode(percent_encode(bytes));
    ASSERT_TRUE(back);
    EXPECT_EQ(*back, bytes);
  }
}

TEST(PercentEncoding, DecodeIsStrict) {
  for (const char* bad : {"%", "%1", "%g0", "a%0", "%%20"}) EXPECT_FALSE(percent_decode(bad)) << bad;
  EXPECT_EQ(*percent_decode("%2520+"), "%20+");
  EXPECT_EQ(*percent_decode("%41"), "A");
}

TEST(QueryText, KeepsOrderRepeatsAndEmptyValues) {
  const auto query = parse_query("b=2&a&b=3&c=x%20y+z&&=v&d=a=b");
  ASSERT_TRUE(query);
  EXPECT_EQ(query->all("b"), (std::vector<std::string_view>{"2", "3"}));
  EXPECT_EQ(query->find("a"), "");
  EXPECT_EQ(query->find("c"), "x y z");
  EXPECT_EQ(query->find("d"), "a=b");
  EXPECT_FALSE(query->has("x"));
  EXPECT_EQ(query->size(), 6U);
  EXPECT_FALSE(parse_query("a=%q"));
  EXPECT_EQ(format_query(*query), "b=2&a=&b=3&c=x%20y%20z&=v&d=a%3Db");
}

TEST(UrlText, SplitsIntoItsParts) {
  const auto url = parse_url("HTTPS://Example.com:8443/a%2Fb?q=1#frag");
  ASSERT_TRUE(url);
  EXPECT_EQ(url->scheme, "https");
  EXPECT_EQ(url->host, "Example.com");
  EXPECT_EQ(url->port, 8443);
  EXPECT_EQ(url->path, "/a%2Fb");
  EXPECT_EQ(url->query, "q=1");
  EXPECT_EQ(parse_url("http://h?x")->path, "/");
  EXPECT_EQ(parse_url("http://[::1]:80/")->host, "::1");
  for (const char* bad :
       {"ftp://x/", "http://", "http://u:p@h/", "http://h:99999/", "h/x", "http://h/a b", "http://h/\n"})
    EXPECT_FALSE(parse_url(bad)) << bad;
}

TEST(HostPortText, NeedsAPort) {
  EXPECT_EQ(parse_host_port("127.0.0.1:8000")->port, 8000);
  EXPECT_EQ(parse_host_port("[::1]:1")->host, "::1");
  EXPECT_EQ(parse_host_port(":0")->host, "");
  for (const char* bad : {"127.0.0.1", "x:", "x:y", "::1:8000", "x:70000", ""})
    EXPECT_FALSE(parse_host_port(bad)) << bad;
}

TEST(HeaderList, LooksUpWithoutCaseAndKeepsOrder) {
  Headers headers;
  headers.add("X-A", "1");
  headers.add("x-a", "2");
  headers.add("B", "3");
  EXPECT_EQ(headers.find("X-a"), "1");
  EXPECT_EQ(headers.all("X-A").size(), 2U);
  headers.set("x-A", "9");
  EXPECT_EQ(headers.all("X-A"), (std::vector<std::string_view>{"9"}));
  EXPECT_EQ(headers.begin()->name, "B");
  EXPECT_TRUE(has_token("keep-alive, Upgrade", "upgrade"));
  EXPECT_FALSE(has_token("keep-alive", "keep"));
}

}  // namespace
}  // namespace tarn::http
