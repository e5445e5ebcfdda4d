#pragma once
// Counters and durations, kept in memory and printed in the Prometheus text form.
#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "base/mutex.h"

namespace tarn::base {

class Counter {
 public:
  void add(int64_t n = 1) { value_.fetch_add(n, std::memory_order_relaxed); }
  int64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<int64_t> value_{0};
};

/// A histogram of microseconds with buckets at powers of two from 64 us to 134 s.
class Duration {
 public:
  static constexpr size_t kBuckets = 22;
  void record_us(int64_t us);
  int64_t count() const { return count_.load(std::memory_order_relaxed); }
  int64_t sum_us() const { return sum_.load(std::memory_order_relaxed); }
  int64_t bucket(size_t i) const { return buckets_[i].load(std::memory_order_relaxed); }
  static int64_t limit_us(size_t i) { return int64_t{64} << i; }

 private:
  std::array<std::atomic<int64_t>, kBuckets> buckets_{};
  std::atomic<int64_t> count_{0}, sum_{0};
};

/// Owns metrics by name and label text (`method="GET"`). Look a metric up once and keep the reference: it lives as long
/// as the registry. Threads: any.
class Metrics {
 public:
  Counter& counter(std::string_view name, std::string_view labels = {});
  Duration& duration(std::string_view name, std::string_view labels = {});
  std::string text() const;

 private:
  mutable Mutex mutex_;
  std::map<std::pair<std::string, std::string>, std::unique_ptr<Counter>> counters_;
  std::map<std::pair<std::string, std::string>, std::unique_ptr<Duration>> durations_;
};

/// The process's registry.
Metrics& metrics();

}  // namespace tarn::base
