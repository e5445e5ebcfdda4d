#pragma once
// All file I/O of the house goes through Disk, so that a test can tear writes, fill the disk or drop unsynced bytes.
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace tarn::base {

struct FileInfo {
  uint64_t size = 0;
  int64_t mtime_ns = 0;
  bool is_directory = false;
  bool is_link = false;  ///< of a name only: see Disk::look()
};

/// An open file. Positional reads and appends; close on destruction. Threads: reads any, writes one at a time.
class File {
 public:
  virtual ~File() = default;
  /// Reads exactly `length` bytes. Errors: kCorrupt when the file ends early, kUnavailable on an I/O error.
  virtual Result<std::string> read(uint64_t offset, size_t length) = 0;
  /// Appends all of `bytes`. Errors: kNoSpace, kUnavailable. After an error nothing may be acknowledged on this file.
  virtual Result<void> append(std::string_view bytes) = 0;
  /// Returns when the bytes are on stable storage. An error is final for this file (promise G12).
  virtual Result<void> sync() = 0;
  virtual Result<uint64_t> size() = 0;
  /// Of the file that is open, whatever its name points to by now.
  virtual Result<FileInfo> info() = 0;
  virtual Result<void> truncate(uint64_t size) = 0;
  /// The descriptor for sendfile; -1 when this disk has none.
  virtual int descriptor() const = 0;
};

enum class OpenMode { kRead, kAppend, kCreate };  ///< kCreate fails with kAlreadyExists; kAppend creates if absent

class Disk {
 public:
  virtual ~Disk() = default;
  virtual Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) = 0;
  /// Errors: kNotFound, kForbidden, kUnavailable.
  virtual Result<FileInfo> stat(const std::string& path) = 0;
  /// The same of the name itself: a link is not followed. A disk without links says what stat() says.
  virtual Result<FileInfo> look(const std::string& path) { return stat(path); }
  /// Makes the folder and those above it; present is fine.
  virtual Result<void> make_directories(const std::string& path) = 0;
  /// Names (not paths) in a folder, sorted bytewise.
  virtual Result<std::vector<std::string>> list(const std::string& path) = 0;
  /// Moves without replacing: kAlreadyExists when `to` exists.
  virtual Result<void> rename_exclusive(const std::string& from, const std::string& to) = 0;
  /// Moves, replacing `to` atomically.
  virtual Result<void> rename(const std::string& from, const std::string& to) = 0;
  /// Absent is fine.
  virtual Result<void> remove(const std::string& path) = 0;
  virtual Result<void> remove_all(const std::string& path) = 0;
  /// Makes names created, moved or removed in the folder durable.
  virtual Result<void> sync_directory(const std::string& path) = 0;
  /// Takes an exclusive lock that lasts as long as the returned object and dies with the process.
  /// Errors: kBusy when another process holds it.
  virtual Result<std::shared_ptr<void>> lock(const std::string& path) = 0;
  /// The path with every link resolved. Errors: kNotFound, kForbidden.
  virtual Result<std::string> real_path(const std::string& path) = 0;
  /// Bytes that may still be written to the file system of `path`.
  virtual Result<uint64_t> free_bytes(const std::string& path) = 0;

  Result<std::string> read_all(const std::string& path);
  /// Writes a whole file so that it is either absent, old, or complete and durable.
  Result<void> write_atomic(const std::string& path, std::string_view bytes);
};

Disk& system_disk();

}  // namespace tarn::base
