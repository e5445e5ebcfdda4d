#include "base/memory_only.h"

namespace tarn::base {
namespace {
thread_local bool within = false;
thread_local bool something_missed = false;
}  // namespace

MemoryOnly::MemoryOnly() {
  ENSURE(!within);
  within = true;
  something_missed = false;
}

MemoryOnly::~MemoryOnly() { within = false; }

bool MemoryOnly::missed() const { return something_missed; }

bool MemoryOnly::active() { return within; }

Error MemoryOnly::miss() {
  something_missed = true;
  return Error(Code::kCancelled, "memory", "this is not in memory: it must be read from the disk");
}

}  // namespace tarn::base
