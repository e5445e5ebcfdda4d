#pragma once
// What this process takes from the machine.
#include <cstdint>

#include "base/result.h"

namespace tarn::base {

/// Resident memory in bytes: now, and the most since the process began.
struct ProcessMemory {
  uint64_t resident = 0;
  uint64_t resident_max = 0;
};

/// Errors: kUnavailable where the kernel does not say. Threads: any. Cost: one read of /proc/self/status, some 20 us.
Result<ProcessMemory> process_memory();

}  // namespace tarn::base
