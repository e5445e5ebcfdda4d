#pragma once
// TLS by OpenSSL straight on the socket.
#include <memory>
#include <string>

#include "base/result.h"

struct ssl_ctx_st;
struct ssl_st;

namespace tarn::http::detail {

struct TlsContextFree {
  void operator()(ssl_ctx_st* context) const;
};
struct TlsFree {
  void operator()(ssl_st* tls) const;
};
using TlsContext = std::unique_ptr<ssl_ctx_st, TlsContextFree>;
using Tls = std::unique_ptr<ssl_st, TlsFree>;

/// TLS 1.2 and 1.3, no renegotiation. Errors: kInvalid naming the file that cannot be used.
Result<TlsContext> make_tls_context(const std::string& certificate_file, const std::string& key_file);
/// A server side session over a non-blocking socket; null when OpenSSL is out of memory.
Tls make_tls(ssl_ctx_st* context, int descriptor);

enum class Handshake { kDone, kWantRead, kWantWrite, kFailed };
Handshake shake_hands(ssl_st* tls);
/// Says goodbye without waiting for the answer.
void close_notify(ssl_st* tls);

}  // namespace tarn::http::detail
