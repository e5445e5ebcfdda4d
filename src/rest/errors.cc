#include "rest/errors.h"

#include "base/json.h"
#include "base/log.h"

namespace tarn::rest {

int status_of(const Error& error) {
  switch (error.code()) {
    case Code::kInvalid:
      return 400;
    case Code::kUnauthenticated:
      return 401;
    // The API answers a missing permission with 401; 403 stays for protected branches and read-only repositories.
    case Code::kForbidden:
      return error.subject() == "permissions" ? 401 : 403;
    case Code::kNotFound:
      return 404;
    case Code::kAlreadyExists:
      return error.subject() == "storage_namespace" ? 400 : 409;
    case Code::kConflict:
      return 412;
    case Code::kMergeConflict:
      return 409;
    case Code::kRefused:
      return 412;
    case Code::kGone:
      return 410;
    case Code::kTooLarge:
      return 413;
    case Code::kUnsupported:
      return error.subject() == "Content-Encoding" ? 415 : 501;
    case Code::kBusy:
      return 429;
    case Code::kUnavailable:
      return 503;
    case Code::kNoSpace:
      return 507;
    case Code::kDeadline:
      return 504;
    case Code::kCancelled:
      return 499;
    case Code::kCorrupt:
      return 500;
    case Code::kUnknownOutcome:
      return 503;
    case Code::kInternal:
      return 500;
  }
  return 500;
}

http::Response answer(const Context& ctx, const Error& error) {
  const int status = status_of(error);
  if (status >= 500 && status != 501) base::log(ctx, base::Level::kError, "request failed", {{"error", error.text()}});
  std::string message = error.message();
  if (error.code() == Code::kUnauthenticated) message = "error authenticating request: " + message;
  http::Response response = http::json(status, Json::object({{"message", message}}).dump());
  if (status == 429 || status == 503) response.headers.set("Retry-After", "1");
  return response;
}

}  // namespace tarn::rest
