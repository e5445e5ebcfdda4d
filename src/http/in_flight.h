#pragma once
// Counts what runs at once, by name, and refuses beyond a limit.
#include <map>
#include <string>
#include <string_view>

#include "base/mutex.h"
#include "base/result.h"

namespace tarn::http {

/// One counter a key: the wiring holds one keyed by principal (1,200 each). Threads: any. Outlives its tickets.
class InFlight {
 public:
  explicit InFlight(size_t limit_per_key) : limit_(limit_per_key) {}

  /// Held while the work runs; moves, does not copy.
  class [[nodiscard]] Ticket {
   public:
    Ticket() = default;
    Ticket(Ticket&& other) noexcept : owner_(other.owner_), key_(std::move(other.key_)) { other.owner_ = nullptr; }
    Ticket& operator=(Ticket&& other) noexcept {
      std::swap(owner_, other.owner_);
      std::swap(key_, other.key_);
      return *this;
    }
    ~Ticket() {
      if (owner_ != nullptr) owner_->leave(key_);
    }

   private:
    friend class InFlight;
    Ticket(InFlight* owner, std::string key) : owner_(owner), key_(std::move(key)) {}
    InFlight* owner_ = nullptr;
    std::string key_;
  };

  /// Errors: kBusy when `limit_per_key` tickets of that key are out.
  Result<Ticket> enter(std::string_view key);
  size_t count(std::string_view key) const;

 private:
  void leave(const std::string& key);
  const size_t limit_;
  mutable base::Mutex mutex_;
  std::map<std::string, size_t, std::less<>> counts_;
};

}  // namespace tarn::http
