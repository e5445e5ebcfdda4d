#pragma once
// Between the bodies of HTTP and the bytes of the object store. Also for the S3 side's taste: no buffering.
#include <memory>

#include "block/store.h"
#include "http/body.h"

namespace tarn::rest {

/// A request's body as a source of object bytes; borrows the reader.
class BodyBytes final : public block::ByteSource {
 public:
  explicit BodyBytes(http::BodyReader& body) : body_(body) {}
  Result<size_t> read(char* buffer, size_t size) override { return body_.read(buffer, size); }

 private:
  http::BodyReader& body_;
};

/// Object bytes as a response's body; the kernel copies them when they lie in a file.
class ObjectBody final : public http::BodySource {
 public:
  ObjectBody(std::unique_ptr<block::ByteReader> reader, uint64_t size) : reader_(std::move(reader)), size_(size) {}
  Result<size_t> read(char* buffer, size_t size) override { return reader_->read(buffer, size); }
  std::optional<uint64_t> size() const override { return size_; }
  std::optional<http::FileSpan> file() const override {
    const auto span = reader_->span();
    if (!span) return std::nullopt;
    return http::FileSpan{span->descriptor, span->offset, span->length};
  }

 private:
  std::unique_ptr<block::ByteReader> reader_;
  uint64_t size_;
};

}  // namespace tarn::rest
