#pragma once
// Blocks of objects in a local folder. Whatever goes wrong with the folder, the worst answer is "not here".
#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/disk.h"
#include "base/metrics.h"
#include "base/mutex.h"
#include "block/cache_index.h"

namespace tarn::block {

/// An object as the cache knows it.
struct CachedObject {
  std::string name;
  cache_file::Key key;
  cache_file::Kind kind = cache_file::Kind::kData;
};

/// Counts for this folder and for the process's metrics at once.
class CacheCount {
 public:
  explicit CacheCount(const char* metric) : all_(base::metrics().counter(metric)) {}
  void add(int64_t n = 1) {
    own_.add(n);
    all_.add(n);
  }
  int64_t value() const { return own_.value(); }

 private:
  base::Counter own_;
  base::Counter& all_;
};

/// Files are never synced: one that a crash tears fails its check, which is a miss. Only dropping an object syncs, so
/// that no crash brings back what is no longer true.
///
/// When the disk refuses a write, nothing is written for `retry_ms`; reads of what is there go on. One line is logged
/// when that begins and one when it ends. Threads: any; the lock is not held over file I/O.
class CacheFolder {
 public:
  struct Options {
    uint64_t bytes_max;
    uint64_t block_bytes;
    std::string store;  ///< which store this is a cache of; at most 64 bytes
    base::Clock* clock;
    int64_t retry_ms;
  };
  /// Taken before the store beneath is asked; what it said is kept only if the object was not dropped since.
  using Ticket = uint64_t;

  /// A block's file, open: it can be read whatever becomes of its name.
  class Open {
   public:
    const cache_file::FileName& file() const { return file_; }
    /// Bytes [from, to) of the block, or nullopt when the file cannot be trusted; it is dropped then.
    std::optional<std::string> read(uint64_t from, uint64_t to);

   private:
    friend class CacheFolder;
    CacheFolder* folder_ = nullptr;
    const CachedObject* object_ = nullptr;
    cache_file::FileName file_;
    std::unique_ptr<base::File> opened_;
  };

  /// Makes the folder, takes its lock, removes temporary files, enters what is there, and evicts down to the limit.
  /// Files that bear no name of the cache are left alone.
  ///
  /// Errors: kBusy (another process uses it), kForbidden, kNoSpace, kUnavailable. Cost: one listing of 256 folders.
  static Result<std::unique_ptr<CacheFolder>> open(base::Disk& disk, std::string folder, const Options& options);
  ~CacheFolder();

  CachedObject object(std::string name, cache_file::Kind kind) const;
  /// nullopt: not here. `object` outlives what is returned.
  std::optional<Open> find(const CachedObject& object, uint64_t offset);
  std::optional<uint64_t> size_of(const CachedObject& object);
  /// Whether any block is here.
  bool holds(const CachedObject& object);

  Ticket ticket(const CachedObject& object);
  /// Writes a block and evicts others for it, or does without.
  void keep(const CachedObject& object, uint64_t offset, std::string_view bytes, Ticket ticket);
  void learn_size(const CachedObject& object, uint64_t size, Ticket ticket);
  /// Nothing of the object is here when it returns, not even after a crash, and no ticket taken before is good.
  /// Errors: those of the disk: a file may be left, which a later start would take for good.
  Result<void> drop(const CachedObject& object);

  uint64_t bytes();
  uint64_t block_bytes() const { return options_.block_bytes; }
  int64_t evictions() const { return evictions_.value(); }
  int64_t damaged() const { return damaged_.value(); }
  int64_t failures() const { return failures_.value(); }

 private:
  CacheFolder(base::Disk& disk, std::string folder, const Options& options);
  Result<void> scan();
  std::string path_of(const cache_file::FileName& file) const { return folder_ + "/blocks/" + file.path(); }
  cache_file::Identity identity_of(const CachedObject& object) const { return {options_.store, object.name}; }
  static size_t shard_of(const cache_file::Key& key) { return static_cast<size_t>(key.high & 0xff); }
  /// Removes what is out of the index already; what cannot be removed is tried again later.
  Result<void> remove(const cache_file::FileName& file);
  bool make_room(uint64_t charge);
  Result<void> write(const CachedObject& object, const cache_file::FileName& file, std::string_view bytes);
  void discard(const cache_file::FileName& file);
  void count_bytes(int64_t change);
  bool writes();
  void failed(const Error& error);
  void worked();

  base::Disk& disk_;
  const std::string folder_;
  const Options options_;
  std::shared_ptr<void> lock_;
  base::Mutex mutex_;
  base::Condition placed_;
  CacheIndex index_;
  std::vector<cache_file::FileName> stuck_;  ///< could not be removed; never read, still counted
  uint64_t bytes_ = 0;                       ///< of all files, of those being written and being removed, too
  uint64_t next_serial_ = 1;
  std::array<uint64_t, 256> drops_{};    ///< by the key's lowest byte: tickets
  std::array<uint32_t, 256> placing_{};  ///< writes under way
  bool failing_ = false;
  int64_t retry_at_ms_ = 0;
  CacheCount evictions_{"tarn_block_cache_evictions_total"};
  CacheCount damaged_{"tarn_block_cache_damaged_total"};
  CacheCount failures_{"tarn_block_cache_disk_errors_total"};
  base::Counter& bytes_metric_ = base::metrics().counter("tarn_block_cache_bytes");
};

}  // namespace tarn::block
