// Judges what was seen: order by the linearizability checker and the graph, content by a naive three-way merge.
#include <algorithm>

#include "story.h"

namespace tarn::simulation {
namespace {

using base::testing::check_linear;
using base::testing::kNeverReturned;
using base::testing::Linear;
using base::testing::Observed;
using versioning::testing::OrderHistory;
using versioning::testing::Register;
using versioning::testing::SmallBranch;
using K = Op::Kind;

class Judge {
 public:
  explicit Judge(Played& played) : played_(played), commits_(played.ending.commits) {}

  void run() {
    played_.wrong.insert(played_.wrong.end(), played_.ending.wrong.begin(), played_.ending.wrong.end());
    for (const auto& [id, commit] : commits_) number(id);
    for (const auto& [id, commit] : commits_) by_message_[commit.message] = id;
    for (Record& record : played_.records) learn(record);
    switch (played_.plan.profile) {
      case Plan::Profile::kObjects:
        for (size_t key = 0; key < kSmallKeys; ++key) object(key);
        break;
      case Plan::Profile::kBranches:
        for (const char* name : {"main", "side"}) branch(name);
        break;
      case Plan::Profile::kRefs:
        for (const char* name : {"main", "temp"}) branch(name);
        for (const char* name : {"t0", "t1"}) tag(name);
        break;
      case Plan::Profile::kOrder:
        for (const char* name : {"main", "side", "calm"}) order(name);
        break;
    }
    for (const Record& record : played_.records) content(record);
  }

 private:
  void wrong(std::string what) { played_.wrong.push_back(std::move(what)); }
  int number(const std::string& id) { return numbers_.emplace(id, static_cast<int>(numbers_.size())).first->second; }
  int known(const std::string& id) const {
    const auto found = numbers_.find(id);
    return found == numbers_.end() ? -1 : found->second;
  }

  /// What the stores tell of a call whose caller does not know: the record of a commit lands with its head only.
  void learn(Record& r) {
    const bool makes_commit = r.op.kind == K::kCommit || r.op.kind == K::kMerge || r.op.kind == K::kRevert ||
                              r.op.kind == K::kCherryPick || r.op.kind == K::kImport;
    if (!makes_commit) return;
    const auto found = by_message_.find("op " + std::to_string(r.op.id));
    if (r.outcome == Record::Outcome::kUnknown && found != by_message_.end()) r.commit = found->second;
    if (r.outcome == Record::Outcome::kDone && !commits_.contains(r.commit))
      wrong("an acknowledged commit is not in the store: " + to_text(r));
    if (r.outcome == Record::Outcome::kRefused && found != by_message_.end() && r.op.kind != K::kImport)
      wrong("it was refused and has landed: " + to_text(r));
  }

  template <class Model>
  void decide(const std::string& of, const Model& model, const typename Model::State& initial,
              const std::vector<Observed<typename Model::Call>>& history, const std::vector<const Record*>& records) {
    const auto report = check_linear(model, initial, std::span(history), 1'000'000);
    if (report.verdict == Linear::kUndecided) ++played_.undecided;
    if (report.verdict != Linear::kNo) return;
    std::string text = "no order explains what was seen of " + of + "; the longest that was found:";
    std::set<size_t> placed;
    for (const size_t i : report.order) {
      text += "\n    " + to_text(*records[i]);
      placed.insert(i);
    }
    text += "\n  and not placed:";
    for (size_t i = 0; i < records.size(); ++i)
      if (!placed.contains(i)) text += "\n    " + to_text(*records[i]);
    wrong(text);
  }

  // Profile kObjects: nothing resets or moves the branch, so a commit changes nothing that is shown.
  void object(size_t key) {
    std::vector<Observed<Register::Call>> history;
    std::vector<const Record*> records;
    using R = Register::Call::Kind;
    for (const Record& r : played_.records) {
      if (r.op.name != "main") continue;
      const bool refused = r.outcome == Record::Outcome::kRefused;
      const bool condition = refused && r.code == Code::kConflict && r.subject == "precondition";
      Register::Call call;
      call.value = r.op.id + 1;
      call.refused = condition;
      switch (r.op.kind) {
        case K::kPut:
          call.kind = R::kPut;
          break;
        case K::kPutMany:
          if (r.map[key] < 0) continue;
          call.kind = R::kPut;
          break;
        case K::kPutIfAbsent:
          call.kind = R::kPutIfAbsent;
          break;
        case K::kPutIfMatch:
          call.kind = R::kPutIfMatch;
          call.expected = r.expected == 0 ? -1 : r.expected;  // the ETag of nothing that was ever written
          break;
        case K::kRemove:
          call.kind = R::kRemove;
          break;
        case K::kGet:
          call.kind = R::kGet;
          call.value = r.value;
          break;
        case K::kList:
          call.kind = R::kGet;
          call.value = r.map[key];
          break;
        default:
          continue;
      }
      if (r.op.kind != K::kList && r.op.kind != K::kPutMany && r.op.key != key) continue;
      if (refused && !condition) continue;
      if (call.kind == R::kGet && r.outcome != Record::Outcome::kDone) continue;
      history.push_back({call, r.invoked, r.returned});
      records.push_back(&r);
    }
    decide("main " + kPaths[key], Register{}, 0, history, records);
  }

  void tag(const std::string& name) {
    std::vector<Observed<Register::Call>> history;
    std::vector<const Record*> records;
    using R = Register::Call::Kind;
    for (const Record& r : played_.records) {
      if (r.op.name != name) continue;
      const bool refused = r.outcome == Record::Outcome::kRefused;
      Register::Call call;
      call.value = r.commit.empty() ? 0 : known(r.commit) + 1;
      switch (r.op.kind) {
        case K::kCreateTag:
          call.kind = R::kPutIfAbsent;
          call.refused = refused && r.code == Code::kAlreadyExists;
          break;
        case K::kForceTag:
          call.kind = R::kPut;
          break;
        case K::kDeleteTag:
          call.kind = R::kRemovePresent;
          call.refused = refused && r.code == Code::kNotFound;
          break;
        case K::kGetTag:
          call.kind = R::kGet;
          if (r.outcome == Record::Outcome::kUnknown || (refused && r.code != Code::kNotFound)) continue;
          history.push_back({call, r.invoked, r.returned});
          records.push_back(&r);
          continue;
        default:
          continue;
      }
      if (refused && !call.refused) continue;
      history.push_back({call, r.invoked, r.returned});
      records.push_back(&r);
    }
    decide("tag " + name, Register{}, 0, history, records);
  }

  SmallBranch model() {
    SmallBranch out;
    out.commits.resize(numbers_.size());
    for (const auto& [id, commit] : commits_)
      out.commits[static_cast<size_t>(known(id))] = {commit.map,
                                                     commit.parents.empty() ? -1 : known(commit.parents[0])};
    return out;
  }

  void branch(const std::string& name) {
    using B = SmallBranch::Call;
    std::vector<Observed<B>> history;
    std::vector<const Record*> records;
    for (const Record& r : played_.records) {
      if (r.op.name != name) continue;
      B call;
      call.key = r.op.key;
      call.value = r.op.id + 1;
      call.expected = r.expected == 0 ? -1 : r.expected;
      call.map = r.map;
      call.commit = r.commit.empty() ? -1 : known(r.commit);
      bool reads = false, makes_commit = false;
      switch (r.op.kind) {
        case K::kPut:
          call.kind = B::Kind::kPut;
          break;
        case K::kPutIfAbsent:
          call.kind = B::Kind::kPutIfAbsent;
          break;
        case K::kPutIfMatch:
          call.kind = B::Kind::kPutIfMatch;
          break;
        case K::kPutMany:
          call.kind = B::Kind::kPutMany;
          break;
        case K::kRemove:
          call.kind = B::Kind::kRemove;
          break;
        case K::kGet:
          call.kind = B::Kind::kGet;
          call.value = r.value;
          reads = true;
          break;
        case K::kList:
          call.kind = B::Kind::kList;
          reads = true;
          break;
        case K::kGetCommitted:
          call.kind = B::Kind::kGetCommitted;
          reads = true;
          break;
        case K::kReadHead:
          call.kind = B::Kind::kReadHead;
          reads = true;
          break;
        case K::kIsDirty:
          call.kind = B::Kind::kIsDirty;
          call.value = r.value;
          reads = true;
          break;
        case K::kCommit:
          call.kind = B::Kind::kCommit;
          makes_commit = true;
          break;
        case K::kMerge:
        case K::kRevert:
        case K::kCherryPick:
          call.kind = B::Kind::kLand;
          makes_commit = true;
          break;
        case K::kImport:
          call.kind = B::Kind::kLandDirty;
          makes_commit = true;
          break;
        case K::kReset:
          call.kind = B::Kind::kReset;
          call.value = r.value;
          break;
        case K::kHardReset:
          call.kind = B::Kind::kHardReset;
          break;
        case K::kCreateBranch:
          call.kind = B::Kind::kCreate;
          break;
        case K::kDeleteBranch:
          call.kind = B::Kind::kDelete;
          break;
        default:
          continue;
      }
      if (r.outcome == Record::Outcome::kUnknown && (reads || (makes_commit && call.commit < 0))) continue;
      if (r.outcome == Record::Outcome::kRefused) {
        call.refusal = refusal(r);
        if (call.refusal == B::Refusal::kNone) continue;
      }
      history.push_back({call, r.invoked, r.returned});
      records.push_back(&r);
    }
    SmallBranch::State initial;
    initial.head = known(played_.first_commit);
    initial.exists = name != "temp";
    if (!initial.exists) initial.head = 0;
    std::vector<size_t> origin;
    const auto whole = SmallBranch::two_moments(history, &origin);
    std::vector<const Record*> of_whole;
    for (const size_t i : origin) of_whole.push_back(records[i]);
    decide("branch " + name, model(), initial, whole, of_whole);
  }

  /// What a refusal says about the branch. kNone: nothing.
  static SmallBranch::Call::Refusal refusal(const Record& r) {
    using R = SmallBranch::Call::Refusal;
    if (r.code == Code::kConflict && r.subject == "precondition") return R::kCondition;
    if (r.code == Code::kInvalid && r.subject == "branch") return R::kDirty;
    if (r.code == Code::kInvalid && r.subject == "commit" && r.op.kind == K::kCommit) return R::kNoChanges;
    if (r.code == Code::kAlreadyExists && r.op.kind == K::kCreateBranch) return R::kExists;
    const bool by_ref = r.op.kind == K::kGet || r.op.kind == K::kList || r.op.kind == K::kGetCommitted;
    if (r.code == Code::kNotFound && (r.subject == "branch" || (by_ref && r.subject == "ref"))) return R::kNoBranch;
    return R::kNone;
  }

  // Profile kOrder: nothing resets these branches.
  void order(const std::string& name) {
    OrderHistory h;
    std::string at = played_.ending.heads[name];
    while (true) {
      h.chain.push_back(at);
      const auto found = commits_.find(at);
      if (found == commits_.end()) return wrong("commit " + at + " of " + name + " is not in the store");
      if (found->second.parents.empty()) break;
      at = found->second.parents[0];
    }
    std::reverse(h.chain.begin(), h.chain.end());
    for (const std::string& id : h.chain)
      for (const std::string& path : commits_[id].once) h.added.emplace(path, id);
    for (const std::string& path : played_.ending.staged_once[name]) h.staged.emplace(path, "");
    for (const Record& r : played_.records) {
      if (r.op.name != name) continue;
      if (r.op.kind == K::kPutOnce && r.outcome != Record::Outcome::kRefused)
        h.writes.push_back({"once/" + std::to_string(r.op.id), r.invoked, r.returned});
      if (r.op.kind == K::kPutOnce && r.outcome == Record::Outcome::kRefused &&
          (h.staged.contains("once/" + std::to_string(r.op.id)) || h.added.contains("once/" + std::to_string(r.op.id))))
        wrong("it was refused and took effect: " + to_text(r));
      if (r.outcome != Record::Outcome::kDone) continue;
      if (r.op.kind == K::kCommit || r.op.kind == K::kMerge) h.commits.push_back({r.commit, r.invoked, r.returned});
      if (r.op.kind == K::kReadHead) h.reads.push_back({r.commit, r.invoked, r.returned});
    }
    for (const std::string& line : versioning::testing::check_order(h)) wrong(name + ": " + line);
    // A merge takes no older source than the newest that was acknowledged before it began.
    for (const Record& merge : played_.records) {
      if (merge.op.kind != K::kMerge || merge.op.name != name || merge.outcome != Record::Outcome::kDone) continue;
      const auto past = ancestors(merge.commit);
      for (const Record& r : played_.records)
        if (r.op.kind == K::kCommit && r.op.name == merge.source && r.outcome == Record::Outcome::kDone &&
            r.returned < merge.invoked && !past.contains(r.commit))
          wrong("the merge misses a commit of its source: " + to_text(merge) + " and " + to_text(r));
    }
  }

  std::set<std::string> ancestors(const std::string& from) {
    std::set<std::string> out;
    std::vector<std::string> waiting{from};
    while (!waiting.empty()) {
      const std::string id = waiting.back();
      waiting.pop_back();
      if (!out.insert(id).second) continue;
      for (const std::string& parent : commits_[id].parents) waiting.push_back(parent);
    }
    return out;
  }
  std::set<std::string> best_bases(const std::string& a, const std::string& b) {
    const auto of_a = ancestors(a), of_b = ancestors(b);
    std::set<std::string> common, best;
    std::set_intersection(of_a.begin(), of_a.end(), of_b.begin(), of_b.end(), std::inserter(common, common.end()));
    best = common;
    for (const std::string& id : common)
      for (const std::string& above : ancestors(id))
        if (above != id) best.erase(above);
    return best;
  }

  /// What a whole commit shows, as one map.
  std::map<std::string, int> whole(const std::string& id) {
    std::map<std::string, int> out;
    const KnownCommit& commit = commits_[id];
    for (size_t k = 0; k < kSmallKeys; ++k)
      if (commit.map[k]) out[kPaths[k]] = commit.map[k];
    for (const std::string& path : commit.once) out[path] = 1;
    return out;
  }
  bool is_merge_of(const std::string& made, const std::string& base, const std::string& source,
                   const std::string& destination) {
    const auto b = whole(base), s = whole(source), d = whole(destination), m = whole(made);
    std::set<std::string> paths;
    for (const auto* map : {&b, &s, &d, &m})
      for (const auto& [path, value] : *map) paths.insert(path);
    const auto at = [](const std::map<std::string, int>& map, const std::string& path) {
      const auto found = map.find(path);
      return found == map.end() ? 0 : found->second;
    };
    for (const std::string& path : paths) {
      const int vb = at(b, path), vs = at(s, path), vd = at(d, path);
      if (vs != vb && vd != vb && vs != vd) return false;  // a conflict never lands
      if (at(m, path) != (vs == vb ? vd : vs)) return false;
    }
    return true;
  }

  /// A commit that landed holds what its operation says, whoever was told of it.
  void content(const Record& r) {
    if (r.commit.empty() || !commits_.contains(r.commit) || r.outcome == Record::Outcome::kRefused) return;
    const KnownCommit& made = commits_[r.commit];
    bool good = true;
    switch (r.op.kind) {
      case K::kMerge: {
        if (made.parents.size() != 2) return wrong("a merge without two parents: " + to_text(r));
        good = false;
        for (const std::string& base : best_bases(made.parents[0], made.parents[1]))
          good = good || is_merge_of(r.commit, base, made.parents[1], made.parents[0]);
        break;
      }
      case K::kRevert:
        good = made.parents.size() == 1 && commits_[r.source].parents.size() == 1 &&
               is_merge_of(r.commit, r.source, commits_[r.source].parents[0], made.parents[0]);
        break;
      case K::kCherryPick:
        good = made.parents.size() == 1 && commits_[r.source].parents.size() == 1 &&
               is_merge_of(r.commit, commits_[r.source].parents[0], r.source, made.parents[0]);
        break;
      case K::kImport: {
        SmallMap expected = commits_[made.parents.at(0)].map;
        expected[r.op.key] = r.op.id + 1;
        good = made.map == expected;
        break;
      }
      default:
        return;
    }
    uint64_t generation = 0;
    for (const std::string& parent : made.parents) generation = std::max(generation, commits_[parent].generation);
    if (made.generation != generation + 1) wrong("the generation does not follow the parents': " + to_text(r));
    if (!good) wrong("a commit does not hold what its operation says: " + to_text(r));
  }

  Played& played_;
  std::map<std::string, KnownCommit>& commits_;
  std::map<std::string, int> numbers_;
  std::map<std::string, std::string> by_message_;
};

}  // namespace

void judge(Played& played) {
  if (!played.ending.wrong.empty() && played.ending.commits.empty()) {
    played.wrong = played.ending.wrong;
    return;
  }
  Judge(played).run();
}

}  // namespace tarn::simulation
