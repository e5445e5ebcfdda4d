#pragma once
// One listener for two interfaces: which one a request means.
#include <string>
#include <vector>

#include "http/request.h"

namespace tarn::server {

/// S3 when it is AWS-signed, by header or by query, or when its Host is an S3 domain or below one.
/// Source: lakeFS's gateway rule; Signature V4 and V2, header and presigned forms.
bool is_s3(const http::Request& request, const std::vector<std::string>& domains);

}  // namespace tarn::server
