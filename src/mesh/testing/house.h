#pragma once
// A mesh over small stores for tests: in memory with a clock that moves when told, or in a folder that a later process
// opens again. Files ending in .txt need no check; without the check library a .parquet cannot be tested and is
// refused.
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/testing/scratch.h"
#include "block/local.h"
#include "block/memory.h"
#include "catalog/catalog.h"
#include "kv/memory.h"
#include "kv/rocks.h"
#include "mesh/mesh.h"
#include "tasks/record.h"
#include "versioning/testing/world.h"

namespace tarn::mesh::testing {

using versioning::testing::must;
/// path -> content; nullopt removes.
using Files = std::map<std::string, std::optional<std::string>>;

/// Whoever is told of incidents: keeps every message, refuses as many as it was told to.
class Receiver final : public http::Client {
 public:
  Result<http::ClientResponse> send(const Context&, const http::ClientRequest& request) override {
    base::Lock lock(mutex_);
    ++asked_;
    http::ClientResponse response;
    response.status = 200;
    if (failures_ > 0) {
      --failures_;
      response.status = 503;
    } else {
      got_.push_back(request);
    }
    return response;
  }
  void fail(int times) {
    base::Lock lock(mutex_);
    failures_ = times;
  }
  std::vector<http::ClientRequest> got() {
    base::Lock lock(mutex_);
    return got_;
  }
  int asked() {
    base::Lock lock(mutex_);
    return asked_;
  }

 private:
  base::Mutex mutex_;
  int failures_ = 0, asked_ = 0;
  std::vector<http::ClientRequest> got_;
};

inline constexpr base::WallMs kToday = 1'382'680'800'000;  // 2013-10-25T06:00:00Z

inline std::string contract(const std::string& id, const std::string& folder, const std::string& more = "") {
  return "apiVersion: v3.1.0\nkind: DataContract\nid: " + id +
         "\nversion: 1.0.0\nstatus: active\n"
         "slaProperties: [{property: latency, value: 48, unit: h}]\n"
         "schema:\n  - name: " +
         id + "\n    physicalName: " + folder +
         "\n    customProperties: [{property: meshPartition, value: date}]\n"
         "    properties:\n      - {name: a, logicalType: integer, physicalType: INTEGER, required: true}\n" +
         more;
}

inline std::string product_file(const std::string& name, const std::string& port) {
  return "apiVersion: v1.0.0\nkind: DataProduct\nid: " + name + "\nname: " + name +
         "\noutputPorts:\n  - {name: " + port + ", version: 1.0.0}\n";
}

/// A diamond of four jobs; `first` reads the day's input.
inline constexpr const char* kPipeline =
    "pipeline: daily\ntrigger: {onInputs: [weather], partition: date}\njobs:\n"
    "  first: {reads: ['inputs/weather/date={run_key}/'], writes: ['stage/first/date={run_key}/']}\n"
    "  left: {after: [first], reads: ['stage/first/date={run_key}/'], writes: ['stage/left/date={run_key}/']}\n"
    "  right: {after: [first], reads: ['stage/first/date={run_key}/'], writes: ['stage/right/date={run_key}/']}\n"
    "  last: {after: [left, right], reads: ['stage/left/date={run_key}/'], writes: ['out/delays/date={run_key}/']}\n";

class House {
 public:
  /// @param folder  where the stores lie; empty: in memory, with a fake clock that begins on 2013-10-25 at 06:00.
  explicit House(const std::string& folder = "", quality::Engine* checks = nullptr, Options options = {})
      : clock(folder.empty() ? static_cast<base::Clock&>(fake) : base::system_clock()),
        random_(folder.empty() ? static_cast<base::Random&>(seeded_) : base::system_random()),
        folder_(folder.empty() ? scratch_.path() : folder) {
    if (folder.empty()) {
      kv = kv::make_memory_store();
      blocks = block::make_memory_store();
    } else {
      must(base::system_disk().make_directories(folder + "/blocks"));
      kv = must(kv::open_rocks_store(folder + "/kv"));
      blocks = must(block::open_local_store(base::system_disk(), folder + "/blocks"));
    }
    engine = must(versioning::Engine::open(*kv, *blocks, clock, random_, {}));
    tasks = std::make_unique<tasks::Tasks>(*kv, clock, random_, 3);
    catalog = must(catalog::Catalog::open(*kv, *blocks, base::system_disk(), *engine, *tasks, clock, random_, {}));
    auth = must(auth::Auth::open(*kv, base::system_disk(), folder_ + "/key", clock, random_));
    mesh = std::make_unique<Mesh>(Doors{*kv, *catalog, *engine, *tasks, *auth, checks, receiver, base::system_disk(),
                                        clock, random_, folder_ + "/exports", options});
    engine->set_policy(&mesh->policy);
  }
  ~House() {
    tasks->stop();
    engine->set_policy(nullptr);
  }

  void start() { must(tasks->start(ctx)); }
  /// Waits until no task is due any more; one that failed is due a second later.
  void settle() {
    for (int i = 0; i < 4000; ++i) {
      if (!something_is_due()) return;
      tasks->wake();
      base::system_clock().sleep_ms(2);
    }
    ADD_FAILURE() << "the tasks do not come to rest";
  }
  void later(int64_t ms) {
    fake.advance(ms);
    settle();
  }

  /// What differs between the tests' meshes.
  struct Founding {
    std::string mode = "every", input = "onFail: queue, onWithdraw: rollback";
    std::string rules, expectation;  ///< of the producer's contract; of the consumer (empty: it expects nothing)
  };
  /// Two products: weather/hourly in repository `weather` (ann's), and operations/delays in `analytics` (ben's), which
  /// consumes it.
  void found() { found(Founding{}); }
  void found(const Founding& f) {
    must(mesh->products.create_domain(ctx, admin, Json::object({{"name", "weather"}, {"owner", "ann"}})));
    must(mesh->products.create_domain(ctx, admin, Json::object({{"name", "operations"}, {"owner", "ben"}})));
    create(ann, "weather", "hourly", "weather",
           Json::object({{"product.odps.yaml", product_file("hourly", "hourly")},
                         {"contracts/hourly.odcs.yaml", contract("hourly", "weather/", f.rules)}}));
    Json files = Json::object(
        {{"product.odps.yaml", product_file("delays", "delays")},
         {"contracts/delays.odcs.yaml", contract("delays", "out/delays/")},
         {"inputs.yaml",
          "inputs:\n  weather: {from: 'weather/hourly:hourly@1', branch: ingest--weather, path: inputs/weather/, "
          "partition: date, mode: " +
              f.mode + ", " + f.input + "}\n"},
         {"pipelines/daily.yaml", kPipeline},
         {"exports.yaml", "exports:\n  serving: {port: delays, path: delays/}\n"}});
    if (!f.expectation.empty())
      files.set("expectations/weather.odcs.yaml", contract("expected", "inputs/weather/", f.expectation));
    create(ben, "operations", "delays", "analytics", std::move(files));
    must(mesh->subscriptions.subscribe(ctx, ben, Json::object({{"consumer", "analytics"}, {"input", "weather"}})));
    must(mesh->subscriptions.approve(ctx, ann, "analytics", "weather"));
  }
  void create(const Actor& by, const std::string& domain, const std::string& name, const std::string& repository,
              Json files) {
    must(mesh->products.create(
        ctx, by,
        Json::object({{"domain", domain}, {"name", name}, {"repository", repository}, {"files", std::move(files)}})));
  }

  versioning::Repository repository(const std::string& name) { return must(engine->get_repository(ctx, name)); }
  std::string head(const std::string& name, const std::string& branch = "main") {
    return must(engine->get_branch(ctx, repository(name), branch)).head.hex();
  }
  void stage(const std::string& name, const std::string& branch, const Files& files) {
    const auto r = repository(name);
    for (const auto& [path, content] : files) {
      if (content)
        must(engine->stage(ctx, r, branch, path, must(catalog->write_bytes(ctx, r, *content, "text/plain"))));
      else
        must(engine->stage_removal(ctx, r, branch, path));
    }
  }
  /// Commits the files on a branch of their own. @return the commit.
  std::string commit(const std::string& name, const std::string& branch, const Files& files) {
    const auto r = repository(name);
    if (!engine->get_branch(ctx, r, branch)) must(engine->create_branch(ctx, r, branch, "main"));
    stage(name, branch, files);
    versioning::CommitSpec spec;
    spec.message = branch;
    spec.committer = "tester";
    return must(engine->commit(ctx, r, branch, spec)).id.hex();
  }
  ProposalSpec spec(const std::string& name, const std::string& source, const Actor& by) {
    ProposalSpec spec;
    spec.repository = name;
    spec.source = source;
    spec.proposer.actor = by;
    return spec;
  }
  Json decide(const ProposalSpec& spec) {
    const Json opened = must(mesh->proposals.open(ctx, spec));
    return must(mesh->proposals.decide(ctx, opened["id"].as_string()));
  }
  Json propose(const std::string& name, const Files& files, const Actor& by) {
    return decide(spec(name, commit(name, "change-" + std::to_string(++changes_), files), by));
  }
  /// One day of weather that no check looks at: a name with an underscore is no data.
  Json publish(const std::string& day, const std::string& content = "20 C") {
    return propose("weather", {{"weather/date=" + day + "/_a.txt", content}}, ann);
  }
  /// One that the gate cannot test, so it refuses.
  Json publish_bad(const std::string& day) {
    return propose("weather", {{"weather/date=" + day + "/a.parquet", "no parquet"}}, ann);
  }
  /// The content of a ref, path -> checksum.
  std::map<std::string, std::string> content(const std::string& name, const std::string& ref = "main",
                                             const std::string& prefix = "") {
    std::map<std::string, std::string> out;
    const auto r = repository(name);
    must(engine->walk(ctx, r, must(engine->resolve(ctx, r, ref)).commit, prefix,
                      [&](const std::string& path, const tree::Entry& entry) {
                        out[path] = entry.etag.text();
                        return Result<void>();
                      }));
    return out;
  }
  std::string read(const std::string& name, const std::string& path) {
    const auto r = repository(name);
    const auto entry = must(engine->find(ctx, r, must(engine->resolve(ctx, r, "main")), path));
    return entry ? must(catalog->read_entry(ctx, r, *entry)) : "";
  }
  Json subscription() { return must(mesh->subscriptions.list(ctx, "analytics")).items().front(); }
  Json run(const std::string& key) { return must(mesh->runs.get(ctx, "analytics", "daily", key)); }
  std::string run_state(const std::string& key) {
    const auto run = mesh->runs.get(ctx, "analytics", "daily", key);
    return run ? (*run)["state"].as_string() : "none";
  }
  Json begin(const std::string& key, const std::string& job) {
    return must(mesh->runs.begin(ctx, ben, "analytics", "daily", key, job));
  }
  Result<Json> complete(const Json& attempt) {
    return mesh->runs.complete(ctx, attempt["attempt_id"].as_string(), attempt["fence"].as_string());
  }
  /// Begins a job, lets it write one file, completes it.
  Json work(const std::string& key, const std::string& job, const std::string& content = "x") {
    const Json attempt = begin(key, job);
    stage("analytics", attempt["branch"].as_string(),
          {{attempt["writes"].items().front().as_string() + "_a.txt", job + content}});
    return must(complete(attempt));
  }
  /// All four jobs of a day, to the end of the run.
  void work_all(const std::string& key, const std::string& content = "x") {
    for (const char* job : {"first", "left", "right", "last"}) work(key, job, content);
    settle();
  }
  void add_channel(const std::string& name, const std::string& kind = "webhook") {
    must(mesh->alerts.add_channel(
        ctx, Json::object({{"name", name}, {"kind", kind}, {"url", "http://127.0.0.1:9/" + name}})));
  }
  std::vector<Json> incidents(std::string_view state = "") {
    const Json list = must(mesh->incidents.list(ctx, state));
    return {list.items().begin(), list.items().end()};
  }
  int64_t events(std::string_view type) {
    int64_t count = 0;
    for (const auto& [id, e] : must(mesh->world.records.list(ctx, keys::kEvents)))
      count += e.json["type"].as_string() == type;
    return count;
  }

  base::FakeClock fake{kToday};
  base::Clock& clock;
  Context ctx;
  Receiver receiver;
  std::unique_ptr<kv::Store> kv;
  std::unique_ptr<block::Store> blocks;
  std::unique_ptr<versioning::Engine> engine;
  std::unique_ptr<tasks::Tasks> tasks;
  std::unique_ptr<catalog::Catalog> catalog;
  std::unique_ptr<auth::Auth> auth;
  std::unique_ptr<Mesh> mesh;
  const Actor admin{"admin", true}, ann{"ann", false}, ben{"ben", false}, stranger{"somebody", false};

 private:
  bool something_is_due() {
    const auto open = kv->scan(ctx, tasks::kOpenPrefix);
    while (const auto row = must(open->next())) {
      const auto record = must(kv->get(ctx, tasks::record_key(row->key.substr(tasks::kOpenPrefix.size()))));
      if (record && must(tasks::decode(record->value)).due_ms <= clock.wall_ms()) return true;
    }
    return false;
  }

  base::SeededRandom seeded_{7};
  base::Random& random_;
  base::testing::ScratchFolder scratch_;
  const std::string folder_;
  int changes_ = 0;
};

}  // namespace tarn::mesh::testing
