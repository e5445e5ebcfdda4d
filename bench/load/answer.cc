#include "load/answer.h"

#include <strings.h>

#include <cstdlib>

namespace tarn::load {
namespace {

bool same(std::string_view a, std::string_view b) {
  return a.size() == b.size() && strncasecmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace

Answer::State Answer::look(std::string_view buffer) {
  if (head_ == 0) {
    const size_t end = buffer.find("\r\n\r\n");
    if (end == std::string_view::npos) return State::kMore;
    if (buffer.size() < 12 || !buffer.starts_with("HTTP/1.")) return State::kBroken;
    status_ = std::atoi(std::string(buffer.substr(9, 3)).c_str());
    head_ = chunk_ = end + 4;
    for (size_t at = buffer.find("\r\n") + 2; at < end + 2;) {
      const size_t stop = buffer.find("\r\n", at);
      const std::string_view line = buffer.substr(at, stop - at);
      const size_t colon = line.find(':');
      if (colon != std::string_view::npos) {
        std::string_view name = line.substr(0, colon), value = line.substr(colon + 1);
        while (!value.empty() && value.front() == ' ') value.remove_prefix(1);
        if (same(name, "content-length")) length_ = std::strtoull(std::string(value).c_str(), nullptr, 10);
        if (same(name, "transfer-encoding") && same(value, "chunked")) chunked_ = true;
        if (same(name, "connection") && same(value, "close")) closes_ = true;
      }
      at = stop + 2;
    }
  }
  if (!chunked_) return buffer.size() >= head_ + length_ ? State::kDone : State::kMore;
  for (;;) {
    const size_t line = buffer.find("\r\n", chunk_);
    if (line == std::string_view::npos) return State::kMore;
    const size_t size = std::strtoull(std::string(buffer.substr(chunk_, line - chunk_)).c_str(), nullptr, 16);
    const size_t next = line + 2 + size + 2;
    if (buffer.size() < next) return State::kMore;
    if (size == 0) return State::kDone;
    chunk_ = next;
  }
}

}  // namespace tarn::load
