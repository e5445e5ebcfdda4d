#pragma once
// A death at a kill point, in a process of its own: kill points are read once a process.
#include <sys/wait.h>
#include <unistd.h>
#include <cstdlib>
#include <map>
#include <string>

namespace tarn::base::testing {

inline constexpr int kKilled = 137;  ///< how a process ends that reached its kill point

/// Runs one (disabled) test of this program anew with the kill point set. Single-threaded callers only.
/// @param victim  "Suite.DISABLED_Test". @param point  "name" or "name:N". @param more  environment for the victim.
/// @return its exit status; -1 when it did not exit by itself.
inline int run_victim(const std::string& victim, const std::string& point,
                      const std::map<std::string, std::string>& more) {
  const std::string filter = "--gtest_filter=" + victim;
  const pid_t child = ::fork();
  if (child == 0) {
    ::setenv("TARN_KILL_POINT", point.c_str(), 1);
    for (const auto& [name, value] : more) ::setenv(name.c_str(), value.c_str(), 1);
    ::execl("/proc/self/exe", "victim", "--gtest_also_run_disabled_tests", filter.c_str(), "--gtest_brief=1", nullptr);
    ::_exit(1);
  }
  int status = 0;
  if (child < 0 || ::waitpid(child, &status, 0) != child) return -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace tarn::base::testing
