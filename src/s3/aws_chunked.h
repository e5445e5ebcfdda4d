#pragma once
// The aws-chunked content coding: chunks with signatures, a trailer with checksums, inside the HTTP body.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html and sigv4-streaming-trailers.html
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "auth/sigv4.h"
#include "base/hash.h"
#include "http/body.h"

namespace tarn::s3 {

/// Gives the decoded bytes. read() says 0 only when the last chunk, the declared length, every signature and the whole
/// trailer were seen and hold; a body that ends early is an error. Bytes are given before their chunk's signature is
/// known: whoever stores them must not publish before the end. Memory: 16 KiB, whatever sizes a client declares.
///
/// Errors: IncompleteBody, SignatureDoesNotMatch, InvalidChunkSizeError, MalformedTrailerError, InvalidRequest
/// (framing), and those of the body. An error is final.
class AwsChunkedReader final : public http::BodyReader {
 public:
  struct Form {
    auth::ChunkChain* chain = nullptr;  ///< set: chunks (and the trailer, if any) are signed
    bool has_trailer = false;
    uint64_t decoded_length = 0;             ///< x-amz-decoded-content-length
    std::vector<std::string> trailer_names;  ///< x-amz-trailer, lower case; all must come, and no others
  };
  AwsChunkedReader(http::BodyReader& in, Form form) : in_(in), form_(std::move(form)) {}

  Result<size_t> read(char* buffer, size_t size) override;
  /// By lower-case name; complete once read() said 0.
  const std::map<std::string, std::string>& trailer() const { return trailer_; }

 private:
  enum class State { kHeader, kData, kDataEnd, kTrailer, kDone };
  Result<size_t> step(char* buffer, size_t size);
  Result<void> take_header();
  Result<void> take_data_end();
  Result<void> take_trailer();
  Result<void> take_trailer_line(std::string_view line, std::string& signature);
  Result<void> check_chunk();
  Result<void> take_line();
  Result<bool> fill();

  http::BodyReader& in_;
  const Form form_;
  State state_ = State::kHeader;
  std::string pending_;  ///< read and not yet used, from used_ on
  size_t used_ = 0;
  uint64_t left_ = 0, given_ = 0, chunk_size_ = 0;
  std::string line_, chunk_signature_;
  std::optional<base::Hasher> hasher_;
  std::map<std::string, std::string> trailer_;
  std::optional<Error> failed_;
};

}  // namespace tarn::s3
