#include "http/detail/stream.h"

#include <fmt/core.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>

#include "base/run_token.h"

namespace tarn::http::detail {
namespace {

Error lost(int error) {
  return Error(Code::kCancelled, "connection",
               fmt::format("the client went away: {}", error == 0 ? "closed" : std::strerror(error)));
}

}  // namespace

Result<void> Stream::wait(Want want, Rate& rate) {
  const int64_t left = limits_.body_rate_window_ms - rate.waited_ms;
  const base::SteadyMs begin = clock_.steady_ms();
  pollfd poll_one{descriptor_, static_cast<short>(want == Want::kRead ? POLLIN : POLLOUT), 0};
  {
    base::RunToken::Pause pause;
    while (::poll(&poll_one, 1, static_cast<int>(std::clamp<int64_t>(left, 1, 60'000))) < 0 && errno == EINTR) {
    }
  }
  // A wait rounded down to 0 ms would let a trickle of single bytes run for ever.
  rate.waited_ms += std::max<int64_t>(clock_.steady_ms() - begin, 1);
  if (rate.waited_ms < limits_.body_rate_window_ms) return {};
  const auto least = limits_.body_rate_min * static_cast<uint64_t>(limits_.body_rate_window_ms) / 1000;
  if (rate.bytes < least)
    return Error(Code::kDeadline, "connection",
                 fmt::format("the client was slower than {} bytes a second over {} ms", limits_.body_rate_min,
                             limits_.body_rate_window_ms));
  rate = Rate();
  return {};
}

Result<Stream::Io> Stream::receive(char* buffer, size_t size) {
  if (tls_ != nullptr) {
    ERR_clear_error();
    size_t count = 0;
    const int result = SSL_read_ex(tls_, buffer, size, &count);
    if (result == 1) return Io{static_cast<ssize_t>(count), Want::kRead};
    switch (SSL_get_error(tls_, result)) {
      case SSL_ERROR_WANT_READ:
        return Io{-1, Want::kRead};
      case SSL_ERROR_WANT_WRITE:
        return Io{-1, Want::kWrite};
      case SSL_ERROR_ZERO_RETURN:
        return Io{0, Want::kRead};
      default:
        return lost(errno);
    }
  }
  for (;;) {
    const ssize_t n = ::recv(descriptor_, buffer, size, MSG_DONTWAIT);
    if (n >= 0) return Io{n, Want::kRead};
    if (errno == EAGAIN || errno == EWOULDBLOCK) return Io{-1, Want::kRead};
    if (errno != EINTR) return lost(errno);
  }
}

Result<Stream::Io> Stream::send(std::string_view first, std::string_view second, More more) {
  if (tls_ != nullptr) {
    ERR_clear_error();
    const std::string_view bytes = first.empty() ? second : first;
    size_t count = 0;
    const int result = SSL_write_ex(tls_, bytes.data(), bytes.size(), &count);
    if (result == 1) return Io{static_cast<ssize_t>(count), Want::kWrite};
    switch (SSL_get_error(tls_, result)) {
      case SSL_ERROR_WANT_READ:
        return Io{-1, Want::kRead};
      case SSL_ERROR_WANT_WRITE:
        return Io{-1, Want::kWrite};
      default:
        return lost(errno);
    }
  }
  iovec parts[2] = {{const_cast<char*>(first.data()), first.size()}, {const_cast<char*>(second.data()), second.size()}};
  msghdr message{};
  message.msg_iov = parts;
  message.msg_iovlen = 2;
  for (;;) {
    const ssize_t n =
        ::sendmsg(descriptor_, &message, MSG_DONTWAIT | MSG_NOSIGNAL | (more == More::kYes ? MSG_MORE : 0));
    if (n >= 0) return Io{n, Want::kWrite};
    if (errno == EAGAIN || errno == EWOULDBLOCK) return Io{-1, Want::kWrite};
    if (errno != EINTR) return lost(errno);
  }
}

Result<std::optional<size_t>> Stream::read_now(char* buffer, size_t size) {
  TRY_LET(const Io io, receive(buffer, size));
  if (io.count < 0) return std::optional<size_t>();
  return std::optional<size_t>(static_cast<size_t>(io.count));
}

Result<size_t> Stream::read_some(char* buffer, size_t size) {
  for (;;) {
    TRY_LET(const Io io, receive(buffer, size));
    if (io.count >= 0) {
      in_.bytes += static_cast<uint64_t>(io.count);
      return static_cast<size_t>(io.count);
    }
    TRY(wait(io.want, in_));
  }
}

Result<size_t> Stream::write_now(std::string_view bytes) {
  size_t done = 0;
  while (done < bytes.size()) {
    TRY_LET(const Io io, send(bytes.substr(done), {}, More::kNo));
    if (io.count < 0) break;
    done += static_cast<size_t>(io.count);
  }
  return done;
}

Result<void> Stream::write_all(std::string_view first, std::string_view second, More more) {
  while (!first.empty() || !second.empty()) {
    TRY_LET(const Io io, send(first, second, more));
    if (io.count < 0) {
      TRY(wait(io.want, out_));
      continue;
    }
    auto n = static_cast<size_t>(io.count);
    out_.bytes += n;
    const size_t of_first = std::min(n, first.size());
    first.remove_prefix(of_first);
    second.remove_prefix(n - of_first);
  }
  return {};
}

Result<void> Stream::send_file(FileSpan span) {
  auto offset = static_cast<off_t>(span.offset);
  uint64_t left = span.length;
  while (left > 0) {
    // In slices, so that one call over a slow disk does not hide from the rate check for long.
    const ssize_t n = ::sendfile(descriptor_, span.descriptor, &offset, std::min<uint64_t>(left, 4 << 20));
    if (n > 0) {
      left -= static_cast<uint64_t>(n);
      out_.bytes += static_cast<uint64_t>(n);
    } else if (n == 0) {
      return Error(Code::kCorrupt, "file", "a stored file is shorter than it was recorded");
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      TRY(wait(Want::kWrite, out_));
    } else if (errno == EIO) {
      return Error(Code::kUnavailable, "file", "a stored file cannot be read: I/O error");
    } else if (errno != EINTR) {
      return lost(errno);
    }
  }
  return {};
}

}  // namespace tarn::http::detail
