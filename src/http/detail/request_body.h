#pragma once
// The body of the request at hand, read from what the edge buffered and then from the socket.
#include <optional>
#include <string>
#include <string_view>

#include "http/body.h"
#include "http/detail/chunked.h"
#include "http/detail/head.h"
#include "http/detail/stream.h"

namespace tarn::http::detail {

/// Bytes received and not yet used: a head, the begin of a body, pipelined requests.
class Input {
 public:
  std::string_view view() const { return std::string_view(bytes_).substr(begin_); }
  void consume(size_t n) {
    begin_ += n;
    if (begin_ == bytes_.size()) {
      bytes_.clear();
      begin_ = 0;
    }
  }
  void append(std::string_view bytes) {
    if (begin_ > 0) {
      bytes_.erase(0, begin_);
      begin_ = 0;
    }
    bytes_.append(bytes);
  }
  /// An idle connection holds no memory for input.
  void shrink() {
    if (bytes_.empty() && bytes_.capacity() > 1024) bytes_.shrink_to_fit();
  }

 private:
  std::string bytes_;
  size_t begin_ = 0;
};

class RequestBody final : public BodyReader {
 public:
  RequestBody(const Head& head, Input& input, Stream& stream, const Limits& limits);
  Result<size_t> read(char* buffer, size_t size) override;

  /// All of it was read, so the next request may follow.
  bool complete() const { return chunks_ ? chunks_->done() : left_ == 0; }
  bool failed() const { return failure_.has_value(); }
  /// Whether the rest is small enough to read it away for the sake of the connection.
  bool worth_draining() const;
  /// Reads the rest away, at most `drain_bytes`. @return false when the connection cannot go on.
  bool drain();

 private:
  Result<size_t> read_fixed(char* buffer, size_t size);
  Result<size_t> read_chunked(char* buffer, size_t size);
  Result<size_t> receive(char* buffer, size_t size);
  Input& input_;
  Stream& stream_;
  const Limits& limits_;
  uint64_t left_ = 0;
  std::optional<ChunkDecoder> chunks_;
  bool continue_due_ = false;
  std::optional<Error> failure_;
};

}  // namespace tarn::http::detail
