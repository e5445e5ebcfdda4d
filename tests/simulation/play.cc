// Plays a story: clients as tasks, the server's deaths, and the look at what the stores hold at the end.
#include <algorithm>

#include "base/mutex.h"
#include "base/testing/simulated_disk.h"
#include "block/local.h"
#include "kv/rocks.h"
#include "story.h"
#include "versioning/fsck.h"
#include "versioning/keys.h"
#include "versioning/records.h"
#include "versioning/recovery.h"

namespace tarn::simulation {
namespace {

using namespace versioning;  // NOLINT

tree::Entry entry_of(int value) {
  tree::Entry entry;
  entry.size = static_cast<uint64_t>(value);
  entry.etag = tree::Etag::md5(base::md5(std::to_string(value)));
  entry.mtime_ms = 1'700'000'000'000;
  entry.address.partition = 7;
  entry.address.sequence = static_cast<uint64_t>(value);
  return entry;
}

class Player {
 public:
  Player(Simulation& simulation, Played& played, Stores stores)
      : simulation_(simulation), played_(played), plan_(played.plan), stores_(stores) {}

  void run() {
    if (!open_stores()) return;
    story();
    server_.reset();  // the stores' own threads are tasks: they end in here
    kv_.reset();
    blocks_.reset();
  }

 private:
  bool open_stores() {
    if (stores_ == Stores::kMemory) {
      kv_ = kv::make_memory_store(calm_clock_);
      blocks_ = block::make_memory_store(calm_clock_);
      return true;
    }
    auto kv = kv::open_rocks_store(
        "/kv",
        {.clock = &calm_clock_, .disk = &disk_, .cache_bytes = 1 << 20, .memtable_bytes = 4 << 20, .reserve_bytes = 0});
    auto blocks = block::open_local_store(
        disk_, "/objects",
        {.clock = &calm_clock_, .small_bytes = 2'000, .segment_bytes = 30'000, .compact_open_bytes = 10'000});
    if (!kv || !blocks) {
      wrong("the stores do not open: " + (kv ? blocks.error() : kv.error()).text());
      return false;
    }
    kv_ = std::move(*kv);
    blocks_ = std::move(*blocks);
    return true;
  }

  void story() {
    start({});
    RepositoryCreation creation;
    creation.name = "data";
    creation.storage_namespace = "local://data";
    auto made = server_->engine->create_repository(ctx_, creation);
    if (!made) return wrong("set-up: " + made.error().text());
    repository_ = *made;
    auto head = server_->engine->get_branch(ctx_, repository_, "main");
    if (!head) return wrong("set-up: " + head.error().text());
    played_.first_commit = head->head.hex();
    known_.push_back(head->head.hex());
    for (const char* name : {"side", "calm"})
      if (auto branch = server_->engine->create_branch(ctx_, repository_, name, "main"); !branch)
        return wrong("set-up: " + branch.error().text());
    server_->life.faults = plan_.faults;
    {
      std::vector<base::Thread> clients;
      for (int client = 0; client < plan_.clients; ++client)
        clients.emplace_back([this, client] {
          Simulation::name_task("client " + std::to_string(client));
          for (const Op& op : plan_.ops)
            if (op.client == client) perform(op);
          ++finished_;
        });
      if (plan_.crashes > 0) clients.emplace_back([this] { kill_sometimes(); });
    }
    server_->life.faults = {};
    server_.reset();  // a last restart: nothing of it is in memory
    start({});
    if (!server_) return;
    look();
    go_on();
    server_.reset();
    check_stores();
  }

  void wrong(std::string what) { played_.ending.wrong.push_back(std::move(what)); }

  void start(const Faults& faults) {
    for (int attempt = 0; attempt < 50; ++attempt) {
      auto server = std::make_shared<Server>(simulation_, *kv_, *blocks_, simulation_.draw());
      server->life.faults = attempt < 5 ? faults : Faults{};
      Engine::Options options;
      options.fold_from = plan_.fold_from;
      options.node_cache_bytes = plan_.cache_bytes;
      options.ref_journal_ms = plan_.journal_ms;
      auto engine = Engine::open(server->kv, server->blocks, server->clock, server->random, options);
      if (!engine) {
        if (attempt >= 5) wrong("the server does not start: " + engine.error().text());
        continue;
      }
      server->engine = std::move(*engine);
      server_ = std::move(server);
      return;
    }
  }

  void kill_sometimes() {
    Simulation::name_task("death");
    for (int i = 0; i < plan_.crashes; ++i) {
      const uint64_t pause = 1 + simulation_.draw() % 800;
      for (uint64_t step = 0; step < pause; ++step) Simulation::yield();
      if (finished_ == plan_.clients) return;
      server_->life.dead = true;
      ++played_.crashes;
      start(plan_.faults);
    }
  }

  std::string any_known(uint64_t dice) { return known_[dice % known_.size()]; }

  void perform(const Op& op) {
    Record record;
    record.op = op;
    const std::shared_ptr<Server> server = server_;
    record.invoked = ++moment_;
    const Result<void> done = call(*server->engine, op, record);
    if (done) {
      record.outcome = Record::Outcome::kDone;
    } else {
      record.code = done.error().code();
      record.subject = done.error().subject();
      record.message = done.error().message();
      const bool unknown = done.error().outcome() == base::Outcome::kUnknown || server->life.dead;
      record.outcome = unknown ? Record::Outcome::kUnknown : Record::Outcome::kRefused;
    }
    if (record.outcome != Record::Outcome::kUnknown) record.returned = ++moment_;
    played_.records.push_back(std::move(record));
  }

  CommitSpec spec_of(const Op& op) {
    CommitSpec spec;
    spec.message = "op " + std::to_string(op.id);
    spec.committer = "client";
    return spec;
  }

  Result<void> landed(Record& record, const Commit& commit) {
    record.commit = commit.id.hex();
    known_.push_back(record.commit);
    return {};
  }
  Result<void> landed(Record& record, const Engine::MergeResult& merged) {
    if (merged.landed) return landed(record, *merged.landed);
    return Error(Code::kMergeConflict, "merge", std::to_string(merged.conflicts.size()) + " conflicts");
  }

  Result<SmallMap> shown(Engine& engine, const Resolved& at) {
    SmallMap map{};
    ListQuery query;
    query.amount = 1000;
    TRY_LET(const Page<Listed> page, engine.list(ctx_, repository_, at, query));
    std::string last;
    for (const Listed& item : page.items) {
      if (item.path <= last) return Error(Code::kInternal, "list", "it is not in order: " + item.path);
      last = item.path;
      const auto found = std::find(std::begin(kPaths), std::end(kPaths), item.path);
      if (found != std::end(kPaths)) map[static_cast<size_t>(found - kPaths)] = static_cast<int>(item.entry.size);
    }
    return map;
  }

  Result<void> call(Engine& engine, const Op& op, Record& record) {
    using K = Op::Kind;
    const int value = op.id + 1;
    const std::string& path = kPaths[op.key];
    switch (op.kind) {
      case K::kPut:
        return engine.stage(ctx_, repository_, op.name, path, entry_of(value));
      case K::kPutIfAbsent:
        return engine.stage(ctx_, repository_, op.name, path, entry_of(value), {Expect::Kind::kAbsent, ""});
      case K::kPutIfMatch: {
        record.expected = last_seen_[op.name + path];
        const std::string etag = entry_of(record.expected).etag.text();
        return engine.stage(ctx_, repository_, op.name, path, entry_of(value), {Expect::Kind::kEtag, etag});
      }
      case K::kPutMany: {
        std::vector<tree::Edit> edits;
        for (size_t k = 0; k < kSmallKeys; ++k) {
          record.map[k] = op.dice >> k & 1 ? value : -1;
          if (record.map[k] >= 0) edits.push_back({kPaths[k], entry_of(value)});
        }
        return engine.stage_many(ctx_, repository_, op.name, edits);
      }
      case K::kPutOnce:
        return engine.stage(ctx_, repository_, op.name, "once/" + std::to_string(op.id), entry_of(value));
      case K::kRemove:
        return engine.stage_removal(ctx_, repository_, op.name, path);
      case K::kGet: {
        TRY_LET(const Resolved at, engine.resolve(ctx_, repository_, op.name));
        TRY_LET(const std::optional<tree::Entry> entry, engine.find(ctx_, repository_, at, path));
        record.value = entry ? static_cast<int>(entry->size) : 0;
        if (record.value) last_seen_[op.name + path] = record.value;
        return {};
      }
      case K::kList: {
        TRY_LET(const Resolved at, engine.resolve(ctx_, repository_, op.name));
        TRY_LET(record.map, shown(engine, at));
        return {};
      }
      case K::kGetCommitted: {
        TRY_LET(const Resolved at, engine.resolve(ctx_, repository_, op.name + "@"));
        TRY_LET(record.map, shown(engine, at));
        return {};
      }
      case K::kReadHead: {
        TRY_LET(const Branch branch, engine.get_branch(ctx_, repository_, op.name));
        record.commit = branch.head.hex();
        return {};
      }
      case K::kIsDirty: {
        TRY_LET(const bool dirty, engine.is_dirty(ctx_, repository_, op.name));
        record.value = dirty;
        return {};
      }
      case K::kCommit: {
        TRY_LET(const Commit commit, engine.commit(ctx_, repository_, op.name, spec_of(op)));
        return landed(record, commit);
      }
      case K::kMerge: {
        record.source = op.name == "side" ? "main" : "side";
        if (op.name == "calm" && op.dice % 2) record.source = "main";
        MergeSpec spec;
        spec.commit = spec_of(op);
        TRY_LET(const auto merged, engine.merge(ctx_, repository_, record.source, op.name, spec));
        return landed(record, merged);
      }
      case K::kRevert: {
        record.source = any_known(op.dice);
        TRY_LET(const auto merged, engine.revert(ctx_, repository_, op.name, record.source, 0, spec_of(op)));
        return landed(record, merged);
      }
      case K::kCherryPick: {
        record.source = any_known(op.dice);
        TRY_LET(const auto merged, engine.cherry_pick(ctx_, repository_, op.name, record.source, 0, spec_of(op)));
        return landed(record, merged);
      }
      case K::kImport: {
        const std::vector<tree::Edit> edits{{path, entry_of(value)}};
        TRY_LET(Candidate candidate,
                engine.prepare_edits(ctx_, repository_, op.name, edits, spec_of(op), LandingKind::kImport));
        TRY_LET(const Commit commit, engine.land(ctx_, repository_, {std::move(candidate), {}, nullptr}));
        return landed(record, commit);
      }
      case K::kReset: {
        const uint64_t what = op.dice % 4;
        record.value = what == 0 ? 15 : what == 1 ? 3 : what == 2 ? 12 : 1 << op.key;
        return engine.reset(ctx_, repository_, op.name,
                            what == 0   ? ""
                            : what == 1 ? "a/"
                            : what == 2 ? "b/"
                                        : path,
                            what != 3);
      }
      case K::kHardReset:
        record.commit = any_known(op.dice);
        return engine.hard_reset(ctx_, repository_, op.name, record.commit);
      case K::kCreateBranch: {
        record.commit = any_known(op.dice);
        TRY(engine.create_branch(ctx_, repository_, op.name, record.commit));
        return {};
      }
      case K::kDeleteBranch:
        return engine.delete_branch(ctx_, repository_, op.name);
      case K::kCreateTag:
      case K::kForceTag: {
        record.commit = any_known(op.dice);
        TRY(engine.create_tag(ctx_, repository_, op.name, record.commit, op.kind == K::kForceTag));
        return {};
      }
      case K::kDeleteTag:
        return engine.delete_tag(ctx_, repository_, op.name);
      case K::kGetTag: {
        TRY_LET(const Tag tag, engine.get_tag(ctx_, repository_, op.name));
        record.commit = tag.commit.hex();
        return {};
      }
      case K::kFold:
        TRY(engine.fold_packs(ctx_, repository_));
        return {};
      case K::kFlush:
        return engine.flush_ref_journal(ctx_);
    }
    return {};
  }

  /// What an auditor sees after a restart without faults: every read must succeed, and is part of the history.
  void look() {
    std::vector<std::string> branches;
    if (const auto page = server_->engine->list_branches(ctx_, repository_, {}, true)) {
      for (const Branch& branch : page->items) {
        branches.push_back(branch.name);
        played_.ending.heads[branch.name] = branch.head.hex();
      }
    } else {
      return wrong("the branches cannot be listed: " + page.error().text());
    }
    Op op;
    op.client = plan_.clients;
    op.id = 100'000;
    for (const std::string& branch : branches) {
      op.name = branch;
      for (const auto kind : {Op::Kind::kReadHead, Op::Kind::kList, Op::Kind::kGetCommitted, Op::Kind::kIsDirty}) {
        op.kind = kind;
        ++op.id;
        perform(op);
        if (played_.records.back().outcome != Record::Outcome::kDone)
          wrong("a read at the end fails: " + to_text(played_.records.back()));
      }
      op.kind = Op::Kind::kGet;
      for (op.key = 0; op.key < kSmallKeys; ++op.key) {
        ++op.id;
        perform(op);
      }
      auto at = server_->engine->resolve(ctx_, repository_, branch);
      if (!at) {
        wrong("the branch cannot be resolved: " + at.error().text());
        continue;
      }
      ListQuery query;
      query.prefix = "once/";
      query.amount = 1000;
      if (const auto page = server_->engine->list(ctx_, repository_, *at, query))
        for (const Listed& item : page->items) played_.ending.staged_once[branch].insert(item.path);
      else
        wrong("the branch cannot be listed: " + page.error().text());
    }
    op.kind = Op::Kind::kGetTag;
    for (const char* tag : {"t0", "t1"}) {
      op.name = tag;
      ++op.id;
      perform(op);
    }
    // Every commit that the store knows, whole.
    const auto rows = kv_->scan(ctx_, keys::commits(repository_.id));
    while (true) {
      const auto row = rows->next();
      if (!row || !*row) break;
      const auto stored = decode_commit((*row)->row.value);
      if (!stored) {
        wrong("a commit's record: " + stored.error().text());
        continue;
      }
      const Commit& commit = stored->commit;
      KnownCommit& known = played_.ending.commits[commit.id.hex()];
      for (const CommitId& parent : commit.parents) known.parents.push_back(parent.hex());
      known.message = commit.message;
      known.generation = commit.generation;
      const auto walked =
          server_->engine->walk(ctx_, repository_, commit, "", [&](const std::string& path, const tree::Entry& entry) {
            const auto found = std::find(std::begin(kPaths), std::end(kPaths), path);
            if (found != std::end(kPaths))
              known.map[static_cast<size_t>(found - kPaths)] = static_cast<int>(entry.size);
            else
              known.once.insert(path);
            return Result<void>();
          });
      if (!walked) wrong("commit " + commit.id.hex() + " cannot be read: " + walked.error().text());
    }
    if (plan_.profile == Plan::Profile::kOrder || plan_.profile == Plan::Profile::kRefs) return;
    for (const auto& [a, of_a] : played_.ending.heads)
      for (const auto& [b, of_b] : played_.ending.heads) bases(of_a, of_b);
  }

  void bases(const std::string& a, const std::string& b) {
    const auto base = server_->engine->merge_base(ctx_, repository_, *CommitId::from_hex(a), *CommitId::from_hex(b));
    if (!base) wrong("no merge base of two heads: " + base.error().text());
  }

  /// Whatever happened, the next operation of each kind succeeds (G16).
  void go_on() {
    Engine& engine = *server_->engine;
    const auto must = [&](const char* what, const auto& result) {
      if (!result) wrong(std::string("after all faults are over, ") + what + " fails: " + result.error().text());
    };
    CommitSpec spec;
    spec.message = "afterwards";
    spec.committer = "auditor";
    must("a write", engine.stage(ctx_, repository_, "main", "afterwards", entry_of(1)));
    must("a commit", engine.commit(ctx_, repository_, "main", spec));
    must("a reset", engine.reset(ctx_, repository_, "calm", "", true));
    MergeSpec merge;
    merge.strategy = tree::Strategy::kSourceWins;
    must("a merge", engine.merge(ctx_, repository_, "main", "calm", merge));
    must("a branch", engine.create_branch(ctx_, repository_, "afterwards", "main"));
    must("its removal", engine.delete_branch(ctx_, repository_, "afterwards"));
    must("folding", engine.fold_packs(ctx_, repository_));
    must("the ref journal", engine.flush_ref_journal(ctx_));
    for (const auto& [id, commit] : played_.ending.commits) {
      const auto at = engine.get_commit(ctx_, repository_, *CommitId::from_hex(id));
      if (!at) {
        wrong("commit " + id + " is gone after folding: " + at.error().text());
        continue;
      }
      must("reading a folded commit",
           engine.walk(ctx_, repository_, *at, "",
                       [](const std::string&, const tree::Entry&) { return Result<void>(); }));
    }
    if (const auto page = engine.list_branches(ctx_, repository_, {}, true))
      for (const Branch& branch : page->items) last_heads_[branch.name] = branch.head.hex();
    if (const auto page = engine.list_tags(ctx_, repository_, {}))
      for (const Tag& tag : page->items) last_tags_[tag.name] = tag.commit.hex();
  }

  /// fsck finds no lie, and without the key-value store every ref comes back.
  void check_stores() {
    base::SeededRandom random(1);
    const auto report = fsck(ctx_, *kv_, *blocks_, calm_clock_, random, {});
    if (!report) return wrong("fsck fails: " + report.error().text());
    for (const Lie& lie : report->lies) wrong("fsck: " + lie.what + " " + lie.subject + ": " + lie.message);
    const auto fresh = kv::make_memory_store(calm_clock_);
    const auto recovered = recover(ctx_, *fresh, *blocks_, calm_clock_, random);
    if (!recovered) return wrong("recovery fails: " + recovered.error().text());
    for (const RecoveredRepository& repository : recovered->repositories)
      for (const std::string& loss : repository.losses) wrong("recovery lost: " + loss);
    auto engine = Engine::open(*fresh, *blocks_, calm_clock_, random, {});
    if (!engine) return wrong("the recovered store does not open: " + engine.error().text());
    const auto repository = (*engine)->get_repository(ctx_, "data");
    if (!repository) return wrong("the repository was not recovered: " + repository.error().text());
    std::map<std::string, std::string> heads, tags;
    if (const auto page = (*engine)->list_branches(ctx_, *repository, {}, true))
      for (const Branch& branch : page->items) heads[branch.name] = branch.head.hex();
    if (const auto page = (*engine)->list_tags(ctx_, *repository, {}))
      for (const Tag& tag : page->items) tags[tag.name] = tag.commit.hex();
    if (heads != last_heads_) wrong("recovery brings other heads back");
    if (tags != last_tags_) wrong("recovery brings other tags back");
  }

  Simulation& simulation_;
  Played& played_;
  const Plan& plan_;
  const Stores stores_;
  base::FakeClock calm_clock_;
  base::testing::SimulatedDisk disk_;
  std::unique_ptr<kv::Store> kv_;
  std::unique_ptr<block::Store> blocks_;
  std::shared_ptr<Server> server_;
  Context ctx_;
  Repository repository_;
  int64_t moment_ = 0;
  int finished_ = 0;
  std::vector<std::string> known_;        // commits that somebody was told of
  std::map<std::string, int> last_seen_;  // branch + path -> value
  std::map<std::string, std::string> last_heads_, last_tags_;
};

}  // namespace

Played play(uint64_t seed, const std::optional<std::set<int>>& keep, uint64_t schedule, Stores stores) {
  Played played;
  played.plan = make_plan(seed);
  if (keep) std::erase_if(played.plan.ops, [&](const Op& op) { return !keep->contains(op.id); });
  Simulation::Options options;
  options.seed = seed + schedule * 1'000'003;
  options.choice = played.plan.choice;
  options.steps_max = 3'000'000;
  Simulation simulation(options);
  Player player(simulation, played, stores);
  simulation.run([&] { player.run(); });
  played.steps = simulation.steps();
  played.trace = simulation.trace();
  judge(played);
  return played;
}

}  // namespace tarn::simulation
