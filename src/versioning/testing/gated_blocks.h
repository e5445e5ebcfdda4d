#pragma once
// An object store whose writes wait at a gate, so that a test can gather who comes behind.
#include <functional>

#include "base/mutex.h"
#include "versioning/testing/faulty_blocks.h"

namespace tarn::versioning::testing {

/// Wraps a store that outlives it. Threads: any.
class GatedBlocks final : public FaultyBlocks {
 public:
  using FaultyBlocks::FaultyBlocks;
  using FaultyBlocks::put;
  /// The next write waits inside; those after it pass.
  void close() {
    base::Lock lock(mutex_);
    closed_ = true;
    inside_ = false;
  }
  void wait_for_arrival() {
    base::Lock lock(mutex_);
    changed_.wait(lock, [&] { return inside_; });
  }
  void open_gate() {
    if (before_opening) before_opening();
    base::Lock lock(mutex_);
    closed_ = false;
    inside_ = false;
    changed_.notify_all();
  }
  std::function<void()> before_opening;  ///< what happens while the write waits
  int puts() {
    base::Lock lock(mutex_);
    return puts_;
  }

  Result<block::Stored> put(const Context& ctx, const block::Name& name, block::ByteSource& source) override {
    {
      base::Lock lock(mutex_);
      ++puts_;
      if (closed_ && !inside_) {
        inside_ = true;
        changed_.notify_all();
        changed_.wait(lock, [&] { return !closed_; });
      }
    }
    return FaultyBlocks::put(ctx, name, source);
  }

 private:
  base::Mutex mutex_;
  base::Condition changed_;
  bool closed_ = false, inside_ = false;
  int puts_ = 0;
};

}  // namespace tarn::versioning::testing
