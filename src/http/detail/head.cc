#include "http/detail/head.h"

#include <boost/beast/http/basic_parser.hpp>

#include <charconv>

#include <fmt/core.h>

namespace tarn::http::detail {
namespace {

namespace beast = boost::beast;

// Collects what Beast reads; keeps nothing of its own opinion about the body.
class BeastHead final : public beast::http::basic_parser<true> {
 public:
  explicit BeastHead(Head& head) : head_(head) {
    header_limit(1 << 20);  // ours are checked before
    body_limit(boost::none);
  }

 private:
  using Text = beast::string_view;
  static std::string_view view(Text text) { return {text.data(), text.size()}; }

  void on_request_impl(beast::http::verb, Text method, Text target, int version, beast::error_code&) override {
    head_.method_text = view(method);
    head_.target = view(target);
    version_ = version;
  }
  void on_field_impl(beast::http::field, Text name, Text value, beast::error_code&) override {
    head_.headers.add(view(name), view(value));
  }
  void on_response_impl(int, Text, int, beast::error_code&) override {}
  void on_header_impl(beast::error_code&) override {}
  void on_body_init_impl(const boost::optional<std::uint64_t>&, beast::error_code&) override {}
  std::size_t on_body_impl(Text, beast::error_code&) override { return 0; }
  void on_chunk_header_impl(std::uint64_t, Text, beast::error_code&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, Text, beast::error_code&) override { return 0; }
  void on_finish_impl(beast::error_code&) override {}

  Head& head_;

 public:
  int version_ = 0;
};

bool is_token_char(char c) {
  static constexpr std::string_view kOthers = "!#$%&'*+-.^_`|~";
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
         kOthers.find(c) != std::string_view::npos;
}

bool is_token(std::string_view text) {
  if (text.empty()) return false;
  for (const char c : text)
    if (!is_token_char(c)) return false;
  return true;
}

bool has_control(std::string_view text, bool tab_is_fine) {
  for (const char c : text) {
    const auto u = static_cast<unsigned char>(c);
    if ((u < 0x20 && !(c == '\t' && tab_is_fine)) || u == 0x7f) return true;
  }
  return false;
}

std::optional<Refusal> check_request_line(std::string_view line) {
  const size_t first = line.find(' ');
  const size_t last = line.rfind(' ');
  if (first == std::string_view::npos || first == last || line.find(' ', first + 1) != last)
    return Refusal{400, "the request line must be: method, one blank, target, one blank, version"};
  if (has_control(line, false)) return Refusal{400, "the request line holds a control character"};
  const std::string_view method = line.substr(0, first);
  if (!is_token(method)) return Refusal{400, "the request method is not a token"};
  const std::string_view version = line.substr(last + 1);
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  if (version.size() != 8 || !version.starts_with("HTTP/") || !digit(version[5]) || version[6] != '.' ||
      !digit(version[7]))
    return Refusal{400, "the request line does not end in HTTP/1.1"};
  if (version != "HTTP/1.1" && version != "HTTP/1.0") return Refusal{505, "this server speaks HTTP/1.1 and HTTP/1.0"};
  if (!parse_method(method)) return Refusal{501, fmt::format("the method {} is not known here", method.substr(0, 32))};
  return std::nullopt;
}

std::optional<Refusal> check_field(std::string_view line) {
  if (line.front() == ' ' || line.front() == '\t')
    return Refusal{400, "a header field is folded over two lines, which is no longer allowed"};
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos) return Refusal{400, "a header line has no colon"};
  if (!is_token(line.substr(0, colon)))
    return Refusal{400, "a header name is empty or holds a blank or another character that it may not"};
  const std::string_view value = line.substr(colon + 1);
  if (has_control(value, true)) return Refusal{400, "a header value holds a control character"};
  // A tab before a coding's name is read differently by different servers.
  if (equal_ignoring_case(line.substr(0, colon), "transfer-encoding") && value.find('\t') != std::string_view::npos)
    return Refusal{400, "the Transfer-Encoding header holds a tab"};
  return std::nullopt;
}

// Steps of RFC 9112, 6.3, with every doubtful case refused.
std::optional<Refusal> frame_body(Head& head) {
  const auto encodings = head.headers.all("transfer-encoding");
  const auto lengths = head.headers.all("content-length");
  if (!encodings.empty()) {
    if (!lengths.empty()) return Refusal{400, "a request may have Content-Length or Transfer-Encoding, not both"};
    if (encodings.size() > 1) return Refusal{400, "there is more than one Transfer-Encoding header"};
    if (head.minor_version == 0) return Refusal{400, "HTTP/1.0 knows no Transfer-Encoding"};
    if (!equal_ignoring_case(encodings[0], "chunked"))
      return Refusal{501, "the only transfer coding known here is: chunked"};
    head.content_length.reset();
    return std::nullopt;
  }
  head.content_length = 0;
  if (lengths.empty()) return std::nullopt;
  if (lengths.size() > 1) return Refusal{400, "there is more than one Content-Length header"};
  const std::string_view text = lengths[0];
  uint64_t length = 0;
  const bool digits = !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), length);
  if (!digits || error != std::errc() || end != text.data() + text.size() || length > (uint64_t{1} << 62))
    return Refusal{400, "the Content-Length header is not a number of bytes"};
  head.content_length = length;
  return std::nullopt;
}

std::optional<Refusal> check_host(const Head& head) {
  const auto hosts = head.headers.all("host");
  if (hosts.size() > 1) return Refusal{400, "there is more than one Host header"};
  if (hosts.empty() && head.minor_version == 1) return Refusal{400, "the Host header is missing"};
  const std::string_view host = hosts.empty() ? std::string_view() : hosts[0];
  if (host.empty() && head.minor_version == 1) return Refusal{400, "the Host header is empty"};
  for (const char c : host) {
    const bool fine = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' ||
                      c == '.' || c == '_' || c == '~' || c == ':' || c == '[' || c == ']';
    if (!fine) return Refusal{400, "the Host header is not a host name with an optional port"};
  }
  const std::string_view target = head.target;
  if (target.starts_with('/')) return std::nullopt;
  if (target == "*" && head.method == Method::kOptions) return std::nullopt;
  const auto url = parse_url(target);
  if (!url) return Refusal{400, "the request target is neither a path nor a whole address"};
  const std::string_view after = target.substr(target.find("://") + 3);
  if (!equal_ignoring_case(after.substr(0, after.find_first_of("/?")), host))
    return Refusal{400, "the address in the request line and the Host header name different hosts"};
  return std::nullopt;
}

std::optional<Refusal> read_options(Head& head) {
  bool close = false;
  bool keep = false;
  for (const std::string_view value : head.headers.all("connection")) {
    close = close || has_token(value, "close");
    keep = keep || has_token(value, "keep-alive");
  }
  head.keep_alive = !close && (head.minor_version == 1 || keep);
  const auto expect = head.headers.find("expect");
  if (expect && !equal_ignoring_case(*expect, "100-continue"))
    return Refusal{417, "the only expectation known here is: 100-continue"};
  head.expect_continue = expect && head.minor_version == 1;
  return std::nullopt;
}

}  // namespace

HeadScanner::Verdict HeadScanner::refuse(int status, std::string message) {
  refusal_ = {status, std::move(message)};
  return Verdict::kRefused;
}

HeadScanner::Verdict HeadScanner::scan(std::string_view buffer, const Limits& limits) {
  // A TLS greeting or other noise has no line end to wait for.
  if (at_ == 0 && !buffer.empty() && !is_token_char(buffer.front()))
    return refuse(400, "this does not begin like an HTTP request (is it TLS on a plain port?)");
  // Lengths here count the CR.
  const auto line_too_long = [&](size_t length) -> std::optional<Refusal> {
    if (lines_ == 0 && length > limits.request_line + 1) return Refusal{414, "the request line is too long"};
    if (lines_ > 0 && length > limits.header_field + 1) return Refusal{431, "a header field is too long"};
    return std::nullopt;
  };
  while (at_ < buffer.size()) {
    const size_t lf = buffer.find('\n', at_);
    const size_t line_end = lf == std::string_view::npos ? buffer.size() : lf;
    if (const auto refusal = line_too_long(line_end - line_)) return refuse(refusal->status, refusal->message);
    if (lines_ > 0 && line_end - header_begin_ > limits.header_bytes + 1)
      return refuse(431, "the header fields are too long together");
    if (lf == std::string_view::npos) {
      at_ = buffer.size();
      break;
    }
    if (lf == line_ || buffer[lf - 1] != '\r')
      return refuse(400, "a line of the request head ends in a bare line feed");
    at_ = lf + 1;
    const bool blank = lf - 1 == line_;
    line_ = at_;
    if (blank) return lines_ == 0 ? refuse(400, "the request line is empty") : Verdict::kComplete;
    if (lines_ == 0) header_begin_ = at_;
    ++lines_;
    if (lines_ - 1 > limits.header_count) return refuse(431, "there are too many header fields");
  }
  // Who speaks HTTP/0.9 sends one line and waits; tell it at once.
  if (lines_ > 0 && !line_checked_) {
    line_checked_ = true;
    if (const auto refusal = check_request_line(buffer.substr(0, header_begin_ - 2)))
      return refuse(refusal->status, refusal->message);
  }
  return Verdict::kMore;
}

std::variant<Head, Refusal> parse_head(std::string_view bytes) {
  size_t fields = 0;
  size_t begin = 0;
  for (size_t line = 0;; ++line) {
    const size_t end = bytes.find("\r\n", begin);
    if (end == std::string_view::npos) return Refusal{400, "the request head has no end"};
    const std::string_view text = bytes.substr(begin, end - begin);
    begin = end + 2;
    if (text.empty()) break;
    if (auto refusal = line == 0 ? check_request_line(text) : check_field(text)) return *refusal;
    if (line > 0) ++fields;
  }
  Head head;
  BeastHead reader(head);
  boost::beast::error_code error;
  const size_t used = reader.put(boost::asio::const_buffer(bytes.data(), bytes.size()), error);
  if (error == beast::http::error::bad_target)
    return Refusal{400, "the request target holds a character that it may not"};
  if (error) return Refusal{400, fmt::format("the request head is not HTTP/1.1: {}", error.message())};
  if (!reader.is_header_done() || used != bytes.size() || head.headers.size() != fields)
    return Refusal{400, "the request head can be read in two ways"};
  head.minor_version = reader.version_ == 10 ? 0 : 1;
  head.method = *parse_method(head.method_text);
  if (auto refusal = frame_body(head)) return *refusal;
  if (auto refusal = check_host(head)) return *refusal;
  if (auto refusal = read_options(head)) return *refusal;
  return head;
}

bool fill_target(Request& request) {
  std::string_view target = request.target;
  if (const size_t scheme = target.find("://"); !target.starts_with('/') && scheme != std::string_view::npos) {
    target.remove_prefix(scheme + 3);
    target.remove_prefix(std::min(target.find_first_of("/?"), target.size()));
  }
  const size_t question = std::min(target.find('?'), target.size());
  request.raw_path = question == 0 ? "/" : std::string(target.substr(0, question));
  if (question < target.size()) request.raw_query = target.substr(question + 1);
  auto path = percent_decode(request.raw_path);
  auto query = parse_query(request.raw_query);
  if (!path || !query) return false;
  request.path = std::move(*path);
  request.query = std::move(*query);
  return true;
}

}  // namespace tarn::http::detail
