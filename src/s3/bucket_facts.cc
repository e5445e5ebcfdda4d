// What a bucket is asked about before anything is done with it.
#include <fmt/format.h>

#include "s3/errors.h"
#include "s3/operations.h"
#include "s3/xml.h"

namespace tarn::s3 {

// https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadBucket.html
Answer head_bucket(Call& call) {
  TRY(call.allow(auth::Action::kReadRepository));
  TRY_LET(const auto repository, call.engine().get_repository(call.ctx, call.address.bucket));
  http::Response response = http::empty(200);
  response.headers.set("x-amz-bucket-region", call.doors.region);
  return response;
}

// https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketLocation.html
// us-east-1 is told by an empty element.
Answer get_bucket_location(Call& call) {
  TRY(call.allow(auth::Action::kReadRepository));
  TRY_LET(const auto repository, call.engine().get_repository(call.ctx, call.address.bucket));
  http::Response response;
  response.body =
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<LocationConstraint "
      "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">";
  if (call.doors.region != "us-east-1") append_escaped(response.body, call.doors.region);
  response.body += "</LocationConstraint>";
  response.headers.set("Content-Type", "application/xml");
  return response;
}

// https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketVersioning.html
// Empty: versions are commits here, not version ids.
Answer get_bucket_versioning(Call& call) {
  TRY(call.allow(auth::Action::kReadRepository));
  TRY_LET(const auto repository, call.engine().get_repository(call.ctx, call.address.bucket));
  return XmlWriter("VersioningConfiguration").response();
}

// https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html
// Only the answer for a repository that exists, which tools ask for before they write; a new one needs a storage
// namespace, which S3 has no word for.
Answer create_bucket(Call& call) {
  TRY(call.allow(auth::Action::kReadRepository));
  const auto repository = call.engine().get_repository(call.ctx, call.address.bucket);
  if (repository)
    return refuse("BucketAlreadyOwnedByYou", fmt::format("The repository {} exists already", call.address.bucket));
  if (repository.error().code() != Code::kNotFound) return repository.error();
  return refuse("NotImplemented",
                "A repository is created through the REST interface or `tarn repo create`, not through S3");
}

}  // namespace tarn::s3
