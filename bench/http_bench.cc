// CPU of the HTTP room per request and per MiB. One client thread drives keep-alive connections in the same process;
// its own CPU is measured apart and left out. ninja -C build http_bench && build/bench/http_bench [seconds per row [run
// tokens]]
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "http/server.h"

namespace tarn {
namespace {

constexpr size_t kMiB = 1 << 20;

class Span final : public http::BodySource {
 public:
  explicit Span(int descriptor) : descriptor_(descriptor) {}
  Result<size_t> read(char*, size_t) override { return size_t{0}; }
  std::optional<uint64_t> size() const override { return kMiB; }
  std::optional<http::FileSpan> file() const override { return http::FileSpan{descriptor_, 0, kMiB}; }

 private:
  int descriptor_;
};

double cpu_us(int who) {
  rusage usage{};
  ::getrusage(who, &usage);
  const auto us = [](timeval t) { return static_cast<double>(t.tv_sec) * 1e6 + static_cast<double>(t.tv_usec); };
  return us(usage.ru_utime) + us(usage.ru_stime);
}

int connect_to(uint16_t port) {
  const int descriptor = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int yes = 1;
  ::setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  if (::connect(descriptor, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) std::abort();
  return descriptor;
}

void send_all(int descriptor, const std::string& bytes) {
  for (size_t at = 0; at < bytes.size();) {
    const ssize_t n = ::send(descriptor, bytes.data() + at, bytes.size() - at, MSG_NOSIGNAL);
    if (n <= 0) std::abort();
    at += static_cast<size_t>(n);
  }
}

// Every answer to `request` has the same length: the first one tells it.
size_t answer_size(int descriptor) {
  std::string all;
  char buffer[65536];
  for (;;) {
    const ssize_t n = ::recv(descriptor, buffer, sizeof buffer, 0);
    if (n <= 0) std::abort();
    all.append(buffer, static_cast<size_t>(n));
    const size_t end = all.find("\r\n\r\n");
    if (end == std::string::npos) continue;
    const size_t total = end + 4 + std::stoul(all.substr(all.find("Content-Length: ") + 16));
    if (all.size() >= total) return total;
  }
}

void row(const char* name, uint16_t port, const std::string& request, size_t connections, int seconds) {
  std::vector<int> sockets;
  std::vector<size_t> left;
  const int epoll = ::epoll_create1(0);
  size_t size = 0;
  for (size_t i = 0; i < connections; ++i) {
    sockets.push_back(connect_to(port));
    if (i == 0) {
      send_all(sockets[0], request);
      size = answer_size(sockets[0]);
    }
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = i;
    ::epoll_ctl(epoll, EPOLL_CTL_ADD, sockets[i], &event);
    left.push_back(size);
  }
  const double begin_all = cpu_us(RUSAGE_SELF);
  const double begin_client = cpu_us(RUSAGE_THREAD);
  base::Clock& clock = base::system_clock();
  const base::SteadyMs begin = clock.steady_ms();
  for (const int socket : sockets) send_all(socket, request);
  uint64_t done = 0;
  epoll_event events[256];
  std::vector<char> buffer(kMiB);
  while (clock.steady_ms() - begin < seconds * 1000) {
    const int n = ::epoll_wait(epoll, events, 256, 100);
    for (int e = 0; e < n; ++e) {
      const size_t i = events[e].data.u64;
      const ssize_t got = ::recv(sockets[i], buffer.data(), buffer.size(), MSG_DONTWAIT);
      if (got <= 0) std::abort();
      left[i] -= static_cast<size_t>(got);
      if (left[i] > 0) continue;
      ++done;
      left[i] = size;
      send_all(sockets[i], request);
    }
  }
  const double elapsed = static_cast<double>(clock.steady_ms() - begin) / 1000;
  const double server = (cpu_us(RUSAGE_SELF) - begin_all) - (cpu_us(RUSAGE_THREAD) - begin_client);
  const auto count = static_cast<double>(done);
  std::printf("%-38s %4zu connections %9.0f /s %9.1f us server CPU each\n", name, connections, count / elapsed,
              server / count);
  for (const int socket : sockets) ::close(socket);
  ::close(epoll);
}

int run(int seconds, int tokens) {
  const int file = ::memfd_create("body", 0);
  const std::string mebibyte(kMiB, 'm');
  if (::write(file, mebibyte.data(), mebibyte.size()) != static_cast<ssize_t>(kMiB)) return 1;
  http::Server::Options options;
  options.listen = "127.0.0.1:0";
  options.run_tokens = tokens;
  options.answers_at_once = [](const http::Request& request) { return request.path == "/at-once"; };
  http::Server server(options);
  const auto started = server.start([&](const Context&, http::Request& request) {
    if (request.path == "/file") return http::stream(200, "text/plain", std::make_unique<Span>(file));
    if (request.path == "/memory") return http::text(200, mebibyte);
    if (request.body != nullptr && request.content_length != 0) {
      std::string body(65536, '\0');
      while (true) {
        const auto n = request.body->read(body.data(), body.size());
        if (!n || *n == 0) break;
      }
    }
    return http::json(200, R"({"id":"main","commit_id":"0123456789abcdef0123456789abcdef0123456789abcdef"})");
  });
  if (!started) return 1;
  const auto get = [](const std::string& path) {
    return "GET " + path + " HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: */*\r\nUser-Agent: bench\r\n\r\n";
  };
  const std::string put =
      "PUT /put HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: " + std::to_string(kMiB) + "\r\n\r\n" + mebibyte;
  for (const size_t connections : {1, 64}) {
    row("JSON, answered on the edge", server.port(), get("/at-once"), connections, seconds);
    row("JSON, by a worker", server.port(), get("/json"), connections, seconds);
  }
  row("1 MiB down, sendfile", server.port(), get("/file"), 16, seconds);
  row("1 MiB down, from memory", server.port(), get("/memory"), 16, seconds);
  row("1 MiB up", server.port(), put, 4, seconds);
  return 0;
}

}  // namespace
}  // namespace tarn

int main(int argc, char** argv) {
  return tarn::run(argc > 1 ? std::atoi(argv[1]) : 3, argc > 2 ? std::atoi(argv[2]) : 0);
}
