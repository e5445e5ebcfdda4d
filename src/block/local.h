#pragma once
// Objects in a folder of this machine: small ones as records in shared segments, larger ones a file each
// (docs/formats/segments.md).
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/disk.h"
#include "block/store.h"

namespace tarn::block {

struct LocalOptions {
  base::Clock* clock = &base::system_clock();  ///< deadlines only
  uint64_t small_bytes = 64 << 10;             ///< up to this size an object is a record in a segment
  uint64_t segment_bytes = 64ULL << 20;        ///< a segment is closed when it has at least this size
  uint32_t compact_dead_percent = 30;          ///< compact() empties a segment when so much of it is of no use
  uint64_t compact_open_bytes = 1 << 20;       ///< compact() closes the last segment, too, when it has more than this
};

/// Opens or makes a store in the folder and rebuilds its index. `disk` outlives the store.
///
/// Errors: kBusy (another process has it open); kCorrupt (damage that is not the torn end of a crash; the message names
///         file and offset); kForbidden, kNoSpace, kUnavailable.
/// Cost:   reads every record's header: about a second a million objects. Memory: about 80 bytes an object.
///         Removed small objects keep their bytes in the segment, and 16 bytes in memory, until compact().
Result<std::unique_ptr<Store>> open_local_store(base::Disk& disk, const std::string& folder,
                                                const LocalOptions& options = {});

}  // namespace tarn::block
