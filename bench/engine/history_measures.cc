// A history of a million commits: merge base, path log, log pages.
#include "engine/history.h"

#include <fmt/core.h>

namespace tarn::bench {
namespace {

versioning::LogQuery needle_query() {
  versioning::LogQuery query;
  query.objects = {kNeedle};
  query.amount = 10;
  return query;
}

/// The hits of the path log from a commit down.
void path_log(Place& place, const versioning::CommitId& from) {
  const auto page = must(place.engine->log(place.ctx, place.repository, from.hex(), needle_query()));
  if (page.items.size() != 1) give_up(fmt::format("the path log has {} hits instead of one", page.items.size()));
}

void merge_base(Place& place, const versioning::CommitId& from, const versioning::CommitId& side) {
  const auto base = must(place.engine->merge_base(place.ctx, place.repository, from, side));
  if (base != must(place.engine->get_commit(place.ctx, place.repository, side)).parents.front())
    give_up("another merge base than expected");
}

/// Median seconds: once when it takes long, else several times.
Spread patient(const Options& o, const std::function<void()>& action) {
  const double first = seconds(action);
  if (first > 5) return spread({first});
  std::vector<double> each;
  for (int i = 0; i < (first > 0.5 ? 2 : o.rounds() * 3); ++i) each.push_back(seconds(action));
  return spread(each);
}

void history(const Options& o, std::vector<Row>& rows) {
  const std::string folder = history_folder(o);
  const uint64_t n = history_length(o);
  double opened = 0;
  std::unique_ptr<Place> held;
  opened = seconds([&] { held = std::make_unique<Place>(folder); });
  Place& place = *held;
  const auto head = history_marks(folder).back().second;
  const auto side = place.at("side").commit.id;
  const double first = seconds([&] { merge_base(place, head, side); });
  Row row{.name = fmt::format("merge base, heads {} commits apart", power(n)),
          .value = patient(o, [&] { merge_base(place, head, side); }).times(1000),
          .unit = "ms"};
  row.kind = Bar::kAtMost;
  row.bar = 50;
  row.note = fmt::format("the first one after the start {:.0f} ms, the start {:.0f} ms", 1000 * first, 1000 * opened);
  rows.push_back(row);
  const double first_log = seconds([&] { path_log(place, head); });
  Row log{.name = fmt::format("path log, 1 hit in {} commits", power(n)),
          .value = patient(o, [&] { path_log(place, head); }).times(1000),
          .unit = "ms"};
  log.kind = Bar::kAtMost;
  log.bar = 100;
  log.note = fmt::format("the first one {:.0f} ms", 1000 * first_log);
  rows.push_back(log);
  versioning::LogQuery deep;
  deep.after = history_marks(folder)[1].second.hex();  // a hundred commits from the end
  const Spread page = patient(o, [&] {
    if (must(place.engine->log(place.ctx, place.repository, "main", deep)).items.size() < 99)
      give_up("the last log page is short");
  });
  rows.push_back(
      {.name = fmt::format("last log page of 100 in {} commits", power(n)), .value = page.times(1000), .unit = "ms"});
}

}  // namespace

std::vector<Measure> history_measures() {
  return {
      {.name = "history", .about = "merge base and path log over 10^6 commits", .run = history, .needs_history = true}};
}

void curves_of_commits(const Options& o, std::vector<Curve>& curves) {
  prepare_history(history_folder(o), history_length(o));
  Place place(history_folder(o));
  const auto marks = history_marks(history_folder(o));
  const auto side = place.at("side").commit.id;
  Curve base{"commits", "merge base", "commits", "ms", {}}, path{"commits", "path log, 1 hit", "commits", "ms", {}},
      first{"commits", "first log page of 100", "commits", "ms", {}},
      last{"commits", "last log page of 100", "commits", "ms", {}};
  for (const auto& [height, id] : marks) {
    if (height < 100) continue;
    const auto x = static_cast<double>(height);
    const auto page = [&](const std::string& after) {
      versioning::LogQuery query;
      query.after = after;
      must(place.engine->log(place.ctx, place.repository, id.hex(), query));
    };
    base.points.emplace_back(x, 1000 * patient(o, [&] { merge_base(place, id, side); }).median);
    path.points.emplace_back(x, 1000 * patient(o, [&] { path_log(place, id); }).median);
    first.points.emplace_back(x, 1000 * patient(o, [&] { page(""); }).median);
    last.points.emplace_back(x, 1000 * patient(o, [&] { page(marks[1].second.hex()); }).median);
  }
  curves.insert(curves.end(), {base, path, first, last});
}

}  // namespace tarn::bench
