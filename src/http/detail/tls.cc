#include "http/detail/tls.h"

#include <fmt/core.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

namespace tarn::http::detail {
namespace {

Error unusable(const char* what, const std::string& file) {
  char text[256] = "";
  ERR_error_string_n(ERR_get_error(), text, sizeof text);
  ERR_clear_error();
  return Error(Code::kInvalid, "tls", fmt::format("the TLS {} {} cannot be used: {}", what, file, text));
}

int choose_protocol(SSL*, const unsigned char** out, unsigned char* out_size, const unsigned char* in,
                    unsigned int in_size, void*) {
  static constexpr unsigned char kHttp11[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};
  unsigned char* chosen = nullptr;
  if (SSL_select_next_proto(&chosen, out_size, kHttp11, sizeof kHttp11, in, in_size) != OPENSSL_NPN_NEGOTIATED)
    return SSL_TLSEXT_ERR_NOACK;
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

}  // namespace

void TlsContextFree::operator()(ssl_ctx_st* context) const { SSL_CTX_free(context); }
void TlsFree::operator()(ssl_st* tls) const { SSL_free(tls); }

Result<TlsContext> make_tls_context(const std::string& certificate_file, const std::string& key_file) {
  ERR_clear_error();
  TlsContext context(SSL_CTX_new(TLS_server_method()));
  if (!context) return Error(Code::kInternal, "tls", "OpenSSL gives no context");
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  // A cut without goodbye is caught by the framing of bodies, so OpenSSL need not report it as an error.
  SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_mode(context.get(),
                   SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_alpn_select_cb(context.get(), choose_protocol, nullptr);
  if (SSL_CTX_use_certificate_chain_file(context.get(), certificate_file.c_str()) != 1)
    return unusable("certificate", certificate_file);
  if (SSL_CTX_use_PrivateKey_file(context.get(), key_file.c_str(), SSL_FILETYPE_PEM) != 1)
    return unusable("key", key_file);
  if (SSL_CTX_check_private_key(context.get()) != 1) return unusable("key (it is not the certificate's)", key_file);
  return context;
}

Tls make_tls(ssl_ctx_st* context, int descriptor) {
  Tls tls(SSL_new(context));
  if (!tls || SSL_set_fd(tls.get(), descriptor) != 1) return nullptr;
  SSL_set_accept_state(tls.get());
  return tls;
}

Handshake shake_hands(ssl_st* tls) {
  ERR_clear_error();
  const int result = SSL_do_handshake(tls);
  if (result == 1) return Handshake::kDone;
  switch (SSL_get_error(tls, result)) {
    case SSL_ERROR_WANT_READ:
      return Handshake::kWantRead;
    case SSL_ERROR_WANT_WRITE:
      return Handshake::kWantWrite;
    default:
      return Handshake::kFailed;
  }
}

void close_notify(ssl_st* tls) {
  ERR_clear_error();
  static_cast<void>(SSL_shutdown(tls));
  ERR_clear_error();
}

}  // namespace tarn::http::detail
