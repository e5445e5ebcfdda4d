#pragma once
// Bodies as streams: a reader for what comes in, a source for what goes out.
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace tarn::http {

/// Reads a body once, front to back. One thread at a time.
class BodyReader {
 public:
  virtual ~BodyReader() = default;
  /// Waits for bytes; 0 means that the body is complete, and an error is never the end.
  /// Errors: kCancelled (the peer went away inside the body), kDeadline (slower than the minimum rate),
  /// kInvalid (broken chunk framing). An error is final: later calls return it again.
  virtual Result<size_t> read(char* buffer, size_t size) = 0;
};

/// Reads all of it. Errors: kTooLarge beyond `limit` bytes, and those of the reader.
Result<std::string> read_all(BodyReader& reader, size_t limit);

/// A body held in memory; for tests and for parts that were buffered.
class StringReader final : public BodyReader {
 public:
  explicit StringReader(std::string bytes) : bytes_(std::move(bytes)) {}
  Result<size_t> read(char* buffer, size_t size) override {
    const size_t n = bytes_.copy(buffer, size, offset_);
    offset_ += n;
    return n;
  }

 private:
  std::string bytes_;
  size_t offset_ = 0;
};

/// A stretch of an open file that the kernel may copy to the socket by itself. The source keeps the descriptor open.
struct FileSpan {
  int descriptor = -1;
  uint64_t offset = 0;
  uint64_t length = 0;
};

/// Gives a body piece by piece; used by one thread.
class BodySource {
 public:
  virtual ~BodySource() = default;
  /// 0 means the end. An error after the first byte cuts the connection, so that nobody takes half for whole.
  virtual Result<size_t> read(char* buffer, size_t size) = 0;
  /// Known size in bytes; nullopt sends it chunked.
  virtual std::optional<uint64_t> size() const = 0;
  virtual std::optional<FileSpan> file() const { return std::nullopt; }
};

class StringSource final : public BodySource {
 public:
  explicit StringSource(std::string bytes) : bytes_(std::move(bytes)) {}
  Result<size_t> read(char* buffer, size_t size) override {
    const size_t n = bytes_.copy(buffer, size, offset_);
    offset_ += n;
    return n;
  }
  std::optional<uint64_t> size() const override { return bytes_.size(); }

 private:
  std::string bytes_;
  size_t offset_ = 0;
};

}  // namespace tarn::http
