#include "http/url.h"

#include <fmt/core.h>

#include <charconv>

namespace tarn::http {
namespace {

bool is_unreserved(unsigned char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
         c == '_' || c == '~';
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

Result<uint16_t> parse_port(std::string_view text) {
  uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (text.empty() || error != std::errc() || end != text.data() + text.size())
    return Error(Code::kInvalid, "port", fmt::format("'{}' is not a port: give a number from 0 to 65535", text));
  return port;
}

Result<std::string> decode_form(std::string_view text) {
  if (text.find('+') == std::string_view::npos) return percent_decode(text);
  std::string blanks(text);
  for (char& c : blanks)
    if (c == '+') c = ' ';
  return percent_decode(blanks);
}

}  // namespace

std::string percent_encode(std::string_view bytes, KeepSlash keep_slash) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  std::string out;
  out.reserve(bytes.size() + bytes.size() / 4);
  for (const char c : bytes) {
    const auto u = static_cast<unsigned char>(c);
    if (is_unreserved(u) || (c == '/' && keep_slash == KeepSlash::kYes)) {
      out.push_back(c);
    } else {
      out.push_back('%');
      out.push_back(kDigits[u >> 4]);
      out.push_back(kDigits[u & 15]);
    }
  }
  return out;
}

Result<std::string> percent_decode(std::string_view text) {
  if (text.find('%') == std::string_view::npos) return std::string(text);
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out.push_back(text[i]);
      continue;
    }
    const bool complete = text.size() - i > 2;
    const int high = complete ? hex_digit(text[i + 1]) : -1;
    const int low = complete ? hex_digit(text[i + 2]) : -1;
    if (high < 0 || low < 0)
      return Error(Code::kInvalid, "url", "a '%' in the address is not followed by two hex digits: write it as %25");
    out.push_back(static_cast<char>(high * 16 + low));
    i += 2;
  }
  return out;
}

std::optional<std::string_view> Query::find(std::string_view name) const {
  for (const Pair& pair : pairs_)
    if (pair.first == name) return pair.second;
  return std::nullopt;
}

std::vector<std::string_view> Query::all(std::string_view name) const {
  std::vector<std::string_view> values;
  for (const Pair& pair : pairs_)
    if (pair.first == name) values.push_back(pair.second);
  return values;
}

Result<Query> parse_query(std::string_view text) {
  Query query;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('&', begin), text.size());
    const std::string_view pair = text.substr(begin, end - begin);
    begin = end + 1;
    if (pair.empty()) continue;
    const size_t equals = std::min(pair.find('='), pair.size());
    TRY_LET(std::string name, decode_form(pair.substr(0, equals)));
    TRY_LET(std::string value, decode_form(equals < pair.size() ? pair.substr(equals + 1) : std::string_view()));
    query.add(std::move(name), std::move(value));
  }
  return query;
}

std::string format_query(const Query& query) {
  std::string out;
  for (const auto& [name, value] : query) {
    if (!out.empty()) out.push_back('&');
    out += percent_encode(name) + "=" + percent_encode(value);
  }
  return out;
}

Result<HostPort> parse_host_port(std::string_view text) {
  const auto bad = [&] {
    return Error(Code::kInvalid, "address",
                 fmt::format("'{}' is not an address: write host:port, as 127.0.0.1:8000 or [::1]:8000", text));
  };
  HostPort out;
  std::string_view port;
  if (text.starts_with('[')) {
    const size_t close = text.find(']');
    if (close == std::string_view::npos || close + 1 >= text.size() || text[close + 1] != ':') return bad();
    out.host = text.substr(1, close - 1);
    port = text.substr(close + 2);
  } else {
    const size_t colon = text.rfind(':');
    if (colon == std::string_view::npos || text.find(':') != colon) return bad();
    out.host = text.substr(0, colon);
    port = text.substr(colon + 1);
  }
  const auto number = parse_port(port);
  if (!number) return bad();
  out.port = *number;
  return out;
}

Result<Url> parse_url(std::string_view text) {
  const auto bad = [&](std::string_view why) {
    return Error(Code::kInvalid, "url", fmt::format("'{}' is not a usable address: {}", text, why));
  };
  for (const char c : text)
    if (static_cast<unsigned char>(c) <= 0x20 || c == 0x7f) return bad("it holds a blank or control character");
  Url url;
  std::string_view rest = text;
  const size_t scheme = rest.find("://");
  if (scheme == std::string_view::npos) return bad("it must begin with http:// or https://");
  for (const char c : rest.substr(0, scheme))
    url.scheme.push_back(c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c);
  if (url.scheme != "http" && url.scheme != "https") return bad("it must begin with http:// or https://");
  rest.remove_prefix(scheme + 3);
  rest = rest.substr(0, rest.find('#'));
  const size_t slash = std::min(rest.find_first_of("/?"), rest.size());
  std::string_view authority = rest.substr(0, slash);
  rest.remove_prefix(slash);
  if (authority.find('@') != std::string_view::npos) return bad("it must not carry a user name or password");
  const bool has_port = authority.starts_with('[') ? authority.find("]:") != std::string_view::npos
                                                   : authority.find(':') != std::string_view::npos;
  if (has_port) {
    const auto parsed = parse_host_port(authority);
    if (!parsed) return bad("host and port are not readable");
    url.host = parsed->host;
    url.port = parsed->port;
  } else {
    if (authority.starts_with('[') && authority.ends_with(']')) authority = authority.substr(1, authority.size() - 2);
    url.host = authority;
    url.port = url.scheme == "https" ? 443 : 80;
  }
  if (url.host.empty()) return bad("it names no host");
  const size_t question = std::min(rest.find('?'), rest.size());
  url.path = question == 0 ? "/" : std::string(rest.substr(0, question));
  if (question < rest.size()) url.query = rest.substr(question + 1);
  return url;
}

}  // namespace tarn::http
