#pragma once
// Authenticated encryption of small secrets, and keys derived for one purpose each.
#include <string>
#include <string_view>

#include "base/random.h"
#include "base/result.h"
#include "base/secret.h"

namespace tarn::auth {

/// Holds a 32-byte master key. Threads: any.
class Sealer {
 public:
  explicit Sealer(base::Secret<std::string> key32) : key_(std::move(key32)) {}

  /// AES-256-GCM with a random nonce: version byte 1, nonce (12), tag (16), ciphertext.
  /// @param bound_to  must be the same at open(); not stored.
  std::string seal(base::Random& random, std::string_view plain, std::string_view bound_to) const;
  /// Errors: kCorrupt (altered, truncated, other key, other binding).
  Result<base::Secret<std::string>> open(std::string_view sealed, std::string_view bound_to) const;
  /// A key for one purpose: HMAC-SHA-256 of the label under the master key.
  base::Secret<std::string> derive(std::string_view label) const;

 private:
  base::Secret<std::string> key_;
};

}  // namespace tarn::auth
