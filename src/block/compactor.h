#pragma once
// Gives back the room that removed records take up in closed segments (docs/formats/segments.md, "Compaction").
#include <functional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/context.h"
#include "base/disk.h"
#include "block/index.h"
#include "block/journal.h"

namespace tarn::block {

/// Reads one record whole and checks it. Errors: kCorrupt, naming object, segment and offset.
Result<std::string> record_body(base::File& file, Place place, std::string_view name, uint64_t body_bytes);

struct CompactionOptions {
  uint32_t dead_percent = 30;        ///< a segment is emptied when this much of it is of no use
  uint64_t open_bytes = 1ULL << 20;  ///< the segment being written is closed and counted when it has more than this
};

/// Copies what is live of a segment behind the newest record, and only when that is durable removes the segment.
/// Readers go on with the old record, through their open file, or the new one. Threads: one at a time.
class Compactor {
 public:
  /// The folder and the file of a large object.
  struct FilePath {
    std::string folder, file;
  };

  Compactor(base::Disk& disk, base::Clock& clock, Journal& journal, Index& index, const CompactionOptions& options,
            std::function<FilePath(const Key&)> file_path)
      : disk_(disk),
        clock_(clock),
        journal_(journal),
        index_(index),
        options_(options),
        file_path_(std::move(file_path)) {}

  /// @return bytes by which the store shrank. Errors: see Store::compact().
  Result<uint64_t> run(const Context& ctx);

 private:
  struct Candidate {
    uint32_t segment = 0;
    bool open = false;
  };
  class Batch;

  std::vector<Candidate> plan();
  bool worth_it(uint32_t segment, uint64_t bytes);
  /// Empties and removes one segment. @return bytes freed
  Result<uint64_t> empty(const Context& ctx, const Candidate& candidate);
  Result<void> copy_needed(const Context& ctx, uint32_t segment, const Journal::Held& held, Batch& batch);
  Result<void> remove_files(const std::vector<Key>& dead);

  base::Disk& disk_;
  base::Clock& clock_;
  Journal& journal_;
  Index& index_;
  const CompactionOptions options_;
  const std::function<FilePath(const Key&)> file_path_;
};

}  // namespace tarn::block
