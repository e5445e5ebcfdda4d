#pragma once
// The embedded durable store: RocksDB behind groups of batches, one written at a time (docs/formats/kv.md).
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/disk.h"
#include "kv/store.h"

namespace tarn::kv {

struct RocksOptions {
  base::Clock* clock = &base::system_clock();  ///< deadlines only
  base::Disk* disk = &base::system_disk();     ///< all of RocksDB's files; outlives store, views and iterators
  uint64_t cache_bytes = 32ULL << 20;
  uint64_t memtable_bytes = 16ULL << 20;
  /// Writes answer kNoSpace, before anything is written, when less than this would stay free.
  uint64_t reserve_bytes = 64ULL << 20;
  /// Off only for throw-away data: acknowledged batches may then be lost with the machine's power.
  bool sync = true;
  /// Cuts the write-ahead log at its first damaged record instead of answering kCorrupt. For one start after a power
  /// failure on a file system that reorders appended blocks; what was acknowledged is before that record then. After
  /// bit rot it would lose acknowledged rows.
  bool cut_damaged_log = false;
};

/// Opens or creates the store in the folder.
///
/// Errors: kBusy (another process has it open), kCorrupt, kNoSpace, kForbidden, kUnavailable.
/// Threads: any; batches are applied by one thread of the store's own, in groups that share a sync. After a failed
/// write or sync the store refuses all further writes until it is opened anew (promise G12); reads go on.
Result<std::unique_ptr<Store>> open_rocks_store(const std::string& path, const RocksOptions& options = {});

}  // namespace tarn::kv
