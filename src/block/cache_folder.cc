#include "block/cache_folder.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/log.h"

namespace tarn::block {
namespace {

using cache_file::FileName;

bool is_temporary(std::string_view name) {
  return name.size() == 16 && name.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

/// Whether blocks of this size can be such a file.
bool fits(const FileName& file, uint64_t block_bytes) {
  if (file.offset % block_bytes != 0 || file.length > block_bytes) return false;
  if (file.object_size == cache_file::kUnknownSize) return file.length == block_bytes;
  if (file.offset > file.object_size) return false;
  return file.length == std::min(block_bytes, file.object_size - file.offset);
}

}  // namespace

CacheFolder::CacheFolder(base::Disk& disk, std::string folder, const Options& options)
    : disk_(disk), folder_(std::move(folder)), options_(options), index_(options.bytes_max) {}

CacheFolder::~CacheFolder() { bytes_metric_.add(-static_cast<int64_t>(bytes_)); }

Result<std::unique_ptr<CacheFolder>> CacheFolder::open(base::Disk& disk, std::string folder, const Options& options) {
  ENSURE(options.store.size() <= cache_file::kStoreBytesMax && options.block_bytes >= cache_file::kChunkBytes &&
         options.block_bytes <= (64 << 20));
  std::unique_ptr<CacheFolder> cache(new CacheFolder(disk, std::move(folder), options));
  TRY(disk.make_directories(cache->folder_));
  TRY_LET(cache->lock_, disk.lock(cache->folder_ + "/LOCK"));
  TRY(cache->scan());
  return cache;
}

Result<void> CacheFolder::scan() {
  TRY(disk_.make_directories(folder_ + "/tmp"));
  TRY_LET(const auto left, disk_.list(folder_ + "/tmp"));
  for (const std::string& name : left)
    if (is_temporary(name)) TRY(disk_.remove(folder_ + "/tmp/" + name));
  std::vector<FileName> files;
  for (unsigned i = 0; i < 256; ++i) {
    const std::string prefix = fmt::format("{:02x}", i), shelf = folder_ + "/blocks/" + prefix;
    TRY(disk_.make_directories(shelf));
    TRY_LET(const auto names, disk_.list(shelf));
    for (const std::string& name : names)
      if (auto file = FileName::parse(name); file && name.starts_with(prefix)) files.push_back(*file);
  }
  // The newest file of a block counts; the order of writing is the order in the queues.
  std::sort(files.begin(), files.end(), [](const FileName& a, const FileName& b) { return a.serial < b.serial; });
  for (const FileName& file : files) {
    next_serial_ = std::max(next_serial_, file.serial + 1);
    if (const auto older = index_.find(file.key, file.offset)) {
      index_.take(*older);
      TRY(remove(*older));
    }
    count_bytes(static_cast<int64_t>(file.charge()));
    if (fits(file, options_.block_bytes))
      index_.restore(file);
    else
      TRY(remove(file));
  }
  make_room(0);
  return {};
}

CachedObject CacheFolder::object(std::string name, cache_file::Kind kind) const {
  const auto key = cache_file::Key::of(options_.store, name);
  return {std::move(name), key, kind};
}

std::optional<CacheFolder::Open> CacheFolder::find(const CachedObject& object, uint64_t offset) {
  std::optional<FileName> file;
  {
    base::Lock lock(mutex_);
    file = index_.find(object.key, offset);
    if (!file) return std::nullopt;
    index_.touch(object.key, offset, options_.clock->steady_ms());
  }
  auto opened = disk_.open(path_of(*file), base::OpenMode::kRead);
  if (!opened) {
    if (opened.error().code() != Code::kNotFound) failed(opened.error());
    if (opened.error().code() == Code::kNotFound) discard(*file);  // evicted meanwhile, or somebody cleaned up
    return std::nullopt;
  }
  Open open;
  open.folder_ = this;
  open.object_ = &object;
  open.file_ = *file;
  open.opened_ = std::move(*opened);
  return open;
}

std::optional<std::string> CacheFolder::Open::read(uint64_t from, uint64_t to) {
  auto bytes = cache_file::read(*opened_, folder_->identity_of(*object_), file_, from, std::min(to, file_.length));
  if (bytes) return std::move(*bytes);
  if (bytes.error().code() == Code::kCorrupt)
    folder_->damaged_.add();
  else
    folder_->failed(bytes.error());
  folder_->discard(file_);
  return std::nullopt;
}

std::optional<uint64_t> CacheFolder::size_of(const CachedObject& object) {
  base::Lock lock(mutex_);
  return index_.size_of(object.key);
}

bool CacheFolder::holds(const CachedObject& object) {
  base::Lock lock(mutex_);
  return index_.holds(object.key);
}

CacheFolder::Ticket CacheFolder::ticket(const CachedObject& object) {
  base::Lock lock(mutex_);
  return drops_[shard_of(object.key)];
}

void CacheFolder::learn_size(const CachedObject& object, uint64_t size, Ticket ticket) {
  base::Lock lock(mutex_);
  if (drops_[shard_of(object.key)] == ticket) index_.learn_size(object.key, size);
}

void CacheFolder::keep(const CachedObject& object, uint64_t offset, std::string_view bytes, Ticket ticket) {
  if (!writes()) return;
  FileName file{object.key, offset, bytes.size(), cache_file::kUnknownSize, object.kind, 0};
  const size_t shard = shard_of(object.key);
  {
    base::Lock lock(mutex_);
    if (drops_[shard] != ticket || index_.find(object.key, offset)) return;
    if (const auto size = index_.size_of(object.key)) file.object_size = *size;
    file.serial = next_serial_++;
    ++placing_[shard];  // from here on a drop waits for us
  }
  bool kept = make_room(file.charge());  // counts it, too
  if (kept) {
    const auto written = write(object, file, bytes);
    if (written)
      worked();
    else
      failed(written.error());
    if (!written) (void)remove(file);  // a move whose outcome is not known
    kept = written.ok();
  }
  std::optional<FileName> older;
  {
    base::Lock lock(mutex_);
    if (kept) {
      // Two may have met here when one of them gave up waiting for the other.
      older = index_.find(object.key, offset);
      if (older) index_.take(*older);
      index_.insert(file, options_.clock->steady_ms());
    }
    --placing_[shard];
    placed_.notify_all();
  }
  if (older) (void)remove(*older);
}

Result<void> CacheFolder::write(const CachedObject& object, const FileName& file, std::string_view bytes) {
  const std::string temporary = fmt::format("{}/tmp/{:016x}", folder_, file.serial), path = path_of(file);
  const auto put = [&]() -> Result<void> {
    TRY_LET(const auto opened, disk_.open(temporary, base::OpenMode::kCreate));
    TRY(opened->append(cache_file::header_of(identity_of(object), file, bytes)));
    TRY(opened->append(bytes));
    return disk_.rename(temporary, path);
  };
  auto done = put();
  if (!done && done.error().code() == Code::kNotFound) {  // somebody emptied the folder
    TRY(disk_.make_directories(folder_ + "/tmp"));
    TRY(disk_.make_directories(path.substr(0, path.rfind('/'))));
    done = put();
  }
  if (!done && !disk_.remove(temporary)) {  // the next start does it; till then it takes up room
    base::Lock lock(mutex_);
    count_bytes(static_cast<int64_t>(file.charge()));
  }
  return done;
}

bool CacheFolder::make_room(uint64_t charge) {
  if (charge > options_.bytes_max) return false;
  while (true) {
    std::optional<FileName> victim;
    {
      base::Lock lock(mutex_);
      if (bytes_ + charge <= options_.bytes_max) {
        count_bytes(static_cast<int64_t>(charge));
        return true;
      }
      if (!stuck_.empty()) {
        victim = stuck_.back();
        stuck_.pop_back();
      } else {
        victim = index_.evict();
      }
    }
    if (!victim) return false;
    evictions_.add();
    if (!remove(*victim)) return false;
  }
}

Result<void> CacheFolder::remove(const FileName& file) {
  auto gone = disk_.remove(path_of(file));
  if (!gone) failed(gone.error());
  base::Lock lock(mutex_);
  if (gone)
    count_bytes(-static_cast<int64_t>(file.charge()));
  else
    stuck_.push_back(file);
  return gone;
}

void CacheFolder::discard(const FileName& file) {
  {
    base::Lock lock(mutex_);
    if (!index_.take(file)) return;
  }
  (void)remove(file);
}

Result<void> CacheFolder::drop(const CachedObject& object) {
  const size_t shard = shard_of(object.key);
  std::vector<FileName> files;
  {
    base::Lock lock(mutex_);
    ++drops_[shard];
    placed_.wait(lock, [&] { return placing_[shard] == 0; });
    files = index_.take_all(object.key);
    const auto mine = std::stable_partition(stuck_.begin(), stuck_.end(),
                                            [&](const FileName& file) { return file.key != object.key; });
    files.insert(files.end(), mine, stuck_.end());
    stuck_.erase(mine, stuck_.end());
  }
  if (files.empty()) return {};
  Result<void> result;
  for (const FileName& file : files)
    if (auto gone = remove(file); !gone) result = std::move(gone);
  if (!result) return result;
  const std::string path = path_of(files.front());
  auto synced = disk_.sync_directory(path.substr(0, path.rfind('/')));
  if (!synced && synced.error().code() != Code::kNotFound) return synced;
  return {};
}

uint64_t CacheFolder::bytes() {
  base::Lock lock(mutex_);
  return bytes_;
}

void CacheFolder::count_bytes(int64_t change) {
  bytes_ += static_cast<uint64_t>(change);
  bytes_metric_.add(change);
}

bool CacheFolder::writes() {
  base::Lock lock(mutex_);
  return !failing_ || options_.clock->steady_ms() >= retry_at_ms_;
}

void CacheFolder::failed(const Error& error) {
  failures_.add();
  bool first = false;
  {
    base::Lock lock(mutex_);
    first = !failing_;
    failing_ = true;
    retry_at_ms_ = options_.clock->steady_ms() + options_.retry_ms;
  }
  if (first)
    base::log(base::Level::kWarning, "the disk cache does not take blocks; the store is read directly until it does",
              {{"folder", folder_}, {"error", error.text()}});
}

void CacheFolder::worked() {
  {
    base::Lock lock(mutex_);
    if (!failing_) return;
    failing_ = false;
  }
  base::log(base::Level::kInfo, "the disk cache takes blocks again", {{"folder", folder_}});
}

}  // namespace tarn::block
