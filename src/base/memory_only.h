#pragma once
// Work that must not wait for a disk: who would have to read one says so, and the work is done again where it may wait.
#include "base/result.h"

namespace tarn::base {

/// Marks the running thread for a scope. In it, the doors of the stores (kv, blocks) give miss() in place of a read
/// that memory does not answer. Whatever came of the work is thrown away when something was missed: so it must be a
/// read. Threads: one scope at a time on each.
class MemoryOnly {
 public:
  MemoryOnly();
  ~MemoryOnly();
  MemoryOnly(const MemoryOnly&) = delete;
  MemoryOnly& operator=(const MemoryOnly&) = delete;

  bool missed() const;
  static bool active();
  /// kCancelled, so that it is neither logged nor remembered by anybody.
  static Error miss();
};

}  // namespace tarn::base
