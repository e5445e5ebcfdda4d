#include "server/dispatch.h"

namespace tarn::server {
namespace {

std::string_view without_port(std::string_view host) {
  if (host.starts_with('[')) return host.substr(0, host.find(']') + 1);
  return host.substr(0, host.find(':'));
}

bool below(std::string_view host, std::string_view domain) {
  if (http::equal_ignoring_case(host, domain)) return true;
  return host.size() > domain.size() + 1 && host[host.size() - domain.size() - 1] == '.' &&
         http::equal_ignoring_case(host.substr(host.size() - domain.size()), domain);
}

}  // namespace

bool is_s3(const http::Request& request, const std::vector<std::string>& domains) {
  if (const auto signature = request.headers.find("Authorization"))
    if (signature->starts_with("AWS4-") || signature->starts_with("AWS ")) return true;
  if (request.query.has("X-Amz-Credential") || request.query.has("X-Amz-Signature") ||
      request.query.has("AWSAccessKeyId"))
    return true;
  if (const auto host = request.headers.find("Host"))
    for (const auto& domain : domains)
      if (below(without_port(*host), without_port(domain))) return true;
  return false;
}

}  // namespace tarn::server
