#pragma once
// A death at a kill point, in a process of its own: kill points are read once a process.
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>

namespace tarn::base::testing {

inline constexpr int kKilled = 137;  ///< how a process ends that reached its kill point

/// Runs one test of this program anew, disabled or not. Single-threaded callers only.
/// @param test  "Suite.Test". @param more  environment for it. @param quiet  says nothing, and ends after a minute.
/// @return its exit status; -1 when it did not exit by itself.
inline int run_again(const std::string& test, const std::map<std::string, std::string>& more, bool quiet) {
  const std::string filter = "--gtest_filter=" + test;
  std::fflush(stdout);
  const pid_t child = ::fork();
  if (child == 0) {
    for (const auto& [name, value] : more) ::setenv(name.c_str(), value.c_str(), 1);
    if (quiet) {
      if (!std::freopen("/dev/null", "w", stdout) || !std::freopen("/dev/null", "w", stderr)) ::_exit(1);
      ::alarm(60);
    }
    ::execl("/proc/self/exe", "victim", "--gtest_also_run_disabled_tests", filter.c_str(), "--gtest_brief=1", nullptr);
    ::_exit(1);
  }
  int status = 0;
  if (child < 0 || ::waitpid(child, &status, 0) != child) return -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/// The same with a kill point set. @param victim  "Suite.DISABLED_Test". @param point  "name" or "name:N".
inline int run_victim(const std::string& victim, const std::string& point, std::map<std::string, std::string> more) {
  more["TARN_KILL_POINT"] = point;
  return run_again(victim, more, false);
}

}  // namespace tarn::base::testing
