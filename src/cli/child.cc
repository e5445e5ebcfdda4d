#include "cli/child.h"

#include <fmt/format.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/clock.h"

extern char** environ;

namespace tarn::cli {
namespace {

constexpr int kForwarded[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
constexpr int64_t kKillAfterMs = 10'000;

std::vector<std::string> environment(const std::vector<std::pair<std::string, std::string>>& set) {
  std::vector<std::string> out;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const std::string_view name = text.substr(0, text.find('='));
    if (std::none_of(set.begin(), set.end(), [&](const auto& pair) { return pair.first == name; }))
      out.emplace_back(text);
  }
  for (const auto& [name, value] : set)
    if (!value.empty()) out.push_back(fmt::format("{}={}", name, value));
  return out;
}

std::vector<char*> pointers(const std::vector<std::string>& words) {
  std::vector<char*> out;
  for (const std::string& word : words) out.push_back(const_cast<char*>(word.c_str()));
  out.push_back(nullptr);
  return out;
}

Result<pid_t> spawn(const std::vector<std::string>& command, const std::vector<std::string>& variables,
                    const sigset_t& mask, const sigset_t& defaults) {
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  ::posix_spawnattr_setsigmask(&attributes, &mask);
  ::posix_spawnattr_setsigdefault(&attributes, &defaults);
  pid_t pid = -1;
  const int error = ::posix_spawnp(&pid, command.front().c_str(), nullptr, &attributes, pointers(command).data(),
                                   pointers(variables).data());
  ::posix_spawnattr_destroy(&attributes);
  if (error != 0)
    return Error(error == ENOENT ? Code::kNotFound : Code::kForbidden, "command",
                 fmt::format("cannot start '{}': {}", command.front(), std::strerror(error)));
  return pid;
}

}  // namespace

Result<ChildEnd> run_child(const std::vector<std::string>& command,
                           const std::vector<std::pair<std::string, std::string>>& set, int64_t tick_ms,
                           const std::function<bool()>& tick) {
  sigset_t watched, before, defaults;
  ::sigemptyset(&watched);
  for (const int number : kForwarded) ::sigaddset(&watched, number);
  ::sigaddset(&watched, SIGCHLD);
  ::sigprocmask(SIG_BLOCK, &watched, &before);
  ::sigemptyset(&defaults);
  ::sigaddset(&defaults, SIGPIPE);

  TRY_LET(const pid_t pid, spawn(command, environment(set), before, defaults));
  base::Clock& clock = base::system_clock();
  base::SteadyMs next_tick = clock.steady_ms() + tick_ms, kill_at = 0;
  while (true) {
    int status = 0;
    if (::waitpid(pid, &status, WNOHANG) == pid) {
      if (WIFSIGNALED(status)) return ChildEnd{128 + WTERMSIG(status), WTERMSIG(status)};
      return ChildEnd{WEXITSTATUS(status), 0};
    }
    const base::SteadyMs now = clock.steady_ms();
    if (kill_at != 0 && now >= kill_at) {
      ::kill(pid, SIGKILL);
      kill_at = 0;
    }
    if (now >= next_tick) {
      next_tick = now + tick_ms;
      if (kill_at == 0 && !tick()) {
        ::kill(pid, SIGTERM);
        kill_at = now + kKillAfterMs;
      }
      continue;
    }
    const int64_t wait_ms = std::min(next_tick, kill_at == 0 ? next_tick : kill_at) - now;
    const timespec pause{wait_ms / 1000, (wait_ms % 1000) * 1'000'000};
    siginfo_t info{};
    const int number = ::sigtimedwait(&watched, &info, &pause);
    // What a terminal sends goes to the child by itself: once is enough.
    if (number > 0 && number != SIGCHLD && info.si_code != SI_KERNEL) ::kill(pid, number);
  }
}

}  // namespace tarn::cli
