#include "base/ids.h"

#include "base/bytes.h"

namespace tarn::base {

std::string uuid7(Clock& clock, Random& random) {
  unsigned char b[16];
  random.fill(b, sizeof b);
  const auto ms = static_cast<uint64_t>(clock.wall_ms());
  for (int i = 0; i < 6; ++i) b[i] = static_cast<unsigned char>(ms >> (40 - 8 * i));
  b[6] = static_cast<unsigned char>((b[6] & 0x0f) | 0x70);
  b[8] = static_cast<unsigned char>((b[8] & 0x3f) | 0x80);
  static constexpr char kHex[] = "0123456789abcdef";
  std::string out(36, '-');
  size_t at = 0;
  for (size_t i = 0; i < sizeof b; ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) ++at;
    out[at++] = kHex[b[i] >> 4];
    out[at++] = kHex[b[i] & 15];
  }
  return out;
}

std::string xid(Clock& clock, Random& random) {
  static constexpr std::string_view kDigits = "0123456789abcdefghijklmnopqrstuv";
  unsigned char b[12];
  random.fill(b, sizeof b);
  const auto seconds = static_cast<uint64_t>(clock.wall_ms() / 1000);
  for (int i = 0; i < 4; ++i) b[i] = static_cast<unsigned char>(seconds >> (24 - 8 * i));
  std::string out;
  uint32_t value = 0;
  int bits = 0;
  for (const unsigned char c : b) {
    value = (value << 8) | c;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      out.push_back(kDigits[(value >> bits) & 31]);
    }
  }
  if (bits > 0) out.push_back(kDigits[(value << (5 - bits)) & 31]);
  return out;
}

std::string access_key_id(Random& random) {
  static constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  unsigned char b[14];
  random.fill(b, sizeof b);
  std::string out = "AKIAJ";
  for (const unsigned char c : b) out.push_back(kDigits[c & 31]);
  return out + "Q";
}

std::string secret_access_key(Random& random) {
  std::string bytes(30, '\0');
  random.fill(bytes.data(), bytes.size());
  return to_base64(bytes);
}

}  // namespace tarn::base
