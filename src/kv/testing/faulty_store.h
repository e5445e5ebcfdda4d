#pragma once
// A store that fails when told to: for tests of what happens above.
#include <atomic>
#include <memory>
#include <optional>
#include <utility>

#include "kv/store.h"

namespace tarn::kv::testing {

/// Wraps a store that outlives it. Counters start at 1 with the next call after arming; 0 means never. Threads: any.
class FaultyStore final : public Store {
 public:
  enum class ApplyFault {
    kNotApplied,      ///< kUnavailable, nothing written
    kUnknownApplied,  ///< kUnknownOutcome, and it was written
    kUnknownLost      ///< kUnknownOutcome, and it was not
  };

  explicit FaultyStore(Store& inner) : inner_(inner) {}

  /// The n-th row from now on, over all scans, is an error instead; the scan gives errors for ever after.
  void fail_row(int64_t nth) { rows_->store(nth); }
  void fail_get(int64_t nth) { gets_->store(nth); }
  void fail_apply(int64_t nth, ApplyFault fault) {
    fault_ = fault;
    applies_ = nth;
  }

  Result<std::optional<Row>> get(const Context& ctx, std::string_view key) override {
    if (due(*gets_)) return broken("get");
    return inner_.get(ctx, key);
  }
  std::unique_ptr<Iterator> scan(const Context& ctx, std::string_view prefix, std::string_view from = {}) override {
    return std::make_unique<FaultyIterator>(inner_.scan(ctx, prefix, from), rows_);
  }
  Result<std::unique_ptr<View>> view(const Context& ctx) override {
    TRY_LET(auto inner, inner_.view(ctx));
    return std::unique_ptr<View>(new FaultyView(std::move(inner), rows_, gets_));
  }
  Result<Sequence> apply(const Context& ctx, const Batch& batch) override {
    if (!due(applies_)) return inner_.apply(ctx, batch);
    if (fault_ == ApplyFault::kNotApplied) return broken("apply");
    if (fault_ == ApplyFault::kUnknownApplied) TRY(inner_.apply(ctx, batch));
    return Error(Code::kUnknownOutcome, "store", "injected: the apply may have happened");
  }

 private:
  using Countdown = std::shared_ptr<std::atomic<int64_t>>;

  static bool due(std::atomic<int64_t>& countdown) { return countdown.load() > 0 && countdown.fetch_sub(1) == 1; }
  static Error broken(std::string_view what) {
    return Error(Code::kUnavailable, "store", "injected: " + std::string(what) + " failed");
  }

  class FaultyIterator final : public Iterator {
   public:
    FaultyIterator(std::unique_ptr<Iterator> inner, Countdown rows)
        : inner_(std::move(inner)), rows_(std::move(rows)) {}
    Result<std::optional<KeyRow>> next() override {
      if (broken_ || due(*rows_)) {
        broken_ = true;
        return broken("scan");
      }
      return inner_->next();
    }

   private:
    std::unique_ptr<Iterator> inner_;
    Countdown rows_;
    bool broken_ = false;
  };

  class FaultyView final : public View {
   public:
    FaultyView(std::unique_ptr<View> inner, Countdown rows, Countdown gets)
        : inner_(std::move(inner)), rows_(std::move(rows)), gets_(std::move(gets)) {}
    Result<std::optional<Row>> get(std::string_view key) override {
      if (due(*gets_)) return broken("get");
      return inner_->get(key);
    }
    std::unique_ptr<Iterator> scan(std::string_view prefix, std::string_view from) override {
      return std::make_unique<FaultyIterator>(inner_->scan(prefix, from), rows_);
    }
    Sequence sequence() const override { return inner_->sequence(); }

   private:
    std::unique_ptr<View> inner_;
    Countdown rows_, gets_;
  };

  Store& inner_;
  Countdown rows_ = std::make_shared<std::atomic<int64_t>>(0), gets_ = std::make_shared<std::atomic<int64_t>>(0);
  std::atomic<int64_t> applies_{0};
  ApplyFault fault_ = ApplyFault::kNotApplied;
};

}  // namespace tarn::kv::testing
