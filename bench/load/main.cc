// Drives an HTTP server with one connection a client and prints what came of it as one line of JSON. Plain sockets and
// one epoll loop, nothing of the product: the same driver for every server.
#include <algorithm>
#include <cstdio>

#include "load/client.h"

namespace {

double quantile(std::vector<double>& values, double q) {
  if (values.empty()) return 0;
  const size_t at = std::min(values.size() - 1, static_cast<size_t>(q * static_cast<double>(values.size())));
  std::nth_element(values.begin(), values.begin() + static_cast<ptrdiff_t>(at), values.end());
  return values[at];
}

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  return out + "\"";
}

}  // namespace

int main(int argc, char** argv) {
  const tarn::load::Plan plan = tarn::load::parse_plan(argc, argv);
  tarn::load::Driver driver(plan);
  tarn::load::Outcome out = driver.run();
  std::printf(
      "{\"operations\":%llu,\"failures\":%llu,\"seconds\":%.6f,\"rate\":%.3f,\"p50\":%.4f,\"p95\":%.4f,\"p99\":%.4f,"
      "\"steps_p50\":[",
      static_cast<unsigned long long>(out.operations), static_cast<unsigned long long>(out.failures), out.seconds,
      static_cast<double>(out.operations) / out.seconds, quantile(out.ms, 0.5), quantile(out.ms, 0.95),
      quantile(out.ms, 0.99));
  for (size_t i = 0; i < out.step_ms.size(); ++i)
    std::printf("%s%.4f", i == 0 ? "" : ",", quantile(out.step_ms[i], 0.5));
  std::printf("],\"refusals\":{");
  bool first = true;
  for (const auto& [status, count] : out.refusals) {
    std::printf("%s\"%d\":%llu", first ? "" : ",", status, static_cast<unsigned long long>(count));
    first = false;
  }
  std::printf("},\"example\":%s}\n", quoted(out.example).c_str());
  return 0;
}
