#pragma once
// Messages between the server and a check worker: one JSON text each, with open files attached, over a socket pair.
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace tarn::quality {

/// An owned file descriptor.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(other.release()) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    reset(other.release());
    return *this;
  }
  ~Descriptor() { reset(); }
  int get() const { return fd_; }
  int release() {
    const int fd = fd_;
    fd_ = -1;
    return fd;
  }
  void reset(int fd = -1);
  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

struct Message {
  std::string text;
  std::vector<Descriptor> files;
};

/// Most files in one message (the kernel's own limit is 253).
constexpr size_t kMessageFilesMax = 200;
constexpr size_t kMessageBytesMax = 64 << 20;

/// Two ends of a stream, both closed on exec. Errors: kUnavailable.
Result<std::pair<Descriptor, Descriptor>> make_channel();

/// Sends one message; waits while the other end is slow. Errors: kUnavailable when the other end is gone.
Result<void> send_message(int socket, std::string_view text, const std::vector<int>& files = {});

/// Receives one whole message. Errors: kUnavailable at the end of the stream or on a broken frame.
Result<Message> receive_message(int socket);

/// @return whether something can be read (or the other end is gone) within `timeout_ms`.
bool wait_readable(int socket, int timeout_ms);

/// An anonymous file in memory that nobody can change any more. Errors: kUnavailable, kNoSpace.
Result<Descriptor> make_sealed_memory(std::string_view bytes);

}  // namespace tarn::quality
