#pragma once
// A request's body with everything verified that its sender said about it.
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "auth/sigv4.h"
#include "block/store.h"
#include "http/request.h"
#include "s3/aws_chunked.h"
#include "s3/checksums.h"

namespace tarn::s3 {

/// What x-amz-checksum-* headers are about.
enum class ChecksumHeaders {
  kBody,    ///< this request's bytes
  kObject,  ///< something else (the whole object, in CompleteMultipartUpload)
};

/// Gives the decoded bytes; 0 comes only after SHA-256, chunk signatures, checksum and decoded length were found right,
/// so that a store which publishes at the end never publishes what is wrong. Borrows request and signature.
/// Content-MD5 is parsed here and compared by whoever computes the MD5 anyway. One thread.
class Body final : public block::ByteSource, public http::BodyReader {
 public:
  /// Errors: InvalidRequest, InvalidDigest, MissingContentLength, NotImplemented.
  static Result<std::unique_ptr<Body>> open(http::Request& request, auth::SignedRequest& signature,
                                            ChecksumHeaders headers = ChecksumHeaders::kBody);

  /// Errors: XAmzContentSHA256Mismatch, BadDigest, those of AwsChunkedReader and of the request's reader. Final.
  Result<size_t> read(char* buffer, size_t size) override;
  /// All of it, Content-MD5 compared too. Errors: kTooLarge "body" besides.
  Result<std::string> text(size_t limit);

  /// 16 raw bytes of Content-MD5.
  const std::optional<std::string>& md5() const { return md5_; }
  /// The checksum that was sent; known from a trailer only after the end.
  const std::optional<ChecksumValue>& checksum() const { return expected_; }
  /// Called once after all was found right and before read() says 0.
  void on_verified(std::function<void()> call) { on_verified_ = std::move(call); }
  /// Whether anything protects the bytes: a hash, a checksum, an MD5 or chunk signatures.
  bool is_protected() const;

 private:
  Body() = default;
  Result<void> open_checksum(const http::Headers& headers);
  Result<void> open_chunks(http::Request& request, auth::SignedRequest& signature);
  Result<size_t> step(char* buffer, size_t size);
  Result<void> verify();

  http::BodyReader* in_ = nullptr;
  std::optional<AwsChunkedReader> chunks_;
  auth::PayloadKind kind_ = auth::PayloadKind::kUnsigned;
  std::string sha256_;  ///< hex, when the signature names one
  std::optional<base::Hasher> sha256_hasher_;
  std::optional<Checksum> checksum_;
  std::optional<ChecksumValue> expected_;
  bool checksum_in_trailer_ = false;
  std::optional<std::string> md5_;
  std::function<void()> on_verified_;
  bool verified_ = false;
  std::optional<Error> failed_;
};

}  // namespace tarn::s3
