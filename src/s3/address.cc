#include "s3/address.h"

#include <fmt/format.h>

#include "base/bytes.h"
#include "s3/errors.h"

namespace tarn::s3 {
namespace {

constexpr size_t kKeyMax = 1024 + 256;  // a path and its ref

}  // namespace

std::string_view without_port(std::string_view host) {
  if (host.starts_with('[')) return host.substr(0, host.find(']') + 1);
  return host.substr(0, host.find(':'));
}

bool is_at_or_below(std::string_view host, std::string_view domain) {
  if (domain.empty()) return false;
  if (http::equal_ignoring_case(host, domain)) return true;
  return host.size() > domain.size() + 1 && host[host.size() - domain.size() - 1] == '.' &&
         http::equal_ignoring_case(host.substr(host.size() - domain.size()), domain);
}

Result<void> set_key(Address& address, std::string key) {
  if (key.size() > kKeyMax) return refuse("KeyTooLongError", "Your key is too long: a path has at most 1,024 bytes");
  if (key.find('\0') != std::string::npos || !base::is_utf8(key))
    return refuse("InvalidURI", "Couldn't parse the specified URI: a key must be UTF-8 without NUL");
  const size_t slash = key.find('/');
  address.ref = key.substr(0, slash);
  address.path = slash == std::string::npos ? std::string() : key.substr(slash + 1);
  address.key = std::move(key);
  return {};
}

Result<Address> parse_address(const http::Request& request, const std::vector<std::string>& domains) {
  Address address;
  std::string_view rest = request.raw_path;
  if (rest.starts_with('/')) rest.remove_prefix(1);
  const std::string_view host = without_port(request.headers.find("Host").value_or(""));
  bool virtual_host = false;
  for (const auto& domain : domains) {
    const std::string_view name = without_port(domain);
    if (!is_at_or_below(host, name)) continue;
    virtual_host = host.size() > name.size();
    if (virtual_host) address.bucket = std::string(host.substr(0, host.size() - name.size() - 1));
    break;
  }
  const auto decode = [](std::string_view text) -> Result<std::string> {
    auto decoded = http::percent_decode(text);
    if (!decoded) return refuse("InvalidURI", "Couldn't parse the specified URI: bad percent-encoding");
    return decoded;
  };
  if (!virtual_host) {
    const size_t slash = rest.find('/');
    TRY_LET(address.bucket, decode(rest.substr(0, slash)));
    rest = slash == std::string_view::npos ? std::string_view() : rest.substr(slash + 1);
  }
  TRY_LET(auto key, decode(rest));
  TRY(set_key(address, std::move(key)));
  return address;
}

Result<Address> parse_copy_source(std::string_view header) {
  const auto bad = [](std::string_view why) {
    return refuse("InvalidArgument",
                  fmt::format("Copy Source must mention the source bucket and key: sourcebucket/sourcekey ({})", why));
  };
  const size_t question = header.rfind("?versionId=");
  if (question != std::string_view::npos) {
    if (header.substr(question + 11) != "null")
      return refuse("NotImplemented",
                    "versionId in x-amz-copy-source is not supported: name the commit as the first part of the key");
    header = header.substr(0, question);
  }
  const auto decoded = http::percent_decode(header);
  if (!decoded) return bad("bad percent-encoding");
  std::string_view text = *decoded;
  if (text.starts_with('/')) text.remove_prefix(1);
  const size_t slash = text.find('/');
  if (slash == 0 || slash == std::string_view::npos || slash + 1 == text.size()) return bad("one of them is missing");
  Address address;
  address.bucket = std::string(text.substr(0, slash));
  TRY(set_key(address, std::string(text.substr(slash + 1))));
  if (address.is_ref_root()) return bad("the key must be ref/path");
  return address;
}

}  // namespace tarn::s3
