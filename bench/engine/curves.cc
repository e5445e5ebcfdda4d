// Cost against the number of entries, for log-log pictures.
#include <fmt/core.h>

#include "engine/place.h"

namespace tarn::bench {

void curves_of_entries(const Options& o, std::vector<Curve>& curves) {
  Curve one{"entries", "commit of 1", "entries", "ms", {}},
      thousand{"entries", "commit of 1,000 scattered", "entries", "ms", {}},
      diff{"entries", "diff of 1,000 scattered", "entries", "ms", {}}, get{"entries", "point get", "entries", "ms", {}},
      page{"entries", "list page of 1,000", "entries", "ms", {}};
  for (uint64_t n = 1'000; n <= o.big(); n *= 10) {
    const bool big = n == o.big(), middle = n == o.middle();
    const std::string folder =
        big ? big_folder(o) : (middle ? middle_folder(o) : fmt::format("{}/entries-{}", o.folder, n));
    prepare(folder, n);
    Place place(folder);
    base::SeededRandom random(81 + n);
    const std::string branch = "curve-" + base::system_random().hex(4);
    place.branch(branch);
    const auto x = static_cast<double>(n);
    uint64_t version = 500;
    const auto base = place.at(branch).commit;
    versioning::Commit changed;
    std::vector<double> commits, diffs;
    for (int round = 0; round < 4; ++round) {
      must(place.engine->stage_many(place.ctx, place.repository, branch,
                                    edits_of(scattered(n, 1'000, random), ++version)));
      const double spent = seconds([&] { changed = place.commit(branch); });
      if (round > 0) commits.push_back(1000 * spent);
      diffs.push_back(1000 * seconds([&] {
                        versioning::ListQuery query;
                        query.amount = 1'000;
                        const std::string parent = changed.parents.front().hex();
                        must(place.engine->diff(place.ctx, place.repository, parent, changed.id.hex(),
                                                versioning::DiffType::kTwoDot, query));
                      }));
    }
    thousand.points.emplace_back(x, quantile(commits, 0.5));
    diff.points.emplace_back(x, quantile(diffs, 0.5));
    one.points.emplace_back(x, 1000 * latency(3, 40, [&](uint64_t i) {
                                        const uint64_t number = random.u64() % n;
                                        must(place.engine->stage(place.ctx, place.repository, branch, key_of(number),
                                                                 own_entry(number, ++version + i)));
                                        place.commit(branch);
                                      }).median);
    const auto at = place.at("main");
    const auto gets = [&](uint64_t) {
      must(place.engine->find(place.ctx, place.repository, at, key_of(random.u64() % n)));
    };
    for (int i = 0; i < 100'000; ++i) gets(0);  // fills the cache
    get.points.emplace_back(x, 1000 * latency(3, 20'000, gets).median);
    page.points.emplace_back(x, 1000 * latency(3, 100, [&](uint64_t) {
                                         versioning::ListQuery query;
                                         query.amount = 1'000;
                                         query.after = n <= 1'000 ? "" : key_of(random.u64() % (n - 1'000));
                                         must(place.engine->list(place.ctx, place.repository, at, query));
                                       }).median);
  }
  curves.insert(curves.end(), {one, thousand, diff, get, page});
}

}  // namespace tarn::bench
