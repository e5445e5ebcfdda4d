#include "http/detail/request_body.h"

#include <algorithm>

namespace tarn::http::detail {

RequestBody::RequestBody(const Head& head, Input& input, Stream& stream, const Limits& limits)
    : input_(input), stream_(stream), limits_(limits) {
  if (head.content_length) {
    left_ = *head.content_length;
  } else {
    chunks_.emplace(limits);
  }
  continue_due_ = head.expect_continue && !complete() && input.view().empty();
}

Result<size_t> RequestBody::read(char* buffer, size_t size) {
  if (failure_) return *failure_;
  if (complete() || size == 0) return size_t{0};
  auto result = chunks_ ? read_chunked(buffer, size) : read_fixed(buffer, size);
  if (!result) failure_ = result.error();
  return result;
}

Result<size_t> RequestBody::receive(char* buffer, size_t size) {
  if (continue_due_) {
    continue_due_ = false;
    TRY(stream_.write_all("HTTP/1.1 100 Continue\r\n\r\n"));
  }
  TRY_LET(const size_t n, stream_.read_some(buffer, size));
  if (n == 0)
    return Error(Code::kCancelled, "body", "the client closed the connection before the whole body had arrived");
  return n;
}

Result<size_t> RequestBody::read_fixed(char* buffer, size_t size) {
  size = static_cast<size_t>(std::min<uint64_t>(size, left_));
  size_t n = input_.view().copy(buffer, size);
  if (n > 0) {
    input_.consume(n);
  } else {
    TRY_LET(n, receive(buffer, size));
  }
  left_ -= n;
  return n;
}

Result<size_t> RequestBody::read_chunked(char* buffer, size_t size) {
  for (;;) {
    if (!input_.view().empty()) {
      TRY_LET(const ChunkDecoder::Step step, chunks_->decode(input_.view(), buffer, size));
      input_.consume(step.consumed);
      if (step.produced > 0 || chunks_->done()) return step.produced;
    } else if (chunks_->in_chunk() > 0) {
      // Straight into the caller's memory: the inside of a chunk needs no decoding.
      TRY_LET(const size_t n, receive(buffer, static_cast<size_t>(std::min<uint64_t>(size, chunks_->in_chunk()))));
      chunks_->took(n);
      return n;
    } else {
      char framing[4096];
      TRY_LET(const size_t n, receive(framing, sizeof framing));
      input_.append({framing, n});
    }
  }
}

bool RequestBody::worth_draining() const {
  if (failure_) return false;
  if (complete()) return true;
  // The client waits for our word before it sends, or sends anyway: nobody can tell.
  if (continue_due_) return false;
  return chunks_ || left_ <= limits_.drain_bytes;
}

bool RequestBody::drain() {
  char buffer[8192];
  size_t drained = 0;
  while (!complete()) {
    const auto n = read(buffer, sizeof buffer);
    if (!n) return false;
    drained += *n;
    if (drained > limits_.drain_bytes) return false;
  }
  return true;
}

}  // namespace tarn::http::detail
