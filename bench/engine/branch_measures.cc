// Branches: create, flat in their number; and many of them merged into one head at once.
#include <algorithm>
#include <atomic>

#include <fmt/core.h>

#include "base/mutex.h"
#include "engine/place.h"

namespace tarn::bench {
namespace {

/// Makes branches first..last-1 with 128 writers that share syncs.
void make_branches(Place& place, uint64_t first, uint64_t last) {
  std::atomic<uint64_t> next{first};
  std::vector<base::Thread> writers;
  for (int w = 0; w < 128; ++w)
    writers.emplace_back([&] {
      for (uint64_t i = next.fetch_add(1); i < last; i = next.fetch_add(1)) place.branch(fmt::format("b{:07}", i));
    });
  for (base::Thread& writer : writers) writer.join();
}

void create(const Options& o, std::vector<Row>& rows) {
  Place place(o.folder + "/branches-" + base::system_random().hex(4));
  place.fill("main", 0, 1'000);
  const uint64_t most = o.quick ? 20'000 : 1'000'000;
  uint64_t made = 0, probe = 0;
  std::vector<double> middles;
  for (const uint64_t n : std::vector<uint64_t>{1'000, most / 10, most}) {
    if (n > made) {
      make_branches(place, made, n);
      made = n;
      base::system_clock().sleep_ms(3'000);  // the store sorts what came in a burst
    }
    const Spread each = latency(o.rounds(), 200, [&](uint64_t) { place.branch(fmt::format("p{:07}", probe++)); });
    Row row{
        .name = fmt::format("branch create beside {} branches", power(n)), .value = each.times(1000), .unit = "ms p50"};
    row.kind = Bar::kAtMost;
    row.bar = 0.7;
    row.limit = 1000 * synced_put(place.folder).value;
    row.limit_name = "one synced RocksDB put";
    rows.push_back(row);
    middles.push_back(each.median);
  }
  Row flat{.name = fmt::format("branch create, {} against 10^3 branches", power(most)),
           .value = spread({middles.back() / middles.front()}),
           .unit = "x"};
  flat.kind = Bar::kAtMost;
  flat.bar = 1.5;
  rows.push_back(flat);
}

void storm(const Options& o, std::vector<Row>& rows) {
  Place place(middle_folder(o));
  constexpr uint64_t kWriters = 16;
  const uint64_t lot = o.quick ? 40 : 250;
  std::vector<double> rates, fairness, worst;
  uint64_t failures = 0;
  for (int round = 0; round < (o.quick ? 1 : 3); ++round) {
    const std::string tag = base::system_random().hex(4), head = "storm-" + tag;
    place.branch(head);
    const auto name = [&](uint64_t w, uint64_t i) { return fmt::format("s-{}-{}-{}", tag, w, i); };
    const auto all = [&](const std::function<void(uint64_t)>& body) {
      std::vector<base::Thread> threads;
      for (uint64_t w = 0; w < kWriters; ++w) threads.emplace_back([&body, w] { body(w); });
    };
    all([&](uint64_t w) {
      for (uint64_t i = 0; i < lot; ++i) {
        must(place.engine->create_branch(place.ctx, place.repository, name(w, i), head));
        must(place.engine->stage(place.ctx, place.repository, name(w, i), fmt::format("jobs/{}/{}-{}", tag, w, i),
                                 own_entry(i, w)));
        place.commit(name(w, i));
      }
    });
    std::vector<double> ended(kWriters), waited;
    base::Mutex mutex;
    std::atomic<uint64_t> failed{0};
    const double start = now();
    all([&](uint64_t w) {
      std::vector<double> mine;
      for (uint64_t i = 0; i < lot; ++i) {
        const double begin = now();
        const auto merged = place.engine->merge(place.ctx, place.repository, name(w, i), head, {});
        if ((!merged || !merged->landed) && failed.fetch_add(1) == 0)
          std::fprintf(stderr, "bench: a merge failed: %s\n", merged ? "conflicts" : merged.error().text().c_str());
        mine.push_back(now() - begin);
      }
      ended[w] = now() - start;
      const base::Lock lock(mutex);
      waited.insert(waited.end(), mine.begin(), mine.end());
    });
    const auto [first, last] = std::minmax_element(ended.begin(), ended.end());
    rates.push_back(static_cast<double>(kWriters * lot - failed.load()) / *last);
    fairness.push_back(*first / *last);
    worst.push_back(1000 * quantile(waited, 0.99));
    failures += failed.load();
    versioning::ListQuery query;
    query.prefix = "jobs/" + tag + "/";
    query.amount = 1'000;
    uint64_t present = 0;
    for (;;) {
      const auto page = must(place.engine->list(place.ctx, place.repository, place.at(head), query));
      present += page.items.size();
      if (!page.has_more) break;
      query.after = page.next_after;
    }
    if (present + failed.load() != kWriters * lot) give_up("the head lacks merged objects");
    if (*last > 15) break;  // far from the bar: one round says so
  }
  const Limit puts = synced_puts(place.folder);
  Row row{.name = "merges of one-object branches into one head, 16 writers", .value = spread(rates), .unit = "per s"};
  row.kind = Bar::kAtLeast;
  row.bar = 1'500;
  row.limit = puts.value;
  row.limit_name = puts.name;
  rows.push_back(row);
  Row none{.name = "failures in the merge storm", .value = spread({static_cast<double>(failures)}), .unit = "merges"};
  none.kind = Bar::kAtMost;
  none.bar = 0;
  rows.push_back(none);
  Row fair{.name = "fairness: first writer done against the last", .value = spread(fairness), .unit = "of 1"};
  fair.kind = Bar::kAtLeast;
  fair.bar = 0.8;
  fair.note = "equal lots of branches for each writer";
  rows.push_back(fair);
  rows.push_back({.name = "wait for one merge in the storm", .value = spread(worst), .unit = "ms p99"});
}

}  // namespace

std::vector<Measure> branch_measures() {
  return {
      {.name = "branch", .about = "branch create, flat to 10^6 branches", .run = create},
      {.name = "storm",
       .about = "16 writers merge one-object branches into one head",
       .run = storm,
       .needs_middle = true},
  };
}

void curves_of_branches(const Options& o, std::vector<Curve>& curves) {
  Place place(o.folder + "/branches-" + base::system_random().hex(4));
  place.fill("main", 0, 100'000);
  Curve create{"branches", "branch create", "branches", "ms", {}},
      find{"branches", "get on a branch", "branches", "ms", {}},
      page{"branches", "list page of 100 branches", "branches", "ms", {}};
  uint64_t made = 0, probe = 0;
  base::SeededRandom random(71);
  for (const uint64_t n : std::vector<uint64_t>{1, 10, 100, 1'000, 10'000, 100'000}) {
    if (o.quick && n > 10'000) break;
    make_branches(place, made, n);
    made = n;
    const auto x = static_cast<double>(n);
    create.points.emplace_back(x, 1000 * latency(3, 50, [&](uint64_t) {
                                           const std::string name = fmt::format("p{:07}", probe++);
                                           place.branch(name);
                                         }).median);
    find.points.emplace_back(
        x, 1000 * latency(3, 2'000, [&](uint64_t) {
                    const auto at = place.at(fmt::format("b{:07}", random.u64() % n));
                    must(place.engine->find(place.ctx, place.repository, at, key_of(random.u64() % 100'000)));
                  }).median);
    page.points.emplace_back(
        x, 1000 * latency(3, 50, [&](uint64_t) {
                    must(place.engine->list_branches(place.ctx, place.repository,
                                                     {"", fmt::format("b{:07}", random.u64() % n), 100}, false));
                  }).median);
  }
  curves.insert(curves.end(), {create, find, page});
}

}  // namespace tarn::bench
