#pragma once
// Every operation that this server speaks, and how a request names one.
#include <string_view>

#include "s3/call.h"

namespace tarn::s3 {

using Operate = Answer (*)(Call&);

struct Operation {
  std::string_view name;  ///< as AWS writes it
  Operate run;
};

/// By method, bucket, key, sub-resource and x-amz-copy-source. A known sub-resource that is not served never falls
/// through to the plain operation. Errors: NotImplemented, MethodNotAllowed, InvalidArgument (a parameter twice).
Result<Operation> choose(const Call& call);

// One file each.
Answer list_buckets(Call&);
Answer create_bucket(Call&);
Answer head_bucket(Call&);
Answer get_bucket_location(Call&);
Answer get_bucket_versioning(Call&);
Answer list_objects(Call&);
Answer list_objects_v2(Call&);
Answer list_multipart_uploads(Call&);
Answer delete_objects(Call&);
Answer get_object(Call&);
Answer head_object(Call&);
Answer get_object_tagging(Call&);
Answer put_object(Call&);
Answer copy_object(Call&);
Answer delete_object(Call&);
Answer create_multipart_upload(Call&);
Answer upload_part(Call&);
Answer upload_part_copy(Call&);
Answer complete_multipart_upload(Call&);
Answer abort_multipart_upload(Call&);
Answer list_parts(Call&);

}  // namespace tarn::s3
