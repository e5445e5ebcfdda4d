#include "auth/cidr.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace tarn::auth {
namespace {
constexpr unsigned kMappedBits = 96;  ///< of ::ffff:0:0/96
}

std::optional<IpAddress> parse_ip(const std::string& text) {
  if (text.find('\0') != std::string::npos) return std::nullopt;
  IpAddress out{};
  in_addr v4{};
  if (inet_pton(AF_INET, text.c_str(), &v4) == 1) {
    out[10] = out[11] = 0xff;
    std::memcpy(&out[12], &v4, 4);
    return out;
  }
  if (inet_pton(AF_INET6, text.c_str(), out.data()) == 1) return out;
  return std::nullopt;
}

bool Cidr::contains(const IpAddress& other) const {
  const unsigned whole = bits / 8, rest = bits % 8;
  if (!std::equal(address.begin(), address.begin() + whole, other.begin())) return false;
  return rest == 0 || (address[whole] ^ other[whole]) >> (8 - rest) == 0;
}

std::optional<Cidr> parse_cidr(const std::string& text) {
  const size_t slash = text.find('/');
  const std::string base = text.substr(0, slash);
  const auto address = parse_ip(base);
  if (!address) return std::nullopt;
  Cidr out{*address, 128};
  if (slash == std::string::npos) return out;
  const char *first = text.data() + slash + 1, *last = text.data() + text.size();
  unsigned bits = 0;
  const auto [end, error] = std::from_chars(first, last, bits);
  if (first == last || error != std::errc() || end != last) return std::nullopt;
  const bool v4 = base.find(':') == std::string::npos;
  if (bits > (v4 ? 32u : 128u)) return std::nullopt;
  out.bits = v4 ? kMappedBits + bits : bits;
  return out;
}

}  // namespace tarn::auth
