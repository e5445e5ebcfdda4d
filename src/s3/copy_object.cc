// https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html
#include "s3/conditions.h"
#include "s3/errors.h"
#include "s3/object_headers.h"
#include "s3/operations.h"
#include "s3/xml.h"

namespace tarn::s3 {

// 1. may read the source and write the destination  2. conditions on the source  3. metadata: kept or replaced
// 4. the destination's entry names the source's bytes: none is copied  5. ETag and time
Answer copy_object(Call& call) {
  TRY_LET(const Address source, parse_copy_source(call.headers().find("x-amz-copy-source").value_or("")));
  TRY(call.allow(auth::Action::kReadObject, source));
  TRY(call.allow(auth::Action::kWriteObject));
  TRY(call.need_path());
  TRY(refuse_unsupported_headers(call.headers()));
  const auto directive = call.headers().find("x-amz-metadata-directive").value_or("COPY");
  if (directive != "COPY" && directive != "REPLACE")
    return refuse("InvalidArgument", "Unknown metadata directive: it must be COPY or REPLACE");
  const bool replace = directive == "REPLACE";
  const Address& to = call.address;
  if (!replace && source.bucket == to.bucket && source.key == to.key)
    return refuse("InvalidRequest",
                  "This copy request is illegal because it is trying to copy an object to itself without changing the "
                  "object's metadata");
  TRY_LET(const auto info, call.catalog().stat_object(call.ctx, source.bucket, source.ref, source.path));
  TRY_LET(const Verdict verdict, check_read(call.headers(), info.entry, "x-amz-copy-source-"));
  (void)verdict;  // a copy either goes on or fails
  catalog::PutOptions options;
  if (replace) {
    TRY(read_object_headers(call.headers(), options));
    keep_checksums(info.entry, options.tagged);
  }
  TRY_LET(options.expect, write_expectation(call.headers()));
  auto copied = call.catalog().copy_object(call.ctx, source.bucket, source.ref, source.path, to.bucket, to.ref, to.path,
                                           options, replace);
  if (!copied) return explain_write(call, to, std::move(copied).error());

  XmlWriter xml("CopyObjectResult");
  xml.text("LastModified", iso_time(copied->entry.mtime_ms));
  xml.text("ETag", quoted_etag(copied->entry));
  return xml.response();
}

}  // namespace tarn::s3
