#pragma once
// Percent-encoding, queries and URLs. Decoding is strict and happens once.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace tarn::http {

enum class KeepSlash { kNo, kYes };

/// Encodes all but A-Z a-z 0-9 - . _ ~ as %XX with upper-case digits: what AWS signatures ask for (RFC 3986, 2.3).
std::string percent_encode(std::string_view bytes, KeepSlash keep_slash = KeepSlash::kNo);
/// Errors: kInvalid on '%' without two hex digits. '+' stays '+'.
Result<std::string> percent_decode(std::string_view text);

/// Decoded name/value pairs of a query, in order, repeated names allowed.
class Query {
 public:
  using Pair = std::pair<std::string, std::string>;
  void add(std::string name, std::string value) { pairs_.emplace_back(std::move(name), std::move(value)); }
  std::optional<std::string_view> find(std::string_view name) const;
  std::vector<std::string_view> all(std::string_view name) const;
  bool has(std::string_view name) const { return find(name).has_value(); }
  bool empty() const { return pairs_.empty(); }
  size_t size() const { return pairs_.size(); }
  auto begin() const { return pairs_.begin(); }
  auto end() const { return pairs_.end(); }

 private:
  std::vector<Pair> pairs_;
};

/// "a=1&b&c=x%20y": a name without '=' has an empty value; '+' is a blank. Errors: kInvalid on bad percent-encoding.
Result<Query> parse_query(std::string_view text);
/// The other way; pairs in order.
std::string format_query(const Query& query);

struct Url {
  std::string scheme;  ///< "http" or "https", lower case
  std::string host;    ///< as written, IPv6 without brackets
  uint16_t port = 0;   ///< 80 or 443 when the text names none
  std::string path;    ///< raw, begins with '/'
  std::string query;   ///< raw, without '?'
};

/// Absolute http and https URLs; the fragment is dropped. Errors: kInvalid, also for user:password@ in the authority.
Result<Url> parse_url(std::string_view text);

struct HostPort {
  std::string host;  ///< IPv6 without brackets; empty means every address
  uint16_t port = 0;
};

/// "127.0.0.1:8000", "[::1]:8000", "localhost:8000", ":8000". Errors: kInvalid.
Result<HostPort> parse_host_port(std::string_view text);

}  // namespace tarn::http
