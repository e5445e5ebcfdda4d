// https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html
#include <fmt/format.h>

#include "s3/conditions.h"
#include "s3/errors.h"
#include "s3/object_headers.h"
#include "s3/operations.h"
#include "s3/uploads.h"
#include "s3/whole_object.h"
#include "s3/xml.h"
#include "s3/xml_bodies.h"

namespace tarn::s3 {
namespace {

std::string_view element_of(ChecksumKind kind) {
  switch (kind) {
    case ChecksumKind::kCrc32:
      return "ChecksumCRC32";
    case ChecksumKind::kCrc32c:
      return "ChecksumCRC32C";
    case ChecksumKind::kCrc64Nvme:
      return "ChecksumCRC64NVME";
    case ChecksumKind::kSha1:
      return "ChecksumSHA1";
    case ChecksumKind::kSha256:
      return "ChecksumSHA256";
  }
  return {};
}

/// A checksum of all bytes is kept with the object; one over the parts' checksums is compared only.
Result<void> check_whole(const Call& call, const versioning::Repository& repository, const WholeObject& said,
                         tree::Entry& entry) {
  if (said.size && *said.size != entry.size)
    return refuse("InvalidRequest",
                  fmt::format("The object has {} bytes, and x-amz-mp-object-size says {}", entry.size, *said.size));
  if (!said.checksum) return {};
  WholeObjectCheck check(said);
  std::vector<uint64_t> sizes(entry.address.part_sizes.begin(), entry.address.part_sizes.end());
  if (sizes.empty()) sizes.push_back(entry.size);
  uint64_t offset = 0;
  for (const uint64_t size : sizes) {
    TRY_LET(const auto part, call.catalog().open_entry(call.ctx, repository, entry, {offset, size}));
    TRY(check.add(*part));
    offset += size;
  }
  TRY(check.finish());
  if (said.type == WholeObject::Type::kFullObject)
    set_tag(entry.tagged, tag_of(said.checksum->kind), said.checksum->raw);
  return {};
}

}  // namespace

// 1. may write  2. the upload is this key's  3. parts: in order, each with its ETag, 5 MiB at least but the last
// 4. what is said about the whole object, its size and checksum, holds: the parts are read for a checksum
// 5. the object is a manifest of its parts, staged on the branch  6. the same ETag "…-N" here, in HEAD and in listings.
// A repeat after success gives the same answer.
Answer complete_multipart_upload(Call& call) {
  TRY(call.allow(auth::Action::kWriteObject));
  TRY_LET(const auto expect, write_expectation(call.headers()));
  TRY_LET(const auto said, WholeObject::parse(call.headers()));
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
  auto stored = call.catalog().complete_upload(call.ctx, upload.id, parts, expect,
                                               [&](const versioning::Repository& repository, tree::Entry& entry) {
                                                 return check_whole(call, repository, said, entry);
                                               });
  if (!stored) return explain_write(call, at, std::move(stored).error());

  XmlWriter xml("CompleteMultipartUploadResult");
  xml.text("Location", fmt::format("{}://{}{}", call.request.secure ? "https" : "http",
                                   call.headers().find("Host").value_or(""), call.request.raw_path));
  xml.text("Bucket", at.bucket);
  xml.text("Key", at.key);
  xml.text("ETag", quoted_etag(stored->entry));
  if (said.checksum) {
    xml.text(element_of(said.checksum->kind), checksum_text(said));
    xml.text("ChecksumType", said.type == WholeObject::Type::kComposite ? "COMPOSITE" : "FULL_OBJECT");
  }
  return xml.response();
}

}  // namespace tarn::s3
