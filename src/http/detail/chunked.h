#pragma once
// Chunked bodies, decoded (RFC 9112, 7.1). Strict: a size is hex digits and nothing else.
#include <cstdint>
#include <string_view>

#include "base/result.h"
#include "http/server.h"

namespace tarn::http::detail {

/// Takes bytes as they come, split anywhere. Extensions and trailers are bounded, checked and dropped.
class ChunkDecoder {
 public:
  explicit ChunkDecoder(const Limits& limits) : limits_(limits) {}

  struct Step {
    size_t consumed = 0;
    size_t produced = 0;
  };
  /// Decodes from `in` to at most `size` bytes at `out`; stops at the end of the body and leaves what follows.
  /// Errors: kInvalid.
  Result<Step> decode(std::string_view in, char* out, size_t size);
  bool done() const { return state_ == State::kDone; }
  /// Bytes of the current chunk still to come; while > 0 they may be read past the decoder, see took().
  uint64_t in_chunk() const { return state_ == State::kData ? left_ : 0; }
  void took(uint64_t bytes);

 private:
  enum class State { kSize, kExtension, kSizeLf, kData, kDataCr, kDataLf, kTrailer, kTrailerLf, kDone };
  Result<void> take(char c);
  const Limits& limits_;
  State state_ = State::kSize;
  uint64_t left_ = 0;
  size_t digits_ = 0;
  size_t extension_ = 0;
  size_t trailer_ = 0;
  size_t trailer_line_ = 0;
};

}  // namespace tarn::http::detail
