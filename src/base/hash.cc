#include "base/hash.h"

#include <cstring>

#include <openssl/evp.h>
#include <openssl/hmac.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/bytes.h"
#include "base/result.h"

namespace tarn::base {
namespace {

const EVP_MD* method(Algorithm algorithm) {
  static EVP_MD* const md5_method = EVP_MD_fetch(nullptr, "MD5", nullptr);
  static EVP_MD* const sha1_method = EVP_MD_fetch(nullptr, "SHA1", nullptr);
  static EVP_MD* const sha256_method = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  switch (algorithm) {
    case Algorithm::kMd5:
      return md5_method;
    case Algorithm::kSha1:
      return sha1_method;
    case Algorithm::kSha256:
      return sha256_method;
  }
  return sha256_method;
}

std::string once(Algorithm algorithm, std::string_view bytes) {
  unsigned char out[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  ENSURE(EVP_Digest(bytes.data(), bytes.size(), out, &size, method(algorithm), nullptr) == 1);
  return {reinterpret_cast<char*>(out), size};
}

}  // namespace

Digest::Digest(std::string_view thirty_two_bytes) {
  ENSURE(thirty_two_bytes.size() == bytes_.size());
  std::memcpy(bytes_.data(), thirty_two_bytes.data(), bytes_.size());
}

std::optional<Digest> Digest::from_hex(std::string_view text) {
  if (text.size() != 64) return std::nullopt;
  const auto bytes = base::from_hex(text);
  if (!bytes) return std::nullopt;
  return Digest(*bytes);
}

std::string Digest::hex() const { return to_hex(bytes()); }

struct Hasher::State {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  ~State() { EVP_MD_CTX_free(context); }
};

Hasher::Hasher(Algorithm algorithm) : state_(std::make_unique<State>()) {
  ENSURE(EVP_DigestInit_ex(state_->context, method(algorithm), nullptr) == 1);
}
Hasher::~Hasher() = default;
Hasher::Hasher(Hasher&&) noexcept = default;
Hasher& Hasher::operator=(Hasher&&) noexcept = default;

void Hasher::update(std::string_view bytes) {
  ENSURE(EVP_DigestUpdate(state_->context, bytes.data(), bytes.size()) == 1);
}

std::string Hasher::finish() const {
  State copy;
  ENSURE(EVP_MD_CTX_copy_ex(copy.context, state_->context) == 1);
  unsigned char out[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  ENSURE(EVP_DigestFinal_ex(copy.context, out, &size) == 1);
  return {reinterpret_cast<char*>(out), size};
}

Digest sha256(std::string_view bytes) { return Digest(once(Algorithm::kSha256, bytes)); }
std::string sha256_hex(std::string_view bytes) { return sha256(bytes).hex(); }
std::string md5(std::string_view bytes) { return once(Algorithm::kMd5, bytes); }

std::string hmac_sha256(std::string_view key, std::string_view bytes) {
  unsigned char out[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  ENSURE(HMAC(method(Algorithm::kSha256), key.data(), static_cast<int>(key.size()),
              reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), out, &size) != nullptr);
  return {reinterpret_cast<char*>(out), size};
}

uint64_t xxh3_64(std::string_view bytes, uint64_t seed) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

std::string xxh3_128(std::string_view bytes) {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits(bytes.data(), bytes.size()));
  return {reinterpret_cast<const char*>(canonical.digest), sizeof canonical.digest};
}

struct Xxh3Stream::State {
  XXH3_state_t xxh;
};

Xxh3Stream::Xxh3Stream() : state_(std::make_unique<State>()) { XXH3_128bits_reset(&state_->xxh); }
Xxh3Stream::~Xxh3Stream() = default;

void Xxh3Stream::update(std::string_view bytes) { XXH3_128bits_update(&state_->xxh, bytes.data(), bytes.size()); }

std::string Xxh3Stream::finish() const {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(&state_->xxh));
  return {reinterpret_cast<const char*>(canonical.digest), sizeof canonical.digest};
}

}  // namespace tarn::base
