#include "s3/uploads.h"

#include "s3/conditions.h"
#include "s3/errors.h"

namespace tarn::s3 {

Result<catalog::MultipartUpload> find_upload(const Call& call) {
  const auto none = [] {
    return refuse("NoSuchUpload",
                  "The specified upload does not exist. The upload ID may be invalid, or the upload may have been "
                  "aborted or completed.");
  };
  auto upload = call.catalog().get_upload(call.ctx, call.query_text("uploadId"));
  if (!upload && upload.error().code() == Code::kNotFound) return none();
  if (!upload) return std::move(upload).error();
  const Address& at = call.address;
  if (upload->repository != at.bucket || upload->branch != at.ref || upload->path != at.path) return none();
  return upload;
}

Result<int> part_number(const Call& call) {
  const auto number = parse_number(call.query("partNumber").value_or(""));
  if (!number || *number < 1 || *number > 10'000)
    return refuse("InvalidArgument", "Part number must be an integer between 1 and 10000, inclusive");
  return static_cast<int>(*number);
}

}  // namespace tarn::s3
