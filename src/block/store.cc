#include "block/store.h"

#include <fmt/core.h>

namespace tarn::block {

Result<Name> make_name(std::string text) {
  const auto bad = [&](std::string_view why) {
    return Error(Code::kInvalid, "name", fmt::format("object name \"{}\" {}", text.substr(0, 200), why));
  };
  if (text.empty()) return bad("is empty");
  if (text.size() > 1024) return bad("is longer than 1024 bytes");
  if (text.find('\0') != std::string::npos) return bad("holds a NUL byte");
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find('/', at), text.size());
    const std::string_view segment = std::string_view(text).substr(at, end - at);
    if (segment.empty()) return bad("has an empty segment");
    if (segment == "." || segment == "..") return bad("has a segment \".\" or \"..\"");
    at = end + 1;
  }
  return Name(std::move(text));
}

Result<size_t> StringSource::read(char* buffer, size_t size) {
  const size_t count = std::min(size, rest_.size());
  std::memcpy(buffer, rest_.data(), count);
  rest_.remove_prefix(count);
  return count;
}

Result<std::string> Store::read(const Context& ctx, const Name& name, uint64_t offset, std::optional<uint64_t> length) {
  TRY_LET(const auto reader, open(ctx, name, offset, length));
  std::string out;
  size_t filled = 0;
  while (true) {
    if (out.size() - filled < (64 << 10)) out.resize(std::max<size_t>(64 << 10, out.size() * 2));
    TRY_LET(const size_t got, reader->read(out.data() + filled, out.size() - filled));
    if (got == 0) break;
    filled += got;
  }
  out.resize(filled);
  return out;
}

Result<uint64_t> Store::compact(const Context&) { return uint64_t{0}; }

}  // namespace tarn::block
