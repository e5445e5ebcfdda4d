#include "block/detail.h"

#include <fmt/core.h>

namespace tarn::block::detail {

Error not_found(const Name& name) {
  return Error(Code::kNotFound, "object", fmt::format("the store has no object {}", name.str()));
}

Error already_exists(const Name& name) {
  return Error(Code::kAlreadyExists, "object", fmt::format("object {} exists and is never overwritten", name.str()));
}

Result<uint64_t> clamp(const Name& name, uint64_t size, uint64_t offset, std::optional<uint64_t> length) {
  if (offset > size)
    return Error(Code::kInvalid, "range",
                 fmt::format("offset {} is behind the end of {}, which has {} bytes", offset, name.str(), size));
  return std::min(length.value_or(size - offset), size - offset);
}

Result<size_t> read_full(ByteSource& source, char* buffer, size_t size) {
  size_t filled = 0;
  while (filled < size) {
    TRY_LET(const size_t got, source.read(buffer + filled, size - filled));
    if (got == 0) break;
    filled += got;
  }
  return filled;
}

}  // namespace tarn::block::detail
