#include "tree/detail/pack_flights.h"

#include <algorithm>

#include "base/kill_point.h"

namespace tarn::tree::detail {

PackFlights::~PackFlights() {
  threads_.reset();
  for (const Flight& flight : flights_) home_->set_pending(flight.pack_id, nullptr);
}

Result<void> PackFlights::wait_for_room() {
  base::Lock lock(mutex_);
  const auto failed = [&] {
    return std::find_if(flights_.begin(), flights_.end(), [](const Flight& f) { return f.outcome && !*f.outcome; });
  };
  landed_.wait(lock, [&] {
    flights_.remove_if([](const Flight& f) { return f.outcome && *f.outcome; });
    return failed() != flights_.end() || flights_.size() < kFlightsMax;
  });
  const auto it = failed();
  return it == flights_.end() ? base::ok() : it->outcome->error();
}

void PackFlights::send(const Context& ctx, std::string pack_id, std::shared_ptr<PendingPack> pack) {
  if (!threads_) threads_ = std::make_unique<base::ThreadPool>(kFlightsMax);
  Flight* flight = nullptr;
  {
    base::Lock lock(mutex_);
    flight = &flights_.emplace_back(Flight{std::move(pack_id), std::move(pack), {}});
  }
  threads_->submit([this, ctx, flight] {
    auto outcome = write(ctx, *flight);
    {
      base::Lock lock(mutex_);
      flight->outcome = std::move(outcome);
    }
    landed_.notify_all();
  });
}

Result<void> PackFlights::settle(const Context& ctx) {
  base::Lock lock(mutex_);
  landed_.wait(lock, [&] {
    return std::all_of(flights_.begin(), flights_.end(), [](const Flight& f) { return f.outcome.has_value(); });
  });
  lock.unlock();  // nothing is under way: the list is the caller's
  for (auto it = flights_.begin(); it != flights_.end(); it = flights_.erase(it))
    if (!*it->outcome) {
      it->outcome = write(ctx, *it);
      if (!*it->outcome) return *it->outcome;
    }
  return {};
}

Result<void> PackFlights::write(const Context& ctx, Flight& flight) {
  KILL_POINT("tree.pack.before_write");
  TRY(home_->write(ctx, flight.pack_id, flight.pack->bytes));
  KILL_POINT("tree.pack.after_write");
  home_->set_pending(flight.pack_id, nullptr);
  return {};
}

}  // namespace tarn::tree::detail
