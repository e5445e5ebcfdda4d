// https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObject.html
#include "s3/conditions.h"
#include "s3/operations.h"

namespace tarn::s3 {

// 1. may delete  2. what the key must hold (If-Match)  3. removed from the branch's staging; absent is success
Answer delete_object(Call& call) {
  TRY(call.allow(auth::Action::kDeleteObject));
  TRY_LET(const auto expect, write_expectation(call.headers()));
  const Address& at = call.address;
  if (at.is_ref_root()) {
    // The folder that a branch is goes with its branch, not with its key.
    TRY_LET(const auto repository, call.engine().get_repository(call.ctx, at.bucket));
    return http::empty(204);
  }
  auto removed = call.catalog().delete_object(call.ctx, at.bucket, at.ref, at.path, expect);
  if (!removed) return explain_write(call, at, std::move(removed).error());
  return http::empty(204);
}

}  // namespace tarn::s3
