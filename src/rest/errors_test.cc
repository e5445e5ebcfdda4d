#include "rest/errors.h"

#include <gtest/gtest.h>

namespace tarn::rest {
namespace {

TEST(Errors, BecomeTheStatusThatClientsKnow) {
  const auto status = [](Code code, const char* subject = "x") { return status_of(Error(code, subject, "m")); };
  EXPECT_EQ(status(Code::kInvalid), 400);
  EXPECT_EQ(status(Code::kUnauthenticated), 401);
  EXPECT_EQ(status(Code::kForbidden, "permissions"), 401);
  EXPECT_EQ(status(Code::kForbidden, "branch"), 403);
  EXPECT_EQ(status(Code::kAlreadyExists), 409);
  EXPECT_EQ(status(Code::kAlreadyExists, "storage_namespace"), 400);
  EXPECT_EQ(status(Code::kConflict), 412);
  EXPECT_EQ(status(Code::kRefused), 412);
  EXPECT_EQ(status(Code::kMergeConflict), 409);
  EXPECT_EQ(status(Code::kNoSpace), 507);
  EXPECT_EQ(status(Code::kUnknownOutcome), 503);
  EXPECT_EQ(answer({}, Error(Code::kNotFound, "branch", "no \"b\"")).body, R"({"message":"no \"b\""})");
}

}  // namespace
}  // namespace tarn::rest
