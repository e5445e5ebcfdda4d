#pragma once
// One request on its way through an operation.
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "auth/guard.h"
#include "auth/sigv4.h"
#include "http/response.h"
#include "s3/address.h"
#include "s3/body.h"
#include "s3/handler.h"

namespace tarn::s3 {

using Answer = Result<http::Response>;

/// Lives on the worker's stack.
struct Call {
  Context ctx;
  http::Request& request;
  const Doors& doors;
  Address address;
  auth::SignedRequest signature;

  const auth::Principal& principal() const { return signature.principal; }
  catalog::Catalog& catalog() const { return doors.catalog; }
  versioning::Engine& engine() const { return doors.catalog.engine(); }
  const http::Headers& headers() const { return request.headers; }
  std::optional<std::string_view> query(std::string_view name) const { return request.query.find(name); }
  std::string query_text(std::string_view name) const { return std::string(query(name).value_or("")); }

  /// On this request's repository, ref and path, or on another address. Errors: kForbidden.
  Result<void> allow(auth::Action action) const { return allow(action, address); }
  Result<void> allow(auth::Action action, const Address& on) const {
    return auth::Guard::allow(signature.principal, action,
                              {.repository = on.bucket, .ref = on.ref, .path = on.path, .user = {}});
  }
  /// The verified body. Errors: those of Body::open.
  Result<std::unique_ptr<Body>> body(ChecksumHeaders headers = ChecksumHeaders::kBody) {
    return Body::open(request, signature, headers);
  }
  /// "ref/" must be followed by a path. Errors: NoSuchKey.
  Result<void> need_path() const;
  /// A count of the query, at most 1,000. Errors: InvalidArgument.
  Result<size_t> count(std::string_view name, size_t otherwise = 1'000) const;
  /// Whether names are to be given percent-encoded. Errors: InvalidArgument for another encoding-type than url.
  Result<bool> url_encoding() const;
};

/// Whether the branch takes writes at all, asked before many bytes are read for nothing. The answer that counts is
/// given when the entry is staged. Errors: kForbidden (protected, read-only); those of explain_write. Cost: three
/// reads.
Result<void> check_takes_writes(const Call& call);

/// What a refused write is told: a tag or commit in the branch's place is AccessDenied, a missing branch NoSuchBucket
/// with the cure; any other error stays.
Error explain_write(const Call& call, const Address& address, Error error);

}  // namespace tarn::s3
