#pragma once
// The sixth door: HTTP to other machines.
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/context.h"
#include "http/body.h"
#include "http/headers.h"

namespace tarn::http {

struct ClientRequest {
  std::string method = "GET";
  std::string url;
  Headers headers;
  std::string body;
  BodySource* source = nullptr;  ///< when set, it is sent in place of `body`; chunked if its size is unknown
  /// Gets the body of a 2xx answer piece by piece; an error stops the transfer and is returned from send. When absent,
  /// and for every other status, the body is collected in the response.
  std::function<Result<void>(std::string_view piece)> sink;
  int64_t timeout_ms = 30'000;  ///< whole exchange; 0: only the context's deadline and the stall limit count
  int64_t connect_timeout_ms = 5'000;
  size_t body_limit = 64 * 1024 * 1024;  ///< of the collected body
  std::string ca_file;                   ///< PEM; empty: the system's
  /// Asked before each connect with the resolved address: an error keeps the connection from being made. This is where
  /// hooks and imports keep out of private networks.
  std::function<Result<void>(std::string_view ip_address)> allow_address;
};

struct ClientResponse {
  int status = 0;
  Headers headers;
  std::string body;
};

/// Threads: any. Any status is a value; redirects are not followed.
class Client {
 public:
  virtual ~Client() = default;
  /// Errors: kInvalid (URL), kForbidden (allow_address), kUnavailable (no connection; nothing was sent, or the method
  /// is GET or HEAD), kDeadline, kCancelled, kTooLarge (answer beyond body_limit), kUnknownOutcome (cut after the
  /// request began to leave: it may have happened).
  virtual Result<ClientResponse> send(const Context& ctx, const ClientRequest& request) = 0;
};

/// On libcurl; keeps connections for reuse. Gives its run token back while it waits.
class CurlClient final : public Client {
 public:
  CurlClient();
  ~CurlClient() override;
  Result<ClientResponse> send(const Context& ctx, const ClientRequest& request) override;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tarn::http
