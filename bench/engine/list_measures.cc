// Listing past tombstones: nearly everything below a prefix is deleted on the branch, and nothing committed yet.
#include <fmt/core.h>

#include "engine/place.h"

namespace tarn::bench {
namespace {

void tombstones(const Options& o, std::vector<Row>& rows) {
  Place place(middle_folder(o));
  const uint64_t n = o.middle();
  const std::string branch = "tombs-" + base::system_random().hex(4);
  place.branch(branch);
  const double spent = seconds([&] {
    for (uint64_t i = 0; i + 1 < n; i += 10'000) {
      std::vector<tree::Edit> edits;
      for (uint64_t j = i; j < std::min(n - 1, i + 10'000); ++j) edits.push_back({key_of(j), std::nullopt});
      must(place.engine->stage_many(place.ctx, place.repository, branch, edits));
    }
  });
  const double quiet = 1e6 * latency(1, 200, [&](uint64_t) {
                               versioning::ListQuery query;
                               query.prefix = "datasets/";
                               query.amount = 1;
                               must(place.engine->list(place.ctx, place.repository, place.at("main"), query));
                             }).median;
  const auto measure = [&](const std::string& how, const std::string& delimiter, const std::string& prefix,
                           size_t expected) {
    const auto once = [&](uint64_t) {
      versioning::ListQuery query;
      query.prefix = prefix;
      query.delimiter = delimiter;
      query.amount = 1'000;
      const auto page = must(place.engine->list(place.ctx, place.repository, place.at(branch), query));
      if (page.items.size() != expected)
        give_up(fmt::format("a listing has {} items instead of {}", page.items.size(), expected));
    };
    const double first = seconds([&] { once(0); });
    const int count = first > 0.02 ? 3 : 200;
    const Spread each = latency(first > 0.02 ? 1 : o.rounds(), count, once);
    Row row{.name = fmt::format("list with {} of {} keys deleted, {}", n - 1, power(n), how),
            .value = each.times(1000),
            .unit = "ms p50"};
    row.kind = Bar::kAtMost;
    row.bar = 1;
    row.limit = quiet / 1000;
    row.limit_name = "one key listed, nothing deleted";
    row.note = fmt::format("the first time {:.2f} ms", 1000 * first);
    rows.push_back(row);
  };
  measure("flat", "", "datasets/", 1);
  measure("with delimiter", "/", "datasets/events/", 1);
  rows.push_back(
      {.name = "deletes staged, 10,000 a batch", .value = spread({static_cast<double>(n) / spent}), .unit = "keys/s"});
}

}  // namespace

std::vector<Measure> list_measures() {
  return {{.name = "tombstones",
           .about = "first page of a prefix with N/10 - 1 of N/10 keys deleted",
           .run = tombstones,
           .needs_middle = true}};
}

}  // namespace tarn::bench
