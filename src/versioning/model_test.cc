// Goal: after any sequence of operations every ref shows exactly what a naive model shows.
// Method: random operations against maps of maps, on memory and on disk. A seed that fails is made smaller: TARN_SEED
// and TARN_OPS, which are printed, replay what is left of it.
#include <gtest/gtest.h>

#include <cstdlib>
#include <set>

#include "base/testing/fewer.h"
#include "base/testing/victim.h"
#include "versioning/testing/world.h"

namespace tarn::versioning {
namespace {

using testing::Backend;
using testing::entry_of;
using testing::must;
using testing::World;
using Map = std::map<std::string, std::string>;  // path -> content

struct ModelCommit {
  Map map;
  std::vector<CommitId> parents;
  int born = -1;  ///< the operation that made it
};
struct ModelBranch {
  CommitId head;
  Map view;  ///< staged changes included
};

std::string etag(const std::string& content) { return base::to_hex(base::md5(content)); }

class Model {
 public:
  Model(Backend backend, uint64_t seed) : world_(backend, seed), seed_(seed), dice_(0), repo_(world_.repository()) {
    const CommitId head = must(engine().get_branch(ctx_, repo_, "main")).head;
    commits_[head] = {};
    branches_["main"] = {head, {}};
  }

  /// Each operation has its own dice, so that the others stay what they are when one is left out.
  /// @param told  prints what is done.
  void run(const std::set<int>& operations, bool told) {
    for (const int i : operations) {
      if (::testing::Test::HasFailure()) break;
      dice_ = base::SeededRandom((seed_ * 7919 + static_cast<uint64_t>(i)) * 2654435761 + 1);
      at_ = i;
      last_ = "nothing";
      const size_t chosen = roll(24);
      switch (chosen) {
        case 0:
        case 1:
        case 2:
        case 3:
        case 4:
        case 5:
          put();
          break;
        case 6:
        case 7:
          remove();
          break;
        case 8:
        case 9:
        case 10:
          commit();
          break;
        case 11:
          branch();
          break;
        case 12:
        case 13:
        case 14:
          merge();
          break;
        case 15:
          revert();
          break;
        case 16:
          reset();
          break;
        case 17:
          hard_reset();
          break;
        case 18:
          cherry_pick();
          break;
        case 19:
          roll(4) == 0 ? restart() : delete_branch();
          break;
        case 20:
        case 21:
          import();
          break;
        case 22:
          tag();
          break;
        case 23:
          roll(6) == 0 ? fold() : log();
          break;
      }
      if (told) std::printf("%5d  %s\n", i, last_.c_str());
      for (const auto& [name, unused] : branches_) check(name);
      if (::testing::Test::HasFailure()) ADD_FAILURE() << "after operation " << i << ": " << last_;
    }
    for (const auto& [name, unused] : branches_) check(name);
    for (const auto& [id, commit] : commits_) EXPECT_EQ(world_.content(repo_, id.hex()), etags(commit.map)) << id.hex();
    for (const auto& [name, at] : tags_) EXPECT_EQ(world_.content(repo_, name), etags(commits_[at].map)) << name;
  }

 private:
  Engine& engine() { return *world_.engine; }
  size_t roll(size_t sides) { return dice_.u64() % sides; }
  /// By a draw for each one there is: what else is there does not matter much, so that a choice stays the same when
  /// other operations are left out.
  std::string any_branch() {
    const uint64_t draw = dice_.u64();
    return std::max_element(branches_.begin(), branches_.end(),
                            [&](const auto& a, const auto& b) {
                              return base::xxh3_64(a.first, draw) < base::xxh3_64(b.first, draw);
                            })
        ->first;
  }
  std::string any_path() { return std::string(1, static_cast<char>('a' + roll(3))) + "/" + std::to_string(roll(12)); }
  CommitId any_commit() {
    const uint64_t draw = dice_.u64();
    const auto rank = [&](const ModelCommit& commit) { return base::xxh3_64(std::to_string(commit.born), draw); };
    return std::max_element(commits_.begin(), commits_.end(),
                            [&](const auto& a, const auto& b) { return rank(a.second) < rank(b.second); })
        ->first;
  }
  static Map etags(const Map& map) {
    Map out;
    for (const auto& [path, content] : map) out[path] = etag(content);
    return out;
  }
  bool dirty(const ModelBranch& b) { return b.view != commits_[b.head].map; }

  template <class... Word>
  void say(const Word&... words) {
    last_.clear();
    ((last_ += words, last_ += ' '), ...);
  }
  static std::string brief(const CommitId& id) { return id.hex().substr(0, 8); }

  void restart() {
    say("restart");
    world_.open();
  }
  void check(const std::string& name) {
    const ModelBranch& b = branches_[name];
    EXPECT_EQ(must(engine().get_branch(ctx_, repo_, name)).head, b.head) << name;
    EXPECT_EQ(world_.content(repo_, name), etags(b.view)) << name;
    EXPECT_EQ(must(engine().is_dirty(ctx_, repo_, name)), dirty(b)) << name;
  }

  void put() {
    const std::string name = any_branch(), path = any_path(), content = std::to_string(roll(5));
    say("put", name, path, "=", content);
    world_.put(repo_, name, path, content);
    branches_[name].view[path] = content;
  }
  void remove() {
    const std::string name = any_branch(), path = any_path();
    say("remove", name, path);
    must(engine().stage_removal(ctx_, repo_, name, path));
    branches_[name].view.erase(path);
  }
  void landed(const std::string& name, const Commit& commit, Map map) {
    commits_[commit.id] = {map, commit.parents, at_};
    branches_[name] = {commit.id, std::move(map)};
  }
  void commit() {
    const std::string name = any_branch();
    say("commit", name);
    ModelBranch& b = branches_[name];
    if (!dirty(b)) {
      CommitSpec spec;
      spec.message = "none";
      const auto refused = engine().commit(ctx_, repo_, name, spec);
      ASSERT_FALSE(refused);
      EXPECT_EQ(refused.error().subject(), "commit");
      return;
    }
    landed(name, world_.commit(repo_, name), b.view);
  }
  void branch() {
    if (branches_.size() > 5) return;
    const std::string name = "b" + std::to_string(at_);
    const CommitId at = any_commit();
    say("branch", name, "at", brief(at));
    must(engine().create_branch(ctx_, repo_, name, at.hex()));
    branches_[name] = {at, commits_[at].map};
  }
  void delete_branch() {
    const std::string name = any_branch();
    if (name == "main") return;
    say("delete", name);
    must(engine().delete_branch(ctx_, repo_, name));
    branches_.erase(name);
  }
  void reset() {
    const std::string name = any_branch();
    ModelBranch& b = branches_[name];
    const Map& head = commits_[b.head].map;
    const std::string prefix = roll(2) ? "" : std::string(1, static_cast<char>('a' + roll(3))) + "/";
    say("reset", name, prefix);
    must(engine().reset(ctx_, repo_, name, prefix, true));
    std::erase_if(b.view, [&](const auto& item) { return item.first.starts_with(prefix); });
    for (const auto& [path, content] : head)
      if (path.starts_with(prefix)) b.view[path] = content;
  }
  void hard_reset() {
    const std::string name = any_branch();
    const CommitId at = any_commit();
    ModelBranch& b = branches_[name];
    say("hard-reset", name, "to", brief(at));
    const auto done = engine().hard_reset(ctx_, repo_, name, at.hex());
    EXPECT_EQ(done.ok(), !dirty(b));
    if (done) b = {at, commits_[at].map};
  }

  std::set<CommitId> ancestors(const CommitId& from) {
    std::set<CommitId> out;
    std::vector<CommitId> waiting{from};
    while (!waiting.empty()) {
      const CommitId id = waiting.back();
      waiting.pop_back();
      if (!out.insert(id).second) continue;
      for (const CommitId& parent : commits_[id].parents) waiting.push_back(parent);
    }
    return out;
  }
  /// All common ancestors that no other common ancestor has as an ancestor.
  std::set<CommitId> best_bases(const CommitId& a, const CommitId& b) {
    const auto of_a = ancestors(a), of_b = ancestors(b);
    std::set<CommitId> common, best;
    for (const CommitId& id : of_a)
      if (of_b.contains(id)) common.insert(id);
    best = common;
    for (const CommitId& id : common)
      for (const CommitId& above : ancestors(id))
        if (above != id) best.erase(above);
    return best;
  }
  /// nullopt: conflicts.
  static std::optional<Map> three_way(const Map& base, const Map& source, const Map& destination, size_t& conflicts) {
    std::set<std::string> paths;
    for (const Map* m : {&base, &source, &destination})
      for (const auto& [path, unused] : *m) paths.insert(path);
    const auto at = [](const Map& m, const std::string& path) {
      const auto found = m.find(path);
      return found == m.end() ? std::optional<std::string>() : found->second;
    };
    Map out;
    conflicts = 0;
    for (const std::string& path : paths) {
      const auto b = at(base, path), s = at(source, path), d = at(destination, path);
      const auto result = s == b ? d : s;
      if (s != b && d != b && s != d) ++conflicts;
      if (result) out[path] = *result;
    }
    return conflicts ? std::nullopt : std::optional<Map>(out);
  }
  void expect_three_way(const std::string& name, const Result<Engine::MergeResult>& got, const Map& base,
                        const Map& source) {
    ModelBranch& b = branches_[name];
    if (dirty(b)) {
      ASSERT_FALSE(got);
      EXPECT_EQ(got.error().subject(), "branch");
      return;
    }
    size_t conflicts = 0;
    const auto merged = three_way(base, source, b.view, conflicts);
    if (merged && *merged == b.view) {
      ASSERT_FALSE(got);
      EXPECT_EQ(got.error().subject(), "commit");
      return;
    }
    ASSERT_TRUE(got) << got.error().text();
    EXPECT_EQ(got->conflicts.size(), conflicts);
    EXPECT_EQ(got->landed.has_value(), merged.has_value());
    if (got->landed && merged) landed(name, *got->landed, *merged);
  }
  /// Edits that land without staging: what is staged stays, what changes nothing ends.
  void import() {
    const std::string name = any_branch();
    std::map<std::string, std::optional<std::string>> edits;
    for (size_t n = 1 + roll(4); n > 0; --n)
      edits[any_path()] = roll(3) ? std::optional(std::to_string(roll(5))) : std::nullopt;
    std::vector<tree::Edit> list;
    ModelBranch& b = branches_[name];
    const Map before = commits_[b.head].map;
    Map after = before;
    say("import", name);
    for (const auto& [path, content] : edits) {
      last_ += path + "=" + content.value_or("none") + " ";
      list.push_back({path, content ? std::optional(entry_of(*content)) : std::nullopt});
      if (content)
        after[path] = *content;
      else
        after.erase(path);
    }
    world_.clock.advance(1000);
    CommitSpec spec;
    spec.message = "import";
    auto candidate = engine().prepare_edits(ctx_, repo_, name, list, spec, LandingKind::kImport);
    ASSERT_EQ(candidate.ok(), after != before);
    if (!candidate) {
      EXPECT_EQ(candidate.error().subject(), "commit");
      return;
    }
    const Commit commit = must(engine().land(ctx_, repo_, {std::move(*candidate), {}, nullptr}));
    Map view = after;
    for (const Map* map : std::initializer_list<const Map*>{&before, &b.view, &after})
      for (const auto& [path, unused] : *map) {
        const auto was = before.find(path);
        const auto is = b.view.find(path);
        const bool staged = (was == before.end()) != (is == b.view.end()) ||
                            (was != before.end() && is != b.view.end() && was->second != is->second);
        if (!staged) continue;
        if (is == b.view.end())
          view.erase(path);
        else
          view[path] = is->second;
      }
    commits_[commit.id] = {after, commit.parents, at_};
    b = {commit.id, std::move(view)};
  }
  void tag() {
    const std::string name = "t" + std::to_string(roll(3));
    const bool there = tags_.contains(name);
    say("tag", name);
    if (there && roll(2)) {
      last_ += "goes";
      must(engine().delete_tag(ctx_, repo_, name));
      tags_.erase(name);
      return;
    }
    const CommitId at = any_commit();
    const bool force = roll(2) == 0;
    const auto made = engine().create_tag(ctx_, repo_, name, at.hex(), force);
    EXPECT_EQ(made.ok(), force || !there);
    if (made) tags_[name] = at;
  }
  void fold() {
    say("fold");
    must(engine().fold_packs(ctx_, repo_));
  }
  /// Every ancestor once, none before its child, in pages of any size; and with a path the ones that changed it.
  void log() {
    const CommitId from = branches_[any_branch()].head;
    const std::string path = any_path();
    say("log of", brief(from));
    LogQuery query;
    query.amount = 1 + roll(9);
    if (roll(2)) query.objects = {path};
    std::set<CommitId> seen, want;
    const auto at = [](const Map& m, const std::string& p) {
      const auto found = m.find(p);
      return found == m.end() ? std::string() : "=" + found->second;
    };
    for (const CommitId& id : ancestors(from)) {
      const ModelCommit& commit = commits_[id];
      const Map parent = commit.parents.empty() ? Map() : commits_[commit.parents[0]].map;
      if (query.objects.empty() || at(commit.map, path) != at(parent, path)) want.insert(id);
    }
    while (true) {
      const auto page = must(engine().log(ctx_, repo_, from.hex(), query));
      for (const Commit& commit : page.items) EXPECT_TRUE(seen.insert(commit.id).second) << "twice in the log";
      if (!page.has_more) break;
      query.after = page.next_after;
    }
    EXPECT_EQ(seen, want);
  }
  void merge() {
    const std::string source = any_branch(), destination = any_branch();
    if (source == destination) return;
    say("merge", source, "into", destination);
    const CommitId from = branches_[source].head, to = branches_[destination].head;
    const CommitId base = must(engine().merge_base(ctx_, repo_, from, to));
    EXPECT_TRUE(best_bases(from, to).contains(base)) << "not a best common ancestor";
    EXPECT_EQ(must(engine().merge_base(ctx_, repo_, to, from)), base) << "the order of the two does not matter";
    world_.clock.advance(1000);
    expect_three_way(destination, engine().merge(ctx_, repo_, source, destination, {}), commits_[base].map,
                     commits_[from].map);
  }
  void revert() {
    const std::string name = any_branch();
    const CommitId undone = any_commit();
    if (commits_[undone].parents.size() != 1) return;
    say("revert", brief(undone), "on", name);
    world_.clock.advance(1000);
    const auto got = engine().revert(ctx_, repo_, name, undone.hex(), 0, {});
    expect_three_way(name, got, commits_[undone].map, commits_[commits_[undone].parents[0]].map);
  }
  void cherry_pick() {
    const std::string name = any_branch();
    const CommitId picked = any_commit();
    if (commits_[picked].parents.empty()) return;
    say("cherry-pick", brief(picked), "on", name);
    world_.clock.advance(1000);
    const auto got = engine().cherry_pick(ctx_, repo_, name, picked.hex(), 1, {});
    expect_three_way(name, got, commits_[commits_[picked].parents[0]].map, commits_[picked].map);
  }

  World world_;
  const uint64_t seed_;
  base::SeededRandom dice_;
  Context ctx_;
  Repository repo_;
  std::map<CommitId, ModelCommit> commits_;
  std::map<std::string, ModelBranch> branches_;
  std::map<std::string, CommitId> tags_;
  int at_ = 0;  ///< the operation that runs
  std::string last_;
};

std::string variable(const char* name) {
  const char* text = std::getenv(name);
  return text ? text : "";
}

/// Takes operations away while the seed still fails, each try in a process of its own, and shows what is left.
void make_smaller(const std::string& test, uint64_t seed, const std::set<int>& operations) {
  const auto environment = [&](const std::set<int>& kept) {
    return std::map<std::string, std::string>{{"TARN_SEED", std::to_string(seed)},
                                              {"TARN_OPS", base::testing::list_of(kept)}};
  };
  const auto fails = [&](const std::set<int>& fewer) {
    return !fewer.empty() && base::testing::run_again(test, environment(fewer), true) != 0;
  };
  if (!fails(operations)) {
    std::printf("seed %llu does not fail again in a process of its own\n", static_cast<unsigned long long>(seed));
    return;
  }
  const std::set<int> left = base::testing::fewer_that_fail(operations, 120, fails);
  std::printf("seed %llu fails with %zu of its %zu operations:\n", static_cast<unsigned long long>(seed), left.size(),
              operations.size());
  base::testing::run_again(test, environment(left), false);
  std::printf("repeat with: TARN_SEED=%llu TARN_OPS=%s versioning_test --gtest_filter=%s\n",
              static_cast<unsigned long long>(seed), base::testing::list_of(left).c_str(), test.c_str());
}

/// TARN_SEED: only this one. TARN_OPS: only these operations of it. TARN_MODEL_SECONDS: as many seeds as fit into them,
/// for long runs.
void run(Backend backend, uint64_t first, uint64_t count, int operations) {
  if (const std::string text = variable("TARN_SEED"); !text.empty()) {
    first = std::strtoull(text.c_str(), nullptr, 10);
    count = 1;
  }
  std::set<int> all;
  for (int i = 0; i < operations; ++i) all.insert(i);
  const std::string only = variable("TARN_OPS");
  const int64_t start = base::system_clock().steady_ms();
  const int64_t more_ms = count == 1 ? 0 : std::strtoll(variable("TARN_MODEL_SECONDS").c_str(), nullptr, 10) * 1000;
  for (uint64_t seed = first; seed < first + count || base::system_clock().steady_ms() - start < more_ms; ++seed) {
    SCOPED_TRACE("TARN_SEED=" + std::to_string(seed));
    Model(backend, seed).run(only.empty() ? all : base::testing::items_of(only), !only.empty());
    if (!::testing::Test::HasFailure()) continue;
    const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
    if (only.empty()) make_smaller(std::string(test->test_suite_name()) + "." + test->name(), seed, all);
    return;
  }
}

// Goal: a map's root does not tell how it came to be. Method: the same map by single writes in any order with commits
// and restarts in between, by batches, by an import, and by a merge.
TEST(Metamorphic, TheSameMapHasTheSameRoot) {
  for (uint64_t seed = 1; seed <= 12; ++seed) {
    SCOPED_TRACE(seed);
    World world(Backend::kMemory, seed);
    base::SeededRandom dice(seed * 31);
    const Context ctx;
    const Repository repo = world.repository();
    std::vector<std::pair<std::string, std::string>> map;
    for (int i = 0; i < 700; ++i) map.emplace_back("p/" + std::to_string(dice.u64() % 5000), std::to_string(i));
    std::sort(map.begin(), map.end());
    map.erase(std::unique(map.begin(), map.end(), [](const auto& a, const auto& b) { return a.first == b.first; }),
              map.end());
    const std::string empty = must(world.engine->get_branch(ctx, repo, "main")).head.hex();
    const auto root_of = [&](const std::string& branch) {
      return must(world.engine->resolve(ctx, repo, branch)).commit.root.id;
    };
    for (const char* name : {"singly", "batches", "half", "rest"})
      must(world.engine->create_branch(ctx, repo, name, empty));

    auto order = map;
    for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[dice.u64() % i]);
    for (size_t i = 0; i < order.size(); ++i) {
      if (dice.u64() % 5 == 0) {  // a value that is overwritten, a path that goes again
        world.put(repo, "singly", order[i].first, "other");
        world.put(repo, "singly", "q/" + std::to_string(i), "gone later");
      }
      if (dice.u64() % 90 == 0) world.commit(repo, "singly");
      if (dice.u64() % 200 == 0) world.open();
      world.put(repo, "singly", order[i].first, order[i].second);
      must(world.engine->stage_removal(ctx, repo, "singly", "q/" + std::to_string(i)));
    }
    world.commit(repo, "singly");

    std::vector<tree::Edit> edits;
    for (const auto& [path, content] : map) edits.push_back({path, entry_of(content)});
    for (size_t from = 0; from < edits.size();) {
      const size_t count = std::min<size_t>(1 + dice.u64() % 300, edits.size() - from);
      must(world.engine->stage_many(ctx, repo, "batches", std::span(edits).subspan(from, count)));
      if (dice.u64() % 2) world.commit(repo, "batches");
      from += count;
    }
    if (must(world.engine->is_dirty(ctx, repo, "batches"))) world.commit(repo, "batches");

    auto candidate = must(world.engine->prepare_edits(ctx, repo, "main", edits, {}, LandingKind::kImport));
    must(world.engine->land(ctx, repo, {std::move(candidate), {}, nullptr}));

    std::vector<tree::Edit> halves[2];
    for (const tree::Edit& edit : edits) halves[dice.u64() % 2].push_back(edit);
    must(world.engine->stage_many(ctx, repo, "half", halves[0]));
    must(world.engine->stage_many(ctx, repo, "rest", halves[1]));
    world.commit(repo, "half");
    world.commit(repo, "rest");
    EXPECT_TRUE(must(world.engine->merge(ctx, repo, "half", "rest", {})).landed);

    EXPECT_EQ(root_of("singly"), root_of("main"));
    EXPECT_EQ(root_of("batches"), root_of("main"));
    EXPECT_EQ(root_of("rest"), root_of("main"));
  }
}

TEST(EngineModel, AgreesInMemory) { run(Backend::kMemory, 1, 60, 150); }
TEST(EngineModel, AgreesOnDisk) { run(Backend::kDisk, 1000, 2, 100); }

}  // namespace
}  // namespace tarn::versioning
