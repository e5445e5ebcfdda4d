#include "http/detail/response_writer.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/run_token.h"

namespace tarn::http::detail {
namespace {

constexpr size_t kBuffer = 64 * 1024;

bool is_safe(const Header& field) {
  if (field.name.empty() || field.name.find_first_of("\r\n: \t") != std::string::npos) return false;
  for (const char c : field.value) {
    const auto u = static_cast<unsigned char>(c);
    if ((u < 0x20 && c != '\t') || u == 0x7f) return false;
  }
  return true;
}

// Formatting a date costs more than the rest of a head; it changes once a second.
std::string_view date_of(base::WallMs now) {
  thread_local int64_t second = -1;
  thread_local std::string date;
  if (now / 1000 != second) {
    second = now / 1000;
    date = base::http_date(now);
  }
  return date;
}

bool has_no_body(int status) { return status == 204 || status == 304 || (status >= 100 && status < 200); }

enum class Framing { kNone, kLength, kChunked, kUntilClose };

struct Plan {
  Framing framing = Framing::kLength;
  uint64_t length = 0;
};

Plan plan_of(const Response& response, Envelope& envelope) {
  if (has_no_body(response.status)) return {Framing::kNone, 0};
  if (!response.source) return {Framing::kLength, response.body.size()};
  if (const auto size = response.source->size()) return {Framing::kLength, *size};
  if (envelope.minor_version == 1) return {Framing::kChunked, 0};
  envelope.keep_alive = false;
  return {Framing::kUntilClose, 0};
}

std::string head_of(const Response& response, const Plan& plan, const Envelope& envelope) {
  std::string out;
  out.reserve(256 + response.headers.size() * 48);
  out += fmt::format("HTTP/1.1 {} {}\r\n", response.status, reason_of(response.status));
  std::string_view declared;
  for (const Header& field : response.headers) {
    if (equal_ignoring_case(field.name, "content-length")) {
      declared = field.value;
      continue;
    }
    if (equal_ignoring_case(field.name, "transfer-encoding") || equal_ignoring_case(field.name, "connection")) continue;
    out.append(field.name).append(": ").append(field.value).append("\r\n");
  }
  if (!response.headers.has("date")) out.append("Date: ").append(date_of(envelope.now)).append("\r\n");
  if (!response.headers.has("server")) out.append("Server: ").append(envelope.server_name).append("\r\n");
  if (!envelope.request_id.empty() && !response.headers.has("x-request-id"))
    out.append("X-Request-ID: ").append(envelope.request_id).append("\r\n");
  if (plan.framing == Framing::kLength) {
    if (envelope.head_only && !declared.empty()) {
      out.append("Content-Length: ").append(declared).append("\r\n");
    } else {
      out.append("Content-Length: ").append(std::to_string(plan.length)).append("\r\n");
    }
  } else if (plan.framing == Framing::kChunked) {
    out += "Transfer-Encoding: chunked\r\n";
  }
  if (!envelope.keep_alive) {
    out += "Connection: close\r\n";
  } else if (envelope.minor_version == 0) {
    out += "Connection: keep-alive\r\n";
  }
  out += "\r\n";
  return out;
}

// A header that would split the response is our own bug or somebody's attack: neither gets through.
const Header* unsafe_header(const Response& response) {
  for (const Header& field : response.headers)
    if (!is_safe(field)) return &field;
  return nullptr;
}

Response broken_header() { return json(500, R"({"message":"a header of the answer holds a control character"})"); }

Result<void> write_pieces(Stream& stream, BodySource& source, const Plan& plan, std::string head) {
  const auto buffer = std::make_unique_for_overwrite<char[]>(kBuffer);
  uint64_t sent = 0;
  for (;;) {
    if (plan.framing == Framing::kLength && sent == plan.length) return stream.write_all(head);
    size_t room = kBuffer;
    if (plan.framing == Framing::kLength) room = static_cast<size_t>(std::min<uint64_t>(room, plan.length - sent));
    TRY_LET(const size_t n, source.read(buffer.get(), room));
    const std::string_view piece(buffer.get(), n);
    if (plan.framing == Framing::kChunked) {
      head += n == 0 ? std::string("0\r\n\r\n") : fmt::format("{:x}\r\n", n);
      // The piece's own CR LF goes out with the next write.
      TRY(stream.write_all(head, piece));
      if (n == 0) return {};
      head = "\r\n";
    } else {
      TRY(stream.write_all(head, piece));
      head.clear();
      if (n == 0) {
        if (plan.framing == Framing::kUntilClose) return {};
        return Error(Code::kCorrupt, "body", "the body ended before the length that was announced");
      }
    }
    sent += n;
  }
}

}  // namespace

std::string small_response(const Response& response, Envelope& envelope) {
  if (unsafe_header(response) != nullptr) return small_response(broken_header(), envelope);
  const Plan plan = plan_of(response, envelope);
  std::string out = head_of(response, plan, envelope);
  if (!envelope.head_only && plan.framing == Framing::kLength) out += response.body;
  return out;
}

Result<void> write_response(Stream& stream, Response& response, Envelope& envelope) {
  if (unsafe_header(response) != nullptr) response = broken_header();
  const Plan plan = plan_of(response, envelope);
  std::string head = head_of(response, plan, envelope);
  if (envelope.head_only || plan.framing == Framing::kNone) return stream.write_all(head);
  if (!response.source) return stream.write_all(head, response.body);
  const auto span = response.source->file();
  if (span && !stream.has_tls() && plan.framing == Framing::kLength && span->length == plan.length) {
    TRY(stream.write_all(head, {}, plan.length > 0 ? Stream::More::kYes : Stream::More::kNo));
    return stream.send_file(*span);
  }
  return write_pieces(stream, *response.source, plan, std::move(head));
}

}  // namespace tarn::http::detail
