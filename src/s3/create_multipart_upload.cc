// https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateMultipartUpload.html
#include "s3/errors.h"
#include "s3/object_headers.h"
#include "s3/operations.h"
#include "s3/xml.h"

namespace tarn::s3 {

// 1. may write  2. headers of the object to be  3. the branch must take writes now, not only at the end  4. an id
Answer create_multipart_upload(Call& call) {
  TRY(call.allow(auth::Action::kWriteObject));
  if (call.address.is_ref_root()) return refuse("InvalidArgument", "a key is <branch>/<path>");
  TRY(refuse_unsupported_headers(call.headers()));
  catalog::PutOptions options;
  TRY(read_object_headers(call.headers(), options));
  TRY(check_takes_writes(call));
  const Address& at = call.address;
  auto upload = call.catalog().create_upload(call.ctx, at.bucket, at.ref, at.path, options);
  if (!upload) return explain_write(call, at, std::move(upload).error());

  XmlWriter xml("InitiateMultipartUploadResult");
  xml.text("Bucket", at.bucket);
  xml.text("Key", at.key);
  xml.text("UploadId", upload->id);
  http::Response response = xml.response();
  if (const auto algorithm = call.headers().find("x-amz-checksum-algorithm"))
    response.headers.set("x-amz-checksum-algorithm", *algorithm);
  if (const auto type = call.headers().find("x-amz-checksum-type")) response.headers.set("x-amz-checksum-type", *type);
  return response;
}

}  // namespace tarn::s3
