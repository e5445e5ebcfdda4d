#include "base/process.h"

#include <cstdio>
#include <memory>

namespace tarn::base {

Result<ProcessMemory> process_memory() {
  // Not through Disk: a file of /proc has no size and never touches a disk.
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> status(std::fopen("/proc/self/status", "re"), std::fclose);
  ProcessMemory memory;
  char line[256];
  unsigned long long kib = 0;
  while (status && std::fgets(line, sizeof line, status.get()) != nullptr) {
    if (std::sscanf(line, "VmRSS: %llu kB", &kib) == 1) memory.resident = kib * 1024;
    if (std::sscanf(line, "VmHWM: %llu kB", &kib) == 1) memory.resident_max = kib * 1024;
  }
  if (memory.resident == 0 || memory.resident_max == 0)
    return Error(Code::kUnavailable, "memory", "/proc/self/status does not say how much memory this process has");
  return memory;
}

}  // namespace tarn::base
