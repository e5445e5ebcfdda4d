// https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPartCopy.html
#include <fmt/format.h>

#include "s3/conditions.h"
#include "s3/errors.h"
#include "s3/object_headers.h"
#include "s3/operations.h"
#include "s3/uploads.h"
#include "s3/xml.h"

namespace tarn::s3 {

// 1. may read the source and write the destination  2. the upload is this key's  3. conditions and range on the source
// 4. its bytes become a part
Answer upload_part_copy(Call& call) {
  TRY_LET(const Address source, parse_copy_source(call.headers().find("x-amz-copy-source").value_or("")));
  TRY(call.allow(auth::Action::kReadObject, source));
  TRY(call.allow(auth::Action::kWriteObject));
  TRY_LET(const int number, part_number(call));
  TRY_LET(const auto upload, find_upload(call));
  TRY(refuse_unsupported_headers(call.headers()));
  TRY_LET(const auto info, call.catalog().stat_object(call.ctx, source.bucket, source.ref, source.path));
  TRY_LET(const Verdict verdict, check_read(call.headers(), info.entry, "x-amz-copy-source-"));
  (void)verdict;  // a copy either goes on or fails
  catalog::ByteRange range;
  if (const auto text = call.headers().find("x-amz-copy-source-range")) {
    TRY_LET(const Range wanted, resolve_copy_range(*text, info.entry.size));
    range = {wanted.offset, wanted.length};
  }
  TRY_LET(const auto repository, call.engine().get_repository(call.ctx, source.bucket));
  TRY_LET(const auto reader, call.catalog().open_entry(call.ctx, repository, info.entry, range));
  TRY_LET(const auto part, call.catalog().upload_part(call.ctx, upload.id, number, *reader, {}));

  XmlWriter xml("CopyPartResult");
  xml.text("LastModified", iso_time(part.mtime_ms));
  xml.text("ETag", fmt::format("\"{}\"", part.etag));
  return xml.response();
}

}  // namespace tarn::s3
