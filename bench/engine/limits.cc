// What the machine allows in this minute, without any of our structures.
#include <zstd.h>

#include <algorithm>
#include <atomic>
#include <cstring>

#include <fmt/core.h>

#include "base/disk.h"
#include "base/hash.h"
#include "base/mutex.h"
#include "base/random.h"
#include "engine/harness.h"
#include "kv/rocks.h"

namespace tarn::bench {
namespace {

/// A name in the folder that no other probe of this process or another has.
std::string fresh(const std::string& folder, const char* what) {
  must(base::system_disk().make_directories(folder));
  return fmt::format("{}/probe-{}-{}", folder, what, base::system_random().hex(6));
}

}  // namespace

Limit synced_append(const std::string& folder) {
  const std::string path = fresh(folder, "append");
  const auto file = must(base::system_disk().open(path, base::OpenMode::kCreate));
  const std::string bytes(200, 'x');
  const Spread s = latency(1, 200, [&](uint64_t) {
    must(file->append(bytes));
    must(file->sync());
  });
  must(base::system_disk().remove(path));
  return {s.median, "append and fdatasync"};
}

Limit synced_put(const std::string& folder) {
  const std::string path = fresh(folder, "put");
  double p50 = 0;
  {
    const Context ctx;
    const auto kv = must(kv::open_rocks_store(path));
    p50 = latency(1, 200, [&](uint64_t i) {
            kv::Batch batch;
            batch.put("probe/" + std::to_string(i), std::string(100, '\x01'));
            must(kv->apply(ctx, batch));
          }).median;
  }
  must(base::system_disk().remove_all(path));
  return {p50, "one synced RocksDB put"};
}

Limit synced_puts(const std::string& folder) {
  const std::string path = fresh(folder, "puts");
  double rate = 0;
  {
    const Context ctx;
    const auto kv = must(kv::open_rocks_store(path));
    std::atomic<uint64_t> done{0};
    constexpr uint64_t kRows = 8'000;
    const double spent = seconds([&] {
      std::vector<base::Thread> writers;
      for (int w = 0; w < 16; ++w)
        writers.emplace_back([&] {
          for (uint64_t i = done.fetch_add(1); i < kRows; i = done.fetch_add(1)) {
            kv::Batch batch;
            batch.put("probe/" + std::to_string(i), std::string(100, '\x01'));
            must(kv->apply(ctx, batch));
          }
        });
    });
    rate = kRows / spent;
  }
  must(base::system_disk().remove_all(path));
  return {rate, "synced RocksDB puts, 16 writers"};
}

Limit copy_rate() {
  std::string from(64 << 20, 'x'), to(64 << 20, 'y');
  std::vector<double> rates;
  for (int i = 0; i < 5; ++i) {
    from[static_cast<size_t>(i)] = 'z';
    rates.push_back(static_cast<double>(from.size()) /
                    seconds([&] { std::memcpy(to.data(), from.data(), from.size()); }));
  }
  return {quantile(rates, 0.5), "memcpy"};
}

// 44 bytes an entry: a 12-byte key remainder as in a front-coded leaf, 16 bytes of ETag that no codec shrinks, and
// numbers. Leaves of 256 entries.
Limit codec_rate() {
  constexpr size_t kEntry = 44, kLeaf = 256, kLeaves = 400;
  base::SeededRandom random(7);
  std::string leaf, packed(ZSTD_compressBound(kEntry * kLeaf), '\0');
  for (size_t i = 0; i < kLeaf; ++i) {
    std::string entry(kEntry, '\0');
    std::snprintf(entry.data(), 13, "%012zu", i);
    random.fill(entry.data() + 12, 16);
    random.fill(entry.data() + 28, 3);
    leaf += entry;
  }
  std::vector<double> rates;
  for (int round = 0; round < 5; ++round)
    rates.push_back(kLeaves * kLeaf / seconds([&] {
                      for (size_t i = 0; i < kLeaves; ++i) {
                        leaf[0] = static_cast<char>(base::sha256(leaf).bytes()[0]);
                        if (ZSTD_isError(ZSTD_compress(packed.data(), packed.size(), leaf.data(), leaf.size(), 1)))
                          give_up("zstd failed");
                      }
                    }));
  return {quantile(rates, 0.5), "SHA-256 and zstd-1 of 44 B/entry"};
}

Limit search_rate(uint64_t n) {
  std::vector<uint64_t> sorted(n);
  for (uint64_t i = 0; i < n; ++i) sorted[i] = i * 3;
  constexpr uint64_t kSearches = 1'000'000;
  uint64_t state = 1, sum = 0;
  const double spent = seconds([&] {
    for (uint64_t i = 0; i < kSearches; ++i) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      sum += static_cast<uint64_t>(std::lower_bound(sorted.begin(), sorted.end(), (state >> 20) % (n * 3)) -
                                   sorted.begin());
    }
  });
  if (sum == 0) give_up("a search found nothing");
  return {kSearches / spent, fmt::format("binary search in {} sorted numbers", power(n))};
}

Limit file_write(const std::string& folder, uint64_t bytes) {
  const std::string block(1 << 20, 'x');
  std::vector<double> rounds;
  for (int round = 0; round < 3; ++round) {
    const std::string path = fresh(folder, "file");
    const auto file = must(base::system_disk().open(path, base::OpenMode::kCreate));
    rounds.push_back(seconds([&] {
      for (uint64_t left = bytes; left > 0;) {
        const uint64_t part = std::min<uint64_t>(left, block.size());
        must(file->append(std::string_view(block).substr(0, part)));
        left -= part;
      }
      must(file->sync());
    }));
    must(base::system_disk().remove(path));
  }
  return {quantile(rounds, 0.5), "its bytes written and synced"};
}

}  // namespace tarn::bench
