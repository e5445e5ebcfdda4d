// Goal: log, its pages and filters, merge bases and "~N" are what a naive reader of the history says.
// Method: random graphs written as rows (dates that go backwards, merges, several roots) and random histories through
// the engine, each against a model of a few lines; the graph cold, filled by single reads, and scanned.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <set>

#include "versioning/detail/commit_graph.h"
#include "versioning/keys.h"
#include "versioning/records.h"
#include "versioning/recovery.h"
#include "versioning/testing/long_history.h"
#include "versioning/testing/world.h"

namespace tarn::versioning {
namespace {

using detail::CommitGraph;
using testing::Backend;
using testing::must;
using testing::World;

class Dice {
 public:
  explicit Dice(uint64_t seed) : random_(seed) {}
  uint64_t u64() { return random_.u64(); }
  uint64_t below(uint64_t limit) { return random_.u64() % limit; }

 private:
  base::SeededRandom random_;
};

/// Commits by number; parents have smaller ones.
struct Dag {
  std::vector<Commit> commits;
  std::map<CommitId, size_t> number;

  size_t of(const CommitId& id) const { return number.at(id); }
  std::set<size_t> reached_from(size_t from) const {
    std::set<size_t> seen;
    std::vector<size_t> open = {from};
    while (!open.empty()) {
      const size_t at = open.back();
      open.pop_back();
      if (!seen.insert(at).second) continue;
      for (const CommitId& parent : commits[at].parents) open.push_back(of(parent));
    }
    return seen;
  }
};

Dag random_dag(Dice& random, kv::Store& kv, const std::string& repository_id, size_t count, size_t width) {
  Dag dag;
  kv::Batch batch;
  for (size_t i = 0; i < count; ++i) {
    Commit commit;
    commit.message = std::to_string(random.u64());
    commit.root = tree::empty_root({});
    commit.date_ms = static_cast<int64_t>(i / 2 + random.below(6));  // equal dates and children older than parents
    std::set<size_t> parents;
    const uint64_t wanted =
        random.below(16) == 0 ? 0 : 1 + (random.below(2) == 0 ? 1 : 0) + (random.below(20) == 0 ? 2 : 0);
    for (uint64_t p = 0; p < wanted && i > 0; ++p) parents.insert(i - 1 - random.below(std::min(i, width)));
    commit.generation = 1;
    for (const size_t parent : parents) {
      commit.parents.push_back(dag.commits[parent].id);
      commit.generation = std::max(commit.generation, dag.commits[parent].generation + 1);
    }
    if (random.below(2) == 0) std::reverse(commit.parents.begin(), commit.parents.end());
    commit.id = commit_id(canonical_commit(commit, repository_id, "main"));
    batch.put(keys::commit(repository_id, commit.id), encode_commit(commit, repository_id, "main"));
    dag.number[commit.id] = i;
    dag.commits.push_back(std::move(commit));
  }
  EXPECT_TRUE(kv.apply(Context(), batch));
  return dag;
}

/// Common ancestors that no other common ancestor reaches, as merges prefer them.
std::vector<CommitId> naive_best(const Dag& dag, size_t a, size_t b) {
  std::vector<size_t> common;
  const auto from_a = dag.reached_from(a), from_b = dag.reached_from(b);
  std::set_intersection(from_a.begin(), from_a.end(), from_b.begin(), from_b.end(), std::back_inserter(common));
  std::vector<size_t> best;
  for (const size_t one : common)
    if (std::none_of(common.begin(), common.end(),
                     [&](size_t other) { return other != one && dag.reached_from(other).contains(one); }))
      best.push_back(one);
  std::sort(best.begin(), best.end(), [&](size_t x, size_t y) {
    const Commit &l = dag.commits[x], &r = dag.commits[y];
    return std::tuple(r.generation, r.date_ms, l.id) < std::tuple(l.generation, l.date_ms, r.id);
  });
  std::vector<CommitId> ids;
  for (const size_t one : best) ids.push_back(dag.commits[one].id);
  return ids;
}

TEST(CommitGraph, GivesAllBestCommonAncestorsOfRandomGraphs) {
  const Context ctx;
  base::FakeClock clock;
  Dice random(4);
  size_t several = 0, none = 0;
  for (int round = 0; round < 6000; ++round) {
    const auto kv = kv::make_memory_store();
    const Dag dag = random_dag(random, *kv, "r", 2 + random.below(24), 2 + random.below(4));
    const auto graph = std::make_shared<CommitGraph>(*kv, clock, "r", "data");
    if (round % 3 == 1) must(graph->scan(ctx));
    if (round % 3 == 2)
      for (const Commit& commit : dag.commits)
        if (random.below(2) == 0) graph->add(commit);
    for (int pair = 0; pair < 4; ++pair) {
      const size_t a = random.below(dag.commits.size()), b = random.below(dag.commits.size());
      CommitGraph::Reader reader(graph);
      const auto left = must(reader.find(ctx, dag.commits[a].id)), right = must(reader.find(ctx, dag.commits[b].id));
      std::vector<CommitId> best;
      for (const auto index : must(detail::best_common_ancestors(ctx, clock, reader, left, right)))
        best.push_back(must(reader.load(ctx, index))->id);
      ASSERT_EQ(best, naive_best(dag, a, b)) << "round " << round;
      several += best.size() > 1 ? 1 : 0;
      none += best.empty() ? 1 : 0;
    }
  }
  EXPECT_GT(several, 100u) << "histories that crossed must be among them";
  EXPECT_GT(none, 100u);
}

TEST(CommitGraph, CrissCrossHasTwoBasesAndTheNewerIsChosen) {
  World w(Backend::kMemory);
  const Repository repo = w.repository();
  const auto commit = [&](std::vector<CommitId> parents, uint64_t generation, int64_t date) {
    Commit c;
    c.parents = std::move(parents);
    c.generation = generation;
    c.date_ms = date;
    c.root = tree::empty_root(repo.parameters);
    c.id = commit_id(canonical_commit(c, repo.id, "main"));
    kv::Batch batch;
    batch.put(keys::commit(repo.id, c.id), encode_commit(c, repo.id, "main"));
    EXPECT_TRUE(w.kv->apply(w.ctx, batch));
    return c.id;
  };
  const CommitId root = commit({}, 1, 0), a = commit({root}, 2, 10), b = commit({root}, 2, 20);
  const CommitId ab = commit({a, b}, 3, 30), ba = commit({b, a}, 3, 40);
  EXPECT_EQ(must(w.engine->best_common_ancestors(w.ctx, repo, ab, ba)), (std::vector{b, a}));
  EXPECT_EQ(must(w.engine->merge_base(w.ctx, repo, ab, ba)), b);
  EXPECT_EQ(must(w.engine->merge_base(w.ctx, repo, ba, ab)), b);
  EXPECT_EQ(must(w.engine->merge_base(w.ctx, repo, ab, a)), a);
  EXPECT_EQ(w.engine->merge_base(w.ctx, repo, ab, CommitId(base::sha256("x"))).error().subject(), "commit");
  EXPECT_EQ(w.engine->merge_base(w.ctx, repo, ab, commit({}, 1, 7)).error().subject(), "merge_base");
}

TEST(CommitGraph, FindsWhatWasAddedBehindItsBack) {
  const Context ctx;
  base::FakeClock clock;
  Dice random(9);
  const auto kv = kv::make_memory_store();
  const Dag first = random_dag(random, *kv, "r", 3000, 3);
  const auto graph = std::make_shared<CommitGraph>(*kv, clock, "r", "data");
  must(graph->scan(ctx));
  EXPECT_EQ(graph->size(), first.commits.size());
  Commit child;
  child.parents = {first.commits.back().id};
  child.generation = first.commits.back().generation + 1;
  child.root = tree::empty_root({});
  child.id = commit_id(canonical_commit(child, "r", "main"));
  CommitGraph::Reader reader(graph);
  EXPECT_EQ(reader.find(ctx, child.id).error().code(), Code::kNotFound);
  kv::Batch batch;
  batch.put(keys::commit("r", child.id), encode_commit(child, "r", "main"));
  must(kv->apply(ctx, batch));
  const auto index = must(reader.find(ctx, child.id));
  EXPECT_EQ(must(reader.load(ctx, must(reader.load(ctx, index))->first))->id, first.commits.back().id);
  EXPECT_EQ(graph->size(), first.commits.size() + 1);
}

TEST(CommitGraph, AMissingParentIsAnErrorAndNoEnd) {
  World w(Backend::kMemory);
  const Repository repo = w.repository();
  w.put(repo, "main", "a", "1");
  const Commit first = w.commit(repo, "main");
  w.put(repo, "main", "a", "2");
  w.commit(repo, "main");
  kv::Batch batch;
  batch.erase(keys::commit(repo.id, first.id));
  must(w.kv->apply(w.ctx, batch));
  w.open();
  EXPECT_EQ(w.engine->log(w.ctx, repo, "main", {}).error().subject(), "commit");
  EXPECT_EQ(w.engine->resolve(w.ctx, repo, "main~2").error().subject(), "commit");
}

/// The whole log: repeatedly the newest of what is known and not given yet.
std::vector<CommitId> naive_log(const Dag& dag, size_t from, const LogQuery& query) {
  std::vector<CommitId> out;
  std::set<std::pair<base::WallMs, CommitId>> waiting = {{dag.commits[from].date_ms, dag.commits[from].id}};
  std::set<CommitId> seen = {dag.commits[from].id};
  while (!waiting.empty()) {
    const auto [date, id] = *waiting.rbegin();
    waiting.erase(std::prev(waiting.end()));
    if (query.since_ms && date < *query.since_ms) continue;
    out.push_back(id);
    if (id.hex() == query.stop_at) break;
    const Commit& commit = dag.commits[dag.of(id)];
    for (size_t i = 0; i < commit.parents.size() && (i == 0 || !query.first_parent); ++i)
      if (seen.insert(commit.parents[i]).second)
        waiting.emplace(dag.commits[dag.of(commit.parents[i])].date_ms, commit.parents[i]);
  }
  return out;
}

std::vector<CommitId> paged(World& w, const Repository& repo, const std::string& ref, LogQuery query, bool forgets) {
  std::vector<CommitId> out;
  while (true) {
    const auto page = must(w.engine->log(w.ctx, repo, ref, query));
    for (const Commit& commit : page.items) out.push_back(commit.id);
    if (!page.has_more) return out;
    EXPECT_EQ(page.items.size(), query.amount);
    query.after = page.next_after;
    if (forgets) w.open();
  }
}

TEST(Log, PagesPutTogetherAreTheWholeLogOfAnyGraph) {
  Dice random(7);
  World w(Backend::kMemory);
  const Repository repo = w.repository();
  for (int round = 0; round < 300; ++round) {
    if (round % 10 == 0) w.open();
    const Dag dag = random_dag(random, *w.kv, repo.id, 2 + random.below(60), 1 + random.below(8));
    const size_t from = dag.commits.size() - 1;
    LogQuery query;
    query.amount = 1 + random.below(12);
    query.first_parent = random.below(4) == 0;
    if (random.below(4) == 0) query.since_ms = static_cast<int64_t>(random.below(20));
    if (random.below(4) == 0) query.stop_at = dag.commits[random.below(dag.commits.size())].id.hex();
    const auto whole = naive_log(dag, from, query);
    const std::string ref = dag.commits[from].id.hex();
    ASSERT_EQ(paged(w, repo, ref, query, false), whole) << "round " << round;
    ASSERT_EQ(paged(w, repo, ref, query, round % 20 == 0), whole) << "round " << round;
    // From any point, in any order.
    for (int i = 0; i < 5 && !whole.empty(); ++i) {
      const size_t at = random.below(whole.size());
      query.after = whole[at].hex();
      query.amount = 1 + random.below(5);
      const auto page = must(w.engine->log(w.ctx, repo, ref, query));
      for (size_t k = 0; k < page.items.size(); ++k) ASSERT_EQ(page.items[k].id, whole[at + 1 + k]);
      ASSERT_EQ(page.items.size(), std::min(query.amount, whole.size() - at - 1));
      ASSERT_EQ(page.has_more, at + 1 + query.amount < whole.size());
    }
  }
}

TEST(Log, GoesBackByFirstParents) {
  Dice random(11);
  World w(Backend::kMemory);
  const Repository repo = w.repository();
  const Dag dag = random_dag(random, *w.kv, repo.id, 2500, 2);
  for (int i = 0; i < 200; ++i) {
    size_t at = random.below(dag.commits.size());
    const std::string start = dag.commits[at].id.hex();
    const uint64_t steps = random.below(40);
    uint64_t left = steps;
    for (; left > 0 && !dag.commits[at].parents.empty(); --left) at = dag.of(dag.commits[at].parents[0]);
    const auto found = w.engine->resolve(w.ctx, repo, start + "~" + std::to_string(steps));
    if (left > 0)
      ASSERT_EQ(found.error().code(), Code::kNotFound);
    else
      ASSERT_EQ(must(found).commit.id, dag.commits[at].id);
  }
}

std::string random_path(Dice& random) {
  std::string path;
  for (uint64_t depth = random.below(3); depth > 0; --depth) path += std::string(1, "abc"[random.below(3)]) + "/";
  if (random.below(12) == 0) path += "/";
  return path + std::string(1, "xyz"[random.below(3)]) + (random.below(2) == 0 ? "1" : "");
}

// Goal: the filters never miss. Method: the filtered log is the log filtered by the trees, over random histories of
// adds, removals, changes of nothing, merges, reverts, big and empty commits, and prefixes that end anywhere.
TEST(Log, FilteredIsTheLogFilteredByTheTrees) {
  for (uint64_t seed = 1; seed <= 12; ++seed) {
    SCOPED_TRACE(seed);
    World w(Backend::kMemory, seed);
    Dice random(seed * 77);
    const Repository repo = w.repository();
    std::vector<std::string> branches = {"main"};
    for (int i = 0; i < 60; ++i) {
      w.clock.advance(static_cast<int64_t>(random.below(3)) * 500);
      const std::string branch = branches[random.below(branches.size())];
      const uint64_t what = random.below(10);
      CommitSpec spec;
      spec.message = "c" + std::to_string(i);
      spec.allow_empty = true;
      if (what == 0 && branches.size() < 4) {
        branches.push_back("b" + std::to_string(i));
        must(w.engine->create_branch(w.ctx, repo, branches.back(), branch));
      } else if (what <= 3 && branches.size() > 1) {
        MergeSpec merge;
        merge.commit = spec;
        merge.strategy = random.below(2) == 0 ? tree::Strategy::kSourceWins : tree::Strategy::kDestinationWins;
        merge.squash = random.below(4) == 0;
        const std::string source = branches[random.below(branches.size())];
        if (source != branch) must(w.engine->merge(w.ctx, repo, source, branch, merge));
      } else if (what == 4) {
        (void)w.engine->revert(w.ctx, repo, branch, branch, 1, spec);
      } else {
        const uint64_t edits = what == 5 ? 30 + random.below(150) : random.below(6);
        for (uint64_t e = 0; e < edits; ++e) {
          const std::string path = what == 5 ? "wide/" + std::to_string(random.below(400)) : random_path(random);
          if (random.below(3) == 0)
            must(w.engine->stage_removal(w.ctx, repo, branch, path));
          else
            w.put(repo, branch, path, std::to_string(random.below(2)));
        }
        must(w.engine->commit(w.ctx, repo, branch, spec));
      }
    }
    for (const std::string& branch : branches) {
      LogQuery all;
      all.amount = 1000;
      const auto whole = must(w.engine->log(w.ctx, repo, branch, all)).items;
      std::map<CommitId, std::set<std::string>> changed;
      for (const Commit& commit : whole) {
        Commit before;
        before.root = tree::empty_root(repo.parameters);
        if (!commit.parents.empty()) before = must(w.engine->get_commit(w.ctx, repo, commit.parents[0]));
        for (const tree::Change& change : must(w.engine->changes(w.ctx, repo, before, repo, commit, "")))
          changed[commit.id].insert(change.key);
      }
      for (int i = 0; i < 60; ++i) {
        LogQuery query;
        query.amount = 1 + random.below(10);
        for (uint64_t n = random.below(3); n > 0; --n) query.objects.push_back(random_path(random));
        for (uint64_t n = random.below(2) + (query.objects.empty() ? 1 : 0); n > 0; --n) {
          const std::string path = random.below(5) == 0 ? "wide/17" : random_path(random);
          query.prefixes.push_back(path.substr(0, random.below(path.size() + 1)));
        }
        std::vector<CommitId> expected;
        for (const Commit& commit : whole)
          if (std::any_of(changed[commit.id].begin(), changed[commit.id].end(), [&](const std::string& key) {
                return std::find(query.objects.begin(), query.objects.end(), key) != query.objects.end() ||
                       std::any_of(query.prefixes.begin(), query.prefixes.end(),
                                   [&](const std::string& prefix) { return key.starts_with(prefix); });
              }))
            expected.push_back(commit.id);
        ASSERT_EQ(paged(w, repo, branch, query, i % 10 == 0), expected);
      }
    }
  }
}

/// A history written as packs and a journal, opened by recovery.
class LongHistoryStory {
 public:
  explicit LongHistoryStory(testing::LongHistory how) : world(Backend::kMemory) {
    written = must(testing::write_long_history(world.ctx, *world.blocks, world.clock, world.random, how));
    const auto report = must(recover(world.ctx, *world.kv, *world.blocks, world.clock, world.random));
    EXPECT_TRUE(report.whole());
    EXPECT_EQ(report.repositories.at(0).commits, how.commits);
    EXPECT_TRUE(report.repositories.at(0).unreached.empty());
    world.open();
    repo = must(world.engine->get_repository(world.ctx, how.name));
  }
  World world;
  testing::WrittenHistory written;
  Repository repo;
};

TEST(LongHistory, ComesBackFromPacksWithItsFilters) {
  testing::LongHistory how;
  how.commits = 5000;
  how.commits_a_pack = 700;
  how.hit = 1234;
  LongHistoryStory story(how);
  World& w = story.world;
  LogQuery all;
  all.amount = 999;
  const auto whole = paged(w, story.repo, "main", all, false);
  ASSERT_EQ(whole.size(), how.commits);
  EXPECT_EQ(whole.front(), story.written.main);
  EXPECT_EQ(whole.back(), story.written.first);
  LogQuery rare;
  rare.prefixes = {"rare/h"};
  EXPECT_EQ(paged(w, story.repo, "main", rare, false), std::vector{story.written.hit});
  LogQuery file;
  file.amount = 1000;
  file.objects = {"day=10/hour=13/part.parquet"};
  const auto touched = paged(w, story.repo, "main", file, false);
  EXPECT_GE(touched.size(), how.commits / 64);
  EXPECT_LE(touched.size(), how.commits / 64 + 2);
  for (const CommitId& id : touched) {
    const Commit commit = must(w.engine->get_commit(w.ctx, story.repo, id));
    if (commit.parents.empty()) continue;
    const Commit parent = must(w.engine->get_commit(w.ctx, story.repo, commit.parents[0]));
    const auto changes = must(w.engine->changes(w.ctx, story.repo, parent, story.repo, commit, ""));
    ASSERT_EQ(changes.size(), 1u);
    EXPECT_EQ(changes[0].key, file.objects[0]);
  }
  EXPECT_EQ(must(w.engine->resolve(w.ctx, story.repo, "main~4999")).commit.id, story.written.first);
  EXPECT_FALSE(w.engine->resolve(w.ctx, story.repo, "main~5000"));
  // From nowhere, over the line: the same page.
  all.after = whole[4000].hex();
  const auto page = must(w.engine->log(w.ctx, story.repo, "main", all));
  ASSERT_EQ(page.items.size(), 999u);
  EXPECT_EQ(page.items[0].id, whole[4001]);
  EXPECT_FALSE(page.has_more);
  // And it goes on.
  w.put(story.repo, "main", testing::kRareFile, "again");
  const Commit next = w.commit(story.repo, "main");
  EXPECT_EQ(paged(w, story.repo, "main", rare, false), (std::vector{next.id, story.written.hit}));
}

TEST(LongHistory, ForkedLinesMeetInTheFirstCommit) {
  testing::LongHistory how;
  how.commits = 4002;
  how.forked = true;
  LongHistoryStory story(how);
  World& w = story.world;
  EXPECT_EQ(must(w.engine->best_common_ancestors(w.ctx, story.repo, story.written.main, story.written.other)),
            std::vector{story.written.first});
  LogQuery all;
  all.amount = 500;
  EXPECT_EQ(paged(w, story.repo, "main", all, false).size(), 2002u);
  EXPECT_EQ(paged(w, story.repo, "other", all, true).size(), 2001u);
  must(w.engine->merge(w.ctx, story.repo, "other", "main", MergeSpec{.strategy = tree::Strategy::kSourceWins}));
  EXPECT_EQ(paged(w, story.repo, "main", all, false).size(), how.commits + 1);
}

TEST(CommitGraph, ManyReadersWhileCommitsLand) {
  testing::LongHistory how;
  how.commits = 6000;
  how.hit = 2;
  LongHistoryStory story(how);
  World& w = story.world;
  std::atomic<bool> done{false};
  std::vector<base::Thread> readers;
  for (int t = 0; t < 4; ++t)
    readers.emplace_back([&, t] {
      const Context ctx;
      LogQuery rare;
      rare.objects = {testing::kRareFile};
      do {
        const auto hits = must(w.engine->log(ctx, story.repo, "main", rare)).items;
        ASSERT_EQ(hits.size(), 1u);
        ASSERT_EQ(hits[0].id, story.written.hit);
        const auto head = must(w.engine->resolve(ctx, story.repo, "main")).commit;
        ASSERT_EQ(must(w.engine->merge_base(ctx, story.repo, head.id, story.written.main)), story.written.main);
        const auto back = must(w.engine->resolve(ctx, story.repo, head.id.hex() + "~" + std::to_string(1 + t)));
        ASSERT_EQ(back.commit.generation, head.generation - 1 - static_cast<uint64_t>(t));
      } while (!done.load());
    });
  for (int i = 0; i < 40; ++i) {
    w.put(story.repo, "main", "new/" + std::to_string(i), "1");
    w.commit(story.repo, "main");
  }
  done.store(true);
}

TEST(Log, RowsOfTheVersionBeforeAreReadAsMaybe) {
  World w(Backend::kMemory);
  const Repository repo = w.repository();
  w.put(repo, "main", "a/x", "1");
  const Commit first = w.commit(repo, "main");
  EXPECT_FALSE(first.filter.empty());
  EXPECT_FALSE(first.pack.empty());
  w.put(repo, "main", "b/x", "1");
  w.commit(repo, "main");
  const auto row = must(w.kv->get(w.ctx, keys::commit(repo.id, first.id)));
  Commit bare = first;
  bare.pack.clear();
  bare.filter.clear();
  std::string old = encode_commit(bare, repo.id, "main");
  old[0] = 1;
  old.resize(old.size() - 3);  // u8 0, empty text, empty text
  kv::Batch batch;
  batch.put(keys::commit(repo.id, first.id), old);
  must(w.kv->apply(w.ctx, batch));
  w.open();
  LogQuery query;
  query.objects = {"a/x"};
  const auto page = must(w.engine->log(w.ctx, repo, "main", query));
  ASSERT_EQ(page.items.size(), 1u);
  EXPECT_EQ(page.items[0].id, first.id);
}

}  // namespace
}  // namespace tarn::versioning
