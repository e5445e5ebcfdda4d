#pragma once
// Files outside the store, read where they lie: what an import points to instead of copying.
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/context.h"
#include "base/disk.h"
#include "block/store.h"

namespace tarn::block {

struct ListedFile {
  std::string path;  ///< relative to the listed folder, '/'-separated
  uint64_t size = 0;
  int64_t mtime_ns = 0;  ///< since the Unix epoch
};

/// What a file was when it was listed.
struct FileIdentity {
  uint64_t size = 0;
  int64_t mtime_ns = 0;
};

/// Reads below the allowed roots only: a path with "..", or whose links lead out of its root, is refused. Never writes.
/// Threads: any.
class ForeignFiles {
 public:
  /// @param roots  absolute folders; "/" allows all. With none everything is refused. `disk` outlives this object.
  ForeignFiles(base::Disk& disk, std::vector<std::string> roots, base::Clock& clock = base::system_clock())
      : disk_(disk), clock_(clock), roots_(std::move(roots)) {}

  /// Calls `each` for every regular file below `folder` (absolute), in bytewise order of the relative paths, until it
  /// returns an error. A folder that is a link is followed once; a link that leads out of the root is an error.
  ///
  /// Errors: kForbidden (outside the roots, unreadable), kNotFound, kInvalid (no absolute path, not a folder, a name
  ///         that is not UTF-8, too deep), kUnavailable: the listing is never silently short.
  /// Cost:   two looks a file; memory of one folder's names a level.
  Result<void> list(const Context& ctx, const std::string& folder,
                    const std::function<Result<void>(const ListedFile&)>& each) const;

  /// Whether a listing of the path may begin: allowed, and there. Errors: as list().
  Result<void> allow(const std::string& path) const;

  /// What the file is now. Errors: as open().
  Result<FileIdentity> identify(const Context& ctx, const std::string& path) const;

  /// Reads from an absolute path.
  ///
  /// Errors: kGone (the file is not there any more), kConflict (its size or time differ from `expected`: it was
  ///         replaced or written to since it was listed), kInvalid (offset behind the end), kForbidden.
  ///         read() at the end of the bytes looks once more: a file changed meanwhile is kConflict, too.
  Result<std::unique_ptr<ByteReader>> open(const Context& ctx, const std::string& path, uint64_t offset,
                                           std::optional<uint64_t> length, const FileIdentity& expected) const;

 private:
  struct Walk;
  /// The path with every link resolved. Errors: kForbidden when it is not below a root.
  Result<std::string> inside(const std::string& path) const;
  Result<void> walk(Walk& state, const std::string& real, const std::string& relative) const;

  base::Disk& disk_;
  base::Clock& clock_;
  const std::vector<std::string> roots_;
};

/// The marked weak ETag of a listed file: "tarn-" and 32 hex digits over size and time; no content was read.
std::string weak_etag(const FileIdentity& file);

}  // namespace tarn::block
