#include "load/client.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>

namespace tarn::load {
namespace {

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

[[noreturn]] void give_up(const char* what) {
  std::perror(what);
  std::exit(1);
}

}  // namespace

Driver::Driver(const Plan& plan)
    : plan_(plan), epoll_(epoll_create1(EPOLL_CLOEXEC)), connections_(static_cast<size_t>(plan.clients)) {
  if (epoll_ < 0) give_up("epoll_create1");
  outcome_.step_ms.resize(plan.steps.size());
}

Driver::~Driver() {
  for (Connection& c : connections_) close(c);
  ::close(epoll_);
}

bool Driver::connect(Connection& c) {
  c.descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (c.descriptor < 0) give_up("socket");
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<uint16_t>(plan_.port));
  if (inet_pton(AF_INET, plan_.host.c_str(), &to.sin_addr) != 1) give_up("the host must be an IPv4 address");
  if (::connect(c.descriptor, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) {
    close(c);
    return false;
  }
  const int yes = 1;
  setsockopt(c.descriptor, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  fcntl(c.descriptor, F_SETFL, fcntl(c.descriptor, F_GETFL) | O_NONBLOCK);
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.ptr = &c;
  if (epoll_ctl(epoll_, EPOLL_CTL_ADD, c.descriptor, &event) != 0) give_up("epoll_ctl");
  return true;
}

void Driver::close(Connection& c) {
  if (c.descriptor >= 0) ::close(c.descriptor);
  c.descriptor = -1;
}

bool Driver::begin(Connection& c) {
  const double at = now();
  if ((plan_.count > 0 && next_number_ == plan_.count) || (plan_.seconds > 0 && at >= end_)) {
    if (c.busy) --running_;
    c.busy = false;
    return false;
  }
  if (!c.busy) ++running_;
  c.busy = true;
  c.number = next_number_++;
  c.step = 0;
  c.began = at;
  c.measured = at >= measure_from_;
  c.step_ms.clear();
  send_step(c);
  return true;
}

void Driver::send_step(Connection& c) {
  const Step& step = plan_.steps[c.step];
  Template::Values values;
  values.number = c.number;
  values.run = plan_.run;
  if (!plan_.keys.empty()) {
    values.random_key = plan_.keys[random_() % plan_.keys.size()];
    if (step.path.uses_next() || step.body.uses_next()) values.next_key = plan_.keys[next_key_++ % plan_.keys.size()];
  }
  std::string body;
  step.body.write(body, values);
  c.out.clear();
  c.out += step.method;
  c.out += ' ';
  step.path.write(c.out, values);
  c.out += " HTTP/1.1\r\nHost: ";
  c.out += plan_.host;
  if (!plan_.authorization.empty()) {
    c.out += "\r\nAuthorization: Basic ";
    c.out += plan_.authorization;
  }
  if (step.method != "GET" && step.method != "HEAD") {
    c.out += "\r\nContent-Type: ";
    c.out += step.type;
    c.out += "\r\nContent-Length: ";
    c.out += std::to_string(body.size());
  }
  c.out += "\r\n\r\n";
  c.out += body;
  c.sent = 0;
  c.in.clear();
  c.answer.clear();
  c.step_began = now();
  if (c.descriptor < 0 && !connect(c)) return fail(c, 0, "cannot connect");
  flush(c);
}

// Requests are small: a socket buffer that is full is a broken server.
void Driver::flush(Connection& c) {
  while (c.sent < c.out.size()) {
    const ssize_t n = ::send(c.descriptor, c.out.data() + c.sent, c.out.size() - c.sent, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail(c, 0, "the server takes no bytes");
    c.sent += static_cast<size_t>(n);
  }
}

void Driver::receive(Connection& c) {
  char buffer[65536];
  for (;;) {
    const ssize_t n = ::recv(c.descriptor, buffer, sizeof buffer, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
    if (n <= 0) {
      if (!c.busy) return close(c);
      return fail(c, 0, "the server closed the connection");
    }
    c.in.append(buffer, static_cast<size_t>(n));
    const Answer::State state = c.answer.look(c.in);
    if (state == Answer::State::kBroken) return fail(c, 0, "no HTTP answer");
    if (state == Answer::State::kDone) return answered(c);
    if (static_cast<size_t>(n) < sizeof buffer) return;
  }
}

void Driver::answered(Connection& c) {
  const int status = c.answer.status();
  if (c.answer.closes()) close(c);
  if (status < 200 || status > 299) return fail(c, status, c.answer.body(c.in));
  const double at = now();
  c.step_ms.push_back((at - c.step_began) * 1000);
  if (++c.step < plan_.steps.size()) return send_step(c);
  if (c.measured) {
    ++outcome_.operations;
    outcome_.ms.push_back((at - c.began) * 1000);
    for (size_t i = 0; i < c.step_ms.size(); ++i) outcome_.step_ms[i].push_back(c.step_ms[i]);
  }
  begin(c);
}

void Driver::fail(Connection& c, int status, std::string_view body) {
  if (status == 0) close(c);
  if (outcome_.failures == 0) outcome_.example = std::string(body.substr(0, 300));
  ++outcome_.failures;
  ++outcome_.refusals[status];
  if (outcome_.operations == 0 && outcome_.failures > 1000) {
    std::fprintf(stderr, "bench_load: nothing but failures, the first: %s\n", outcome_.example.c_str());
    std::exit(1);
  }
  begin(c);
}

Outcome Driver::run() {
  start_ = now();
  measure_from_ = start_ + plan_.warm;
  end_ = measure_from_ + plan_.seconds;
  for (Connection& c : connections_) begin(c);
  epoll_event events[64];
  while (running_ > 0) {
    const int n = epoll_wait(epoll_, events, 64, 60'000);
    if (n < 0 && errno != EINTR) give_up("epoll_wait");
    if (n == 0) {
      std::fprintf(stderr, "bench_load: no answer for a minute\n");
      std::exit(1);
    }
    for (int i = 0; i < n; ++i) receive(*static_cast<Connection*>(events[i].data.ptr));
  }
  outcome_.seconds = now() - measure_from_;
  return std::move(outcome_);
}

}  // namespace tarn::load
