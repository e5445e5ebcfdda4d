#pragma once
// The door for randomness.
#include <cstddef>
#include <cstdint>
#include <string>

namespace tarn::base {

/// Threads: any.
class Random {
 public:
  virtual ~Random() = default;
  virtual void fill(void* bytes, size_t count) = 0;
  uint64_t u64() {
    uint64_t value = 0;
    fill(&value, sizeof value);
    return value;
  }
  /// `count` random bytes as 2 * count lower-case hex digits.
  std::string hex(size_t count);
};

/// The kernel's generator; good for keys and secrets.
Random& system_random();

/// A seeded generator for tests and simulation: the same seed gives the same bytes. Not for secrets.
class SeededRandom final : public Random {
 public:
  explicit SeededRandom(uint64_t seed) : state_(seed) {}
  void fill(void* bytes, size_t count) override;

 private:
  uint64_t state_;
};

}  // namespace tarn::base
