#pragma once
// An object store whose writes wait at a gate, so that a test can gather who comes behind.
#include <atomic>
#include <functional>

#include "base/mutex.h"
#include "block/store.h"

namespace tarn::versioning::testing {

/// Wraps a store that outlives it. Threads: any.
class GatedBlocks final : public block::Store {
 public:
  explicit GatedBlocks(block::Store& inner) : inner_(inner) {}
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
  std::atomic<int64_t> fail_put{0};      ///< the n-th write from now on ends with kUnknownOutcome; 0: none
  std::atomic<bool> lost{false};         ///< and did not happen
  int puts() {
    base::Lock lock(mutex_);
    return puts_;
  }

  using block::Store::put;
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
    if (fail_put > 0 && fail_put.fetch_sub(1) == 1) {
      if (!lost) TRY(inner_.put(ctx, name, source));
      return Error(Code::kUnknownOutcome, "blocks", "injected");
    }
    return inner_.put(ctx, name, source);
  }
  Result<std::unique_ptr<block::ByteReader>> open(const Context& ctx, const block::Name& name, uint64_t offset,
                                                  std::optional<uint64_t> length) override {
    return inner_.open(ctx, name, offset, length);
  }
  Result<block::Info> stat(const Context& ctx, const block::Name& name) override { return inner_.stat(ctx, name); }
  Result<void> list(const Context& ctx, std::string_view prefix,
                    const std::function<Result<void>(const block::Name&, const block::Info&)>& each) override {
    return inner_.list(ctx, prefix, each);
  }
  Result<void> remove(const Context& ctx, const block::Name& name) override { return inner_.remove(ctx, name); }
  Result<uint64_t> stored_bytes(const Context& ctx) override { return inner_.stored_bytes(ctx); }

 private:
  block::Store& inner_;
  base::Mutex mutex_;
  base::Condition changed_;
  bool closed_ = false, inside_ = false;
  int puts_ = 0;
};

}  // namespace tarn::versioning::testing
