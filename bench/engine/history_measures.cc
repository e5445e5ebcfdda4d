// A history of a million commits: merge base, path log, log pages.
#include <fmt/core.h>

#include "engine/place.h"

namespace tarn::bench {
namespace {

void history(const Options&, std::vector<Row>& rows) {
  const auto absent = [&](const std::string& name, double bar) {
    Row row{.name = name, .unit = "ms"};
    row.kind = Bar::kAtMost;
    row.bar = bar;
    row.measured = false;
    row.note = "not measured: there is no generator of such a history yet";
    rows.push_back(row);
  };
  absent("merge base, heads 10^6 commits apart", 50);
  absent("path log, 1 hit in 10^6 commits", 100);
}

}  // namespace

std::vector<Measure> history_measures() {
  return {{.name = "history", .about = "merge base and path log over 10^6 commits", .run = history}};
}

void curves_of_commits(const Options&, std::vector<Curve>&) {}

}  // namespace tarn::bench
