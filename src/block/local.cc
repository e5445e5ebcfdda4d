#include "block/local.h"

#include <atomic>
#include <cstring>

#include <fmt/core.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "base/kill_point.h"
#include "base/log.h"
#include "base/memory_only.h"
#include "block/compactor.h"
#include "block/detail.h"
#include "block/index.h"
#include "block/journal.h"

namespace tarn::block {
namespace {

constexpr size_t kChunkBytes = 256 << 10;

/// A file that is removed unless it was moved to its place.
class Temporary {
 public:
  Temporary(base::Disk& disk, std::string path) : disk_(disk), path_(std::move(path)) {}
  ~Temporary() {
    if (path_.empty()) return;
    if (auto gone = disk_.remove(path_); !gone)
      base::log(base::Level::kWarning, "a temporary file stays until the next start", {{"file", path_}});
  }
  Temporary(const Temporary&) = delete;
  Temporary& operator=(const Temporary&) = delete;
  const std::string& path() const { return path_; }
  void moved() { path_.clear(); }

 private:
  base::Disk& disk_;
  std::string path_;
};

/// Reads a large object's file; a read of the whole object checks its bytes at the end.
class FileReader final : public ByteReader {
 public:
  using Expect = std::function<Result<std::string>()>;

  FileReader(std::unique_ptr<base::File> file, uint64_t offset, uint64_t length, Expect expect)
      : file_(std::move(file)), start_(offset), offset_(offset), length_(length), expect_(std::move(expect)) {}

  Result<size_t> read(char* buffer, size_t size) override {
    const uint64_t left = start_ + length_ - offset_;
    if (left == 0) {
      TRY(check());
      return size_t{0};
    }
    const size_t count = std::min<uint64_t>({size, left, kChunkBytes});
    TRY_LET(const std::string bytes, file_->read(offset_, count));
    std::memcpy(buffer, bytes.data(), count);
    if (expect_) hash_.update(bytes);
    offset_ += count;
    // The last bytes are held to the check before the caller has them.
    if (count == left) TRY(check());
    return count;
  }
  std::optional<Span> span() const override {
    if (file_->descriptor() < 0) return std::nullopt;
    return Span{file_->descriptor(), offset_, start_ + length_ - offset_};
  }

 private:
  Result<void> check() {
    if (!expect_) return {};
    TRY_LET(const std::string expected, expect_());
    if (hash_.finish() != expected) return Error(Code::kCorrupt, "object", "the object's bytes fail their check");
    expect_ = nullptr;
    return {};
  }

  std::unique_ptr<base::File> file_;
  uint64_t start_, offset_, length_;
  Expect expect_;  ///< gives the check of the whole object; empty for a part or when done
  base::Xxh3Stream hash_;
};

class LocalStore final : public Store {
 public:
  LocalStore(base::Disk& disk, std::string folder, const LocalOptions& options, std::shared_ptr<void> lock)
      : disk_(disk), folder_(std::move(folder)), options_(options), lock_(std::move(lock)) {}

  Result<void> open_folder();

  Result<Stored> put(const Context& ctx, const Name& name, ByteSource& source) override {
    TRY(make_name(name.str()));
    TRY(ctx.check(*options_.clock));
    const Key key = Key::of(name.str());
    if (index_.find(key)) return detail::already_exists(name);
    const size_t probe = options_.small_bytes + 1;
    const auto buffer = std::make_unique_for_overwrite<char[]>(probe);
    TRY_LET(const size_t got, detail::read_full(source, buffer.get(), probe));
    const std::string_view start(buffer.get(), got);
    if (got < probe) return put_small(name, key, start);
    return put_large(ctx, name, key, start, source);
  }

  Result<std::unique_ptr<ByteReader>> open(const Context& ctx, const Name& name, uint64_t offset,
                                           std::optional<uint64_t> length) override {
    if (base::MemoryOnly::active()) return base::MemoryOnly::miss();
    TRY(ctx.check(*options_.clock));
    const Key key = Key::of(name.str());
    TRY_LET(const auto located, locate(name, key));
    const auto& [entry, segment] = located;
    TRY_LET(const uint64_t count, detail::clamp(name, entry.size, offset, length));
    if (!entry.large) {
      TRY_LET(std::string body, record_body(*segment, entry.place, name.str(), entry.size));
      return std::unique_ptr<ByteReader>(
          new detail::SharedReader(std::make_shared<const std::string>(std::move(body)), offset, count));
    }
    auto file = disk_.open(file_path(key), base::OpenMode::kRead);
    if (!file) return missing_file(name, key, file.error());
    TRY_LET(const uint64_t size, (*file)->size());
    if (size != entry.size)
      return Error(Code::kCorrupt, "object",
                   fmt::format("{} has {} bytes, {} were stored in {}", name.str(), size, +entry.size, file_path(key)));
    FileReader::Expect expect;
    if (offset == 0 && count == entry.size)
      expect = [segment = segment, place = entry.place, name]() -> Result<std::string> {
        TRY_LET(const std::string body, record_body(*segment, place, name.str(), segment::kLargeBodyBytes));
        TRY_LET(auto large, segment::LargeBody::decode(body));
        return std::move(large.check);
      };
    return std::unique_ptr<ByteReader>(new FileReader(std::move(*file), offset, count, std::move(expect)));
  }

  Result<Info> stat(const Context& ctx, const Name& name) override {
    TRY(ctx.check(*options_.clock));
    const auto entry = index_.find(Key::of(name.str()));
    if (!entry) return detail::not_found(name);
    return Info{entry->size};
  }

  Result<void> list(const Context& ctx, std::string_view prefix,
                    const std::function<Result<void>(const Name&, const Info&)>& each) override {
    const auto view = journal_->view();
    KeySet moved;
    return journal_->each(view, [&](Place place, const segment::Record& record, std::string_view) -> Result<void> {
      if (record.kind == segment::Kind::kTombstone || !record.name.starts_with(prefix)) return {};
      const Key key = Key::of(record.name);
      const auto entry = index_.find(key);
      if (!entry) return {};
      // An object that compaction moved out of the view meanwhile is told at the first record of its name.
      if (entry->place != place && (entry->place < view.end || !moved.insert(key).second)) return {};
      TRY(ctx.check(*options_.clock));
      return each(Name(std::string(record.name)), Info{entry->size});
    });
  }

  Result<void> remove(const Context& ctx, const Name& name) override {
    TRY(ctx.check(*options_.clock));
    const Key key = Key::of(name.str());
    if (!index_.find(key)) return {};
    const Reservation reservation(index_, key);
    const auto entry = index_.find(key);
    if (!entry) return {};
    TRY(journal_->append(segment::Kind::kTombstone, name.str(), {},
                         [&](Place place) { index_.bury(key, name.str().size(), place); }));
    KILL_POINT("block.remove.before_unlink");
    if (entry->large) TRY(disk_.remove(file_path(key)));
    return {};
  }

  Result<uint64_t> stored_bytes(const Context& ctx) override {
    TRY(ctx.check(*options_.clock));
    return index_.bytes();
  }

  Result<uint64_t> disk_bytes(const Context& ctx) override {
    TRY(ctx.check(*options_.clock));
    return journal_->bytes() + index_.large_bytes();
  }

  Result<uint64_t> compact(const Context& ctx) override {
    TRY(ctx.check(*options_.clock));
    if (compacting_.exchange(true)) return uint64_t{0};
    Compactor compactor(disk_, *options_.clock, *journal_, index_,
                        {options_.compact_dead_percent, options_.compact_open_bytes}, [this](const Key& key) {
                          return Compactor::FilePath{file_folder(key), file_path(key)};
                        });
    auto freed = compactor.run(ctx);
    compacting_ = false;
    return freed;
  }

 private:
  std::string file_folder(const Key& key) const {
    return fmt::format("{}/files/{:02x}", folder_, static_cast<unsigned>(key.high & 0xff));
  }
  std::string file_path(const Key& key) const {
    std::string raw(16, '\0');
    std::memcpy(raw.data(), &key.high, 8);
    std::memcpy(raw.data() + 8, &key.low, 8);
    return file_folder(key) + "/" + base::to_hex(raw);
  }

  struct Located {
    Entry entry;
    std::shared_ptr<base::File> segment;
  };
  /// Compaction may move the record and take its segment away between the two looks.
  Result<Located> locate(const Name& name, const Key& key) {
    auto entry = index_.find(key);
    while (entry) {
      if (auto segment = journal_->find(entry->place.segment)) return Located{*entry, std::move(segment)};
      const auto again = index_.find(key);
      if (again && again->place == entry->place)
        return Error(Code::kCorrupt, "object",
                     fmt::format("{} lies in segment {}, which is gone", name.str(), entry->place.segment));
      entry = again;
    }
    return detail::not_found(name);
  }

  /// A file can go between the look into the index and the open when it is removed: then it is simply not there.
  Error missing_file(const Name& name, const Key& key, const Error& why) {
    if (why.code() != Code::kNotFound) return why;
    if (!index_.find(key)) return detail::not_found(name);
    return why.wrap(Code::kCorrupt, "object", fmt::format("the file of {} is gone", name.str()));
  }

  Result<Stored> put_small(const Name& name, const Key& key, std::string_view bytes) {
    Stored stored{bytes.size(), base::md5(bytes)};
    const Reservation reservation(index_, key);
    if (index_.find(key)) return detail::already_exists(name);
    TRY(journal_->append(segment::Kind::kObject, name.str(), bytes, [&](Place place) {
      index_.insert(key, Entry{place, stored.size, 0}, name.str().size());
    }));
    return stored;
  }

  Result<Stored> put_large(const Context& ctx, const Name& name, const Key& key, std::string_view start,
                           ByteSource& source) {
    Temporary temporary(disk_, fmt::format("{}/tmp/{}", folder_, next_temporary_.fetch_add(1)));
    segment::LargeBody large;
    {
      TRY_LET(const auto file, disk_.open(temporary.path(), base::OpenMode::kCreate));
      base::Hasher md5(base::Algorithm::kMd5);
      base::Xxh3Stream check;
      const auto add = [&](std::string_view bytes) -> Result<void> {
        md5.update(bytes);
        check.update(bytes);
        large.size += bytes.size();
        return file->append(bytes);
      };
      TRY(add(start));
      const auto chunk = std::make_unique_for_overwrite<char[]>(kChunkBytes);
      while (true) {
        TRY(ctx.check(*options_.clock));
        TRY_LET(const size_t got, detail::read_full(source, chunk.get(), kChunkBytes));
        TRY(add({chunk.get(), got}));
        if (got < kChunkBytes) break;
      }
      KILL_POINT("block.file.before_sync");
      TRY(file->sync());
      large.md5 = md5.finish();
      large.check = check.finish();
    }
    const Reservation reservation(index_, key);
    if (index_.find(key)) return detail::already_exists(name);
    const std::string path = file_path(key);
    KILL_POINT("block.file.before_rename");
    auto moved = disk_.rename_exclusive(temporary.path(), path);
    // Without a record in a segment the file is the left-over of a put that no one was told of.
    if (!moved && moved.error().code() == Code::kAlreadyExists) moved = disk_.rename(temporary.path(), path);
    TRY(std::move(moved));
    temporary.moved();
    Temporary placed(disk_, path);
    TRY(disk_.sync_directory(file_folder(key)));
    KILL_POINT("block.file.before_record");
    auto recorded = journal_->append(segment::Kind::kLarge, name.str(), large.encode(), [&](Place place) {
      index_.insert(key, Entry{place, large.size, 1}, name.str().size());
    });
    if (recorded || recorded.error().outcome() == base::Outcome::kUnknown) placed.moved();
    TRY(std::move(recorded));
    return Stored{large.size, std::move(large.md5)};
  }

  base::Disk& disk_;
  const std::string folder_;
  const LocalOptions options_;
  std::shared_ptr<void> lock_;
  Index index_;
  std::unique_ptr<Journal> journal_;
  std::atomic<uint64_t> next_temporary_{0};
  std::atomic<bool> compacting_{false};
};

Result<void> LocalStore::open_folder() {
  TRY(disk_.remove_all(folder_ + "/tmp"));
  TRY(disk_.make_directories(folder_ + "/tmp"));
  for (unsigned i = 0; i < 256; ++i) TRY(disk_.make_directories(fmt::format("{}/files/{:02x}", folder_, i)));
  TRY(disk_.make_directories(folder_ + "/segments"));
  TRY(disk_.sync_directory(folder_ + "/files"));
  TRY(disk_.sync_directory(folder_));
  // Files whose removal was recorded but perhaps not done.
  KeySet removed;
  const auto found = [&](Place place, const segment::Record& record, std::string_view body) -> Result<void> {
    const Key key = Key::of(record.name);
    if (record.kind == segment::Kind::kLarge) {
      TRY_LET(const auto large, segment::LargeBody::decode(body));
      index_.insert(key, Entry{place, large.size, 1}, record.name.size());
      removed.erase(key);
      return {};
    }
    if (const auto entry = index_.find(key); entry && entry->large) removed.insert(key);
    if (record.kind == segment::Kind::kObject)
      index_.insert(key, Entry{place, record.body_bytes, 0}, record.name.size());
    else
      index_.bury(key, record.name.size(), place);
    return {};
  };
  const auto restart = [&] {
    index_.clear();
    removed.clear();
  };
  TRY_LET(journal_, Journal::open(disk_, folder_ + "/segments", options_.segment_bytes, restart, found));
  for (const Key& key : removed) TRY(disk_.remove(file_path(key)));
  return {};
}

}  // namespace

Result<std::unique_ptr<Store>> open_local_store(base::Disk& disk, const std::string& folder,
                                                const LocalOptions& options) {
  TRY(disk.make_directories(folder));
  TRY_LET(auto lock, disk.lock(folder + "/LOCK"));
  auto store = std::make_unique<LocalStore>(disk, folder, options, std::move(lock));
  TRY(store->open_folder());
  return std::unique_ptr<Store>(std::move(store));
}

}  // namespace tarn::block
