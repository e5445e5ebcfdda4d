#include "http/in_flight.h"

#include <fmt/core.h>

namespace tarn::http {

Result<InFlight::Ticket> InFlight::enter(std::string_view key) {
  base::Lock lock(mutex_);
  auto it = counts_.find(key);
  if (it == counts_.end()) it = counts_.emplace(std::string(key), 0).first;
  if (it->second >= limit_)
    return Error(
        Code::kBusy, "requests",
        fmt::format("{} requests of this principal already run, which is the limit: retry a little later", limit_));
  ++it->second;
  return Ticket(this, std::string(key));
}

size_t InFlight::count(std::string_view key) const {
  base::Lock lock(mutex_);
  const auto it = counts_.find(key);
  return it == counts_.end() ? 0 : it->second;
}

void InFlight::leave(const std::string& key) {
  base::Lock lock(mutex_);
  const auto it = counts_.find(key);
  if (it != counts_.end() && --it->second == 0) counts_.erase(it);
}

}  // namespace tarn::http
