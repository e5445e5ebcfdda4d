#pragma once
// The listening socket and who comes in through it.
#include <string>

#include "base/result.h"

namespace tarn::http::detail {

struct Listener {
  int descriptor = -1;
  std::string address;  ///< as bound, with the real port
  uint16_t port = 0;
};

/// Errors: kInvalid (not host:port, unknown host), kUnavailable (in use, not ours to bind).
Result<Listener> listen_on(const std::string& address);

struct Arrival {
  int descriptor = -1;
  std::string address;  ///< without port; IPv4 inside IPv6 is written as IPv4
  bool loopback = false;
};

/// Takes one waiting connection. @return its descriptor, or -1 with errno set.
Arrival accept_on(int listener);

/// As many open files as the system lets us have: 16,384 connections need them.
void raise_file_limit();

}  // namespace tarn::http::detail
