#pragma once
// A store that is far away, for tests and measurements: it counts what is asked of it, lets it take time, fails on
// order.
#include <atomic>
#include <chrono>
#include <functional>
#include <optional>

#include "base/mutex.h"
#include "block/forwarding.h"

namespace tarn::block::testing {

/// Wraps a store that outlives it. Threads: any; `before` is set before they start.
class FarStore final : public Forwarding {
 public:
  explicit FarStore(Store& inner, int64_t latency_ms = 0) : Forwarding(inner), latency_ms_(latency_ms) {}
  using Store::put;

  std::atomic<int64_t> opens{0}, stats{0}, puts{0}, others{0};
  std::atomic<int64_t> bytes{0};  ///< that readers were given
  /// Asked before every read; an Error is what the caller gets.
  std::function<std::optional<Error>(const Name&, uint64_t offset)> before;
  std::function<void(const Name&)> before_remove;
  /// Bytes after which every reader fails; negative: none does.
  std::atomic<int64_t> break_after{-1};

  int64_t reads() const { return opens + stats + others; }

  Result<Stored> put(const Context& ctx, const Name& name, ByteSource& source) override {
    ++puts;
    travel();
    return inner_.put(ctx, name, source);
  }
  Result<std::unique_ptr<ByteReader>> open(const Context& ctx, const Name& name, uint64_t offset,
                                           std::optional<uint64_t> length) override {
    ++opens;
    travel();
    if (before)
      if (auto error = before(name, offset)) return *error;
    TRY_LET(auto reader, inner_.open(ctx, name, offset, length));
    return std::unique_ptr<ByteReader>(new Counted(*this, std::move(reader)));
  }
  Result<std::string> read(const Context& ctx, const Name& name, uint64_t offset,
                           std::optional<uint64_t> length) override {
    TRY_LET(const auto reader, open(ctx, name, offset, length));
    std::string all;
    for (char part[16 << 10];;) {
      TRY_LET(const size_t got, reader->read(part, sizeof part));
      if (got == 0) return all;
      all.append(part, got);
    }
  }
  Result<void> remove(const Context& ctx, const Name& name) override {
    if (before_remove) before_remove(name);
    return inner_.remove(ctx, name);
  }
  Result<Info> stat(const Context& ctx, const Name& name) override {
    ++stats;
    travel();
    return inner_.stat(ctx, name);
  }
  Result<void> list(const Context& ctx, std::string_view prefix,
                    const std::function<Result<void>(const Name&, const Info&)>& each) override {
    ++others;
    travel();
    return inner_.list(ctx, prefix, each);
  }

 private:
  class Counted final : public ByteReader {
   public:
    Counted(FarStore& store, std::unique_ptr<ByteReader> inner) : store_(store), inner_(std::move(inner)) {}
    Result<size_t> read(char* buffer, size_t size) override {
      if (store_.break_after >= 0 && given_ >= store_.break_after)
        return Error(Code::kUnavailable, "store", "the connection broke");
      if (store_.break_after >= 0) size = std::min(size, static_cast<size_t>(store_.break_after - given_));
      TRY_LET(const size_t got, inner_->read(buffer, size));
      store_.bytes += static_cast<int64_t>(got);
      given_ += static_cast<int64_t>(got);
      return got;
    }

   private:
    FarStore& store_;
    std::unique_ptr<ByteReader> inner_;
    int64_t given_ = 0;
  };

  void travel() const {
    if (latency_ms_ == 0) return;
    base::Mutex mutex;
    base::Condition never;
    base::Lock lock(mutex);
    (void)never.wait_for(lock, std::chrono::milliseconds(latency_ms_), [] { return false; });
  }
  const int64_t latency_ms_;
};

}  // namespace tarn::block::testing
