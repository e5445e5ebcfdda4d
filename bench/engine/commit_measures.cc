// Commits: one object, a thousand scattered, a million appended.
#include <fmt/core.h>

#include "engine/place.h"

namespace tarn::bench {
namespace {

Row bytes_row(const std::string& name, double bytes, double bar) {
  Row row{.name = name, .value = spread({bytes / 1024}), .unit = "KB"};
  row.kind = Bar::kAtMost;
  row.bar = bar;
  row.note = "all that the process wrote: pack, logs of both stores, clean-up";
  return row;
}

void commit_one_at(const Options& o, const std::string& folder, uint64_t n, std::vector<Row>& rows) {
  Place place(folder);
  base::SeededRandom random(41);
  const std::string branch = "one-" + random.hex(4);
  place.branch(branch);
  const int count = o.quick ? 50 : 200;
  std::vector<double> middles, both;
  uint64_t version = 100, written = 0, commits = 0;
  for (int round = 0; round < o.rounds() + 1; ++round) {
    std::vector<double> commit, all;
    const uint64_t before = bytes_written();
    for (int i = 0; i < count; ++i) {
      const uint64_t number = random.u64() % n;
      const double start = now();
      must(place.engine->stage(place.ctx, place.repository, branch, key_of(number), own_entry(number, version++)));
      const double staged = now();
      place.commit(branch);
      commit.push_back(now() - staged);
      all.push_back(now() - start);
    }
    if (round == 0) continue;  // warms up
    written += bytes_written() - before;
    commits += static_cast<uint64_t>(count);
    middles.push_back(1000 * quantile(commit, 0.5));
    both.push_back(1000 * quantile(all, 0.5));
  }
  const Limit append = synced_append(place.folder), put = synced_put(place.folder);
  Row row{.name = fmt::format("commit of 1 object at {}", power(n)), .value = spread(middles), .unit = "ms p50"};
  row.kind = Bar::kAtMost;
  row.bar = 3;
  row.limit = 1000 * (append.value + put.value);
  row.limit_name = "one synced append and one synced put";
  rows.push_back(row);
  row.name = fmt::format("stage and commit of 1 object at {}", power(n));
  row.value = spread(both);
  row.kind = Bar::kNone;
  row.limit = 1000 * (append.value + 2 * put.value);
  row.limit_name = "one synced append and two synced puts";
  rows.push_back(row);
  rows.push_back(bytes_row(fmt::format("written by a commit of 1 object at {}", power(n)),
                           static_cast<double>(written) / static_cast<double>(commits), 40));
}

void commit_one(const Options& o, std::vector<Row>& rows) {
  commit_one_at(o, middle_folder(o), o.middle(), rows);
  commit_one_at(o, big_folder(o), o.big(), rows);
}

void commit_scattered(const Options& o, std::vector<Row>& rows) {
  Place place(big_folder(o));
  base::SeededRandom random(51);
  const std::string branch = "scattered-" + random.hex(4);
  place.branch(branch);
  std::vector<double> ms, bytes, cold;
  for (int round = 0; round < o.rounds() + 1; ++round) {
    must(place.engine->stage_many(place.ctx, place.repository, branch,
                                  edits_of(scattered(o.big(), 1'000, random), 1'000 + static_cast<uint64_t>(round))));
    const uint64_t before = bytes_written();
    const double spent = 1000 * seconds([&] { place.commit(branch); });
    if (round == 0) {
      cold.push_back(spent);
      continue;
    }
    ms.push_back(spent);
    bytes.push_back(static_cast<double>(bytes_written() - before) / (1 << 20));
  }
  Row row{.name = fmt::format("commit of 1,000 scattered at {}", power(o.big())), .value = spread(ms), .unit = "ms"};
  row.kind = Bar::kAtMost;
  row.bar = 150;
  row.limit = 1000 * 1000.0 * 256 / codec_rate().value;
  row.limit_name = "1,000 leaves hashed and packed by one core";
  row.note = fmt::format("the first one, few nodes cached, {:.0f} ms", cold.front());
  rows.push_back(row);
  Row written{.name = fmt::format("written by a commit of 1,000 scattered at {}", power(o.big())),
              .value = spread(bytes),
              .unit = "MB"};
  written.kind = Bar::kAtMost;
  written.bar = 10;
  written.note = "all that the process wrote";
  rows.push_back(written);
}

void commit_appended(const Options& o, std::vector<Row>& rows) {
  Place place(middle_folder(o));
  base::SeededRandom random(61);
  const uint64_t n = o.middle(), count = o.middle();
  std::vector<tree::Edit> edits;
  edits.reserve(count);
  for (uint64_t i = n; i < n + count; ++i) edits.push_back({key_of(i), own_entry(i, 7)});
  std::vector<double> direct, staged;
  uint64_t written = 0;
  for (int round = 0; round < 3; ++round) {
    const std::string branch = "appended-" + random.hex(4);
    place.branch(branch);
    const uint64_t before = bytes_written();
    direct.push_back(seconds([&] { place.land(branch, edits); }));
    written = bytes_written() - before;
  }
  for (int round = 0; round < (o.quick ? 1 : 2); ++round) {
    const std::string branch = "staged-" + random.hex(4);
    place.branch(branch);
    for (size_t i = 0; i < edits.size(); i += 10'000)
      must(place.engine->stage_many(place.ctx, place.repository, branch,
                                    std::span(edits).subspan(i, std::min<size_t>(10'000, edits.size() - i))));
    staged.push_back(seconds([&] { place.commit(branch); }));
  }
  Row row{.name = fmt::format("commit of {} appended at {}, as an import", power(count), power(n)),
          .value = spread(direct),
          .unit = "s"};
  row.kind = Bar::kAtMost;
  row.bar = 0.6;
  row.limit = static_cast<double>(count) / codec_rate().value + file_write(place.folder, written).value;
  row.limit_name = "hashed and packed by one core, then written and synced";
  rows.push_back(row);
  row.name = fmt::format("commit of {} appended at {}, from staged rows", power(count), power(n));
  row.value = spread(staged);
  rows.push_back(row);
}

}  // namespace

std::vector<Measure> commit_measures() {
  return {
      {.name = "commit-1",
       .about = "commit of one object at N/10 and N, bytes written",
       .run = commit_one,
       .needs_big = true,
       .needs_middle = true},
      {.name = "commit-1000",
       .about = "commit of 1,000 scattered at N, bytes written",
       .run = commit_scattered,
       .needs_big = true},
      {.name = "commit-appended",
       .about = "commit of N/10 appended at N/10",
       .run = commit_appended,
       .needs_middle = true},
  };
}

}  // namespace tarn::bench
