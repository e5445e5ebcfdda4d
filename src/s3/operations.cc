#include "s3/operations.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "s3/errors.h"

namespace tarn::s3 {
namespace {

using http::Method;

enum class Level { kService, kBucket, kObject };

struct Row {
  Method method;
  Level level;
  std::string_view sub;  ///< the sub-resource; empty: the plain operation
  bool copy;             ///< with x-amz-copy-source
  Operation operation;
};

constexpr Row kRows[] = {
    {Method::kGet, Level::kService, "", false, {"ListBuckets", list_buckets}},
    {Method::kPut, Level::kBucket, "", false, {"CreateBucket", create_bucket}},
    {Method::kHead, Level::kBucket, "", false, {"HeadBucket", head_bucket}},
    {Method::kGet, Level::kBucket, "location", false, {"GetBucketLocation", get_bucket_location}},
    {Method::kGet, Level::kBucket, "versioning", false, {"GetBucketVersioning", get_bucket_versioning}},
    {Method::kGet, Level::kBucket, "", false, {"ListObjects", list_objects}},
    {Method::kGet, Level::kBucket, "list-type", false, {"ListObjectsV2", list_objects_v2}},
    {Method::kGet, Level::kBucket, "uploads", false, {"ListMultipartUploads", list_multipart_uploads}},
    {Method::kPost, Level::kBucket, "delete", false, {"DeleteObjects", delete_objects}},
    {Method::kGet, Level::kObject, "", false, {"GetObject", get_object}},
    {Method::kHead, Level::kObject, "", false, {"HeadObject", head_object}},
    {Method::kGet, Level::kObject, "tagging", false, {"GetObjectTagging", get_object_tagging}},
    {Method::kPut, Level::kObject, "", false, {"PutObject", put_object}},
    {Method::kPut, Level::kObject, "", true, {"CopyObject", copy_object}},
    {Method::kDelete, Level::kObject, "", false, {"DeleteObject", delete_object}},
    {Method::kPost, Level::kObject, "uploads", false, {"CreateMultipartUpload", create_multipart_upload}},
    {Method::kPut, Level::kObject, "uploadId", false, {"UploadPart", upload_part}},
    {Method::kPut, Level::kObject, "uploadId", true, {"UploadPartCopy", upload_part_copy}},
    {Method::kPost, Level::kObject, "uploadId", false, {"CompleteMultipartUpload", complete_multipart_upload}},
    {Method::kDelete, Level::kObject, "uploadId", false, {"AbortMultipartUpload", abort_multipart_upload}},
    {Method::kGet, Level::kObject, "uploadId", false, {"ListParts", list_parts}},
};

/// Parameters that make a request another operation.
constexpr std::string_view kSubresources[] = {
    "accelerate",
    "acl",
    "analytics",
    "append",
    "attributes",
    "cors",
    "delete",
    "encryption",
    "intelligent-tiering",
    "inventory",
    "legal-hold",
    "lifecycle",
    "list-type",
    "location",
    "logging",
    "metadataTable",
    "metrics",
    "notification",
    "object-lock",
    "ownershipControls",
    "policy",
    "policyStatus",
    "publicAccessBlock",
    "renameObject",
    "replication",
    "requestPayment",
    "restore",
    "retention",
    "select",
    "session",
    "tagging",
    "torrent",
    "uploadId",
    "uploads",
    "versioning",
    "versions",
    "website",
};

/// What is truly not there has S3's own word for it; tools probe for these.
struct Absent {
  std::string_view sub, code;
};
constexpr Absent kAbsent[] = {
    {"policy", "NoSuchBucketPolicy"},
    {"cors", "NoSuchCORSConfiguration"},
    {"lifecycle", "NoSuchLifecycleConfiguration"},
    {"tagging", "NoSuchTagSet"},
    {"website", "NoSuchWebsiteConfiguration"},
};

Result<std::string_view> subresource(const Call& call) {
  std::string_view found;
  for (const auto& [name, value] : call.request.query) {
    if (call.request.query.all(name).size() > 1)
      return refuse("InvalidArgument", fmt::format("the parameter {} must stand there once only", name));
    if (std::find(std::begin(kSubresources), std::end(kSubresources), name) == std::end(kSubresources)) continue;
    if (!found.empty())
      return refuse("InvalidRequest", fmt::format("the parameters {} and {} name two operations", found, name));
    found = name;
  }
  if (const auto version = call.query("versionId"); version && !version->empty() && *version != "null")
    return refuse("NotImplemented",
                  "versionId is not supported: name a commit as the first part of the key instead of a branch");
  return found;
}

}  // namespace

Result<Operation> choose(const Call& call) {
  const Method method = call.request.method;
  const Level level = call.address.bucket.empty() ? Level::kService
                      : call.address.key.empty()  ? Level::kBucket
                                                  : Level::kObject;
  TRY_LET(const std::string_view sub, subresource(call));
  const bool copy = call.headers().has("x-amz-copy-source");
  for (const auto& row : kRows)
    if (row.level == level && row.sub == sub && row.method == method && row.copy == copy) return row.operation;
  if (copy) return refuse("InvalidRequest", "x-amz-copy-source belongs to a PUT of an object only");
  if (level == Level::kBucket && method == Method::kGet)
    for (const auto& absent : kAbsent)
      if (absent.sub == sub) return refuse(absent.code, "The specified configuration does not exist");
  if (level == Level::kBucket && sub.empty() && method == Method::kDelete)
    return refuse("MethodNotAllowed", "A repository is deleted through the REST interface or `tarn repo delete`");
  if (sub.empty())
    return refuse("MethodNotAllowed", fmt::format("The specified method is not allowed against this resource: {}",
                                                  call.request.method_text));
  return refuse("NotImplemented",
                fmt::format("A header or parameter you provided implies functionality that is not implemented: {} ?{}",
                            call.request.method_text, sub));
}

}  // namespace tarn::s3
