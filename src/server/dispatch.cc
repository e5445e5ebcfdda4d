#include "server/dispatch.h"

#include "s3/handler.h"

namespace tarn::server {

bool is_s3(const http::Request& request, const std::vector<std::string>& domains) {
  return s3::is_s3_request(request, domains);
}

}  // namespace tarn::server
