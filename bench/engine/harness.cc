#include "engine/harness.h"

#include <algorithm>
#include <cmath>
#include <fstream>

#include <fmt/core.h>

namespace tarn::bench {

void give_up(const std::string& why) {
  std::fprintf(stderr, "bench: %s\n", why.c_str());
  std::exit(3);
}

double quantile(std::vector<double> values, double q) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  return values[std::min(values.size() - 1, static_cast<size_t>(q * static_cast<double>(values.size())))];
}

Spread spread(const std::vector<double>& rounds) {
  const auto [low, high] = std::minmax_element(rounds.begin(), rounds.end());
  return {quantile(rounds, 0.5), *low, *high, static_cast<int>(rounds.size())};
}

Spread latency(int rounds, int count, const std::function<void(uint64_t)>& operation) {
  std::vector<double> middles;
  uint64_t number = 0;
  for (int i = 0; i < std::max(1, count / 10); ++i) operation(number++);  // warms up
  for (int round = 0; round < rounds; ++round) {
    std::vector<double> each;
    for (int i = 0; i < count; ++i) each.push_back(seconds([&] { operation(number++); }));
    middles.push_back(quantile(each, 0.5));
  }
  return spread(middles);
}

bool Row::passes() const {
  if (!measured) return false;
  if (pass) return *pass;
  return kind == Bar::kNone || (kind == Bar::kAtMost ? value.median <= bar : value.median >= bar);
}

Json Row::to_json() const {
  Json json = Json::object({{"name", name}, {"value", measured ? Json(value.median) : Json()}, {"unit", unit}});
  json.set("bar", kind == Bar::kNone ? Json() : Json(bar));
  json.set("bar_kind", kind == Bar::kNone ? "" : (kind == Bar::kAtMost ? "≤" : "≥"));
  json.set("pass", kind == Bar::kNone && !pass ? Json() : Json(passes()));
  json.set("limit", limit ? Json(*limit) : Json());
  json.set("limit_name", limit_name);
  json.set("min", value.min).set("max", value.max).set("rounds", value.rounds);
  json.set("measured", measured).set("note", note);
  return json;
}

std::string power(uint64_t n) {
  int tens = 0;
  uint64_t rest = n;
  while (rest >= 10 && rest % 10 == 0) {
    rest /= 10;
    ++tens;
  }
  if (tens < 4) return n < 1'000 ? std::to_string(n) : fmt::format("{},{:03}", n / 1'000, n % 1'000);
  return rest == 1 ? fmt::format("10^{}", tens) : fmt::format("{}*10^{}", rest, tens);
}

namespace {

std::string figure(double v) {
  if (v == 0) return "0";
  const double size = std::fabs(v);
  if (size >= 1000) return fmt::format("{:.0f}", v);
  if (size >= 100) return fmt::format("{:.1f}", v);
  if (size >= 1) return fmt::format("{:.2f}", v);
  return fmt::format("{:.3f}", v);
}

}  // namespace

void print(const Json& rows) {
  std::printf("%-58s %10s %-12s %21s %12s %-7s %10s\n", "measure", "value", "unit", "min - max", "bar", "", "limit");
  for (const Json& row : rows.items()) {
    const bool measured = row["measured"].as_bool(), judged = row["pass"].is_bool();
    std::string bar, range;
    if (!row["bar"].is_null()) bar = row["bar_kind"].as_string() + " " + figure(row["bar"].as_double());
    if (measured && row["rounds"].as_int() > 1)
      range = figure(row["min"].as_double()) + " - " + figure(row["max"].as_double());
    const char* verdict = !measured ? "" : (!judged ? "" : (row["pass"].as_bool() ? "pass" : "MISSED"));
    // "≤" is three bytes and one column.
    std::printf("%-58s %10s %-12s %21s %*s %-7s %10s  %s%s%s\n", row["name"].as_string().c_str(),
                measured ? figure(row["value"].as_double()).c_str() : "-", row["unit"].as_string().c_str(),
                range.c_str(), bar.empty() ? 12 : 14, bar.c_str(), measured ? verdict : "-",
                row["limit"].is_null() ? "" : figure(row["limit"].as_double()).c_str(),
                row["limit_name"].as_string().c_str(), row["note"].as_string().empty() ? "" : "; ",
                row["note"].as_string().c_str());
  }
}

uint64_t bytes_written() {
  std::ifstream io("/proc/self/io");
  std::string word;
  uint64_t value = 0;
  while (io >> word >> value)
    if (word == "wchar:") return value;
  give_up("/proc/self/io does not say what was written");
}

}  // namespace tarn::bench
