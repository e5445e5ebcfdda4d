#pragma once
// The listing of one import path, sorted: kept while the import runs, so that it lists once whatever happens. Scratch
// of the server's own: the bytes are in docs/formats/import-run.md, and a run that is damaged is listed again.
#include <memory>
#include <string>
#include <string_view>

#include "base/disk.h"
#include "base/result.h"

namespace tarn::catalog::detail {

/// A file as it was listed. Its path is relative to the listed folder.
struct Listed {
  std::string path;
  uint64_t size = 0;
  int64_t mtime_ns = 0;
};

/// A finished run: in memory when it is small or has no file to go to, else a durable file.
struct Run {
  uint64_t count = 0;
  std::shared_ptr<const std::string> bytes;  ///< of a run in memory
  std::string file;                          ///< of one on disk; stays until somebody removes it
};

/// Writes a run. Memory: what a run in memory may have, and what is written at once (1 MiB).
class RunWriter {
 public:
  /// @param file  where a long run goes, its folder is made; empty: nowhere, it stays in memory.
  /// @param in_memory_max  bytes of a run that does not go there.
  RunWriter(base::Disk& disk, std::string file, size_t in_memory_max)
      : disk_(disk), file_(std::move(file)), in_memory_max_(in_memory_max) {}
  /// Paths in ascending order. Errors: kNoSpace, kUnavailable.
  Result<void> add(const Listed& listed);
  /// Returns when the run is whole and durable. Errors: as add().
  Result<Run> finish();
  uint64_t count() const { return count_; }

 private:
  Result<void> close_block();
  Result<void> spill();
  base::Disk& disk_;
  const std::string file_;
  const size_t in_memory_max_;
  std::unique_ptr<base::File> out_;  ///< once the run is long
  std::string bytes_;                ///< not written yet
  std::string block_, last_;
  uint32_t in_block_ = 0;
  uint64_t count_ = 0;
};

/// Reads a run from its beginning. The disk and the run outlive it.
class RunReader {
 public:
  /// Errors: kNotFound (no such file), kCorrupt (cut short or damaged), kUnavailable.
  static Result<std::unique_ptr<RunReader>> open(base::Disk& disk, const Run& run);
  /// The run that a file holds, if it is whole. Errors: as open().
  static Result<Run> find(base::Disk& disk, const std::string& file);
  /// @return false at the end. Errors: kCorrupt, kUnavailable.
  Result<bool> next(Listed& into);

 private:
  Result<std::string> read(uint64_t offset, size_t length);
  Result<void> open_block();
  std::shared_ptr<const std::string> bytes_;
  std::unique_ptr<base::File> file_;
  uint64_t at_ = 0, end_ = 0, left_ = 0;
  std::string block_, path_;
  size_t position_ = 0;  ///< in the block
};

}  // namespace tarn::catalog::detail
