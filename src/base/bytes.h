#pragma once
// Byte strings: hex, base64, fixed and variable-length integers. Stored integers are little-endian unless said.
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace tarn::base {

std::string to_hex(std::string_view bytes);
std::optional<std::string> from_hex(std::string_view text);
std::string to_base64(std::string_view bytes);
std::optional<std::string> from_base64(std::string_view text);
/// URL-safe alphabet, no padding.
std::string to_base64url(std::string_view bytes);
std::optional<std::string> from_base64url(std::string_view text);
bool is_utf8(std::string_view text);
/// Compares in time that depends on the lengths only.
bool equal_constant_time(std::string_view a, std::string_view b);

/// Appends to a string. Varints are LEB128; signed ones zig-zag.
class ByteWriter {
 public:
  void u8(uint8_t v) { out_.push_back(static_cast<char>(v)); }
  void u16(uint16_t v) { fixed(&v, sizeof v); }
  void u32(uint32_t v) { fixed(&v, sizeof v); }
  void u64(uint64_t v) { fixed(&v, sizeof v); }
  /// Big-endian, so that bytewise order is numeric order (for keys).
  void u64_ordered(uint64_t v);
  void varint(uint64_t v);
  void varint_signed(int64_t v) { varint((static_cast<uint64_t>(v) << 1) ^ static_cast<uint64_t>(v >> 63)); }
  void raw(std::string_view bytes) { out_.append(bytes); }
  /// Length as varint, then the bytes.
  void text(std::string_view bytes) {
    varint(bytes.size());
    raw(bytes);
  }
  size_t size() const { return out_.size(); }
  std::string& str() { return out_; }
  std::string take() { return std::move(out_); }

 private:
  void fixed(const void* p, size_t n) { out_.append(static_cast<const char*>(p), n); }
  std::string out_;
};

/// Reads what ByteWriter wrote. Errors: kCorrupt when the bytes end early or a varint is too long.
class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes, std::string_view subject = "bytes") : rest_(bytes), subject_(subject) {}
  Result<uint8_t> u8();
  Result<uint16_t> u16();
  Result<uint32_t> u32();
  Result<uint64_t> u64();
  Result<uint64_t> u64_ordered();
  Result<uint64_t> varint();
  Result<int64_t> varint_signed();
  Result<std::string_view> raw(size_t count);
  Result<std::string_view> text();
  bool empty() const { return rest_.empty(); }
  size_t remaining() const { return rest_.size(); }
  std::string_view rest() const { return rest_; }
  Error corrupt(std::string_view what) const;

 private:
  template <class T>
  Result<T> fixed();
  std::string_view rest_;
  std::string_view subject_;
};

}  // namespace tarn::base
