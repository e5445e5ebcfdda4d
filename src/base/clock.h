#pragma once
// The door for time. Wall time decides only expiries and timestamps, never order or correctness (promise G26).
#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tarn::base {

/// Milliseconds since the Unix epoch, UTC.
using WallMs = int64_t;
/// Milliseconds on a clock that never jumps; only differences mean anything.
using SteadyMs = int64_t;

/// Threads: all methods may be called from any thread.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual WallMs wall_ms() = 0;
  virtual SteadyMs steady_ms() = 0;
  virtual void sleep_ms(int64_t duration_ms) = 0;
};

/// The machine's clocks. Lives as long as the process.
Clock& system_clock();

/// A clock that moves only when told: for tests and simulation. sleep_ms advances it.
class FakeClock final : public Clock {
 public:
  explicit FakeClock(WallMs start = 1'700'000'000'000) : now_(start) {}
  WallMs wall_ms() override { return now_.load(); }
  SteadyMs steady_ms() override { return now_.load(); }
  void sleep_ms(int64_t duration_ms) override { advance(duration_ms); }
  void advance(int64_t ms) { now_.fetch_add(ms); }
  void set(WallMs ms) { now_.store(ms); }

 private:
  std::atomic<int64_t> now_;
};

/// "2013-10-25T06:00:00Z"; with milliseconds when they are not zero.
std::string rfc3339(WallMs ms);
/// Accepts "YYYY-MM-DD", "YYYY-MM-DDTHH:MM[:SS[.fff]]" with "Z", an offset or nothing (= UTC), 'T' or a space between.
std::optional<WallMs> parse_rfc3339(std::string_view text);
/// "20131025T060000Z" as AWS signatures carry it.
std::string amz_date(WallMs ms);
std::optional<WallMs> parse_amz_date(std::string_view text);
/// "Fri, 25 Oct 2013 06:00:00 GMT" as HTTP headers carry it.
std::string http_date(WallMs ms);
std::optional<WallMs> parse_http_date(std::string_view text);

}  // namespace tarn::base
