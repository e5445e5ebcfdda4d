// The map itself: point get, bulk build, diff, memory, stored bytes.
#include <atomic>

#include <fmt/core.h>

#include "base/process.h"
#include "block/memory.h"
#include "engine/place.h"

namespace tarn::bench {
namespace {

constexpr double kMega = 1e6;

/// Reads every entry once; afterwards the cache has what it can hold.
uint64_t read_all(const Context& ctx, const std::shared_ptr<tree::Packs>& packs, const tree::Root& root) {
  uint64_t n = 0;
  const auto cursor = tree::cursor(packs, root);
  while (must(cursor->next(ctx))) ++n;
  return n;
}

void point_get(const Options& o, std::vector<Row>& rows) {
  Place place(big_folder(o), 1 << 20);
  const auto packs = place.packs(4ULL << 30);
  const auto at = place.at("main");
  if (read_all(place.ctx, packs, at.commit.root) != o.big()) give_up("the tree has another number of entries");
  base::SeededRandom random(11);
  constexpr size_t kGets = 200'000;
  std::vector<std::string> keys;
  for (size_t i = 0; i < kGets; ++i) keys.push_back(key_of(random.u64() % o.big()));
  std::vector<double> rates;
  for (int round = 0; round < o.rounds() + 1; ++round) {
    const double spent = seconds([&] {
      for (const std::string& key : keys)
        if (!must(tree::get(place.ctx, *packs, at.commit.root, key))) give_up("a key is missing: " + key);
    });
    if (round > 0) rates.push_back(kGets / spent / kMega);
  }
  Row row{
      .name = fmt::format("point get at {}, cached, one core", power(o.big())), .value = spread(rates), .unit = "M/s"};
  row.kind = Bar::kAtLeast;
  row.bar = 0.5;
  const Limit limit = search_rate(o.big());
  row.limit = limit.value / kMega;
  row.limit_name = limit.name;
  rows.push_back(row);

  // The same through the engine, on a branch: branch record, staging, tree.
  Place warm(middle_folder(o));
  const auto branch = [&](uint64_t) {
    const auto on = warm.at("main");
    if (!must(warm.engine->find(warm.ctx, warm.repository, on, key_of(random.u64() % o.middle()))))
      give_up("a key is missing");
  };
  for (int i = 0; i < 50'000; ++i) branch(0);
  const Spread each = latency(o.rounds(), 20'000, branch);
  rows.push_back({.name = fmt::format("find on a branch at {} through the engine", power(o.middle())),
                  .value = each.times(kMega),
                  .unit = "us p50"});
}

void bulk_build(const Options& o, std::vector<Row>& rows) {
  const uint64_t n = std::min<uint64_t>(o.big(), 1'000'000);
  const Context ctx;
  std::vector<tree::Item> items;
  for (uint64_t i = 0; i < n; ++i) items.push_back({key_of(i), own_entry(i)});
  std::vector<double> rates;
  for (int round = 0; round < o.rounds(); ++round) {
    const auto store = block::make_memory_store();
    const auto packs = tree::Packs::open(*store, "bench/", tree::make_node_cache(64 << 20), base::system_clock(),
                                         base::system_random());
    std::vector<tree::Item> rest = items;  // the builder takes what it gets
    size_t i = 0;
    rates.push_back(static_cast<double>(n) / kMega / seconds([&] {
                      const auto builder = packs->begin();
                      must(tree::build(
                          ctx, {},
                          [&]() -> Result<std::optional<tree::Item>> {
                            if (i == rest.size()) return std::optional<tree::Item>{};
                            return std::optional(std::move(rest[i++]));
                          },
                          *builder));
                      must(builder->finish(ctx));
                    }));
  }
  Row row{.name = fmt::format("bulk build of {}, sorted, in memory", power(n)),
          .value = spread(rates),
          .unit = "M entries/s"};
  row.kind = Bar::kAtLeast;
  row.bar = 3;
  const Limit limit = codec_rate();
  row.limit = limit.value / kMega;
  row.limit_name = limit.name;
  row.note = "wall time; per core when the builder uses one";
  rows.push_back(row);
}

void diffs(const Options& o, std::vector<Row>& rows) {
  Place place(big_folder(o));
  base::SeededRandom random(21);
  const auto base = place.at("main").commit;
  const std::string branch = "diff-" + random.hex(4);
  place.branch(branch);
  const auto numbers = scattered(o.big(), 1'000, random);
  const auto first = place.land(branch, edits_of(numbers, 1));
  const auto second = place.land(branch, edits_of(numbers, 2));
  const auto whole = [&](const versioning::Commit& left, const versioning::Commit& right, size_t least) {
    std::vector<double> ms;
    for (int round = 0; round < o.rounds() * 3; ++round) {
      size_t n = 0;
      ms.push_back(1000 * seconds([&] {
                     versioning::ListQuery query;
                     query.amount = 1'000;
                     for (;;) {
                       const auto page = must(place.engine->diff(place.ctx, place.repository, left.id.hex(),
                                                                 right.id.hex(), versioning::DiffType::kTwoDot, query));
                       n += page.items.size();
                       if (!page.has_more) break;
                       query.after = page.next_after;
                     }
                   }));
      if (n < least) give_up("a change is missing from a diff");
    }
    return spread(ms);
  };
  const size_t changes = std::min<uint64_t>(1'000, o.big());
  const auto add = [&](const std::string& name, const Spread& value) {
    Row row{.name = name, .value = value, .unit = "ms"};
    row.kind = Bar::kAtMost;
    row.bar = 50;
    row.limit = 1000 * static_cast<double>(changes) * 2 * 256 * 44 / copy_rate().value;
    row.limit_name = "1,000 leaves of each side copied";
    rows.push_back(row);
  };
  add(fmt::format("diff of {} scattered at {}, to the parent", power(changes), power(o.big())),
      whole(base, first, changes));
  add(fmt::format("diff of {} scattered at {}, to the grandparent", power(changes), power(o.big())),
      whole(base, second, changes));

  const auto cold = [&] {
    std::vector<double> ms;
    for (int round = 0; round < o.rounds(); ++round) {
      const auto packs = place.packs(64 << 20);
      size_t n = 0;
      ms.push_back(1000 * seconds([&] {
                     const auto cursor = tree::diff(packs, base.root, first.root);
                     while (must(cursor->next(place.ctx))) ++n;
                   }));
      if (n < changes) give_up("a change is missing from a diff");
    }
    return spread(ms);
  };
  rows.push_back({.name = fmt::format("diff of {} scattered at {}, no node cached", power(changes), power(o.big())),
                  .value = cold(),
                  .unit = "ms"});
}

double resident_mb() { return static_cast<double>(must(base::process_memory()).resident) / (1 << 20); }

void memory_cached(const Options& o, std::vector<Row>& rows) {
  Place place(big_folder(o), 1 << 20);
  const auto packs = place.packs(4ULL << 30);
  const auto root = place.at("main").commit.root;
  const double before = resident_mb();
  if (read_all(place.ctx, packs, root) != o.big()) give_up("the tree has another number of entries");
  Row row{.name = fmt::format("resident memory, {} entries cached", power(o.big())),
          .value = spread({resident_mb()}),
          .unit = "MB"};
  row.kind = Bar::kAtMost;
  row.bar = 700;
  row.note = fmt::format("of which {:.0f} MB before the first read", before);
  rows.push_back(row);
}

void memory_limited(const Options& o, std::vector<Row>& rows) {
  Place place(big_folder(o), 64 << 20);
  base::SeededRandom random(31);
  const std::string branch = "limited-" + random.hex(4);
  place.branch(branch);
  const auto at = place.at(branch);
  bool works = true;
  uint64_t walked = 0;
  must(place.engine->walk(place.ctx, place.repository, at.commit, "",
                          [&](const std::string&, const tree::Entry&) -> Result<void> {
                            ++walked;
                            return {};
                          }));
  works &= walked == o.big();
  const Spread get = latency(1, 5'000, [&](uint64_t) {
    works &= must(place.engine->find(place.ctx, place.repository, at, key_of(random.u64() % o.big()))).has_value();
  });
  const auto numbers = scattered(o.big(), 1'000, random);
  must(place.engine->stage_many(place.ctx, place.repository, branch, edits_of(numbers, 5)));
  const auto commit = place.commit(branch);
  versioning::ListQuery query;
  query.amount = 1'000;
  works &= must(place.engine->diff(place.ctx, place.repository, at.commit.id.hex(), commit.id.hex(),
                                   versioning::DiffType::kTwoDot, query))
               .items.size() == std::min<size_t>(1'000, numbers.size());
  works &= must(place.engine->list(place.ctx, place.repository, place.at(branch), query)).items.size() ==
           std::min<size_t>(1'000, o.big());
  Row row{.name = fmt::format("resident memory, {} entries, node cache of 64 MB", power(o.big())),
          .value = spread({resident_mb()}),
          .unit = "MB"};
  row.pass = works;
  row.note = fmt::format("walk, gets (p50 {:.0f} us), commit, diff and list {}", get.median * kMega,
                         works ? "are right" : "are WRONG");
  rows.push_back(row);
}

// Linked entries are what an import makes; their tree is built straight into packs.
void stored(const Options& o, std::vector<Row>& rows) {
  const uint64_t n = o.big();
  const Context ctx;
  const auto store = block::make_memory_store();
  const auto packs =
      tree::Packs::open(*store, "bench/", tree::make_node_cache(16 << 20), base::system_clock(), base::system_random());
  const auto builder = packs->begin();
  uint64_t i = 0;
  must(tree::build(
      ctx, {},
      [&]() -> Result<std::optional<tree::Item>> {
        if (i == n) return std::optional<tree::Item>{};
        tree::Item item{key_of(i), linked_entry(i)};
        ++i;
        return std::optional(std::move(item));
      },
      *builder));
  must(builder->finish(ctx));
  const auto add = [&](const std::string& how, uint64_t bytes, double limit, const std::string& limit_name) {
    Row row{.name = fmt::format("pack bytes per entry, {} {}", power(n), how),
            .value = spread({static_cast<double>(bytes) / static_cast<double>(n)}),
            .unit = "B"};
    row.kind = Bar::kAtMost;
    row.bar = 60;
    row.limit = limit;
    row.limit_name = limit_name;
    rows.push_back(row);
  };
  add("imported by link", must(store->stored_bytes(ctx)), 22, "ETag of 16 B, size and mtime drawn at random");
  add("uploaded", stored_when_made(big_folder(o)), 18, "ETag of 16 B and size drawn at random");
}

}  // namespace

std::vector<Measure> tree_measures() {
  return {
      {.name = "get", .about = "point get at N, cached", .run = point_get, .needs_big = true, .needs_middle = true},
      {.name = "build", .about = "bulk build, sorted", .run = bulk_build},
      {.name = "diff", .about = "diff of 1,000 scattered changes at N", .run = diffs, .needs_big = true},
      {.name = "memory", .about = "resident memory of N entries cached", .run = memory_cached, .needs_big = true},
      {.name = "memory-limited",
       .about = "everything with a node cache of 64 MB",
       .run = memory_limited,
       .needs_big = true},
      {.name = "stored", .about = "pack bytes per entry after an import of N", .run = stored, .needs_big = true},
  };
}

}  // namespace tarn::bench
