#pragma once
// Reading and writing of stored bytes on hot paths: one failure flag instead of a Result a number.
#include <bit>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace tarn::tree::detail {

static_assert(std::endian::native == std::endian::little, "stored integers are little-endian");

template <class T>
T load_le(const char* at) {
  T v;
  std::memcpy(&v, at, sizeof v);
  return v;
}

template <class T>
void put_le(std::string& out, T v) {
  out.append(reinterpret_cast<const char*>(&v), sizeof v);
}

inline void put_varint(std::string& out, uint64_t v) {
  while (v >= 0x80) {
    out.push_back(static_cast<char>((v & 0x7f) | 0x80));
    v >>= 7;
  }
  out.push_back(static_cast<char>(v));
}

inline uint64_t zigzag(int64_t v) { return (static_cast<uint64_t>(v) << 1) ^ static_cast<uint64_t>(v >> 63); }
inline int64_t unzigzag(uint64_t v) { return static_cast<int64_t>(v >> 1) ^ -static_cast<int64_t>(v & 1); }

inline void put_text(std::string& out, std::string_view text) {
  put_varint(out, text.size());
  out.append(text);
}

/// Never reads outside its bytes. After a failure every call gives zeros; ask failed() before trusting what was read.
class Parser {
 public:
  Parser() = default;
  explicit Parser(std::string_view bytes) : at_(bytes.data()), end_(bytes.data() + bytes.size()) {}

  bool failed() const { return failed_; }
  void fail() { failed_ = true; }
  bool at_end() const { return at_ == end_; }
  size_t remaining() const { return static_cast<size_t>(end_ - at_); }
  const char* position() const { return at_; }

  template <class T>
  T fixed() {
    if (failed_ || remaining() < sizeof(T)) return failed_ = true, T{};
    const T v = load_le<T>(at_);
    at_ += sizeof(T);
    return v;
  }
  uint8_t u8() { return fixed<uint8_t>(); }
  uint64_t varint() {
    if (failed_) return 0;
    if (at_ != end_ && static_cast<unsigned char>(*at_) < 0x80) return static_cast<unsigned char>(*at_++);
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      if (at_ == end_) break;
      const auto c = static_cast<unsigned char>(*at_++);
      if (shift == 63 && c > 1) break;
      v |= static_cast<uint64_t>(c & 0x7f) << shift;
      if (c < 0x80) return v;
    }
    failed_ = true;
    return 0;
  }
  int64_t svarint() { return unzigzag(varint()); }
  std::string_view raw(uint64_t count) {
    if (failed_ || remaining() < count) return failed_ = true, std::string_view{};
    const std::string_view bytes(at_, static_cast<size_t>(count));
    at_ += count;
    return bytes;
  }
  std::string_view text() { return raw(varint()); }

 private:
  const char* at_ = nullptr;
  const char* end_ = nullptr;
  bool failed_ = false;
};

/// Owns byte strings that views refer to; they live as long as the arena and do not move.
class Arena {
 public:
  std::string_view keep(std::string_view bytes) {
    if (bytes.empty()) return {};
    char* at = take(bytes.size());
    std::memcpy(at, bytes.data(), bytes.size());
    return {at, bytes.size()};
  }
  /// Two pieces as one string.
  std::string_view keep(std::string_view first, std::string_view second) {
    if (first.size() + second.size() == 0) return {};
    char* at = take(first.size() + second.size());
    if (!first.empty()) std::memcpy(at, first.data(), first.size());
    if (!second.empty()) std::memcpy(at + first.size(), second.data(), second.size());
    return {at, first.size() + second.size()};
  }
  /// Keeps its first block for what comes next.
  void clear() {
    blocks_.clear();
    at_ = first_.get();
    rest_ = first_ ? kBlock : 0;
  }

 private:
  static constexpr size_t kBlock = 16 * 1024;
  char* take(size_t size) {
    if (size > rest_) {
      if (size > kBlock / 4) return blocks_.emplace_back(std::make_unique_for_overwrite<char[]>(size)).get();
      auto& block = first_ ? blocks_.emplace_back() : first_;
      block = std::make_unique_for_overwrite<char[]>(kBlock);
      at_ = block.get();
      rest_ = kBlock;
    }
    char* at = at_;
    at_ += size;
    rest_ -= size;
    return at;
  }
  std::unique_ptr<char[]> first_;
  std::vector<std::unique_ptr<char[]>> blocks_;
  char* at_ = nullptr;
  size_t rest_ = 0;
};

inline Error corrupt(std::string subject, std::string_view what) {
  return Error(Code::kCorrupt, std::move(subject), "stored bytes are damaged: " + std::string(what));
}
inline Error unsupported(std::string subject, std::string_view what, unsigned value) {
  return Error(Code::kUnsupported, std::move(subject),
               "unknown " + std::string(what) + " " + std::to_string(value) +
                   ": it was written by a newer version; read it with that version or a later one");
}

}  // namespace tarn::tree::detail
