#include "auth/seal.h"

#include <openssl/evp.h>

#include <memory>

#include "base/hash.h"

namespace tarn::auth {
namespace {

constexpr size_t kNonce = 12, kTag = 16;
constexpr char kFormat = '\x01';

using Cipher = std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)>;

const unsigned char* bytes(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }
unsigned char* bytes(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }

Error damaged() {
  return Error(Code::kCorrupt, "credentials", "a stored secret does not open: other key file, or damaged");
}

}  // namespace

std::string Sealer::seal(base::Random& random, std::string_view plain, std::string_view bound_to) const {
  std::string nonce(kNonce, '\0'), tag(kTag, '\0'), out(plain.size(), '\0');
  random.fill(nonce.data(), nonce.size());
  const Cipher ctx(EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_free);
  int n = 0;
  ENSURE(ctx && EVP_EncryptInit_ex(ctx.get(), EVP_aes_256_gcm(), nullptr, bytes(key_.reveal()), bytes(nonce)) == 1);
  ENSURE(EVP_EncryptUpdate(ctx.get(), nullptr, &n, bytes(bound_to), static_cast<int>(bound_to.size())) == 1);
  ENSURE(EVP_EncryptUpdate(ctx.get(), bytes(out), &n, bytes(plain), static_cast<int>(plain.size())) == 1);
  ENSURE(EVP_EncryptFinal_ex(ctx.get(), bytes(out) + n, &n) == 1);
  ENSURE(EVP_CIPHER_CTX_ctrl(ctx.get(), EVP_CTRL_GCM_GET_TAG, kTag, tag.data()) == 1);
  return std::string(1, kFormat) + nonce + tag + out;
}

Result<base::Secret<std::string>> Sealer::open(std::string_view sealed, std::string_view bound_to) const {
  if (sealed.size() < 1 + kNonce + kTag || sealed.front() != kFormat) return damaged();
  const std::string_view nonce = sealed.substr(1, kNonce);
  std::string tag(sealed.substr(1 + kNonce, kTag));
  const std::string_view body = sealed.substr(1 + kNonce + kTag);
  std::string out(body.size(), '\0');
  const Cipher ctx(EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_free);
  int n = 0;
  const bool opened =
      ctx && EVP_DecryptInit_ex(ctx.get(), EVP_aes_256_gcm(), nullptr, bytes(key_.reveal()), bytes(nonce)) == 1 &&
      EVP_DecryptUpdate(ctx.get(), nullptr, &n, bytes(bound_to), static_cast<int>(bound_to.size())) == 1 &&
      EVP_DecryptUpdate(ctx.get(), bytes(out), &n, bytes(body), static_cast<int>(body.size())) == 1 &&
      EVP_CIPHER_CTX_ctrl(ctx.get(), EVP_CTRL_GCM_SET_TAG, kTag, tag.data()) == 1 &&
      EVP_DecryptFinal_ex(ctx.get(), bytes(out) + n, &n) == 1;
  base::Secret<std::string> secret(std::move(out));
  if (!opened) return damaged();
  return secret;
}

base::Secret<std::string> Sealer::derive(std::string_view label) const {
  return base::Secret<std::string>(base::hmac_sha256(key_.reveal(), label));
}

}  // namespace tarn::auth
