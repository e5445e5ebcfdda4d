#include "s3/handler.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "base/metrics.h"
#include "s3/errors.h"
#include "s3/operations.h"
#include "s3/xml.h"

namespace tarn::s3 {
namespace {

/// What was learnt about a request before it failed.
struct Seen {
  Address address;
  auth::SignatureMismatch mismatch;
  std::string_view operation = "unknown";
};

http::Response error_answer(const Context& ctx, const http::Request& request, const Doors& doors, const Seen& seen,
                            const Error& error) {
  const S3Code code = code_of(error);
  if (code.status >= 500 && code.status != 501)
    base::log(ctx, base::Level::kError, "request failed",
              {{"operation", std::string(seen.operation)}, {"error", error.text()}});
  XmlWriter xml("Error", XmlWriter::Namespace::kNone);
  xml.text("Code", code.name);
  xml.text("Message", error.message());
  if (!seen.address.bucket.empty()) xml.text("BucketName", seen.address.bucket);
  if (!seen.address.key.empty()) xml.text("Key", seen.address.key);
  // As it came, percent-encoded: XML has no way to say NUL, or bytes that are no UTF-8.
  xml.text("Resource", request.raw_path);
  xml.text("Region", doors.region);
  if (!seen.mismatch.string_to_sign.empty()) {
    xml.text("StringToSign", seen.mismatch.string_to_sign);
    xml.text("SignatureProvided", seen.mismatch.provided);
    xml.text("CanonicalRequest", seen.mismatch.canonical_request);
  }
  xml.text("RequestId", request.request_id);
  xml.text("HostId", request.request_id);
  http::Response response = xml.response(code.status);
  if (code.status == 503) response.headers.set("Retry-After", "1");
  return response;
}

/// Bytes may take as long as they flow, and what reads or lands a whole object is never given up half-way.
bool takes_its_time(std::string_view operation) {
  constexpr std::string_view kNames[] = {"GetObject",  "PutObject",      "CopyObject",
                                         "UploadPart", "UploadPartCopy", "CompleteMultipartUpload"};
  return std::find(std::begin(kNames), std::end(kNames), operation) != std::end(kNames);
}

// The gates, in order: address, signature, operation, how many at once, then the operation with its own permission.
Answer serve(const Context& ctx, http::Request& request, const Doors& doors, Seen& seen) {
  TRY_LET(seen.address, parse_address(request, doors.gateway_domains));
  TRY_LET(auto signature, auth::verify_sigv4(ctx, request, doors.auth, doors.clock, &seen.mismatch));
  const std::string user = signature.principal.user;
  Call call{ctx.with_principal(user), request, doors, seen.address, std::move(signature)};
  http::InFlight::Ticket ticket;
  if (doors.in_flight != nullptr) {
    TRY_LET(ticket, doors.in_flight->enter(user));
  }
  TRY_LET(const Operation operation, choose(call));
  seen.operation = operation.name;
  request.route = fmt::format("s3:{}", operation.name);
  const int64_t limit_ms = takes_its_time(operation.name) ? 0 : doors.request_deadline_ms;
  if (limit_ms > 0) call.ctx = call.ctx.with_timeout(doors.clock, limit_ms);
  auto answer = operation.run(call);
  if (!answer && answer.error().code() == Code::kDeadline && !call.ctx.check(doors.clock))
    return answer.error().wrap(
        Code::kUnavailable, "request",
        fmt::format("{} was given up after {} s: ask for less at once, or raise http.request_deadline_ms",
                    operation.name, static_cast<double>(limit_ms) / 1000));
  return answer;
}

}  // namespace

bool is_s3_request(const http::Request& request, const std::vector<std::string>& domains) {
  if (const auto header = request.headers.find("Authorization"))
    if (header->starts_with("AWS4-") || header->starts_with("AWS ")) return true;
  for (const std::string_view name : {"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature", "AWSAccessKeyId"})
    if (request.query.has(name)) return true;
  const auto host = request.headers.find("Host");
  if (!host) return false;
  for (const auto& domain : domains)
    if (is_at_or_below(without_port(*host), without_port(domain))) return true;
  return false;
}

std::function<http::Response(const Context&, http::Request&)> make_handler(Doors doors) {
  return [doors = std::move(doors)](const Context& ctx, http::Request& request) {
    const base::SteadyMs begun = doors.clock.steady_ms();
    Seen seen;
    auto answer = serve(ctx, request, doors, seen);
    http::Response response = answer ? std::move(*answer) : error_answer(ctx, request, doors, seen, answer.error());
    response.headers.set("x-amz-request-id", request.request_id);
    response.headers.set("x-amz-id-2", request.request_id);
    base::metrics()
        .duration("tarn_s3_request_seconds",
                  fmt::format("operation=\"{}\",code=\"{}\"", seen.operation, response.status))
        .record_us((doors.clock.steady_ms() - begun) * 1000);
    return response;
  };
}

}  // namespace tarn::s3
