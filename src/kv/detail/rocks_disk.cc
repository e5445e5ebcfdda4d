#include "kv/detail/rocks_disk.h"

#include <cstdarg>

#include <rocksdb/file_system.h>

#include "base/log.h"

namespace tarn::kv::detail {
namespace {

using rocksdb::FileOptions;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

IOStatus to_status(const Error& error) {
  switch (error.code()) {
    case Code::kNotFound:
      return IOStatus::NotFound(error.message());
    case Code::kNoSpace:
      return IOStatus::NoSpace(error.message());
    case Code::kCorrupt:
      return IOStatus::Corruption(error.message());
    case Code::kBusy:
      return IOStatus::Busy(error.message());
    default:
      return IOStatus::IOError(error.message());
  }
}
template <class T>
IOStatus to_status(const Result<T>& result) {
  return result ? IOStatus::OK() : to_status(result.error());
}

/// Reads at most `count` bytes, fewer only at the end of the file.
IOStatus read_some(base::File& file, uint64_t offset, size_t count, Slice* result, char* scratch) {
  const auto size = file.size();
  if (!size) return to_status(size);
  *result = Slice();
  if (offset >= *size) return IOStatus::OK();
  const auto bytes = file.read(offset, std::min<uint64_t>(count, *size - offset));
  if (!bytes) return to_status(bytes);
  std::memcpy(scratch, bytes->data(), bytes->size());
  *result = Slice(scratch, bytes->size());
  return IOStatus::OK();
}

class SequentialFile final : public rocksdb::FSSequentialFile {
 public:
  explicit SequentialFile(std::unique_ptr<base::File> file) : file_(std::move(file)) {}
  IOStatus Read(size_t count, const IOOptions&, Slice* result, char* scratch, IODebugContext*) override {
    const auto status = read_some(*file_, offset_, count, result, scratch);
    if (status.ok()) offset_ += result->size();
    return status;
  }
  IOStatus Skip(uint64_t count) override {
    offset_ += count;
    return IOStatus::OK();
  }

 private:
  std::unique_ptr<base::File> file_;
  uint64_t offset_ = 0;
};

class RandomAccessFile final : public rocksdb::FSRandomAccessFile {
 public:
  explicit RandomAccessFile(std::unique_ptr<base::File> file) : file_(std::move(file)) {}
  IOStatus Read(uint64_t offset, size_t count, const IOOptions&, Slice* result, char* scratch,
                IODebugContext*) const override {
    return read_some(*file_, offset, count, result, scratch);
  }

 private:
  std::unique_ptr<base::File> file_;
};

/// The first sync of a file that was made here also makes its name durable. RocksDB counts on that: it syncs a table or
/// a manifest and then writes its name elsewhere. Most file systems do so by themselves; POSIX does not promise it.
class WritableFile final : public rocksdb::FSWritableFile {
 public:
  /// @param unnamed  the path of a file that was just made; empty for one that was there.
  WritableFile(base::Disk& disk, std::string unnamed, std::unique_ptr<base::File> file, uint64_t size,
               const FileOptions& options)
      : FSWritableFile(options), disk_(disk), unnamed_(std::move(unnamed)), file_(std::move(file)), size_(size) {}
  using FSWritableFile::Append;
  IOStatus Append(const Slice& data, const IOOptions&, IODebugContext*) override {
    const auto done = file_->append({data.data(), data.size()});
    if (done) size_ += data.size();
    return to_status(done);
  }
  IOStatus Truncate(uint64_t size, const IOOptions&, IODebugContext*) override {
    const auto done = file_->truncate(size);
    if (done) size_ = size;
    return to_status(done);
  }
  IOStatus Flush(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }
  IOStatus Sync(const IOOptions&, IODebugContext*) override {
    if (const auto synced = file_->sync(); !synced || unnamed_.empty()) return to_status(synced);
    const auto named = disk_.sync_directory(unnamed_.substr(0, unnamed_.rfind('/')));
    if (named) unnamed_.clear();
    return to_status(named);
  }
  IOStatus Close(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }
  uint64_t GetFileSize(const IOOptions&, IODebugContext*) override { return size_; }

 private:
  base::Disk& disk_;
  std::string unnamed_;
  std::unique_ptr<base::File> file_;
  uint64_t size_;
};

class Directory final : public rocksdb::FSDirectory {
 public:
  Directory(base::Disk& disk, std::string path) : disk_(disk), path_(std::move(path)) {}
  IOStatus Fsync(const IOOptions&, IODebugContext*) override { return to_status(disk_.sync_directory(path_)); }
  IOStatus Close(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }

 private:
  base::Disk& disk_;
  const std::string path_;
};

class DiskLock final : public rocksdb::FileLock {
 public:
  explicit DiskLock(std::shared_ptr<void> held) : held_(std::move(held)) {}

 private:
  std::shared_ptr<void> held_;
};

class DiskFileSystem final : public rocksdb::FileSystem {
 public:
  explicit DiskFileSystem(base::Disk& disk) : disk_(disk) {}
  const char* Name() const override { return "tarn-disk"; }

  IOStatus NewSequentialFile(const std::string& path, const FileOptions&,
                             std::unique_ptr<rocksdb::FSSequentialFile>* result, IODebugContext*) override {
    auto file = disk_.open(path, base::OpenMode::kRead);
    if (file) *result = std::make_unique<SequentialFile>(std::move(*file));
    return to_status(file);
  }
  IOStatus NewRandomAccessFile(const std::string& path, const FileOptions&,
                               std::unique_ptr<rocksdb::FSRandomAccessFile>* result, IODebugContext*) override {
    auto file = disk_.open(path, base::OpenMode::kRead);
    if (file) *result = std::make_unique<RandomAccessFile>(std::move(*file));
    return to_status(file);
  }
  IOStatus NewWritableFile(const std::string& path, const FileOptions& options,
                           std::unique_ptr<rocksdb::FSWritableFile>* result, IODebugContext*) override {
    if (auto gone = disk_.remove(path); !gone) return to_status(gone);
    auto file = disk_.open(path, base::OpenMode::kCreate);
    if (file) *result = std::make_unique<WritableFile>(disk_, path, std::move(*file), 0, options);
    return to_status(file);
  }
  IOStatus ReopenWritableFile(const std::string& path, const FileOptions& options,
                              std::unique_ptr<rocksdb::FSWritableFile>* result, IODebugContext*) override {
    auto file = disk_.open(path, base::OpenMode::kAppend);
    if (!file) return to_status(file);
    const auto size = (*file)->size();
    if (size) *result = std::make_unique<WritableFile>(disk_, std::string(), std::move(*file), *size, options);
    return to_status(size);
  }
  IOStatus NewDirectory(const std::string& path, const IOOptions&, std::unique_ptr<rocksdb::FSDirectory>* result,
                        IODebugContext*) override {
    *result = std::make_unique<Directory>(disk_, path);
    return IOStatus::OK();
  }
  IOStatus FileExists(const std::string& path, const IOOptions&, IODebugContext*) override {
    return to_status(disk_.stat(path));
  }
  IOStatus GetChildren(const std::string& path, const IOOptions&, std::vector<std::string>* result,
                       IODebugContext*) override {
    auto names = disk_.list(path);
    if (names) *result = std::move(*names);
    return to_status(names);
  }
  IOStatus DeleteFile(const std::string& path, const IOOptions&, IODebugContext*) override {
    return to_status(disk_.remove(path));
  }
  IOStatus Truncate(const std::string& path, size_t size, const IOOptions&, IODebugContext*) override {
    const auto file = disk_.open(path, base::OpenMode::kAppend);
    return file ? to_status((*file)->truncate(size)) : to_status(file);
  }
  IOStatus CreateDir(const std::string& path, const IOOptions&, IODebugContext*) override {
    return to_status(disk_.make_directories(path));
  }
  IOStatus CreateDirIfMissing(const std::string& path, const IOOptions&, IODebugContext*) override {
    return to_status(disk_.make_directories(path));
  }
  IOStatus DeleteDir(const std::string& path, const IOOptions&, IODebugContext*) override {
    return to_status(disk_.remove_all(path));
  }
  IOStatus GetFileSize(const std::string& path, const IOOptions&, uint64_t* size, IODebugContext*) override {
    const auto info = disk_.stat(path);
    if (info) *size = info->size;
    return to_status(info);
  }
  IOStatus GetFileModificationTime(const std::string& path, const IOOptions&, uint64_t* seconds,
                                   IODebugContext*) override {
    const auto info = disk_.stat(path);
    if (info) *seconds = static_cast<uint64_t>(info->mtime_ns / 1'000'000'000);
    return to_status(info);
  }
  IOStatus RenameFile(const std::string& from, const std::string& to, const IOOptions&, IODebugContext*) override {
    return to_status(disk_.rename(from, to));
  }
  IOStatus LockFile(const std::string& path, const IOOptions&, rocksdb::FileLock** lock, IODebugContext*) override {
    auto held = disk_.lock(path);
    if (held) *lock = new DiskLock(std::move(*held));
    return to_status(held);
  }
  IOStatus UnlockFile(rocksdb::FileLock* lock, const IOOptions&, IODebugContext*) override {
    delete lock;
    return IOStatus::OK();
  }
  IOStatus GetTestDirectory(const IOOptions&, std::string*, IODebugContext*) override {
    return IOStatus::NotSupported("no folder for tests");
  }
  IOStatus NewLogger(const std::string&, const IOOptions&, std::shared_ptr<rocksdb::Logger>* result,
                     IODebugContext*) override {
    *result = make_logger();
    return IOStatus::OK();
  }
  IOStatus GetAbsolutePath(const std::string& path, const IOOptions&, std::string* out, IODebugContext*) override {
    *out = path;
    return IOStatus::OK();
  }
  IOStatus GetFreeSpace(const std::string& path, const IOOptions&, uint64_t* bytes, IODebugContext*) override {
    const auto available = disk_.free_bytes(path);
    if (available) *bytes = *available;
    return to_status(available);
  }
  IOStatus IsDirectory(const std::string& path, const IOOptions&, bool* is_directory, IODebugContext*) override {
    const auto info = disk_.stat(path);
    if (info) *is_directory = info->is_directory;
    return to_status(info);
  }

 private:
  base::Disk& disk_;
};

class LogToOurs final : public rocksdb::Logger {
 public:
  LogToOurs() : Logger(rocksdb::InfoLogLevel::WARN_LEVEL) {}
  using Logger::Logv;
  void Logv(const rocksdb::InfoLogLevel level, const char* format, va_list arguments) override {
    if (level < GetInfoLogLevel() || level == rocksdb::InfoLogLevel::HEADER_LEVEL) return;
    char text[1024];
    std::vsnprintf(text, sizeof text, format, arguments);
    base::log(level == rocksdb::InfoLogLevel::WARN_LEVEL ? base::Level::kWarning : base::Level::kError, "rocksdb says",
              {{"text", text}});
  }
  void Logv(const char*, va_list) override {}
};

}  // namespace

std::shared_ptr<rocksdb::Logger> make_logger() { return std::make_shared<LogToOurs>(); }

std::unique_ptr<rocksdb::Env> make_environment(base::Disk& disk) {
  return rocksdb::NewCompositeEnv(std::make_shared<DiskFileSystem>(disk));
}

}  // namespace tarn::kv::detail
