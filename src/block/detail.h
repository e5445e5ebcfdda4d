#pragma once
// Pieces that several back ends share.
#include <string>

#include "block/store.h"

namespace tarn::block::detail {

Error not_found(const Name& name);
Error already_exists(const Name& name);
/// How many bytes a reader gives. Errors: kInvalid when `offset` is behind the end.
Result<uint64_t> clamp(const Name& name, uint64_t size, uint64_t offset, std::optional<uint64_t> length);

/// Reads until the buffer is full or the source ends. @return bytes read; fewer than `size` only at the end.
Result<size_t> read_full(ByteSource& source, char* buffer, size_t size);

/// A reader over bytes that it shares.
class SharedReader final : public ByteReader {
 public:
  SharedReader(std::shared_ptr<const std::string> bytes, uint64_t offset, uint64_t length)
      : bytes_(std::move(bytes)), rest_(std::string_view(*bytes_).substr(offset, length)) {}
  Result<size_t> read(char* buffer, size_t size) override {
    const size_t count = std::min(size, rest_.size());
    std::memcpy(buffer, rest_.data(), count);
    rest_.remove_prefix(count);
    return count;
  }

 private:
  std::shared_ptr<const std::string> bytes_;
  std::string_view rest_;
};

}  // namespace tarn::block::detail
