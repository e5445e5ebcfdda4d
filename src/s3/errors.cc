#include "s3/errors.h"

#include <string>

namespace tarn::s3 {
namespace {

/// S3's own words, with the code of the house that they are an instance of.
struct Own {
  S3Code s3;
  Code code;
};
constexpr Own kOwn[] = {
    {{"AccessControlListNotSupported", 400}, Code::kUnsupported},
    {{"AccessDenied", 403}, Code::kForbidden},
    {{"BadDigest", 400}, Code::kInvalid},
    {{"BucketAlreadyOwnedByYou", 409}, Code::kAlreadyExists},
    {{"EntityTooLarge", 400}, Code::kTooLarge},
    {{"IncompleteBody", 400}, Code::kInvalid},
    {{"InvalidArgument", 400}, Code::kInvalid},
    {{"InvalidBucketName", 400}, Code::kInvalid},
    {{"InvalidChunkSizeError", 403}, Code::kInvalid},
    {{"InvalidDigest", 400}, Code::kInvalid},
    {{"InvalidPartNumber", 416}, Code::kInvalid},
    {{"InvalidRange", 416}, Code::kInvalid},
    {{"InvalidRequest", 400}, Code::kInvalid},
    {{"InvalidStorageClass", 400}, Code::kInvalid},
    {{"InvalidURI", 400}, Code::kInvalid},
    {{"KeyTooLongError", 400}, Code::kInvalid},
    {{"MalformedTrailerError", 400}, Code::kInvalid},
    {{"MalformedXML", 400}, Code::kInvalid},
    {{"MetadataTooLarge", 400}, Code::kInvalid},
    {{"MethodNotAllowed", 405}, Code::kUnsupported},
    {{"MissingContentLength", 411}, Code::kInvalid},
    {{"NoSuchBucket", 404}, Code::kNotFound},
    {{"NoSuchBucketPolicy", 404}, Code::kNotFound},
    {{"NoSuchCORSConfiguration", 404}, Code::kNotFound},
    {{"NoSuchKey", 404}, Code::kNotFound},
    {{"NoSuchLifecycleConfiguration", 404}, Code::kNotFound},
    {{"NoSuchTagSet", 404}, Code::kNotFound},
    {{"NoSuchUpload", 404}, Code::kNotFound},
    {{"NoSuchWebsiteConfiguration", 404}, Code::kNotFound},
    {{"NotImplemented", 501}, Code::kUnsupported},
    {{"PreconditionFailed", 412}, Code::kConflict},
    {{"SignatureDoesNotMatch", 403}, Code::kUnauthenticated},
    {{"XAmzContentChecksumMismatch", 400}, Code::kInvalid},
    {{"XAmzContentSHA256Mismatch", 400}, Code::kInvalid},
};

constexpr std::string_view kOwnPrefix = "s3:";

/// What the rooms below say, where the subject decides.
struct Row {
  Code code;
  std::string_view subject;
  S3Code s3;
};
constexpr Row kRows[] = {
    // auth/sigv4.h
    {Code::kUnauthenticated, "anonymous", {"AccessDenied", 403}},
    {Code::kUnauthenticated, "access_key", {"InvalidAccessKeyId", 403}},
    {Code::kUnauthenticated, "signature", {"SignatureDoesNotMatch", 403}},
    {Code::kForbidden, "clock", {"RequestTimeTooSkewed", 403}},
    {Code::kForbidden, "expired", {"AccessDenied", 403}},
    {Code::kForbidden, "date", {"AccessDenied", 403}},
    {Code::kForbidden, "headers", {"AccessDenied", 403}},
    {Code::kInvalid, "authorization", {"AuthorizationHeaderMalformed", 400}},
    {Code::kInvalid, "query", {"AuthorizationQueryParametersError", 400}},
    {Code::kInvalid, "payload_hash", {"InvalidArgument", 400}},
    {Code::kInvalid, "token", {"InvalidToken", 400}},
    {Code::kInvalid, "sigv2", {"InvalidRequest", 400}},
    // catalog and versioning
    {Code::kNotFound, "repository", {"NoSuchBucket", 404}},
    {Code::kNotFound, "write_branch", {"NoSuchBucket", 404}},
    {Code::kNotFound, "branch", {"NoSuchKey", 404}},
    {Code::kNotFound, "ref", {"NoSuchKey", 404}},
    {Code::kNotFound, "commit", {"NoSuchKey", 404}},
    {Code::kNotFound, "object", {"NoSuchKey", 404}},
    {Code::kNotFound, "upload", {"NoSuchUpload", 404}},
    {Code::kInvalid, "repository", {"InvalidBucketName", 400}},
    {Code::kInvalid, "content-md5", {"BadDigest", 400}},
    {Code::kInvalid, "sha256", {"XAmzContentSHA256Mismatch", 400}},
    {Code::kInvalid, "part", {"InvalidPart", 400}},
    {Code::kInvalid, "part_order", {"InvalidPartOrder", 400}},
    {Code::kInvalid, "entity_too_small", {"EntityTooSmall", 400}},
    {Code::kInvalid, "range", {"InvalidRange", 416}},
    {Code::kAlreadyExists, "repository", {"BucketAlreadyExists", 409}},
};

}  // namespace

S3Code code_of(const Error& error) {
  const std::string_view subject = error.subject();
  if (subject.starts_with(kOwnPrefix))
    for (const auto& own : kOwn)
      if (own.s3.name == subject.substr(kOwnPrefix.size())) return own.s3;
  for (const auto& row : kRows)
    if (row.code == error.code() && row.subject == subject) return row.s3;
  switch (error.code()) {
    case Code::kInvalid:
      return {"InvalidArgument", 400};
    case Code::kUnauthenticated:
    case Code::kForbidden:
    case Code::kRefused:
      return {"AccessDenied", 403};
    case Code::kNotFound:
    case Code::kGone:
      return {"NoSuchKey", 404};
    case Code::kAlreadyExists:
    case Code::kMergeConflict:
      return {"OperationAborted", 409};
    case Code::kConflict:
      return {"PreconditionFailed", 412};
    case Code::kTooLarge:
      return {"EntityTooLarge", 400};
    case Code::kUnsupported:
      return {"NotImplemented", 501};
    case Code::kBusy:
      return {"SlowDown", 503};
    case Code::kUnavailable:
    case Code::kUnknownOutcome:
      return {"ServiceUnavailable", 503};
    case Code::kNoSpace:
      return {"InsufficientStorage", 507};
    case Code::kDeadline:
    case Code::kCancelled:
      return {"RequestTimeout", 400};
    case Code::kCorrupt:
    case Code::kInternal:
      return {"InternalError", 500};
  }
  return {"InternalError", 500};
}

Error refuse(std::string_view name, std::string message) {
  for (const auto& own : kOwn)
    if (own.s3.name == name) return Error(own.code, std::string(kOwnPrefix) + std::string(name), std::move(message));
  return Error(Code::kInternal, "s3", "unknown S3 error " + std::string(name) + ": " + message);
}

}  // namespace tarn::s3
