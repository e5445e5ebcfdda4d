#include "http/detail/listener.h"

#include <arpa/inet.h>
#include <fmt/core.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "http/url.h"

namespace tarn::http::detail {
namespace {

struct Peer {
  std::string address;
  uint16_t port = 0;
  bool loopback = false;
};

Peer describe(const sockaddr_storage& storage) {
  Peer peer;
  char text[INET6_ADDRSTRLEN] = "";
  if (storage.ss_family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(&storage);
    inet_ntop(AF_INET, &v4->sin_addr, text, sizeof text);
    peer.port = ntohs(v4->sin_port);
    peer.loopback = (ntohl(v4->sin_addr.s_addr) >> 24) == 127;
  } else if (storage.ss_family == AF_INET6) {
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&storage);
    peer.port = ntohs(v6->sin6_port);
    if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
      inet_ntop(AF_INET, v6->sin6_addr.s6_addr + 12, text, sizeof text);
      peer.loopback = v6->sin6_addr.s6_addr[12] == 127;
    } else {
      inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof text);
      peer.loopback = IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
    }
  }
  peer.address = text;
  return peer;
}

Error cannot_listen(const std::string& address, int error) {
  if (error == EADDRINUSE)
    return Error(Code::kUnavailable, "listen",
                 fmt::format("address {} is in use: stop the program that listens there, or choose another with "
                             "--listen",
                             address));
  if (error == EACCES)
    return Error(
        Code::kUnavailable, "listen",
        fmt::format("address {} may not be used by this user: choose a port above 1023 with --listen", address));
  if (error == EADDRNOTAVAIL)
    return Error(Code::kUnavailable, "listen",
                 fmt::format("address {} does not belong to this machine: choose another with --listen", address));
  return Error(Code::kUnavailable, "listen", fmt::format("cannot listen on {}: {}", address, std::strerror(error)));
}

}  // namespace

Result<Listener> listen_on(const std::string& address) {
  TRY_LET(const HostPort where, parse_host_port(address));
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int code = ::getaddrinfo(where.host.empty() ? nullptr : where.host.c_str(), std::to_string(where.port).c_str(),
                                 &hints, &found);
  if (code != 0)
    return Error(Code::kInvalid, "listen",
                 fmt::format("cannot listen on {}: the host is not known ({})", address, ::gai_strerror(code)));
  int error = 0;
  int descriptor = -1;
  for (const addrinfo* one = found; one != nullptr && descriptor < 0; one = one->ai_next) {
    descriptor = ::socket(one->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0) {
      error = errno;
      continue;
    }
    const int yes = 1;
    ::setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (::bind(descriptor, one->ai_addr, one->ai_addrlen) != 0 || ::listen(descriptor, 4096) != 0) {
      error = errno;
      ::close(descriptor);
      descriptor = -1;
    }
  }
  ::freeaddrinfo(found);
  if (descriptor < 0) return cannot_listen(address, error);
  sockaddr_storage bound{};
  socklen_t size = sizeof bound;
  ::getsockname(descriptor, reinterpret_cast<sockaddr*>(&bound), &size);
  const Peer self = describe(bound);
  Listener listener;
  listener.descriptor = descriptor;
  listener.port = self.port;
  listener.address = bound.ss_family == AF_INET6 ? fmt::format("[{}]:{}", self.address, self.port)
                                                 : fmt::format("{}:{}", self.address, self.port);
  return listener;
}

Arrival accept_on(int listener) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  Arrival arrival;
  arrival.descriptor = ::accept4(listener, reinterpret_cast<sockaddr*>(&storage), &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (arrival.descriptor < 0) return arrival;
  const int yes = 1;
  ::setsockopt(arrival.descriptor, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  const Peer peer = describe(storage);
  arrival.address = peer.address;
  arrival.loopback = peer.loopback;
  return arrival;
}

void raise_file_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace tarn::http::detail
