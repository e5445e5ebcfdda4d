#pragma once
// Processes that search side by side: each has its own half of a harness, and says what it found line by line.
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <optional>
#include <vector>

namespace tarn::base::testing {

struct Worker {
  pid_t pid;
  std::FILE* lines;  ///< what it writes
};

/// Forks `count` of them. Call it before the first thread is begun.
/// @param work  (number, file descriptor to write lines to); the process ends when it returns.
/// @return nullopt when the system gives no pipe or process.
template <class Work>
std::optional<std::vector<Worker>> start_workers(int count, const Work& work) {
  std::vector<Worker> workers;
  for (int number = 0; number < count; ++number) {
    int ends[2];
    if (::pipe(ends) != 0) return std::nullopt;
    const pid_t pid = ::fork();
    if (pid < 0) return std::nullopt;
    if (pid == 0) {
      ::close(ends[0]);
      work(number, ends[1]);
      std::_Exit(0);
    }
    ::close(ends[1]);
    workers.push_back({pid, ::fdopen(ends[0], "r")});
  }
  return workers;
}

/// After its last line.
inline void end_worker(const Worker& worker) {
  std::fclose(worker.lines);
  ::waitpid(worker.pid, nullptr, 0);
}

}  // namespace tarn::base::testing
