#pragma once
// What a request is about: bucket = repository, key = ref/path.
#include <string>
#include <string_view>
#include <vector>

#include "http/request.h"

namespace tarn::s3 {

struct Address {
  std::string bucket;  ///< empty: the service itself
  std::string key;     ///< empty: the bucket itself
  std::string ref;     ///< the key up to its first '/'
  std::string path;    ///< what follows it; empty for the root of a ref
  bool is_ref_root() const { return path.empty(); }
};

/// "<bucket>.<domain>" or "/<bucket>/<key>" elsewhere. The raw path is split first and each part decoded once.
/// Errors: InvalidURI, KeyTooLongError.
Result<Address> parse_address(const http::Request& request, const std::vector<std::string>& domains);

/// Splits a key at its first '/'. Errors: KeyTooLongError, InvalidURI (not UTF-8, or with NUL).
Result<void> set_key(Address& address, std::string key);

/// x-amz-copy-source: "/bucket/key" or "bucket/key", encoded, decoded exactly once here.
/// Errors: InvalidArgument; NotImplemented for a versionId other than "null".
Result<Address> parse_copy_source(std::string_view header);

/// "s3.example.com:8000" is "s3.example.com"; brackets of IPv6 stay.
std::string_view without_port(std::string_view host);
/// Whether `host` is the domain or below it.
bool is_at_or_below(std::string_view host, std::string_view domain);

}  // namespace tarn::s3
