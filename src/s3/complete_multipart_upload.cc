// https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html
#include <fmt/format.h>

#include "s3/conditions.h"
#include "s3/errors.h"
#include "s3/object_headers.h"
#include "s3/operations.h"
#include "s3/uploads.h"
#include "s3/xml.h"
#include "s3/xml_bodies.h"

namespace tarn::s3 {

// 1. may write  2. the upload is this key's  3. parts: in order, each with its ETag, 5 MiB at least but the last
// 4. the object is a manifest of its parts, staged on the branch  5. the same ETag "…-N" here, in HEAD and in listings.
// A repeat after success gives the same answer.
Answer complete_multipart_upload(Call& call) {
  TRY(call.allow(auth::Action::kWriteObject));
  TRY_LET(const auto expect, write_expectation(call.headers()));
  TRY_LET(const auto upload, find_upload(call));
  TRY_LET(const auto body, call.body(ChecksumHeaders::kObject));
  auto text = body->text(kXmlBodyMax);
  if (!text && text.error().code() == Code::kTooLarge)
    return refuse("MalformedXML", "The XML you provided is larger than 2 MiB");
  if (!text) return std::move(text).error();
  TRY_LET(const auto listed, parse_complete(*text));
  std::vector<catalog::Part> parts;
  parts.reserve(listed.size());
  for (const auto& part : listed) parts.push_back({part.number, part.etag, 0, 0});
  const Address& at = call.address;
  auto stored = call.catalog().complete_upload(call.ctx, upload.id, parts, expect);
  if (!stored) return explain_write(call, at, std::move(stored).error());

  XmlWriter xml("CompleteMultipartUploadResult");
  xml.text("Location", fmt::format("{}://{}{}", call.request.secure ? "https" : "http",
                                   call.headers().find("Host").value_or(""), call.request.raw_path));
  xml.text("Bucket", at.bucket);
  xml.text("Key", at.key);
  xml.text("ETag", quoted_etag(stored->entry));
  return xml.response();
}

}  // namespace tarn::s3
