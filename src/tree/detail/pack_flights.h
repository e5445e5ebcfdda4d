#pragma once
// Full packs on their way to the store, while the next one is filled.
#include <list>
#include <memory>
#include <optional>
#include <string>

#include "base/executor.h"
#include "base/mutex.h"
#include "tree/detail/pack_home.h"

namespace tarn::tree::detail {

/// Threads: one sends; its own write. Memory: kFlightsMax packs at most.
class PackFlights {
 public:
  static constexpr size_t kFlightsMax = 2;
  explicit PackFlights(std::shared_ptr<PackHome> home) : home_(std::move(home)) {}
  /// Waits for what is under way: nobody is told how it ended.
  ~PackFlights();

  /// Waits until one more may leave. Errors: that of an earlier pack whose write failed; nothing more leaves then.
  Result<void> wait_for_room();
  /// Takes a complete pack, after wait_for_room().
  void send(const Context& ctx, std::string pack_id, std::shared_ptr<PendingPack> pack);
  /// Waits until every pack is written; one whose write failed is tried once more. Errors: as block::Store::put.
  Result<void> settle(const Context& ctx);

 private:
  struct Flight {
    std::string pack_id;
    std::shared_ptr<PendingPack> pack;
    std::optional<Result<void>> outcome;  ///< guarded by mutex_
  };
  Result<void> write(const Context& ctx, Flight& flight);

  const std::shared_ptr<PackHome> home_;
  base::Mutex mutex_;
  base::Condition landed_;
  std::list<Flight> flights_;                  ///< on their way, or failed
  std::unique_ptr<base::ThreadPool> threads_;  ///< goes first: it may be at work on a flight
};

}  // namespace tarn::tree::detail
