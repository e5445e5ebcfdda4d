#include "http/router.h"

#include <gtest/gtest.h>

#include "http/in_flight.h"

namespace tarn::http {
namespace {

Request request_for(Method method, std::string raw_path) {
  Request request;
  request.method = method;
  request.method_text = name_of(method);
  request.raw_path = std::move(raw_path);
  return request;
}

Handler says(std::string word) {
  return [word](const Context&, Request&) { return text(200, word); };
}

class RouterTest : public testing::Test {
 protected:
  std::string body(Method method, std::string path) {
    request_ = request_for(method, std::move(path));
    response_ = router_.dispatch(Context(), request_);
    return response_.body;
  }
  Router router_;
  Request request_;
  Response response_;
};

TEST_F(RouterTest, LiteralBeatsParameterAndParameterBeatsRest) {
  router_.add(Method::kGet, "/a/{x}", says("parameter"));
  router_.add(Method::kGet, "/a/b", says("literal"));
  router_.add(Method::kGet, "/{rest*}", says("rest"));
  EXPECT_EQ(body(Method::kGet, "/a/b"), "literal");
  EXPECT_EQ(body(Method::kGet, "/a/c"), "parameter");
  EXPECT_EQ(body(Method::kGet, "/a/c/d"), "rest");
  EXPECT_EQ(request_.path_parameters.at("rest"), "a/c/d");
  EXPECT_EQ(body(Method::kGet, "/"), "rest");
}

TEST_F(RouterTest, WalksBackFromALiteralThatLeadsNowhere) {
  router_.add(Method::kGet, "/r/x/only", says("literal"));
  router_.add(Method::kGet, "/r/{name}/other", says("parameter"));
  EXPECT_EQ(body(Method::kGet, "/r/x/other"), "parameter");
  EXPECT_EQ(request_.path_parameters.at("name"), "x");
  EXPECT_EQ(request_.path_parameters.size(), 1U);
}

TEST_F(RouterTest, OnePositionMayHaveTwoNames) {
  router_.add(Method::kGet, "/refs/{ref}/commits", says("log"));
  router_.add(Method::kGet, "/refs/{left}/diff/{right}", says("diff"));
  EXPECT_EQ(body(Method::kGet, "/refs/main/diff/dev"), "diff");
  EXPECT_EQ(request_.path_parameters.at("left"), "main");
  EXPECT_EQ(request_.path_parameters.at("right"), "dev");
  EXPECT_EQ(request_.route, "/refs/{left}/diff/{right}");
}

TEST_F(RouterTest, DecodesASegmentOnceAndKeepsItsSlash) {
  router_.add(Method::kGet, "/b/{branch}", says("b"));
  EXPECT_EQ(body(Method::kGet, "/b/feature%2Fone%2520"), "b");
  EXPECT_EQ(request_.path_parameters.at("branch"), "feature/one%20");
  body(Method::kGet, "/b/%zz");
  EXPECT_EQ(response_.status, 400);
  body(Method::kGet, "/b/");
  EXPECT_EQ(response_.status, 404);
}

TEST_F(RouterTest, UnknownMethodNamesTheKnownOnes) {
  router_.add(Method::kGet, "/x", says("get"));
  router_.add(Method::kDelete, "/x", says("delete"));
  body(Method::kPut, "/x");
  EXPECT_EQ(response_.status, 405);
  EXPECT_EQ(response_.headers.find("allow"), "GET, DELETE");
  EXPECT_EQ(body(Method::kHead, "/x"), "get");
  body(Method::kGet, "/y");
  EXPECT_EQ(response_.status, 404);
}

TEST(InFlight, RefusesBeyondTheLimitOfOneKeyOnly) {
  InFlight in_flight(2);
  auto first = in_flight.enter("ann");
  ASSERT_TRUE(first);
  {
    auto second = in_flight.enter("ann");
    ASSERT_TRUE(second);
    const auto third = in_flight.enter("ann");
    ASSERT_FALSE(third);
    EXPECT_EQ(third.error().code(), Code::kBusy);
    EXPECT_TRUE(in_flight.enter("bob"));
    EXPECT_EQ(in_flight.count("ann"), 2U);
  }
  EXPECT_EQ(in_flight.count("ann"), 1U);
  EXPECT_TRUE(in_flight.enter("ann"));
}

}  // namespace
}  // namespace tarn::http
