#include "quality/channel.h"

#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fcntl.h>

#include <cerrno>
#include <cstring>

#include <fmt/core.h>

namespace tarn::quality {
namespace {

struct Header {
  uint32_t text_bytes = 0;
  uint32_t files = 0;
};

Error gone(std::string_view what) {
  return Error(Code::kUnavailable, "worker", fmt::format("{}: {}", what, errno ? std::strerror(errno) : "closed"));
}

Result<void> send_all(int socket, const char* bytes, size_t count) {
  while (count > 0) {
    const ssize_t sent = send(socket, bytes, count, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return gone("the check worker does not take messages");
    bytes += sent;
    count -= static_cast<size_t>(sent);
  }
  return {};
}

Result<void> receive_all(int socket, char* bytes, size_t count) {
  while (count > 0) {
    const ssize_t got = recv(socket, bytes, count, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got == 0) errno = 0;
    if (got <= 0) return gone("the message ended early");
    bytes += got;
    count -= static_cast<size_t>(got);
  }
  return {};
}

}  // namespace

void Descriptor::reset(int fd) {
  if (fd_ >= 0) close(fd_);
  fd_ = fd;
}

Result<std::pair<Descriptor, Descriptor>> make_channel() {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return gone("cannot make a socket pair");
  return std::pair{Descriptor(ends[0]), Descriptor(ends[1])};
}

Result<void> send_message(int socket, std::string_view text, const std::vector<int>& files) {
  if (text.size() > kMessageBytesMax || files.size() > kMessageFilesMax)
    return Error(Code::kTooLarge, "worker", "a message to a check worker is too large");
  Header header{static_cast<uint32_t>(text.size()), static_cast<uint32_t>(files.size())};
  iovec part{&header, sizeof header};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMessageFilesMax)] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (!files.empty()) {
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(sizeof(int) * files.size());
    cmsghdr* c = CMSG_FIRSTHDR(&message);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int) * files.size());
    std::memcpy(CMSG_DATA(c), files.data(), sizeof(int) * files.size());
  }
  ssize_t sent = 0;
  do {
    sent = sendmsg(socket, &message, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  if (sent <= 0) return gone("the check worker does not take messages");
  const auto done = static_cast<size_t>(sent);
  if (done < sizeof header) TRY(send_all(socket, reinterpret_cast<char*>(&header) + done, sizeof header - done));
  return send_all(socket, text.data(), text.size());
}

Result<Message> receive_message(int socket) {
  Message out;
  Header header;
  iovec part{&header, sizeof header};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMessageFilesMax)] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t got = 0;
  do {
    got = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  } while (got < 0 && errno == EINTR);
  if (got == 0) errno = 0;
  if (got <= 0) return gone("the other end of the check worker's channel is gone");
  for (cmsghdr* c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof fd);
      out.files.emplace_back(fd);
    }
  }
  const auto done = static_cast<size_t>(got);
  if (done < sizeof header) TRY(receive_all(socket, reinterpret_cast<char*>(&header) + done, sizeof header - done));
  if (header.text_bytes > kMessageBytesMax || header.files != out.files.size())
    return Error(Code::kUnavailable, "worker", "a broken frame on the check worker's channel");
  out.text.resize(header.text_bytes);
  TRY(receive_all(socket, out.text.data(), out.text.size()));
  return out;
}

bool wait_readable(int socket, int timeout_ms) {
  pollfd p{socket, POLLIN, 0};
  return poll(&p, 1, timeout_ms) > 0;
}

Result<Descriptor> make_sealed_memory(std::string_view bytes) {
  Descriptor file(memfd_create("tarn-object", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!file) return gone("cannot make a memory file");
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t put = pwrite(file.get(), bytes.data() + done, bytes.size() - done, static_cast<off_t>(done));
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return Error(Code::kNoSpace, "worker", "not enough memory to hand an object to the check worker");
    done += static_cast<size_t>(put);
  }
  if (fcntl(file.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) != 0)
    return gone("cannot seal a memory file");
  return file;
}

}  // namespace tarn::quality
