#pragma once
// AWS Signature Version 4 over HTTP requests: who signed, and how the body is protected.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "auth/auth.h"
#include "http/request.h"

namespace tarn::auth {

/// What x-amz-content-sha256 says about the body.
enum class PayloadKind {
  kHash,                 ///< 64 hex digits: the SHA-256 of the whole body
  kUnsigned,             ///< UNSIGNED-PAYLOAD, and presigned requests that say nothing
  kSignedChunks,         ///< STREAMING-AWS4-HMAC-SHA256-PAYLOAD
  kSignedChunksTrailer,  ///< STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER
  kUnsignedTrailer,      ///< STREAMING-UNSIGNED-PAYLOAD-TRAILER
};

/// Where and when a signature counts: "20130524/us-east-1/s3/aws4_request".
struct Scope {
  std::string day, region, service;
  std::string text() const { return day + "/" + region + "/" + service + "/aws4_request"; }
};

/// The key that signs everything of one scope; 32 raw bytes.
base::Secret<std::string> signing_key(std::string_view secret, const Scope& scope);
/// The text whose hash is signed. Query pairs and headers come from the parsed request, so that what is verified is
/// what handlers see; the path is decoded and encoded once, without normalization.
/// @param signed_headers  lower case, in order; each joins all its values.
std::string canonical_request(const http::Request& request, const std::vector<std::string>& signed_headers,
                              std::string_view payload_hash);
std::string string_to_sign(std::string_view amz_date, const Scope& scope, std::string_view canonical);
/// 64 hex digits.
std::string signature(const base::Secret<std::string>& key, std::string_view text);

/// Checks what follows a request, chunk by chunk; each signature covers the one before. One thread.
class ChunkChain {
 public:
  ChunkChain(base::Secret<std::string> key, std::string amz_date, std::string scope, std::string seed)
      : key_(std::move(key)), amz_date_(std::move(amz_date)), scope_(std::move(scope)), previous_(std::move(seed)) {}
  /// Whether `given` signs a chunk with this SHA-256 (hex).
  bool accept_chunk(std::string_view sha256_hex, std::string_view given);
  /// Whether `given` signs the trailer text ("name:value\n" for each, sorted).
  bool accept_trailer(std::string_view text, std::string_view given);

 private:
  bool accept(std::string_view text, std::string_view given);
  base::Secret<std::string> key_;
  std::string amz_date_, scope_, previous_;
};

/// A request whose signature holds.
struct SignedRequest {
  Principal principal;
  std::string access_key_id;
  bool presigned = false;
  PayloadKind payload = PayloadKind::kUnsigned;
  std::string payload_sha256;       ///< kHash: lower-case hex; the body is still to be compared with it
  std::optional<ChunkChain> chain;  ///< of the two kinds with signed chunks
};

/// What a refused signature was computed over, so that a client's author can compare. Holds no secret.
struct SignatureMismatch {
  std::string canonical_request, string_to_sign, provided;
};

/// Verifies the Authorization header or the presigned query, never both.
///
/// Errors, by subject: kUnauthenticated "anonymous", "access_key", "signature"; kForbidden "clock" (more than 15
/// minutes off), "expired", "date", "headers" (an x-amz-* header that is not signed); kInvalid "authorization",
/// "query", "payload_hash", "token", "sigv2"; kUnsupported "sigv4a". Threads: any. Cost: two store reads, one
/// decryption, six HMACs. An unknown key costs the same.
Result<SignedRequest> verify_sigv4(const Context& ctx, const http::Request& request, Auth& auth, base::Clock& clock,
                                   SignatureMismatch* mismatch = nullptr);

}  // namespace tarn::auth
