#include "http/detail/chunked.h"

#include <algorithm>

namespace tarn::http::detail {
namespace {

Error bad(std::string message) { return Error(Code::kInvalid, "body", std::move(message)); }

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool is_control(char c) {
  const auto u = static_cast<unsigned char>(c);
  return (u < 0x20 && c != '\t') || u == 0x7f;
}

}  // namespace

void ChunkDecoder::took(uint64_t bytes) {
  left_ -= bytes;
  if (left_ == 0) state_ = State::kDataCr;
}

Result<void> ChunkDecoder::take(char c) {
  switch (state_) {
    case State::kSize:
      if (const int digit = hex_digit(c); digit >= 0) {
        if (++digits_ > 15) return bad("a chunk size has too many digits");
        left_ = left_ * 16 + static_cast<uint64_t>(digit);
      } else if (digits_ == 0 || (c != ';' && c != '\r')) {
        return bad("a chunk size is not a hexadecimal number");
      } else {
        extension_ = 0;
        state_ = c == ';' ? State::kExtension : State::kSizeLf;
      }
      return {};
    case State::kExtension:
      if (c == '\r') {
        state_ = State::kSizeLf;
      } else if (is_control(c) || ++extension_ > limits_.chunk_extension) {
        return bad("a chunk extension is too long or holds a control character");
      }
      return {};
    case State::kSizeLf:
      if (c != '\n') return bad("a chunk size line does not end in CR LF");
      trailer_ = trailer_line_ = 0;
      state_ = left_ == 0 ? State::kTrailer : State::kData;
      return {};
    case State::kDataCr:
      if (c != '\r') return bad("a chunk is longer than its size says");
      state_ = State::kDataLf;
      return {};
    case State::kDataLf:
      if (c != '\n') return bad("a chunk does not end in CR LF");
      digits_ = 0;
      state_ = State::kSize;
      return {};
    case State::kTrailer:
      if (++trailer_ > limits_.trailer_bytes) return bad("the trailer fields are too long");
      if (c == '\r') {
        state_ = State::kTrailerLf;
      } else if (is_control(c) || (trailer_line_ == 0 && (c == ' ' || c == '\t' || c == ':'))) {
        return bad("a trailer field is malformed");
      } else {
        ++trailer_line_;
      }
      return {};
    case State::kTrailerLf:
      if (c != '\n') return bad("a trailer field does not end in CR LF");
      state_ = trailer_line_ == 0 ? State::kDone : State::kTrailer;
      trailer_line_ = 0;
      return {};
    case State::kData:
    case State::kDone:
      break;
  }
  return Error(Code::kInternal, "body", "the chunk decoder was fed in a wrong state");
}

Result<ChunkDecoder::Step> ChunkDecoder::decode(std::string_view in, char* out, size_t size) {
  Step step;
  while (step.consumed < in.size() && state_ != State::kDone) {
    if (state_ == State::kData) {
      const uint64_t room = std::min<uint64_t>(size - step.produced, in.size() - step.consumed);
      const auto n = static_cast<size_t>(std::min(room, left_));
      if (n == 0) break;
      in.copy(out + step.produced, n, step.consumed);
      step.consumed += n;
      step.produced += n;
      took(n);
    } else {
      TRY(take(in[step.consumed]));
      ++step.consumed;
    }
  }
  return step;
}

}  // namespace tarn::http::detail
