// https://docs.aws.amazon.com/AmazonS3/latest/API/API_AbortMultipartUpload.html
#include "s3/operations.h"
#include "s3/uploads.h"

namespace tarn::s3 {

// 1. may write  2. the upload is this key's  3. it and its parts go
Answer abort_multipart_upload(Call& call) {
  TRY(call.allow(auth::Action::kWriteObject));
  TRY_LET(const auto upload, find_upload(call));
  TRY(call.catalog().abort_upload(call.ctx, upload.id));
  return http::empty(204);
}

}  // namespace tarn::s3
