// What a durable small object and a durable kv batch cost, alone and among many writers, beside the plainest durable
// way that files offer. The folder is TARN_BENCH_DIR or the system's for temporary files: give one on a real disk.
#include <benchmark/benchmark.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>

#include "base/disk.h"
#include "base/random.h"
#include "block/disk_cache.h"
#include "block/local.h"
#include "block/testing/far_store.h"
#include "kv/rocks.h"

namespace {

using namespace tarn;

std::string folder(const std::string& name) {
  const char* given = std::getenv("TARN_BENCH_DIR");
  const std::filesystem::path root = given ? std::filesystem::path(given) : std::filesystem::temp_directory_path();
  const auto path = root / ("tarn-bench-" + base::system_random().hex(4)) / name;
  std::filesystem::create_directories(path);
  return path.string();
}

void remove_parent(const std::string& path) { std::filesystem::remove_all(std::filesystem::path(path).parent_path()); }

const std::string& payload(size_t size) {
  static const std::string bytes = [] {
    std::string out(64 << 10, '\0');
    base::system_random().fill(out.data(), out.size());
    return out;
  }();
  static thread_local std::string part;
  part.assign(bytes, 0, size);
  return part;
}

std::atomic<uint64_t> next_name{0};
std::string path_of_run;
std::unique_ptr<block::Store> objects;
std::unique_ptr<kv::Store> rows;

void open_objects(const benchmark::State&) {
  path_of_run = folder("objects");
  objects = block::open_local_store(base::system_disk(), path_of_run).value();
}
void close_objects(const benchmark::State&) {
  objects.reset();
  remove_parent(path_of_run);
}
void open_rows(const benchmark::State&) {
  path_of_run = folder("kv");
  rows = kv::open_rocks_store(path_of_run, {.reserve_bytes = 0}).value();
}
void close_rows(const benchmark::State&) {
  rows.reset();
  remove_parent(path_of_run);
}
void open_plain(const benchmark::State&) { path_of_run = folder("plain"); }
void close_plain(const benchmark::State&) { remove_parent(path_of_run); }

void block_put(benchmark::State& state) {
  const std::string& bytes = payload(static_cast<size_t>(state.range(0)));
  for (auto _ : state) {
    const auto name = block::make_name("b/" + std::to_string(next_name++)).value();
    if (!objects->put({}, name, bytes)) state.SkipWithError("put failed");
  }
  state.SetItemsProcessed(state.iterations());
  state.SetBytesProcessed(state.iterations() * state.range(0));
}

/// A file, its sync, a rename and the folder's sync.
void plain_file_put(benchmark::State& state) {
  const std::string& bytes = payload(static_cast<size_t>(state.range(0)));
  base::Disk& disk = base::system_disk();
  for (auto _ : state) {
    const std::string path = path_of_run + "/" + std::to_string(next_name++);
    auto put = [&]() -> Result<void> {
      {
        TRY_LET(const auto file, disk.open(path + ".part", base::OpenMode::kCreate));
        TRY(file->append(bytes));
        TRY(file->sync());
      }
      TRY(disk.rename_exclusive(path + ".part", path));
      return disk.sync_directory(path_of_run);
    };
    if (!put()) state.SkipWithError("put failed");
  }
  state.SetItemsProcessed(state.iterations());
}

void block_read(benchmark::State& state) {
  const auto name = block::make_name("read/me").value();
  if (state.thread_index() == 0) (void)objects->put({}, name, payload(static_cast<size_t>(state.range(0))));
  for (auto _ : state) {
    auto bytes = objects->read({}, name, 0, {});
    benchmark::DoNotOptimize(bytes);
  }
  state.SetItemsProcessed(state.iterations());
}

/// Twelve kilobytes, a tree node's leaf, out of a pack of 256 KiB: from a local store; from one that is 2 ms away
/// through a cache that has nothing yet; the same with the cache warm.
enum Place : int64_t { kLocal, kCold, kWarm };
void range_read(benchmark::State& state) {
  constexpr int kPacks = 200;
  constexpr uint64_t kPackBytes = 256 << 10, kRangeBytes = 12 << 10;
  const auto name_of = [](int i) {
    return block::Name("ns/packs/00000000-0000-7000-8000-" + std::to_string(100'000'000'000 + i));
  };
  const std::string bytes(kPackBytes, 'p');
  for (int i = 0; i < kPacks; ++i) (void)objects->put({}, name_of(i), bytes);
  block::testing::FarStore far(*objects, 2);
  const auto cache = block::DiskCache::open(base::system_disk(), path_of_run + "-cache", far).value();
  if (state.range(0) == kWarm)
    for (int i = 0; i < kPacks; ++i) (void)cache->read({}, name_of(i), 0, {});
  block::Store& store = state.range(0) == kLocal ? *objects : *cache;
  int n = 0;
  for (auto _ : state) {
    auto part = store.read({}, name_of(n % kPacks), static_cast<uint64_t>(n / kPacks % 20) * kRangeBytes, kRangeBytes);
    benchmark::DoNotOptimize(part);
    ++n;
  }
  state.counters["asked"] = static_cast<double>(far.reads());
}

void kv_apply(benchmark::State& state) {
  const std::string value(200, 'v');
  for (auto _ : state) {
    kv::Batch batch;
    for (int64_t i = 0; i < state.range(0); ++i) {
      const std::string key = "row/" + std::to_string(next_name++);
      batch.require_absent(key).put(key, value);
    }
    if (!rows->apply({}, batch)) state.SkipWithError("apply failed");
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}

void kv_get(benchmark::State& state) {
  if (state.thread_index() == 0)
    for (int batch = 0; batch < 10; ++batch) {
      kv::Batch many;
      for (int i = 0; i < 1000; ++i) many.put("get/" + std::to_string(batch * 1000 + i), std::string(200, 'v'));
      (void)rows->apply({}, many);
    }
  uint64_t n = 0;
  for (auto _ : state) {
    auto row = rows->get({}, "get/" + std::to_string(n++ % 10'000));
    benchmark::DoNotOptimize(row);
  }
  state.SetItemsProcessed(state.iterations());
}

void kv_view(benchmark::State& state) {
  for (auto _ : state) {
    auto view = rows->view({});
    benchmark::DoNotOptimize(view);
  }
  state.SetItemsProcessed(state.iterations());
}

BENCHMARK(block_put)
    ->Arg(1000)
    ->Arg(16'000)
    ->Threads(1)
    ->Threads(16)
    ->Threads(64)
    ->Setup(open_objects)
    ->Teardown(close_objects)
    ->UseRealTime();
BENCHMARK(plain_file_put)
    ->Arg(1000)
    ->Arg(16'000)
    ->Threads(1)
    ->Threads(16)
    ->Threads(64)
    ->Setup(open_plain)
    ->Teardown(close_plain)
    ->UseRealTime();
BENCHMARK(block_read)->Arg(1000)->Arg(60'000)->Setup(open_objects)->Teardown(close_objects);
// As many as there are packs, so that a cold read is one.
BENCHMARK(range_read)
    ->ArgName("0local_1cold_2warm")
    ->Arg(kLocal)
    ->Arg(kCold)
    ->Arg(kWarm)
    ->Iterations(200)
    ->Setup(open_objects)
    ->Teardown(close_objects)
    ->UseRealTime();
BENCHMARK(kv_apply)
    ->Arg(1)
    ->Arg(100)
    ->Threads(1)
    ->Threads(16)
    ->Threads(64)
    ->Setup(open_rows)
    ->Teardown(close_rows)
    ->UseRealTime();
BENCHMARK(kv_get)->Setup(open_rows)->Teardown(close_rows);
BENCHMARK(kv_view)->Setup(open_rows)->Teardown(close_rows);

}  // namespace

BENCHMARK_MAIN();
