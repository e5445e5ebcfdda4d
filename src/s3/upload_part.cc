// https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPart.html
#include <fmt/format.h>

#include "base/bytes.h"
#include "s3/errors.h"
#include "s3/object_headers.h"
#include "s3/operations.h"
#include "s3/uploads.h"

namespace tarn::s3 {

// 1. may write  2. the upload is this key's  3. bytes, verified to their end  4. ETag and the checksum that was sent
Answer upload_part(Call& call) {
  TRY(call.allow(auth::Action::kWriteObject));
  TRY_LET(const int number, part_number(call));
  TRY_LET(const auto upload, find_upload(call));
  TRY(refuse_unsupported_headers(call.headers()));
  TRY_LET(const auto body, call.body());
  catalog::PutOptions checks;
  checks.md5 = body->md5();
  TRY_LET(const auto part, call.catalog().upload_part(call.ctx, upload.id, number, *body, checks));

  http::Response response = http::empty(200);
  response.headers.set("ETag", fmt::format("\"{}\"", part.etag));
  if (const auto& sum = body->checksum()) response.headers.set(header_of(sum->kind), base::to_base64(sum->raw));
  return response;
}

}  // namespace tarn::s3
