#pragma once
// What the multipart operations share.
#include "s3/call.h"

namespace tarn::s3 {

/// The upload that the query's uploadId names, when it is one of this request's key. Errors: NoSuchUpload, also for an
/// upload of another key: an id alone opens nothing.
Result<catalog::MultipartUpload> find_upload(const Call& call);

/// Errors: InvalidArgument unless 1 to 10,000.
Result<int> part_number(const Call& call);

}  // namespace tarn::s3
