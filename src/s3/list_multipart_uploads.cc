// https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListMultipartUploads.html
#include <algorithm>
#include <map>

#include "s3/listing.h"
#include "s3/object_headers.h"
#include "s3/operations.h"
#include "s3/xml.h"

namespace tarn::s3 {

// 1. may list  2. open uploads by key, then id, after the markers  3. prefix and delimiter as in listings of keys
Answer list_multipart_uploads(Call& call) {
  TRY_LET(const KeyQuery query, read_key_query(call));
  TRY_LET(const bool encode, call.url_encoding());
  TRY_LET(const size_t max, call.count("max-uploads"));
  const std::string key_marker = call.query_text("key-marker"), id_marker = call.query_text("upload-id-marker");
  TRY_LET(const auto repository, call.engine().get_repository(call.ctx, call.address.bucket));
  TRY_LET(const auto uploads, call.catalog().list_uploads(call.ctx, repository.name));

  std::map<std::pair<std::string, std::string>, const catalog::MultipartUpload*> sorted;
  for (const auto& upload : uploads) sorted[{upload.branch + "/" + upload.path, upload.id}] = &upload;
  struct Found {
    std::string key;
    const catalog::MultipartUpload* upload;  ///< nullptr: a common prefix
  };
  std::vector<Found> found;
  bool truncated = false;
  std::string last_key, last_id;
  for (const auto& [name, upload] : sorted) {
    const auto& [key, id] = name;
    if (!key.starts_with(query.prefix)) continue;
    const size_t cut = query.delimiter.empty() ? std::string::npos : key.find(query.delimiter, query.prefix.size());
    const bool is_prefix = cut != std::string::npos;
    const std::string shown = is_prefix ? key.substr(0, cut + query.delimiter.size()) : key;
    if (shown < key_marker || (shown == key_marker && (is_prefix || id_marker.empty() || id <= id_marker))) continue;
    if (is_prefix && !found.empty() && found.back().key == shown) continue;
    if (found.size() == max) {
      truncated = true;
      break;
    }
    found.push_back({shown, is_prefix ? nullptr : upload});
    last_key = shown;
    last_id = is_prefix ? std::string() : id;
  }

  XmlWriter xml("ListMultipartUploadsResult");
  xml.text("Bucket", call.address.bucket);
  xml.text("KeyMarker", listed_name(key_marker, encode));
  xml.text("UploadIdMarker", id_marker);
  xml.text("Prefix", listed_name(query.prefix, encode));
  if (!query.delimiter.empty()) xml.text("Delimiter", listed_name(query.delimiter, encode));
  if (encode) xml.text("EncodingType", "url");
  xml.number("MaxUploads", max);
  xml.flag("IsTruncated", truncated);
  if (truncated) {
    xml.text("NextKeyMarker", listed_name(last_key, encode));
    xml.text("NextUploadIdMarker", last_id);
  }
  for (const auto& one : found) {
    xml.open(one.upload != nullptr ? "Upload" : "CommonPrefixes");
    xml.text(one.upload != nullptr ? "Key" : "Prefix", listed_name(one.key, encode));
    if (one.upload != nullptr) {
      xml.text("UploadId", one.upload->id);
      xml.text("StorageClass", "STANDARD");
      xml.text("Initiated", iso_time(one.upload->created_ms));
    }
    xml.close();
  }
  return xml.response();
}

}  // namespace tarn::s3
