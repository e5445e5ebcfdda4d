// Tells a story: clients as tasks of a seeded scheduler, servers one after the other, every disk operation recorded.
#include <fmt/core.h>

#include "base/random.h"
#include "base/testing/baton.h"
#include "block/local.h"
#include "kv/rocks.h"
#include "story.h"

namespace tarn::crash_states {

using namespace versioning;  // NOLINT
using base::testing::Simulation;

std::string blob_bytes(uint64_t seed, uint64_t id, size_t size) {
  std::string out(size, '\0');
  base::SeededRandom(seed * 1'000'003 + id).fill(out.data(), size);
  return out;
}
std::string blob_name(uint64_t id) { return fmt::format("blobs/{}", id); }
tree::Entry entry_of(const std::string& bytes, uint64_t id) {
  tree::Entry entry;
  entry.size = bytes.size();
  entry.etag = tree::Etag::md5(base::md5(bytes));
  entry.mtime_ms = 1'700'000'000'000;
  entry.address.partition = 7;
  entry.address.sequence = id;
  return entry;
}

Result<std::unique_ptr<Server>> start(SimulatedDisk& disk, base::Clock& clock, base::Random& random,
                                      const Opening& opening) {
  auto server = std::make_unique<Server>();
  kv::RocksOptions kv_options;
  kv_options.clock = &clock;
  kv_options.disk = &disk;
  kv_options.cache_bytes = 1 << 20;
  kv_options.memtable_bytes = opening.memtable_bytes;
  kv_options.reserve_bytes = 0;
  kv_options.sync = opening.kv_syncs;
  kv_options.cut_damaged_log = opening.cut_damaged_log;
  TRY_LET(server->kv, kv::open_rocks_store("/kv", kv_options));
  block::LocalOptions block_options;
  block_options.clock = &clock;
  block_options.small_bytes = 2'000;
  block_options.segment_bytes = 30'000;
  block_options.compact_open_bytes = 10'000;
  TRY_LET(server->blocks, block::open_local_store(disk, "/objects", block_options));
  Engine::Options options;
  options.node_cache_bytes = 1 << 20;
  options.fold_from = static_cast<size_t>(opening.fold_from);
  TRY_LET(server->engine, Engine::open(*server->kv, *server->blocks, clock, random, options));
  return server;
}

Result<Shown> show(const Context& ctx, Engine& engine, const Repository& repository, const std::string& prefix) {
  Shown out;
  PageQuery refs;
  refs.prefix = prefix;
  refs.amount = 1000;
  ListQuery everything;
  everything.amount = 1000;
  TRY_LET(const Page<Branch> branches, engine.list_branches(ctx, repository, refs, true));
  for (const Branch& branch : branches.items) {
    out.refs["branch " + branch.name] = branch.head.hex();
    TRY_LET(const bool dirty, engine.is_dirty(ctx, repository, branch.name));
    out.text += fmt::format("branch {} {}\n", branch.name, dirty ? "dirty" : "clean");
    for (const std::string& ref : {branch.name + "@", branch.name}) {
      if (!dirty && ref == branch.name) continue;
      TRY_LET(const Resolved at, engine.resolve(ctx, repository, ref));
      TRY_LET(const Page<Listed> page, engine.list(ctx, repository, at, everything));
      out.text += "  " + ref + ":";
      for (const Listed& item : page.items)
        out.text += fmt::format(" {}={}", item.path, static_cast<uint64_t>(item.entry.address.sequence));
      out.text += "\n";
    }
    LogQuery log;
    log.amount = 1000;
    TRY_LET(const Page<Commit> commits, engine.log(ctx, repository, branch.name, log));
    out.text += "  log:";
    for (const Commit& commit : commits.items) out.text += " " + commit.id.hex().substr(0, 12);
    out.text += "\n";
  }
  TRY_LET(const Page<Tag> tags, engine.list_tags(ctx, repository, refs));
  for (const Tag& tag : tags.items) {
    out.refs["tag " + tag.name] = tag.commit.hex();
    out.text += fmt::format("tag {} {}\n", tag.name, tag.commit.hex().substr(0, 12));
  }
  return out;
}

namespace {

class Teller {
 public:
  Teller(Simulation& simulation, SimulatedDisk& disk, Recording& out, const Setting& setting)
      : simulation_(simulation),
        clock_(simulation),
        random_(out.seed),
        disk_(disk),
        out_(out),
        dice_(out.seed * 77 + 5) {
    opening_.kv_syncs = setting.kv_syncs;
    // Flushes in the background are RocksDB's own threads, which no seed decides: only some stories have them.
    opening_.memtable_bytes = out.seed % 5 == 4 ? 64 << 10 : 4 << 20;
    opening_.fold_from = out.seed % 3 == 0 ? 6 : 0;
  }

  void run() {
    const size_t clients = 1 + roll(3), lives = 1 + roll(3);
    for (size_t i = 0; i < clients; ++i) {
      Client client;
      client.prefix = fmt::format("c{}-", i);
      client.states.emplace_back();
      out_.clients.push_back(std::move(client));
    }
    for (size_t life = 0; life < lives && out_.broken.empty(); ++life) {
      auto server = start(disk_, clock_, random_, opening_);
      if (!server) return broken("start", server.error());
      server_ = std::move(*server);
      if (life == 0) create();
      if (!out_.broken.empty()) return;
      std::vector<base::Thread> threads;
      for (size_t i = 0; i < clients; ++i)
        threads.emplace_back(
            [this, i, count = (6 + roll(16)) / lives + 3, seed = dice_.u64()] { work(i, count, seed); });
      threads.clear();
      server_.reset();
    }
  }

 private:
  size_t roll(size_t sides) { return dice_.u64() % sides; }
  Moment now() const { return out_.steps.size(); }
  void broken(const std::string& what, const Error& error) { out_.broken = what + ": " + error.text(); }

  void create() {
    RepositoryCreation creation;
    creation.name = "data";
    creation.storage_namespace = "local://data";
    out_.created = {"create the repository", now(), kNever};
    auto made = server_->engine->create_repository(ctx_, creation);
    if (!made) return broken("create", made.error());
    repository_ = *made;
    out_.created.returned = now();
  }

  struct Own {
    size_t index;
    base::SeededRandom dice;
    std::vector<uint64_t> junk;
    size_t roll(size_t sides) { return dice.u64() % sides; }
  };

  void work(size_t index, size_t count, uint64_t seed) {
    Own own{index, base::SeededRandom(seed), {}};
    const std::string main = out_.clients[index].prefix + "main";
    if (out_.clients[index].calls.empty())
      perform(own, "branch " + main, [&]() -> Result<void> {
        TRY(server_->engine->create_branch(ctx_, repository_, main, "main"));
        return {};
      });
    for (size_t i = 0; i < count && out_.broken.empty(); ++i) step(own);
  }

  template <class Do>
  void perform(Own& own, const std::string& what, const Do& act) {
    Client& client = out_.clients[own.index];
    Call call{what, now(), kNever};
    const Result<void> done = act();
    call.returned = now();
    // A refusal is an answer; anything else must not happen on a disk that works.
    if (!done && done.error().code() != Code::kInvalid && done.error().code() != Code::kAlreadyExists &&
        done.error().code() != Code::kNotFound)
      return broken(what, done.error());
    auto shown = show(ctx_, *server_->engine, repository_, client.prefix);
    if (!shown) return broken("show after " + what, shown.error());
    client.calls.push_back(std::move(call));
    client.states.push_back(std::move(*shown));
  }

  Result<uint64_t> put_blob(Own& own) {
    const uint64_t id = ++next_blob_;
    const size_t kind = own.roll(10);
    const size_t size = kind < 6 ? 40 + own.roll(900) : kind < 9 ? 900 + own.roll(2'200) : 9'000 + own.roll(20'000);
    Blob& blob = out_.blobs[blob_name(id)];
    blob.bytes = blob_bytes(out_.seed, id, size);
    blob.put_invoked = now();
    TRY(server_->blocks->put(ctx_, *block::make_name(blob_name(id)), blob.bytes));
    blob.put_returned = now();
    return id;
  }
  Result<void> remove_blob(uint64_t id) {
    Blob& blob = out_.blobs[blob_name(id)];
    blob.remove_invoked = now();
    TRY(server_->blocks->remove(ctx_, *block::make_name(blob_name(id))));
    blob.remove_returned = now();
    return {};
  }

  /// A branch of the client that exists.
  std::string any_branch(Own& own) {
    const auto& refs = out_.clients[own.index].states.back().refs;
    std::vector<std::string> names;
    for (const auto& [name, unused] : refs)
      if (name.starts_with("branch ")) names.push_back(name.substr(7));
    return names.empty() ? "none" : names[own.roll(names.size())];
  }
  static std::string any_path(Own& own) { return fmt::format("p/{}", own.roll(9)); }
  CommitSpec spec_of(const Own& own) {
    CommitSpec spec;
    spec.message = fmt::format("{} {}", own.index, out_.clients[own.index].calls.size());
    spec.committer = "client";
    return spec;
  }
  Result<std::vector<tree::Edit>> edits(Own& own) {
    std::map<std::string, std::optional<tree::Entry>> chosen;
    for (size_t i = 2 + own.roll(4); i > 0; --i) {
      const std::string path = any_path(own);
      if (own.roll(4) == 0) {
        chosen[path] = std::nullopt;
        continue;
      }
      TRY_LET(const uint64_t id, put_blob(own));
      chosen[path] = entry_of(out_.blobs[blob_name(id)].bytes, id);
    }
    std::vector<tree::Edit> out;
    for (auto& [path, entry] : chosen) out.push_back({path, std::move(entry)});
    return out;
  }

  void step(Own& own) {
    const std::string prefix = out_.clients[own.index].prefix, main = prefix + "main", side = prefix + "side";
    const auto& refs = out_.clients[own.index].states.back().refs;
    const std::string branch = any_branch(own), path = any_path(own), tag = fmt::format("{}t{}", prefix, own.roll(2));
    const bool tagged = refs.contains("tag " + tag), forked = refs.contains("branch " + side);
    Engine& engine = *server_->engine;
    switch (own.roll(30)) {
      default:
        return perform(own, fmt::format("put {} {}", branch, path), [&]() -> Result<void> {
          TRY_LET(const uint64_t id, put_blob(own));
          return engine.stage(ctx_, repository_, branch, path, entry_of(out_.blobs[blob_name(id)].bytes, id));
        });
      case 8:
      case 9:
      case 10:
        return perform(own, "put many " + branch, [&]() -> Result<void> {
          TRY_LET(const auto list, edits(own));
          return engine.stage_many(ctx_, repository_, branch, list);
        });
      case 11:
      case 12:
        return perform(own, fmt::format("remove {} {}", branch, path),
                       [&] { return engine.stage_removal(ctx_, repository_, branch, path); });
      case 13:
      case 14:
      case 15:
      case 16:
      case 17:
        return perform(own, "commit " + branch, [&]() -> Result<void> {
          TRY(engine.commit(ctx_, repository_, branch, spec_of(own)));
          return {};
        });
      case 18:
      case 19:
      case 20:
        if (!forked)
          return perform(own, "branch " + side, [&]() -> Result<void> {
            TRY(engine.create_branch(ctx_, repository_, side, main));
            return {};
          });
        return perform(own, "merge " + side, [&]() -> Result<void> {
          MergeSpec merge;
          merge.commit = spec_of(own);
          merge.strategy = tree::Strategy::kSourceWins;
          TRY(own.roll(4) ? engine.merge(ctx_, repository_, side, main, merge)
                          : engine.merge(ctx_, repository_, main, side, merge));
          return {};
        });
      case 21:
        if (!forked) return;
        return perform(own, "delete " + side, [&] { return engine.delete_branch(ctx_, repository_, side); });
      case 22:
      case 23:
        return perform(own, "tag " + tag, [&]() -> Result<void> {
          if (tagged && own.roll(2)) return engine.delete_tag(ctx_, repository_, tag);
          TRY(engine.create_tag(ctx_, repository_, tag, branch, tagged));
          return {};
        });
      case 24:
        return perform(own, "import " + branch, [&]() -> Result<void> {
          TRY_LET(const auto list, edits(own));
          TRY_LET(Candidate candidate,
                  engine.prepare_edits(ctx_, repository_, branch, list, spec_of(own), LandingKind::kImport));
          TRY(engine.land(ctx_, repository_, {std::move(candidate), {}, nullptr}));
          return {};
        });
      case 25:
        return perform(own, "reset " + branch, [&] { return engine.reset(ctx_, repository_, branch, "", true); });
      case 26:
        return perform(own, "junk", [&]() -> Result<void> {
          if (own.junk.size() < 2 || own.roll(2)) {
            TRY_LET(const uint64_t id, put_blob(own));
            own.junk.push_back(id);
            return {};
          }
          const uint64_t id = own.junk.back();
          own.junk.pop_back();
          return remove_blob(id);
        });
      case 27:
      case 28:
        return flushing(own, "flush", [&] { return engine.flush_ref_journal(ctx_); });
      case 29:
        return flushing(own, "fold", [&]() -> Result<void> {
          TRY(engine.fold_packs(ctx_, repository_));
          return {};
        });
    }
  }
  template <class Do>
  void flushing(Own& own, const std::string& what, const Do& act) {
    Flushed flushed;
    for (const Client& client : out_.clients) flushed.calls.push_back(client.calls.size());
    perform(own, what, act);
    flushed.returned = now();
    out_.flushes.push_back(std::move(flushed));
  }

  Simulation& simulation_;
  base::testing::SimulatedClock clock_;
  base::SeededRandom random_;
  SimulatedDisk& disk_;
  Recording& out_;
  base::SeededRandom dice_;
  Opening opening_;
  Context ctx_;
  std::unique_ptr<Server> server_;
  Repository repository_;
  uint64_t next_blob_ = 0;
};

}  // namespace

Recording tell(uint64_t seed, const Setting& setting) {
  Recording out;
  out.seed = seed;
  SimulatedDisk disk;
  if (!setting.object_syncs || !setting.folder_syncs)
    disk.ignore_syncs(!setting.folder_syncs, [objects = !setting.object_syncs](const std::string& path) {
      return objects && path.starts_with("/objects");
    });
  disk.record(&out.steps);
  Simulation::Options options;
  options.seed = seed;
  options.choice = static_cast<Simulation::Choice>(seed % 3);
  options.steps_max = 3'000'000;
  Simulation simulation(options);
  Teller teller(simulation, disk, out, setting);
  simulation.run([&] { teller.run(); });
  std::string order;
  for (const DiskStep& step : out.steps)
    order +=
        fmt::format("{} {} {} {} {}\n", static_cast<int>(step.op), step.file, step.path, step.to, step.bytes.size());
  out.trace = base::xxh3_64(order);
  return out;
}

Recording tell(uint64_t seed, const Setting& setting, uint64_t trace) {
  Recording out = tell(seed, setting);
  for (int attempt = 0; attempt < 200 && trace != 0 && out.trace != trace; ++attempt) out = tell(seed, setting);
  return out;
}

}  // namespace tarn::crash_states
