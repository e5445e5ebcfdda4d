// https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
#include <fmt/format.h>

#include "base/bytes.h"
#include "s3/conditions.h"
#include "s3/errors.h"
#include "s3/object_headers.h"
#include "s3/operations.h"

namespace tarn::s3 {
namespace {

/// From here on it pays to ask before the bytes are read whether they may stay.
constexpr uint64_t kLarge = 1 << 20;

/// "main/" with no bytes: clients make such folders on their way to a file; a branch has its own already.
Answer put_ref_root(Call& call, Body& body) {
  TRY_LET(const auto repository, call.engine().get_repository(call.ctx, call.address.bucket));
  auto branch = call.engine().get_branch(call.ctx, repository, call.address.ref);
  if (!branch) return explain_write(call, call.address, std::move(branch).error());
  TRY_LET(const std::string bytes, body.text(1));
  if (!bytes.empty() || !call.address.key.ends_with('/'))
    return refuse("InvalidArgument", "a key is <branch>/<path>: there is no path in this one");
  http::Response response = http::empty(200);
  response.headers.set("ETag", fmt::format("\"{}\"", base::to_hex(base::md5(""))));
  return response;
}

}  // namespace

// 1. may write  2. headers: metadata, what the key must hold  3. bytes, verified to their end before anything names
// them
// 4. staged on the branch  5. ETag and the checksum that was sent
Answer put_object(Call& call) {
  TRY(call.allow(auth::Action::kWriteObject));
  if (call.query("partNumber"))
    return refuse("InvalidArgument", "This operation does not accept partNumber without uploadId");
  TRY(refuse_unsupported_headers(call.headers()));
  catalog::PutOptions options;
  TRY(read_object_headers(call.headers(), options));
  TRY_LET(options.expect, write_expectation(call.headers()));
  TRY_LET(const auto body, call.body());
  if (call.address.is_ref_root()) return put_ref_root(call, *body);
  if (call.request.content_length.value_or(kLarge) >= kLarge) TRY(check_takes_writes(call));
  options.md5 = body->md5();
  // A checksum in the trailer is known only now; tags are read after the last byte.
  body->on_verified([&] {
    if (const auto& sum = body->checksum()) set_tag(options.tagged, tag_of(sum->kind), sum->raw);
  });
  const Address& at = call.address;
  auto stored = call.catalog().put_object(call.ctx, at.bucket, at.ref, at.path, *body, options);
  if (!stored) return explain_write(call, at, std::move(stored).error());

  http::Response response = http::empty(200);
  response.headers.set("ETag", quoted_etag(stored->entry));
  if (const auto& sum = body->checksum()) {
    response.headers.set(header_of(sum->kind), base::to_base64(sum->raw));
    response.headers.set("x-amz-checksum-type", "FULL_OBJECT");
  }
  return response;
}

}  // namespace tarn::s3
