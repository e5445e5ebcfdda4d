#pragma once
// What a check worker gives up before it sees the first query: files, network, new programs, its neighbours' memory.
#include <cstdint>
#include <string>
#include <vector>

namespace tarn::quality {

struct SandboxLimits {
  int64_t address_space_bytes = int64_t{4} << 30;
  int64_t cpu_seconds = 3600;  ///< over the worker's whole life; the pool replaces a worker long before
};

/// Closes what was inherited beyond `keep`, drops the environment, sets rlimits. Call first, with one thread.
void shed_inheritance(int keep);

/// Limits, no new privileges, Landlock without any rule (no path can be opened; memory files still can), and a seccomp
/// list of allowed system calls: no sockets, no exec, no fork, no file opened for writing, no executable memory.
/// Call when the library is loaded and before other threads start.
///
/// @return what could not be applied on this kernel, in words; empty when all holds. Cost: a few system calls.
std::vector<std::string> enter_sandbox(const SandboxLimits& limits);

}  // namespace tarn::quality
