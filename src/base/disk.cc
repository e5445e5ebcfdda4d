#include "base/disk.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include <fmt/core.h>

#include "base/run_token.h"

namespace tarn::base {
namespace {

Error io_error(int number, std::string_view what, const std::string& path) {
  Code code = Code::kUnavailable;
  if (number == ENOENT || number == ENOTDIR) code = Code::kNotFound;
  if (number == EEXIST) code = Code::kAlreadyExists;
  if (number == EACCES || number == EPERM || number == EROFS) code = Code::kForbidden;
  if (number == ENOSPC || number == EDQUOT || number == EFBIG) code = Code::kNoSpace;
  return Error(code, "file", fmt::format("{} {}: {}", what, path, std::strerror(number)));
}

FileInfo to_info(const struct stat& st) {
  FileInfo info;
  info.size = static_cast<uint64_t>(st.st_size);
  info.mtime_ns = static_cast<int64_t>(st.st_mtim.tv_sec) * 1'000'000'000 + st.st_mtim.tv_nsec;
  info.is_directory = S_ISDIR(st.st_mode);
  return info;
}

class SystemFile final : public File {
 public:
  SystemFile(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}
  ~SystemFile() override { ::close(fd_); }
  SystemFile(const SystemFile&) = delete;
  SystemFile& operator=(const SystemFile&) = delete;

  Result<std::string> read(uint64_t offset, size_t length) override {
    std::string bytes(length, '\0');
    size_t done = 0;
    while (done < length) {
      const ssize_t got = ::pread(fd_, bytes.data() + done, length - done, static_cast<off_t>(offset + done));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return io_error(errno, "reading", path_);
      if (got == 0) return Error(Code::kCorrupt, "file", fmt::format("{} ends before the bytes asked for", path_));
      done += static_cast<size_t>(got);
    }
    return bytes;
  }
  Result<void> append(std::string_view bytes) override {
    while (!bytes.empty()) {
      const ssize_t put = ::write(fd_, bytes.data(), bytes.size());
      if (put < 0 && errno == EINTR) continue;
      if (put < 0) return io_error(errno, "writing", path_);
      bytes.remove_prefix(static_cast<size_t>(put));
    }
    return {};
  }
  Result<void> sync() override {
    RunToken::Pause pause;
    if (::fdatasync(fd_) != 0) return io_error(errno, "syncing", path_);
    return {};
  }
  Result<uint64_t> size() override {
    struct stat st {};
    if (::fstat(fd_, &st) != 0) return io_error(errno, "looking at", path_);
    return static_cast<uint64_t>(st.st_size);
  }
  Result<FileInfo> info() override {
    struct stat st {};
    if (::fstat(fd_, &st) != 0) return io_error(errno, "looking at", path_);
    return to_info(st);
  }
  Result<void> truncate(uint64_t size) override {
    if (::ftruncate(fd_, static_cast<off_t>(size)) != 0) return io_error(errno, "truncating", path_);
    return {};
  }
  int descriptor() const override { return fd_; }

 private:
  int fd_;
  std::string path_;
};

class SystemDisk final : public Disk {
 public:
  Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override {
    int flags = O_CLOEXEC;
    if (mode == OpenMode::kRead) flags |= O_RDONLY;
    if (mode == OpenMode::kAppend) flags |= O_RDWR | O_CREAT | O_APPEND;
    if (mode == OpenMode::kCreate) flags |= O_RDWR | O_CREAT | O_EXCL | O_APPEND;
    const int fd = ::open(path.c_str(), flags, 0640);
    if (fd < 0) return io_error(errno, "opening", path);
    return std::unique_ptr<File>(new SystemFile(fd, path));
  }
  Result<FileInfo> stat(const std::string& path) override {
    struct stat st {};
    if (::stat(path.c_str(), &st) != 0) return io_error(errno, "looking at", path);
    return to_info(st);
  }
  Result<FileInfo> look(const std::string& path) override {
    struct stat st {};
    if (::lstat(path.c_str(), &st) != 0) return io_error(errno, "looking at", path);
    FileInfo info = to_info(st);
    info.is_link = S_ISLNK(st.st_mode);
    return info;
  }
  Result<void> make_directories(const std::string& path) override {
    std::error_code error;
    std::filesystem::create_directories(path, error);
    if (error) return io_error(error.value(), "making folder", path);
    return {};
  }
  Result<std::vector<std::string>> list(const std::string& path) override {
    DIR* dir = ::opendir(path.c_str());
    if (!dir) return io_error(errno, "listing", path);
    std::vector<std::string> names;
    while (true) {
      errno = 0;
      const dirent* entry = ::readdir(dir);
      if (!entry) break;
      const std::string_view name = entry->d_name;
      if (name != "." && name != "..") names.emplace_back(name);
    }
    const int number = errno;
    ::closedir(dir);
    if (number != 0) return io_error(number, "listing", path);
    std::sort(names.begin(), names.end());
    return names;
  }
  Result<void> rename_exclusive(const std::string& from, const std::string& to) override {
    if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return {};
    if (errno != EINVAL && errno != ENOSYS) return io_error(errno, "moving to", to);
    // A file system without RENAME_NOREPLACE: a hard link never replaces either.
    if (::link(from.c_str(), to.c_str()) != 0) return io_error(errno, "moving to", to);
    if (::unlink(from.c_str()) != 0) return io_error(errno, "removing", from);
    return {};
  }
  Result<void> rename(const std::string& from, const std::string& to) override {
    if (::rename(from.c_str(), to.c_str()) != 0) return io_error(errno, "moving to", to);
    return {};
  }
  Result<void> remove(const std::string& path) override {
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) return io_error(errno, "removing", path);
    return {};
  }
  Result<void> remove_all(const std::string& path) override {
    std::error_code error;
    std::filesystem::remove_all(path, error);
    if (error) return io_error(error.value(), "removing", path);
    return {};
  }
  Result<void> sync_directory(const std::string& path) override {
    const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return io_error(errno, "opening folder", path);
    RunToken::Pause pause;
    const int rc = ::fsync(fd);
    const int number = errno;
    ::close(fd);
    if (rc != 0) return io_error(number, "syncing folder", path);
    return {};
  }
  Result<std::shared_ptr<void>> lock(const std::string& path) override {
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (fd < 0) return io_error(errno, "opening lock", path);
    if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
      const int number = errno;
      ::close(fd);
      if (number == EWOULDBLOCK) return Error(Code::kBusy, "lock", fmt::format("{} is held by another process", path));
      return io_error(number, "locking", path);
    }
    return std::shared_ptr<void>(reinterpret_cast<void*>(static_cast<intptr_t>(fd + 1)),
                                 [](void* p) { ::close(static_cast<int>(reinterpret_cast<intptr_t>(p)) - 1); });
  }
  Result<std::string> real_path(const std::string& path) override {
    const std::unique_ptr<char, decltype(&std::free)> resolved(::realpath(path.c_str(), nullptr), &std::free);
    if (!resolved) return io_error(errno, "resolving", path);
    return std::string(resolved.get());
  }
  Result<uint64_t> free_bytes(const std::string& path) override {
    struct statvfs st {};
    if (::statvfs(path.c_str(), &st) != 0) return io_error(errno, "asking for free space of", path);
    return static_cast<uint64_t>(st.f_bavail) * st.f_frsize;
  }
};

}  // namespace

Result<std::string> Disk::read_all(const std::string& path) {
  TRY_LET(const auto file, open(path, OpenMode::kRead));
  TRY_LET(const uint64_t size, file->size());
  return file->read(0, static_cast<size_t>(size));
}

Result<void> Disk::write_atomic(const std::string& path, std::string_view bytes) {
  const std::string temporary = path + ".part";
  TRY(remove(temporary));
  {
    TRY_LET(const auto file, open(temporary, OpenMode::kCreate));
    TRY(file->append(bytes));
    TRY(file->sync());
  }
  TRY(rename(temporary, path));
  return sync_directory(std::filesystem::path(path).parent_path().string());
}

Disk& system_disk() {
  static SystemDisk disk;
  return disk;
}

}  // namespace tarn::base
