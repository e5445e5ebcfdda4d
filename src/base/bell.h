#pragma once
// One thread waits, another one rings, once.
#include <memory>

#include "base/mutex.h"

namespace tarn::base {

/// Has a lock of its own, and is rung with no lock held: who wakes up finds nothing to wait for again. Both sides share
/// it, because who was woken may be gone before ring() returns. What was written before ring() is seen after wait().
class Bell {
 public:
  void wait() {
    Lock lock(mutex_);
    signal_.wait(lock, [this] { return rung_; });
  }
  void ring() {
    {
      const Lock lock(mutex_);
      rung_ = true;
    }
    signal_.notify_one();
  }

 private:
  Mutex mutex_;
  Condition signal_;
  bool rung_ = false;
};

}  // namespace tarn::base
