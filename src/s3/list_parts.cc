// https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListParts.html
#include <fmt/format.h>

#include "s3/conditions.h"
#include "s3/errors.h"
#include "s3/object_headers.h"
#include "s3/operations.h"
#include "s3/uploads.h"
#include "s3/xml.h"

namespace tarn::s3 {

// 1. may read  2. the upload is this key's  3. its parts after part-number-marker, max-parts of them
Answer list_parts(Call& call) {
  TRY(call.allow(auth::Action::kReadObject));
  TRY_LET(const size_t max, call.count("max-parts"));
  const std::string marker_text = call.query_text("part-number-marker");
  const auto marker = marker_text.empty() ? std::optional<uint64_t>(0) : parse_number(marker_text);
  if (!marker) return refuse("InvalidArgument", "part-number-marker must be a number");
  TRY_LET(const auto upload, find_upload(call));
  TRY_LET(const auto parts, call.catalog().list_parts(call.ctx, upload.id));

  XmlWriter xml("ListPartsResult");
  xml.text("Bucket", call.address.bucket);
  xml.text("Key", call.address.key);
  xml.text("UploadId", upload.id);
  xml.text("StorageClass", "STANDARD");
  xml.number("PartNumberMarker", *marker);
  size_t given = 0;
  uint64_t last = *marker;
  bool truncated = false;
  for (const auto& part : parts) {
    if (static_cast<uint64_t>(part.number) <= *marker) continue;
    if (given == max) {
      truncated = true;
      break;
    }
    ++given;
    last = static_cast<uint64_t>(part.number);
    xml.open("Part");
    xml.number("PartNumber", last);
    xml.text("LastModified", iso_time(part.mtime_ms));
    xml.text("ETag", fmt::format("\"{}\"", part.etag));
    xml.number("Size", part.size);
    xml.close();
  }
  xml.number("NextPartNumberMarker", last);
  xml.number("MaxParts", max);
  xml.flag("IsTruncated", truncated);
  return xml.response();
}

}  // namespace tarn::s3
