#include "base/metrics.h"

#include <fmt/core.h>

namespace tarn::base {

void Duration::record_us(int64_t us) {
  size_t i = 0;
  while (i + 1 < kBuckets && us > limit_us(i)) ++i;
  buckets_[i].fetch_add(1, std::memory_order_relaxed);
  count_.fetch_add(1, std::memory_order_relaxed);
  sum_.fetch_add(us, std::memory_order_relaxed);
}

Counter& Metrics::counter(std::string_view name, std::string_view labels) {
  Lock lock(mutex_);
  auto& slot = counters_[{std::string(name), std::string(labels)}];
  if (!slot) slot = std::make_unique<Counter>();
  return *slot;
}

Duration& Metrics::duration(std::string_view name, std::string_view labels) {
  Lock lock(mutex_);
  auto& slot = durations_[{std::string(name), std::string(labels)}];
  if (!slot) slot = std::make_unique<Duration>();
  return *slot;
}

std::string Metrics::text() const {
  Lock lock(mutex_);
  std::string out;
  const auto braces = [](const std::string& labels) { return labels.empty() ? std::string() : "{" + labels + "}"; };
  for (const auto& [id, c] : counters_) out += fmt::format("{}{} {}\n", id.first, braces(id.second), c->value());
  for (const auto& [id, d] : durations_) {
    const std::string comma = id.second.empty() ? "" : ",";
    int64_t sum = 0;
    for (size_t i = 0; i < Duration::kBuckets; ++i) {
      sum += d->bucket(i);
      const std::string le =
          i + 1 < Duration::kBuckets ? fmt::format("{}", static_cast<double>(Duration::limit_us(i)) / 1e6) : "+Inf";
      out += fmt::format("{}_bucket{{{}{}le=\"{}\"}} {}\n", id.first, id.second, comma, le, sum);
    }
    out += fmt::format("{}_sum{} {}\n", id.first, braces(id.second), static_cast<double>(d->sum_us()) / 1e6);
    out += fmt::format("{}_count{} {}\n", id.first, braces(id.second), d->count());
  }
  return out;
}

Metrics& metrics() {
  static Metrics registry;
  return registry;
}

}  // namespace tarn::base
