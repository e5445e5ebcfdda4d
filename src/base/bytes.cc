#include "base/bytes.h"

#include <array>

#include <openssl/crypto.h>

namespace tarn::base {
namespace {

constexpr std::string_view kHex = "0123456789abcdef";
constexpr std::string_view kStandard = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view kUrlSafe = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string encode64(std::string_view bytes, std::string_view alphabet, bool pad) {
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const size_t left = bytes.size() - i;
    uint32_t v = static_cast<unsigned char>(bytes[i]) << 16;
    if (left > 1) v |= static_cast<unsigned char>(bytes[i + 1]) << 8;
    if (left > 2) v |= static_cast<unsigned char>(bytes[i + 2]);
    out.push_back(alphabet[v >> 18]);
    out.push_back(alphabet[(v >> 12) & 63]);
    if (left > 1)
      out.push_back(alphabet[(v >> 6) & 63]);
    else if (pad)
      out.push_back('=');
    if (left > 2)
      out.push_back(alphabet[v & 63]);
    else if (pad)
      out.push_back('=');
  }
  return out;
}

std::optional<std::string> decode64(std::string_view text, std::string_view alphabet) {
  while (!text.empty() && text.back() == '=') text.remove_suffix(1);
  if (text.size() % 4 == 1) return std::nullopt;
  std::array<int, 256> values;
  values.fill(-1);
  for (size_t i = 0; i < alphabet.size(); ++i) values[static_cast<unsigned char>(alphabet[i])] = static_cast<int>(i);
  std::string out;
  uint32_t v = 0;
  int bits = 0;
  for (const char c : text) {
    const int digit = values[static_cast<unsigned char>(c)];
    if (digit < 0) return std::nullopt;
    v = (v << 6) | static_cast<uint32_t>(digit);
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      out.push_back(static_cast<char>((v >> bits) & 0xff));
    }
  }
  return out;
}

}  // namespace

std::string to_hex(std::string_view bytes) {
  std::string out(bytes.size() * 2, '\0');
  char* at = out.data();
  for (const char c : bytes) {
    *at++ = kHex[static_cast<unsigned char>(c) >> 4];
    *at++ = kHex[static_cast<unsigned char>(c) & 15];
  }
  return out;
}

std::optional<std::string> from_hex(std::string_view text) {
  if (text.size() % 2 != 0) return std::nullopt;
  std::string out;
  out.reserve(text.size() / 2);
  for (size_t i = 0; i < text.size(); i += 2) {
    const int high = hex_value(text[i]), low = hex_value(text[i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    out.push_back(static_cast<char>(high * 16 + low));
  }
  return out;
}

std::string to_base64(std::string_view bytes) { return encode64(bytes, kStandard, true); }
std::optional<std::string> from_base64(std::string_view text) { return decode64(text, kStandard); }
std::string to_base64url(std::string_view bytes) { return encode64(bytes, kUrlSafe, false); }
std::optional<std::string> from_base64url(std::string_view text) { return decode64(text, kUrlSafe); }

bool is_utf8(std::string_view text) {
  size_t i = 0;
  while (i < text.size()) {
    const auto c = static_cast<unsigned char>(text[i]);
    size_t more = 0;
    uint32_t point = 0;
    if (c < 0x80) {
      ++i;
      continue;
    }
    if ((c & 0xe0) == 0xc0) {
      more = 1;
      point = c & 0x1f;
    } else if ((c & 0xf0) == 0xe0) {
      more = 2;
      point = c & 0x0f;
    } else if ((c & 0xf8) == 0xf0) {
      more = 3;
      point = c & 0x07;
    } else
      return false;
    if (i + more >= text.size()) return false;
    for (size_t k = 1; k <= more; ++k) {
      const auto next = static_cast<unsigned char>(text[i + k]);
      if ((next & 0xc0) != 0x80) return false;
      point = (point << 6) | (next & 0x3f);
    }
    static constexpr uint32_t kLeast[] = {0, 0x80, 0x800, 0x10000};
    if (point < kLeast[more] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) return false;
    i += more + 1;
  }
  return true;
}

bool equal_constant_time(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

void ByteWriter::u64_ordered(uint64_t v) {
  for (int shift = 56; shift >= 0; shift -= 8) out_.push_back(static_cast<char>((v >> shift) & 0xff));
}

void ByteWriter::varint(uint64_t v) {
  while (v >= 0x80) {
    out_.push_back(static_cast<char>((v & 0x7f) | 0x80));
    v >>= 7;
  }
  out_.push_back(static_cast<char>(v));
}

Error ByteReader::corrupt(std::string_view what) const {
  return Error(Code::kCorrupt, std::string(subject_), "stored bytes are damaged: " + std::string(what));
}

template <class T>
Result<T> ByteReader::fixed() {
  if (rest_.size() < sizeof(T)) return corrupt("a number is cut short");
  T value;
  std::memcpy(&value, rest_.data(), sizeof value);
  rest_.remove_prefix(sizeof value);
  return value;
}

Result<uint8_t> ByteReader::u8() { return fixed<uint8_t>(); }
Result<uint16_t> ByteReader::u16() { return fixed<uint16_t>(); }
Result<uint32_t> ByteReader::u32() { return fixed<uint32_t>(); }
Result<uint64_t> ByteReader::u64() { return fixed<uint64_t>(); }

Result<uint64_t> ByteReader::u64_ordered() {
  if (rest_.size() < 8) return corrupt("a number is cut short");
  uint64_t v = 0;
  for (int i = 0; i < 8; ++i) v = (v << 8) | static_cast<unsigned char>(rest_[static_cast<size_t>(i)]);
  rest_.remove_prefix(8);
  return v;
}

Result<uint64_t> ByteReader::varint() {
  uint64_t v = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    if (rest_.empty()) return corrupt("a varint is cut short");
    const auto c = static_cast<unsigned char>(rest_.front());
    rest_.remove_prefix(1);
    if (shift == 63 && c > 1) break;
    v |= static_cast<uint64_t>(c & 0x7f) << shift;
    if ((c & 0x80) == 0) return v;
  }
  return corrupt("a varint is too long");
}

Result<int64_t> ByteReader::varint_signed() {
  TRY_LET(const uint64_t v, varint());
  return static_cast<int64_t>(v >> 1) ^ -static_cast<int64_t>(v & 1);
}

Result<std::string_view> ByteReader::raw(size_t count) {
  if (rest_.size() < count) return corrupt("a field is cut short");
  const std::string_view bytes = rest_.substr(0, count);
  rest_.remove_prefix(count);
  return bytes;
}

Result<std::string_view> ByteReader::text() {
  TRY_LET(const uint64_t size, varint());
  if (size > rest_.size()) return corrupt("a text is cut short");
  return raw(static_cast<size_t>(size));
}

}  // namespace tarn::base
