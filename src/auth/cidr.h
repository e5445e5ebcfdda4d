#pragma once
// Ranges of IP addresses, as conditions of policies name them.
#include <array>
#include <cstdint>
#include <optional>
#include <string>

namespace tarn::auth {

/// An address as IPv6; IPv4 is ::ffff:a.b.c.d, so that both spellings of one are equal.
using IpAddress = std::array<uint8_t, 16>;
std::optional<IpAddress> parse_ip(const std::string& text);

struct Cidr {
  IpAddress address{};
  unsigned bits = 128;  ///< of the IPv6 form
  bool contains(const IpAddress& other) const;
};
/// "10.0.0.0/8", "2001:db8::/32", or one address. nullopt: malformed.
std::optional<Cidr> parse_cidr(const std::string& text);

}  // namespace tarn::auth
