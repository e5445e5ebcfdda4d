// Goal: no route is open by accident, and errors become the answers that clients know.
// Method: the whole table behind a router, asked without credentials and with wrong ones. Handlers that need
// repositories are shown by tests/system, through the real clients.
#include <gtest/gtest.h>
#include <stdlib.h>

#include <set>

#include "block/memory.h"
#include "kv/memory.h"
#include "rest/routes.h"

namespace tarn::server {
namespace {

using namespace rest;

class Gates : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/tarn-rest-XXXXXX";
    folder_ = mkdtemp(name);
    auth_ = std::move(*auth::Auth::open(*store_, base::system_disk(), folder_ + "/key", clock_, random_));
    engine_ = std::move(*versioning::Engine::open(*store_, *blocks_, clock_, random_, {}));
    catalog_ = std::move(
        *catalog::Catalog::open(*store_, *blocks_, base::system_disk(), *engine_, tasks_, clock_, random_, {}));
    doors_ = std::make_unique<Doors>(Doors{*auth_, *catalog_, clock_, in_flight_, {.version = "0"}});
    add_routes(router_, *doors_);
  }
  void TearDown() override { (void)base::system_disk().remove_all(folder_); }

  http::Response ask(http::Method method, std::string path, std::string authorization = {}) {
    http::StringReader body("");
    http::Request request;
    request.method = method;
    request.method_text = name_of(method);
    request.raw_path = request.path = path;
    request.body = &body;
    request.content_length = 0;
    if (!authorization.empty()) request.headers.add("Authorization", authorization);
    return router_.dispatch({}, request);
  }
  static std::string concrete(std::string pattern) {
    for (size_t open; (open = pattern.find('{')) != std::string::npos;)
      pattern.replace(open, pattern.find('}') - open + 1, "some");
    return "/api/v1" + pattern;
  }
  static std::vector<Route> all() {
    std::vector<Route> out = system_routes();
    for (auto& route : repository_routes()) out.push_back(std::move(route));
    for (auto& route : unsupported_routes()) out.push_back(std::move(route));
    return out;
  }

  std::unique_ptr<kv::Store> store_ = kv::make_memory_store();
  base::FakeClock clock_;
  base::SeededRandom random_{1};
  tasks::Tasks tasks_{*store_, clock_, random_, 1};
  std::unique_ptr<block::Store> blocks_ = block::make_memory_store();
  http::InFlight in_flight_{1};
  std::string folder_;
  std::unique_ptr<auth::Auth> auth_;
  std::unique_ptr<versioning::Engine> engine_;
  std::unique_ptr<catalog::Catalog> catalog_;
  std::unique_ptr<Doors> doors_;
  http::Router router_;
};

TEST_F(Gates, OnlyTheListedOperationsArePublic) {
  std::set<std::string> open;
  for (const auto& route : all())
    if (!route.needs) open.insert(route.operation);
  EXPECT_EQ(open, (std::set<std::string>{"getSetupState", "setup", "healthCheck", "login", "getAuthCapabilities"}));
}

TEST_F(Gates, EveryOtherRouteAsksWhoComes) {
  for (const auto& route : all()) {
    if (!route.needs) continue;
    EXPECT_EQ(ask(route.method, concrete(route.pattern)).status, 401) << route.operation;
    EXPECT_EQ(ask(route.method, concrete(route.pattern), "Basic YTpi").status, 401) << route.operation;
  }
}

TEST_F(Gates, EveryOperationOfTheApiIsServedOrRefusedWithAReason) {
  std::set<std::string> names;
  for (const auto& route : all()) EXPECT_TRUE(names.insert(route.operation).second) << route.operation;
  for (const std::string own : {"foldPacks", "listConflicts"}) EXPECT_EQ(names.erase(own), 1u) << "Tarn's own: " << own;
  EXPECT_EQ(names.size(), 134u);
}

TEST_F(Gates, AMissingPermissionIsA401) {
  ASSERT_TRUE(auth_->set_up({}, "admin", auth::KeyPair{"AKIAADMIN", base::Secret<std::string>("12345678")}));
  ASSERT_TRUE(auth_->create_user({}, {.id = "u"}));
  ASSERT_TRUE(auth_->create_credentials({}, "u", auth::KeyPair{"AKIAUSER", base::Secret<std::string>("12345678")}));
  const std::string user = "Basic QUtJQVVTRVI6MTIzNDU2Nzg=";
  const auto denied = ask(http::Method::kGet, "/api/v1/auth/users", user);
  EXPECT_EQ(denied.status, 401);
  EXPECT_NE(denied.body.find("insufficient permissions"), std::string::npos);
  EXPECT_EQ(ask(http::Method::kGet, "/api/v1/user", user).status, 200);
  EXPECT_EQ(ask(http::Method::kGet, "/api/v1/auth/policies", user).status, 501);
  const auto held = in_flight_.enter("u");
  EXPECT_EQ(ask(http::Method::kGet, "/api/v1/user", user).status, 429);
}

TEST_F(Gates, PackedBodiesAreA415) {
  const auto packed = [&](const char* encoding) {
    http::StringReader body("{}");
    http::Request request;
    request.method = http::Method::kPost;
    request.method_text = "POST";
    request.raw_path = request.path = "/api/v1/auth/login";
    request.body = &body;
    request.content_length = 2;
    request.headers.add("Content-Encoding", encoding);
    return router_.dispatch({}, request);
  };
  EXPECT_EQ(packed("gzip").status, 415);
  EXPECT_NE(packed("gzip").body.find("without that header"), std::string::npos);
  EXPECT_EQ(packed("identity").status, 400);
}

TEST_F(Gates, ACallThatTakesTooLongIsGivenUpButNotOneThatLands) {
  doors_->settings.request_deadline_ms = 1000;
  const auto slow = [this](Call& call) -> Result<http::Response> {
    clock_.advance(1500);
    TRY(call.ctx.check(call.doors.clock));
    return http::empty(204);
  };
  const auto unknown = [this](Call&) -> Result<http::Response> {
    clock_.advance(1500);
    return Error(Code::kUnknownOutcome, "store", "the store did not say whether it wrote");
  };
  add_all(router_, *doors_,
          {{http::Method::kGet, "/slow", "slow", kPublic, slow},
           {http::Method::kPost, "/slow", "slowLanding", kPublic, slow, Deadline::kNone},
           {http::Method::kPut, "/slow", "slowWrite", kPublic, unknown}});
  const auto late = ask(http::Method::kGet, "/api/v1/slow");
  EXPECT_EQ(late.status, 504);
  EXPECT_NE(late.body.find("given up after 1 s"), std::string::npos) << late.body;
  EXPECT_NE(late.body.find("http.request_deadline_ms"), std::string::npos) << late.body;
  EXPECT_EQ(ask(http::Method::kPost, "/api/v1/slow").status, 204);
  const auto nobody_knows = ask(http::Method::kPut, "/api/v1/slow");
  EXPECT_EQ(nobody_knows.status, 503);
  EXPECT_NE(nobody_knows.body.find("did not say"), std::string::npos) << "an unknown outcome stays unknown";
}

TEST_F(Gates, UnknownAddressesAre404) {
  EXPECT_EQ(ask(http::Method::kGet, "/api/v1/nothing").body, R"({"message":"invalid API endpoint"})");
  EXPECT_EQ(ask(http::Method::kGet, "/nothing").status, 404);
}

}  // namespace
}  // namespace tarn::server
