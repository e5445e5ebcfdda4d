// Goal: after any sequence of operations every ref shows exactly what a naive model shows.
// Method: random operations against maps of maps, on memory and on disk; the seed is printed and TARN_SEED replays one.
#include <gtest/gtest.h>

#include <cstdlib>
#include <set>

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
};
struct ModelBranch {
  CommitId head;
  Map view;  ///< staged changes included
};

std::string etag(const std::string& content) { return base::to_hex(base::md5(content)); }

class Model {
 public:
  Model(Backend backend, uint64_t seed) : world_(backend, seed), dice_(seed * 7919 + 1), repo_(world_.repository()) {
    const CommitId head = must(engine().get_branch(ctx_, repo_, "main")).head;
    commits_[head] = {};
    branches_["main"] = {head, {}};
  }

  void run(int operations) {
    for (int i = 0; i < operations && !::testing::Test::HasFailure(); ++i) {
      const size_t chosen = roll(20);
      last_ = std::to_string(chosen);
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
          roll(4) == 0 ? world_.open() : delete_branch();
          break;
      }
      (void)any_branch();
      for (const auto& [name, unused] : branches_) check(name);
      if (::testing::Test::HasFailure()) ADD_FAILURE() << "after operation " << i << ": " << last_;
    }
    for (const auto& [name, unused] : branches_) check(name);
    for (const auto& [id, commit] : commits_) EXPECT_EQ(world_.content(repo_, id.hex()), etags(commit.map)) << id.hex();
  }

 private:
  Engine& engine() { return *world_.engine; }
  size_t roll(size_t sides) { return dice_.u64() % sides; }
  std::string any_branch() { return std::next(branches_.begin(), static_cast<long>(roll(branches_.size())))->first; }
  std::string any_path() { return std::string(1, static_cast<char>('a' + roll(3))) + "/" + std::to_string(roll(12)); }
  CommitId any_commit() { return std::next(commits_.begin(), static_cast<long>(roll(commits_.size())))->first; }
  static Map etags(const Map& map) {
    Map out;
    for (const auto& [path, content] : map) out[path] = etag(content);
    return out;
  }
  bool dirty(const ModelBranch& b) { return b.view != commits_[b.head].map; }

  void check(const std::string& name) {
    const ModelBranch& b = branches_[name];
    EXPECT_EQ(must(engine().get_branch(ctx_, repo_, name)).head, b.head) << name;
    EXPECT_EQ(world_.content(repo_, name), etags(b.view)) << name;
    EXPECT_EQ(must(engine().is_dirty(ctx_, repo_, name)), dirty(b)) << name;
  }

  void put() {
    const std::string name = any_branch(), path = any_path(), content = std::to_string(roll(5));
    world_.put(repo_, name, path, content);
    branches_[name].view[path] = content;
  }
  void remove() {
    const std::string name = any_branch(), path = any_path();
    must(engine().stage_removal(ctx_, repo_, name, path));
    branches_[name].view.erase(path);
  }
  void landed(const std::string& name, const Commit& commit, Map map) {
    commits_[commit.id] = {map, commit.parents};
    branches_[name] = {commit.id, std::move(map)};
  }
  void commit() {
    const std::string name = any_branch();
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
    const std::string name = "b" + std::to_string(next_++);
    const CommitId at = any_commit();
    must(engine().create_branch(ctx_, repo_, name, at.hex()));
    branches_[name] = {at, commits_[at].map};
  }
  void delete_branch() {
    const std::string name = any_branch();
    if (name == "main") return;
    must(engine().delete_branch(ctx_, repo_, name));
    branches_.erase(name);
  }
  void reset() {
    const std::string name = any_branch();
    ModelBranch& b = branches_[name];
    const Map& head = commits_[b.head].map;
    const std::string prefix = roll(2) ? "" : std::string(1, static_cast<char>('a' + roll(3))) + "/";
    must(engine().reset(ctx_, repo_, name, prefix, true));
    std::erase_if(b.view, [&](const auto& item) { return item.first.starts_with(prefix); });
    for (const auto& [path, content] : head)
      if (path.starts_with(prefix)) b.view[path] = content;
  }
  void hard_reset() {
    const std::string name = any_branch();
    const CommitId at = any_commit();
    ModelBranch& b = branches_[name];
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
  void merge() {
    const std::string source = any_branch(), destination = any_branch();
    if (source == destination) return;
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
    world_.clock.advance(1000);
    const auto got = engine().revert(ctx_, repo_, name, undone.hex(), 0, {});
    expect_three_way(name, got, commits_[undone].map, commits_[commits_[undone].parents[0]].map);
  }
  void cherry_pick() {
    const std::string name = any_branch();
    const CommitId picked = any_commit();
    if (commits_[picked].parents.empty()) return;
    world_.clock.advance(1000);
    const auto got = engine().cherry_pick(ctx_, repo_, name, picked.hex(), 1, {});
    expect_three_way(name, got, commits_[commits_[picked].parents[0]].map, commits_[picked].map);
  }

  World world_;
  base::SeededRandom dice_;
  Context ctx_;
  Repository repo_;
  std::map<CommitId, ModelCommit> commits_;
  std::map<std::string, ModelBranch> branches_;
  int next_ = 0;
  std::string last_;
};

void run(Backend backend, uint64_t first, uint64_t count, int operations) {
  if (const char* text = std::getenv("TARN_SEED")) {
    first = std::strtoull(text, nullptr, 10);
    count = 1;
  }
  for (uint64_t seed = first; seed < first + count; ++seed) {
    SCOPED_TRACE("TARN_SEED=" + std::to_string(seed));
    Model(backend, seed).run(operations);
    if (::testing::Test::HasFailure()) return;
  }
}

TEST(EngineModel, AgreesInMemory) { run(Backend::kMemory, 1, 60, 150); }
TEST(EngineModel, AgreesOnDisk) { run(Backend::kDisk, 1000, 2, 100); }

}  // namespace
}  // namespace tarn::versioning
