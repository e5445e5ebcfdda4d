// Goal: a listing that steps over emptied stretches shows what a listing without memory shows.
#include "versioning/detail/voids.h"

#include <gtest/gtest.h>

#include <atomic>

#include "base/mutex.h"
#include "versioning/testing/world.h"

namespace tarn::versioning {
namespace {

using detail::Voids;
using testing::Backend;
using testing::entry_of;
using testing::must;
using testing::World;

std::vector<tree::Edit> puts(std::vector<std::string> paths) {
  std::vector<tree::Edit> edits;
  for (std::string& path : paths) edits.push_back({std::move(path), entry_of("x")});
  return edits;
}

void learn(Voids& voids, const std::string& from, const std::string& to) {
  Voids::Reader reader(voids, "b");
  reader.learn(from, to);
}
std::optional<std::string> end_around(Voids& voids, std::string_view path) {
  return Voids::Reader(voids, "b").end_around(path);
}

TEST(Voids, AreKnownToLaterReadersOnly) {
  Voids voids;
  Voids::Reader before(voids, "b");
  learn(voids, "c", "m");
  EXPECT_EQ(before.end_around("d"), std::nullopt);
  EXPECT_EQ(end_around(voids, "c"), "m");
  EXPECT_EQ(end_around(voids, "l"), "m");
  EXPECT_EQ(end_around(voids, "m"), std::nullopt);
  EXPECT_EQ(end_around(voids, "b"), std::nullopt);
  EXPECT_EQ(Voids::Reader(voids, "other").end_around("d"), std::nullopt);
}

TEST(Voids, ThatTouchBecomeOne) {
  Voids voids;
  learn(voids, "c", "f");
  learn(voids, "h", "k");
  learn(voids, "f", "h");
  EXPECT_EQ(end_around(voids, "c"), "k");
  learn(voids, "a", "z");
  EXPECT_EQ(end_around(voids, "a"), "z");
}

TEST(Voids, LoseThePathThatIsPut) {
  Voids voids;
  learn(voids, "c", "m");
  { Voids::Change change(voids, "b", puts({"e"})); }
  EXPECT_EQ(end_around(voids, "d"), "e");
  EXPECT_EQ(end_around(voids, "e"), std::nullopt);
  EXPECT_EQ(end_around(voids, std::string("e\0", 2)), "m");
  const tree::Edit removal{"g", std::nullopt};
  { Voids::Change change(voids, "b", {&removal, 1}); }
  EXPECT_EQ(end_around(voids, "f"), "m");
}

TEST(Voids, AreNotLearnedWhereAPutIsUnderWay) {
  Voids voids;
  {
    Voids::Change change(voids, "b", puts({"e"}));
    learn(voids, "c", "m");  // its view may or may not hold "e"
  }
  EXPECT_EQ(end_around(voids, "e"), std::nullopt);
  EXPECT_EQ(end_around(voids, "c"), "e");
  EXPECT_EQ(end_around(voids, "f"), "m");
}

TEST(Voids, AreNotLearnedWhereAPutBeganMeanwhile) {
  Voids voids;
  {
    Voids::Reader reader(voids, "b");
    { Voids::Change change(voids, "b", puts({"e", "x"})); }
    reader.learn("c", "m");
  }
  EXPECT_EQ(end_around(voids, "e"), std::nullopt);
  EXPECT_EQ(end_around(voids, "d"), "e");
}

TEST(Voids, AreForgottenWhenTheHeadMoves) {
  Voids voids;
  learn(voids, "c", "m");
  {
    Voids::Reader reader(voids, "b");
    { Voids::Change change(voids, "b"); }
    reader.learn("c", "m");
  }
  EXPECT_EQ(end_around(voids, "d"), std::nullopt);
}

TEST(Voids, AreNeverLearnedWhereAnOutcomeIsUnknown) {
  Voids voids;
  {
    Voids::Change change(voids, "b", puts({"e"}));
    change.leave_open();
  }
  learn(voids, "c", "m");
  EXPECT_EQ(end_around(voids, "e"), std::nullopt);
  EXPECT_EQ(end_around(voids, "c"), "e");
}

TEST(Voids, TooManyAreForgotten) {
  Voids voids;
  const auto key = [](int i) { return std::to_string(1'000'000 + i); };
  for (int i = 0; i < 10'000; i += 2) learn(voids, key(i), key(i + 1));
  int known = 0;
  for (int i = 0; i < 10'000; i += 2) known += end_around(voids, key(i)).has_value();
  EXPECT_LE(known, 4'096);
  EXPECT_TRUE(end_around(voids, key(9'998)));
}

class EmptiedListing : public ::testing::TestWithParam<Backend> {
 protected:
  EmptiedListing() : world(GetParam()), engine(*world.engine), repo(world.repository()) {}
  static std::string path(uint64_t i) {
    return "d" + std::to_string(i / 100 % 4) + "/s" + std::to_string(i / 10 % 10) + "/f" + std::to_string(i % 10);
  }
  std::vector<std::string> names(std::string_view ref, const std::string& prefix, const std::string& delimiter,
                                 size_t page_size) {
    std::vector<std::string> out;
    ListQuery query;
    query.prefix = prefix;
    query.delimiter = delimiter;
    query.amount = page_size;
    const Resolved at = must(engine.resolve(ctx, repo, ref));
    while (true) {
      const auto page = must(engine.list(ctx, repo, at, query));
      for (const Listed& item : page.items) out.push_back(item.path);
      if (!page.has_more) return out;
      query.after = page.next_after;
    }
  }
  World world;
  Engine& engine;
  Repository repo;
  Context ctx;
};
INSTANTIATE_TEST_SUITE_P(Stores, EmptiedListing, ::testing::Values(Backend::kMemory, Backend::kDisk),
                         [](const auto& test) { return test.param == Backend::kMemory ? "Memory" : "Disk"; });

// Against a set of names: ranges are removed and put back, in every way that makes names appear again.
TEST_P(EmptiedListing, ShowsWhatAListingWithoutMemoryShows) {
  constexpr uint64_t kPaths = 400;
  base::SeededRandom random(5);
  std::map<std::string, bool> shown;  // all names; whether they are there
  std::vector<tree::Edit> all;
  for (uint64_t i = 0; i < kPaths; ++i) shown[path(i)] = true;
  for (const auto& [name, there] : shown) all.push_back({name, entry_of(name)});
  must(engine.stage_many(ctx, repo, "main", all));
  world.commit(repo, "main");
  std::map<std::string, bool> committed = shown;
  const auto below = [&](uint64_t limit) { return random.u64() % limit; };
  const auto check = [&] {
    for (const std::string prefix : {"", "d1/", "d1/s", "d3/s9/f9", "x"}) {
      std::vector<std::string> flat, by_folder;
      for (const auto& [name, there] : shown) {
        if (!there || !name.starts_with(prefix)) continue;
        flat.push_back(name);
        const size_t cut = name.find('/', prefix.size());
        const std::string folder = cut == std::string::npos ? name : name.substr(0, cut + 1);
        if (by_folder.empty() || by_folder.back() != folder) by_folder.push_back(folder);
      }
      EXPECT_EQ(names("main", prefix, "", 1 + below(50)), flat) << prefix;
      EXPECT_EQ(names("main", prefix, "/", 1 + below(5)), by_folder) << prefix;
    }
  };
  for (int round = 0; round < 60 && !HasFailure(); ++round) {
    SCOPED_TRACE(round);
    const uint64_t begin = below(kPaths);
    const uint64_t end = begin + below(kPaths - begin) + 1;
    std::vector<tree::Edit> edits;
    switch (below(6)) {
      case 0:
      case 1:
        for (uint64_t i = begin; i < end; ++i) edits.push_back({path(i), std::nullopt});
        break;
      case 2:
        for (uint64_t i = begin; i < std::min(end, begin + 3); ++i)
          edits.push_back({path(i), entry_of(std::to_string(round))});
        break;
      case 3:
        (void)engine.commit(ctx, repo, "main", {"m", "tester", {}, {}, true});
        committed = shown;
        break;
      case 4:
        must(engine.reset(ctx, repo, "main", "", true));
        shown = committed;
        break;
      default: {  // a merge brings names back
        must(engine.commit(ctx, repo, "main", {"m", "tester", {}, {}, true}));
        committed = shown;
        const std::string branch = "b" + std::to_string(round);
        must(engine.create_branch(ctx, repo, branch, "main"));
        for (uint64_t i = begin; i < std::min(end, begin + 5); ++i) {
          world.put(repo, branch, path(i), std::to_string(round));
          shown[path(i)] = true;
        }
        world.commit(repo, branch);
        must(engine.merge(ctx, repo, branch, "main", {}));
        committed = shown;
      }
    }
    must(engine.stage_many(ctx, repo, "main", edits));
    for (const tree::Edit& edit : edits) shown[edit.key] = edit.entry.has_value();
    check();
    check();  // now with what the first one learned
  }
}

// Who has put a path and got its answer sees it in a listing, whatever others learn at the same time.
TEST_P(EmptiedListing, NeverHidesAnAcknowledgedPut) {
  std::vector<tree::Edit> removals;
  std::vector<tree::Edit> all;
  for (uint64_t i = 0; i < 400; ++i) {
    all.push_back({path(i), entry_of("x")});
    removals.push_back({path(i), std::nullopt});
  }
  must(engine.stage_many(ctx, repo, "main", all));
  world.commit(repo, "main");
  must(engine.stage_many(ctx, repo, "main", removals));
  std::atomic<bool> stop{false};
  std::vector<base::Thread> threads;
  base::Thread lister([&] {
    while (!stop) (void)names("main", "", "", 100);
  });
  for (uint64_t w = 0; w < 3; ++w)
    threads.emplace_back([&, w] {
      for (uint64_t i = 0; i < 60; ++i) {
        const std::string mine = path(w * 100 + i);
        must(engine.stage(ctx, repo, "main", mine, entry_of("y")));
        const auto seen = names("main", mine, "", 10);
        EXPECT_EQ(seen, std::vector{mine});
        const auto seen_by_all = names("main", "", "", 100);
        EXPECT_TRUE(std::find(seen_by_all.begin(), seen_by_all.end(), mine) != seen_by_all.end()) << mine;
        must(engine.stage_removal(ctx, repo, "main", mine));
      }
    });
  threads.clear();
  stop = true;
  lister.join();
  EXPECT_EQ(names("main", "", "", 100), std::vector<std::string>{});
}

}  // namespace
}  // namespace tarn::versioning
