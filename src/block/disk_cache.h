#pragma once
// A cache on a local disk in front of a store that is far away (docs/formats/disk-cache.md).
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/disk.h"
#include "block/cache_folder.h"
#include "block/forwarding.h"

namespace tarn::block {

/// "<namespace>/packs/<uuid>" and "<namespace>/data/<16 hex>/<16 hex>": names under which nothing else is ever written.
/// nullopt for all other names, which are never cached.
std::optional<cache_file::Kind> kind_of_immutable(const Name& name);

struct DiskCacheOptions {
  uint64_t bytes_max = 1ULL << 30;
  uint64_t block_bytes = 256 << 10;  ///< objects are read from the store and kept in blocks of this size
  /// Packs up to this size are kept when they are written, too; others when they are first read.
  uint64_t keep_written_bytes_max = 1 << 20;
  std::string store;  ///< tells stores apart that use one folder in turn; at most 64 bytes
  std::function<std::optional<cache_file::Kind>(const Name&)> kind_of = kind_of_immutable;
  base::Clock* clock = &base::system_clock();
  int64_t retry_ms = 10'000;  ///< after the disk refused a block
};

/// Passes everything on to `inner`, and answers reads and stat() of immutable objects from blocks that it keeps in
/// `folder`. What it keeps was read whole and is checked at every use: anything else is read from the store again.
/// Errors are the store's own and never kept; the cache's disk adds none to a read. Reads that miss the same block at
/// the same time are one read of the store; a reader that goes on through blocks that are not here has one request
/// open. stat() of an object that is here does not ask the store.
///
/// put() goes to the store first. remove() drops what is here, then goes to the store. Its further error: the disk's,
/// when a dropped block's file cannot be removed for good; nothing was removed from the store then.
///
/// A reader keeps its bytes when its object is removed, unless that would cost a request that nothing else needs: a
/// reader of more than nine blocks that were all here, or one that follows another reader's request, may end with
/// kNotFound.
///
/// Threads: any; no lock is held over I/O. Memory: one block a reader, the index (cache_index.h), and at put() of a
/// pack up to keep_written_bytes_max. `inner`, `disk` and the cache outlive the readers.
class DiskCache final : public Forwarding {
 public:
  struct Stats {
    int64_t hits, misses, coalesced, evictions, damaged, disk_errors;
    uint64_t bytes;
  };

  /// Errors: kBusy (another process uses the folder), kForbidden, kNoSpace, kUnavailable. Cost: lists the folder; no
  /// file is read.
  static Result<std::unique_ptr<DiskCache>> open(base::Disk& disk, const std::string& folder, Store& inner,
                                                 DiskCacheOptions options = {});
  ~DiskCache() override;

  using Store::put;
  Result<Stored> put(const Context& ctx, const Name& name, ByteSource& source) override;
  Result<std::unique_ptr<ByteReader>> open(const Context& ctx, const Name& name, uint64_t offset,
                                           std::optional<uint64_t> length) override;
  Result<std::string> read(const Context& ctx, const Name& name, uint64_t offset,
                           std::optional<uint64_t> length) override;
  Result<Info> stat(const Context& ctx, const Name& name) override;
  Result<void> remove(const Context& ctx, const Name& name) override;

  Stats stats();

 private:
  class Reader;
  class Flights;
  DiskCache(Store& inner, std::unique_ptr<CacheFolder> folder, DiskCacheOptions options);

  const DiskCacheOptions options_;
  std::unique_ptr<CacheFolder> folder_;
  std::unique_ptr<Flights> flights_;
  CacheCount hits_{"tarn_block_cache_hits_total"}, misses_{"tarn_block_cache_misses_total"},
      coalesced_{"tarn_block_cache_coalesced_total"}, hit_bytes_{"tarn_block_cache_hit_bytes_total"},
      fetched_bytes_{"tarn_block_cache_fetched_bytes_total"};
};

}  // namespace tarn::block
