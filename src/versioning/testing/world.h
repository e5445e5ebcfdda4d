#pragma once
// A small world for tests: stores in memory or on disk, a clock that moves when told, seeded randomness.
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/random.h"
#include "base/testing/scratch.h"
#include "block/local.h"
#include "block/memory.h"
#include "kv/memory.h"
#include "kv/rocks.h"
#include "versioning/engine.h"

namespace tarn::versioning::testing {

enum class Backend { kMemory, kDisk };

inline tree::Entry entry_of(std::string_view content) {
  tree::Entry entry;
  entry.size = content.size();
  entry.etag = tree::Etag::md5(base::md5(content));
  entry.mtime_ms = 1'700'000'000'000;
  entry.address.partition = 7;
  entry.address.sequence = base::xxh3_64(content);
  entry.content_type = "text/plain";
  return entry;
}

/// The value of a Result; an error fails the test and stops it here.
template <class T>
T must(Result<T> result) {
  if (!result) ADD_FAILURE() << result.error().text();
  return std::move(result).value();
}
inline void must(const Result<void>& result) { EXPECT_TRUE(result) << (result ? "" : result.error().text()); }

class World {
 public:
  explicit World(Backend backend, uint64_t seed = 1) : random(seed) {
    if (backend == Backend::kMemory) {
      kv = kv::make_memory_store();
      blocks = block::make_memory_store();
    } else {
      folder = std::make_unique<base::testing::ScratchFolder>();
      kv = must(kv::open_rocks_store(folder->path() + "/kv"));
      must(base::system_disk().make_directories(folder->path() + "/blocks"));
      blocks = must(block::open_local_store(base::system_disk(), folder->path() + "/blocks"));
    }
    open();
  }
  void open() {
    engine.reset();
    engine = must(Engine::open(*kv, *blocks, clock, random, {}));
  }
  Repository repository(const std::string& name = "data") {
    RepositoryCreation creation;
    creation.name = name;
    creation.storage_namespace = "local://" + name;
    return must(engine->create_repository(ctx, creation));
  }
  void put(const Repository& r, std::string_view branch, const std::string& path, std::string_view content) {
    must(engine->stage(ctx, r, branch, path, entry_of(content)));
  }
  Commit commit(const Repository& r, std::string_view branch, const std::string& message = "change") {
    clock.advance(1000);
    CommitSpec spec;
    spec.message = message;
    spec.committer = "tester";
    return must(engine->commit(ctx, r, branch, spec));
  }
  /// path -> checksum of all that a ref shows.
  std::map<std::string, std::string> content(const Repository& r, std::string_view ref) {
    std::map<std::string, std::string> out;
    ListQuery query;
    query.amount = 7;  // small pages, so that paging is tested everywhere
    const Resolved at = must(engine->resolve(ctx, r, ref));
    while (true) {
      auto page = must(engine->list(ctx, r, at, query));
      for (const Listed& item : page.items) EXPECT_TRUE(out.emplace(item.path, item.entry.etag.text()).second);
      if (!page.has_more) return out;
      query.after = page.next_after;
    }
  }

  std::unique_ptr<base::testing::ScratchFolder> folder;
  std::unique_ptr<kv::Store> kv;
  std::unique_ptr<block::Store> blocks;
  base::FakeClock clock;
  base::SeededRandom random;
  std::unique_ptr<Engine> engine;
  Context ctx;
};

}  // namespace tarn::versioning::testing
