#pragma once
// RocksDB's file I/O through base::Disk, so that faults and crashes can be simulated beneath it (decision D2).
#include <memory>

#include <rocksdb/env.h>

#include "base/disk.h"

namespace tarn::kv::detail {

/// An environment whose files are the disk's; threads and clocks stay RocksDB's own. Its LOG goes to our log, warnings
/// and worse only. `disk` outlives the environment.
std::unique_ptr<rocksdb::Env> make_environment(base::Disk& disk);

std::shared_ptr<rocksdb::Logger> make_logger();

}  // namespace tarn::kv::detail
