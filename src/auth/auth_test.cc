// Goal: who may come in, and what each principal may do. Method: a memory store, a fake clock, a temporary key file.
#include <gtest/gtest.h>
#include <unistd.h>

#include "auth/auth.h"
#include "auth/guard.h"
#include "auth/seal.h"
#include "base/bytes.h"
#include "kv/memory.h"

namespace tarn::auth {
namespace {

class Users : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/tarn-auth-XXXXXX";
    folder_ = mkdtemp(name);
    auto opened = Auth::open(store_, base::system_disk(), folder_ + "/secrets/auth.key", clock_, random_);
    ASSERT_TRUE(opened);
    auth_ = std::move(*opened);
  }
  void TearDown() override { (void)base::system_disk().remove_all(folder_); }

  Context ctx_;
  std::unique_ptr<kv::Store> memory_ = kv::make_memory_store();
  kv::Store& store_ = *memory_;
  base::FakeClock clock_;
  base::SeededRandom random_{7};
  std::string folder_;
  std::unique_ptr<Auth> auth_;
};

TEST_F(Users, SetUpHappensOnce) {
  EXPECT_FALSE(*auth_->is_set_up(ctx_));
  const auto made = auth_->set_up(ctx_, "admin", {});
  ASSERT_TRUE(made);
  EXPECT_TRUE(*auth_->is_set_up(ctx_));
  const auto again = auth_->set_up(ctx_, "other", {});
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code(), Code::kAlreadyExists);
  const auto principal = auth_->authenticate_basic(ctx_, made->access_key_id, made->secret.reveal());
  ASSERT_TRUE(principal);
  EXPECT_EQ(principal->user, "admin");
  EXPECT_TRUE(principal->admin);
}

TEST_F(Users, KeysSurviveARestartWithTheSameKeyFileAndNotWithAnother) {
  const auto made = *auth_->set_up(ctx_, "admin", {});
  auto again = Auth::open(store_, base::system_disk(), folder_ + "/secrets/auth.key", clock_, random_);
  ASSERT_TRUE(again);
  EXPECT_TRUE((*again)->authenticate_basic(ctx_, made.access_key_id, made.secret.reveal()));
  auto other = Auth::open(store_, base::system_disk(), folder_ + "/other.key", clock_, random_);
  ASSERT_TRUE(other);
  EXPECT_EQ((*other)->find_secret(ctx_, made.access_key_id).error().code(), Code::kCorrupt);
}

TEST_F(Users, WrongSecretAndUnknownKeyGiveTheSameAnswer) {
  const auto made = *auth_->set_up(ctx_, "admin", {});
  const auto wrong = auth_->authenticate_basic(ctx_, made.access_key_id, "no");
  const auto unknown = auth_->authenticate_basic(ctx_, "AKIAJNOBODYQ", "no");
  ASSERT_FALSE(wrong);
  ASSERT_FALSE(unknown);
  EXPECT_EQ(wrong.error().text(), unknown.error().text());
  EXPECT_EQ(wrong.error().code(), Code::kUnauthenticated);
}

TEST_F(Users, GivenKeysAreUsedAndBadOnesRefused) {
  EXPECT_EQ(auth_->set_up(ctx_, "admin", KeyPair{"A", base::Secret<std::string>("12345678")}).error().code(),
            Code::kInvalid);
  EXPECT_EQ(auth_->set_up(ctx_, "ad min", {}).error().code(), Code::kInvalid);
  ASSERT_TRUE(auth_->set_up(ctx_, "admin", KeyPair{"AKIATEST", base::Secret<std::string>("12345678")}));
  EXPECT_TRUE(auth_->authenticate_basic(ctx_, "AKIATEST", "12345678"));
}

TEST_F(Users, DeletingAUserTakesItsKeysAndTheLastAdministratorStays) {
  ASSERT_TRUE(auth_->set_up(ctx_, "admin", {}));
  ASSERT_TRUE(auth_->create_user(ctx_, {.id = "weather", .writable_repositories = {"weather"}}));
  EXPECT_EQ(auth_->create_user(ctx_, {.id = "weather"}).error().code(), Code::kAlreadyExists);
  const auto key = auth_->create_credentials(ctx_, "weather");
  ASSERT_TRUE(key);
  EXPECT_EQ(auth_->list_credentials(ctx_, "weather")->size(), 1u);
  EXPECT_EQ(auth_->list_users(ctx_, "")->size(), 2u);
  ASSERT_TRUE(auth_->delete_user(ctx_, "weather"));
  EXPECT_EQ(auth_->find_secret(ctx_, key->access_key_id).error().code(), Code::kUnauthenticated);
  EXPECT_EQ(auth_->delete_user(ctx_, "admin").error().code(), Code::kForbidden);
}

TEST_F(Users, TokensDieWithTheirKeyAndWithTime) {
  ASSERT_TRUE(auth_->set_up(ctx_, "admin", {}));
  const auto key = *auth_->create_credentials(ctx_, "admin");
  const auto token = auth_->issue_token(ctx_, key.access_key_id, key.secret.reveal());
  ASSERT_TRUE(token);
  EXPECT_TRUE(auth_->authenticate_header(ctx_, "Bearer " + token->text));
  EXPECT_FALSE(auth_->authenticate_header(ctx_, "Bearer " + token->text + "x"));
  EXPECT_FALSE(auth_->authenticate_header(ctx_, "Bearer a.b.c"));
  EXPECT_FALSE(auth_->authenticate_header(ctx_, "Digest x"));
  clock_.advance(13 * 3600 * 1000);
  EXPECT_FALSE(auth_->authenticate_header(ctx_, "Bearer " + token->text));
  const auto fresh = *auth_->issue_token(ctx_, key.access_key_id, key.secret.reveal());
  ASSERT_TRUE(auth_->delete_credentials(ctx_, "admin", key.access_key_id));
  EXPECT_FALSE(auth_->authenticate_header(ctx_, "Bearer " + fresh.text));
}

// What a key stands for is kept decoded between requests; the rows decide.
TEST_F(Users, AKeyThatWasUsedSeesEveryChangeAtOnce) {
  ASSERT_TRUE(auth_->set_up(ctx_, "admin", {}));
  ASSERT_TRUE(auth_->create_user(ctx_, {.id = "weather", .writable_repositories = {"weather"}}));
  const auto key = *auth_->create_credentials(ctx_, "weather");
  for (int i = 0; i < 3; ++i) {
    const auto found = auth_->find_secret(ctx_, key.access_key_id);
    ASSERT_TRUE(found);
    EXPECT_EQ(found->secret.reveal(), key.secret.reveal());
    EXPECT_EQ(found->principal.writable_repositories.size(), 1u);
  }
  kv::Batch grant;
  ASSERT_TRUE(auth_->grant_write(ctx_, grant, "weather", "flights"));
  ASSERT_TRUE(store_.apply(ctx_, grant));
  EXPECT_EQ(auth_->find_secret(ctx_, key.access_key_id)->principal.writable_repositories.size(), 2u);
  ASSERT_TRUE(auth_->delete_credentials(ctx_, "weather", key.access_key_id));
  EXPECT_FALSE(auth_->find_secret(ctx_, key.access_key_id));
}

TEST_F(Users, TemporaryKeysExpireAndAreRevocable) {
  AttemptScope scope{"analytics", "run-1", {"date=2013-10-25/"}, "f1", clock_.wall_ms() + 1000};
  kv::Batch batch;
  const auto first = *auth_->add_temporary(batch, "analytics", scope);
  const auto second = *auth_->add_temporary(batch, "analytics", scope);
  EXPECT_FALSE(auth_->find_secret(ctx_, first.access_key_id));
  ASSERT_TRUE(store_.apply(ctx_, batch));
  const auto found = auth_->find_secret(ctx_, first.access_key_id);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->secret.reveal(), first.secret.reveal());
  EXPECT_FALSE(found->principal.admin);
  EXPECT_EQ(found->principal.attempt->fence, "f1");
  kv::Batch back;
  auth_->revoke(back, first.access_key_id);
  ASSERT_TRUE(store_.apply(ctx_, back));
  EXPECT_FALSE(auth_->find_secret(ctx_, first.access_key_id));
  clock_.advance(2000);
  EXPECT_FALSE(auth_->find_secret(ctx_, second.access_key_id));
}

TEST(Sealing, AnAlteredByteOrAnotherBindingIsRefused) {
  base::SeededRandom random(1);
  const Sealer sealer(base::Secret<std::string>(std::string(32, 'k')));
  std::string sealed = sealer.seal(random, "secret", "a");
  EXPECT_EQ(sealer.open(sealed, "a")->reveal(), "secret");
  EXPECT_EQ(sealer.open(sealed, "b").error().code(), Code::kCorrupt);
  for (size_t i = 0; i < sealed.size(); ++i) {
    std::string altered = sealed;
    altered[i] = static_cast<char>(altered[i] ^ 1);
    EXPECT_FALSE(sealer.open(altered, "a")) << i;
  }
  EXPECT_FALSE(sealer.open("", "a"));
}

TEST(Guarding, UsersReadAllAndWriteWhereGranted) {
  const Principal user{.user = "weather", .writable_repositories = {"weather", "w-*"}};
  EXPECT_TRUE(Guard::allow(user, Action::kReadObject, {.repository = "flights", .ref = "main", .path = "x"}));
  EXPECT_TRUE(Guard::allow(user, Action::kWriteObject, {.repository = "weather", .ref = "b", .path = "x"}));
  EXPECT_TRUE(Guard::allow(user, Action::kCreateCommit, {.repository = "w-2"}));
  const auto denied = Guard::allow(user, Action::kCreateCommit, {.repository = "flights"});
  ASSERT_FALSE(denied);
  EXPECT_EQ(denied.error().code(), Code::kForbidden);
  EXPECT_EQ(denied.error().subject(), "permissions");
  EXPECT_FALSE(Guard::allow(user, Action::kCreateUser, {.user = "x"}));
  EXPECT_TRUE(Guard::allow(user, Action::kCreateCredentials, {.user = "weather"}));
  EXPECT_FALSE(Guard::allow(user, Action::kCreateCredentials, {.user = "admin"}));
  EXPECT_FALSE(Guard::allow({}, Action::kListRepositories, {}));
}

TEST(Guarding, AttemptsStayInTheirScope) {
  Principal attempt{.user = "analytics", .admin = true};
  attempt.attempt = AttemptScope{"analytics", "job-1", {"date=2013-10-25/"}, "f", 0};
  EXPECT_TRUE(Guard::allow(attempt, Action::kReadObject, {.repository = "analytics", .ref = "main", .path = "x"}));
  EXPECT_FALSE(Guard::allow(attempt, Action::kReadObject, {.repository = "flights", .ref = "main", .path = "x"}));
  EXPECT_TRUE(Guard::allow(attempt, Action::kWriteObject,
                           {.repository = "analytics", .ref = "job-1", .path = "date=2013-10-25/a"}));
  EXPECT_FALSE(Guard::allow(attempt, Action::kWriteObject,
                            {.repository = "analytics", .ref = "job-1", .path = "date=2013-10-26/a"}));
  EXPECT_FALSE(Guard::allow(attempt, Action::kWriteObject,
                            {.repository = "analytics", .ref = "main", .path = "date=2013-10-25/a"}));
  EXPECT_FALSE(Guard::allow(attempt, Action::kCreateCommit, {.repository = "analytics", .ref = "job-1"}));
  EXPECT_FALSE(Guard::allow(attempt, Action::kCreateUser, {.user = "x"}));
}

TEST(Guarding, GlobsMatchWholeNames) {
  EXPECT_TRUE(glob_matches("*", "anything"));
  EXPECT_TRUE(glob_matches("we?ther", "weather"));
  EXPECT_TRUE(glob_matches("a*b*c", "axxbyyc"));
  EXPECT_FALSE(glob_matches("weather", "weather-2"));
  EXPECT_FALSE(glob_matches("", "x"));
  EXPECT_FALSE(glob_matches("a*b", "a"));
}

}  // namespace
}  // namespace tarn::auth
