#include "s3/aws_chunked.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.h"
#include "s3/errors.h"

namespace tarn::s3 {
namespace {

constexpr size_t kBuffer = 16 * 1024;
constexpr size_t kLineMax = 1024;
constexpr size_t kTrailerMax = 8 * 1024;
constexpr uint64_t kSignedChunkMin = 8 * 1024;
constexpr std::string_view kSignatureField = "chunk-signature=";
constexpr std::string_view kTrailerSignature = "x-amz-trailer-signature";

Error incomplete(std::string_view what) {
  return refuse("IncompleteBody",
                fmt::format("You did not provide the number of bytes specified by the x-amz-decoded-content-length "
                            "header: {}",
                            what));
}
Error framing(std::string_view what) {
  return refuse("InvalidRequest", fmt::format("The aws-chunked body is malformed: {}", what));
}
Error bad_signature(std::string_view what) {
  return refuse("SignatureDoesNotMatch",
                fmt::format("The signature of {} does not match what the server calculated for it", what));
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return out;
}

}  // namespace

Result<size_t> AwsChunkedReader::read(char* buffer, size_t size) {
  if (failed_) return *failed_;
  auto got = step(buffer, size);
  if (!got) failed_ = got.error();
  return got;
}

Result<size_t> AwsChunkedReader::step(char* buffer, size_t size) {
  if (size == 0) return size_t{0};
  while (true) {
    switch (state_) {
      case State::kHeader:
        TRY(take_header());
        break;
      case State::kData: {
        size_t n = static_cast<size_t>(std::min<uint64_t>(size, left_));
        if (used_ < pending_.size()) {
          n = std::min(n, pending_.size() - used_);
          pending_.copy(buffer, n, used_);
          used_ += n;
        } else {
          TRY_LET(n, in_.read(buffer, n));
          if (n == 0) return incomplete("it ends inside a chunk");
        }
        if (hasher_) hasher_->update({buffer, n});
        left_ -= n;
        given_ += n;
        if (left_ == 0) state_ = State::kDataEnd;
        return n;
      }
      case State::kDataEnd:
        TRY(take_data_end());
        break;
      case State::kTrailer:
        TRY(take_trailer());
        break;
      case State::kDone:
        return size_t{0};
    }
  }
}

/// @return false at the end of the body.
Result<bool> AwsChunkedReader::fill() {
  if (used_ == pending_.size()) {
    pending_.clear();
    used_ = 0;
  }
  const size_t before = pending_.size();
  pending_.resize(before + kBuffer);
  auto got = in_.read(pending_.data() + before, kBuffer);
  pending_.resize(before + (got ? *got : 0));
  if (!got) return std::move(got).error();
  return *got > 0;
}

/// Into line_, without its CR LF. Errors: IncompleteBody at the end of the body.
Result<void> AwsChunkedReader::take_line() {
  while (true) {
    const size_t end = pending_.find("\r\n", used_);
    if (end != std::string::npos && end - used_ <= kLineMax) {
      line_.assign(pending_, used_, end - used_);
      used_ = end + 2;
      return {};
    }
    if (pending_.size() - used_ > kLineMax) return framing("a chunk's header is too long");
    TRY_LET(const bool more, fill());
    if (!more) return incomplete("it ends before its last chunk");
  }
}

// hex-size [";chunk-signature=" hex] CR LF
Result<void> AwsChunkedReader::take_header() {
  TRY(take_line());
  const std::string_view text = line_;
  const size_t semicolon = std::min(text.find(';'), text.size());
  const std::string_view digits = text.substr(0, semicolon);
  if (digits.empty() || digits.size() > 16) return framing("a chunk's size must be 1 to 16 hex digits");
  uint64_t size = 0;
  for (const char c : digits) {
    const int digit = c >= '0' && c <= '9'   ? c - '0'
                      : c >= 'a' && c <= 'f' ? c - 'a' + 10
                      : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                             : -1;
    if (digit < 0) return framing("a chunk's size must be hex digits");
    size = size << 4 | static_cast<uint64_t>(digit);
  }
  if (form_.chain != nullptr) {
    const std::string_view field = text.substr(std::min(semicolon + 1, text.size()));
    if (!field.starts_with(kSignatureField)) return framing("a chunk has no chunk-signature");
    chunk_signature_ = std::string(field.substr(kSignatureField.size()));
    // Only the last chunk with data may be small: many tiny ones would make the server sign without end.
    if (size > 0 && given_ > 0 && chunk_size_ < kSignedChunkMin)
      return refuse("InvalidChunkSizeError", "Only the last chunk is allowed to have a size less than 8192 bytes");
    hasher_.emplace(base::Algorithm::kSha256);
  }
  chunk_size_ = size;
  if (size > form_.decoded_length - given_) return incomplete("the chunks hold more");
  if (size > 0) {
    left_ = size;
    state_ = State::kData;
    return {};
  }
  TRY(check_chunk());
  if (given_ != form_.decoded_length) return incomplete("the chunks hold less");
  state_ = State::kTrailer;
  return {};
}

Result<void> AwsChunkedReader::take_data_end() {
  while (pending_.size() - used_ < 2) {
    TRY_LET(const bool more, fill());
    if (!more) return incomplete("it ends after a chunk's bytes");
  }
  if (pending_[used_] != '\r' || pending_[used_ + 1] != '\n') return framing("a chunk is longer than its size says");
  used_ += 2;
  state_ = State::kHeader;
  return check_chunk();
}

Result<void> AwsChunkedReader::check_chunk() {
  if (form_.chain == nullptr) return {};
  if (!form_.chain->accept_chunk(base::to_hex(hasher_->finish()), chunk_signature_)) return bad_signature("a chunk");
  return {};
}

// Lines "name:value" after the last chunk. Clients differ in how many line ends they put around them, so blank lines
// are skipped; HTTP's own framing says where the body ends.
Result<void> AwsChunkedReader::take_trailer() {
  while (true) {
    TRY_LET(const bool more, fill());
    if (pending_.size() - used_ > kTrailerMax) return refuse("MalformedTrailerError", "the trailer is too long");
    if (!more) break;
  }
  std::string signature;
  while (used_ < pending_.size()) {
    const size_t end = pending_.find('\n', used_);
    if (end == std::string::npos) return incomplete("the trailer's last line does not end");
    TRY(take_trailer_line(std::string_view(pending_).substr(used_, end - used_), signature));
    used_ = end + 1;
  }
  for (const auto& name : form_.trailer_names)
    if (!trailer_.contains(name))
      return refuse("MalformedTrailerError", fmt::format("the trailer {} was declared and did not come", name));
  if (form_.chain != nullptr && form_.has_trailer) {
    std::string text;
    for (const auto& [name, value] : trailer_) text += fmt::format("{}:{}\n", name, value);
    if (!form_.chain->accept_trailer(text, signature)) return bad_signature("the trailer");
  }
  state_ = State::kDone;
  return {};
}

Result<void> AwsChunkedReader::take_trailer_line(std::string_view text, std::string& signature) {
  if (text.ends_with('\r')) text.remove_suffix(1);
  if (http::trim(text).empty()) return {};
  const size_t colon = text.find(':');
  if (colon == std::string_view::npos || !form_.has_trailer)
    return refuse("MalformedTrailerError", "there are bytes behind the last chunk that are no declared trailer");
  std::string name = lower(http::trim(text.substr(0, colon)));
  std::string value(http::trim(text.substr(colon + 1)));
  if (name == kTrailerSignature && form_.chain != nullptr && signature.empty()) {
    signature = std::move(value);
    return {};
  }
  if (std::find(form_.trailer_names.begin(), form_.trailer_names.end(), name) == form_.trailer_names.end())
    return refuse("MalformedTrailerError", fmt::format("the trailer {} was not declared in x-amz-trailer", name));
  if (!trailer_.emplace(name, std::move(value)).second)
    return refuse("MalformedTrailerError", fmt::format("the trailer {} stands there twice", name));
  return {};
}

}  // namespace tarn::s3
