#pragma once
// An object store with a write whose outcome nobody knows.
#include <atomic>

#include "block/forwarding.h"

namespace tarn::versioning::testing {

/// Wraps a store that outlives it. Threads: any.
class FaultyBlocks : public block::Forwarding {
 public:
  using Forwarding::Forwarding;
  using Forwarding::put;
  std::atomic<int64_t> fail_put{0};  ///< the n-th write from now on ends with kUnknownOutcome; 0: none
  std::atomic<bool> lost{false};     ///< and did not happen
  Result<block::Stored> put(const Context& ctx, const block::Name& name, block::ByteSource& source) override {
    if (fail_put > 0 && fail_put.fetch_sub(1) == 1) {
      if (!lost) TRY(inner_.put(ctx, name, source));
      return Error(Code::kUnknownOutcome, "blocks", "injected");
    }
    return inner_.put(ctx, name, source);
  }
};

}  // namespace tarn::versioning::testing
