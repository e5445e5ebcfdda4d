#include "kv/rocks.h"

#include <deque>
#include <map>
#include <unordered_map>

#include <fmt/core.h>
#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/options.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>

#include "base/bell.h"
#include "base/bytes.h"
#include "base/kill_point.h"
#include "base/log.h"
#include "base/memory_only.h"
#include "base/metrics.h"
#include "base/mutex.h"
#include "kv/detail/check.h"
#include "kv/detail/rocks_disk.h"

namespace tarn::kv {
namespace {

// Keys on disk: one byte of space, then the key. The store's own rows come first.
constexpr char kOwnSpace = '\x00';
constexpr char kRowSpace = '\x01';
constexpr char kAfterRows = '\x02';
constexpr std::string_view kSequenceKey{"\x00sequence", 9};
constexpr std::string_view kFormatKey{"\0format", 7};  // not \x00f, which would be the one byte 0f
constexpr std::string_view kFormat = "tarn-kv 1";
constexpr size_t kGroupBatches = 512;
constexpr size_t kGroupBytes = 8 << 20;

rocksdb::Slice slice(std::string_view bytes) { return {bytes.data(), bytes.size()}; }

std::string disk_key(std::string_view key) {
  std::string out;
  out.reserve(key.size() + 1);
  out.push_back(kRowSpace);
  out.append(key);
  return out;
}

std::string disk_end(std::string_view end) { return end.empty() ? std::string(1, kAfterRows) : disk_key(end); }

std::string number(uint64_t value) {
  base::ByteWriter out;
  out.u64(value);
  return out.take();
}

Error from_status(const rocksdb::Status& status, std::string_view what) {
  Code code = Code::kUnavailable;
  if (status.IsCorruption()) code = Code::kCorrupt;
  if (status.IsNoSpace()) code = Code::kNoSpace;
  return Error(code, "store", fmt::format("{}: {}", what, status.ToString()));
}

Result<Row> decode(const rocksdb::Slice& stored, std::string_view key) {
  if (stored.size() < sizeof(Sequence))
    return Error(Code::kCorrupt, "store", fmt::format("row {} is shorter than its header", detail::printable(key)));
  Row row;
  std::memcpy(&row.version, stored.data(), sizeof row.version);
  row.value.assign(stored.data() + sizeof row.version, stored.size() - sizeof row.version);
  return row;
}

/// One moment of the store: a RocksDB snapshot and the sequence of the last batch in it. Shared by all views taken
/// between two groups; keeps the database open.
struct Moment {
  Moment(std::shared_ptr<rocksdb::DB> d, Sequence s) : db(std::move(d)), snapshot(db->GetSnapshot()), sequence(s) {}
  ~Moment() { db->ReleaseSnapshot(snapshot); }
  Moment(const Moment&) = delete;
  Moment& operator=(const Moment&) = delete;

  Result<std::optional<Row>> get(std::string_view key) const {
    rocksdb::ReadOptions read;
    read.snapshot = snapshot;
    if (base::MemoryOnly::active()) read.read_tier = rocksdb::kBlockCacheTier;
    rocksdb::PinnableSlice stored;
    const std::string full = disk_key(key);
    const auto status = db->Get(read, db->DefaultColumnFamily(), full, &stored);
    if (status.IsNotFound()) return std::optional<Row>();
    if (status.IsIncomplete()) return base::MemoryOnly::miss();
    if (!status.ok()) return from_status(status, "reading a row");
    TRY_LET(Row row, decode(stored, key));
    return std::optional<Row>(std::move(row));
  }

  std::shared_ptr<rocksdb::DB> db;
  const rocksdb::Snapshot* snapshot;
  Sequence sequence;
};

/// Rows that were read lately, as they are at the latest moment. Guarded by whoever owns it.
class RowCache {
 public:
  std::shared_ptr<const Row> find(std::string_view key) const {
    const auto it = rows_.find(key);
    return it == rows_.end() ? nullptr : it->second;
  }
  void insert(std::string_view key, std::shared_ptr<const Row> row) {
    const size_t size = key.size() + row->value.size() + kOverhead;
    if (size > kRowBytesMax) return;
    if (bytes_ + size > kBytesMax) clear();
    if (rows_.emplace(key, std::move(row)).second) bytes_ += size;
  }
  void erase(std::string_view key) {
    const auto it = rows_.find(key);
    if (it == rows_.end()) return;
    bytes_ -= key.size() + it->second->value.size() + kOverhead;
    rows_.erase(it);
  }
  void clear() {
    rows_.clear();
    bytes_ = 0;
  }

 private:
  static constexpr size_t kBytesMax = 4 << 20, kRowBytesMax = 8 << 10, kOverhead = 160;
  struct Hash : std::hash<std::string_view> {
    using is_transparent = void;
  };
  std::unordered_map<std::string, std::shared_ptr<const Row>, Hash, std::equal_to<>> rows_;
  size_t bytes_ = 0;
};

/// The latest moment and the rows that are known of it. A row that is here and not younger than an older moment is that
/// moment's row too: nobody has written it since. That a row is absent is never remembered.
class Now {
 public:
  explicit Now(std::shared_ptr<const Moment> moment) : moment_(std::move(moment)) {}

  std::shared_ptr<const Moment> moment() {
    base::Lock lock(mutex_);
    return moment_;
  }
  /// The row at the latest moment (`at` null) or at an older one.
  Result<std::optional<Row>> get(std::string_view key, const std::shared_ptr<const Moment>& at) {
    std::shared_ptr<const Row> known;
    std::shared_ptr<const Moment> moment = at;
    {
      base::Lock lock(mutex_);
      known = rows_.find(key);
      if (!moment) moment = moment_;
    }
    if (known && known->version <= moment->sequence) return std::optional<Row>(*known);
    TRY_LET(std::optional<Row> row, moment->get(key));
    if (!row) return row;
    auto shared = std::make_shared<const Row>(*row);
    base::Lock lock(mutex_);
    if (moment == moment_) rows_.insert(key, std::move(shared));
    return row;
  }
  /// In one step with what a group wrote, so that nobody sees an old row at the new moment.
  template <class Written>
  void advance(std::shared_ptr<const Moment>& next, const Written& written) {
    base::Lock lock(mutex_);
    moment_.swap(next);
    written(rows_);
  }

 private:
  base::Mutex mutex_;
  std::shared_ptr<const Moment> moment_;
  RowCache rows_;
};

class RocksIterator final : public Iterator {
 public:
  RocksIterator(std::shared_ptr<const Moment> moment, std::string_view prefix, std::string_view from)
      : moment_(std::move(moment)), end_(disk_end(prefix_end(prefix))), end_slice_(end_) {
    rocksdb::ReadOptions read;
    read.snapshot = moment_->snapshot;
    if (base::MemoryOnly::active()) read.read_tier = rocksdb::kBlockCacheTier;
    read.iterate_upper_bound = &end_slice_;
    iterator_.reset(moment_->db->NewIterator(read));
    iterator_->Seek(disk_key(std::max(prefix, from)));
  }
  Result<std::optional<KeyRow>> next() override {
    if (!iterator_->Valid()) {
      if (iterator_->status().IsIncomplete()) return base::MemoryOnly::miss();
      if (!iterator_->status().ok()) return from_status(iterator_->status(), "scanning rows");
      return std::optional<KeyRow>();
    }
    const auto key = iterator_->key();
    KeyRow out;
    out.key.assign(key.data() + 1, key.size() - 1);
    TRY_LET(out.row, decode(iterator_->value(), out.key));
    iterator_->Next();
    return std::optional<KeyRow>(std::move(out));
  }

 private:
  std::shared_ptr<const Moment> moment_;
  std::string end_;
  rocksdb::Slice end_slice_;
  std::unique_ptr<rocksdb::Iterator> iterator_;
};

class RocksView final : public View {
 public:
  explicit RocksView(std::shared_ptr<Now> now) : now_(std::move(now)), moment_(now_->moment()) {}
  Result<std::optional<Row>> get(std::string_view key) override { return now_->get(key, moment_); }
  std::unique_ptr<Iterator> scan(std::string_view prefix, std::string_view from) override {
    return std::make_unique<RocksIterator>(moment_, prefix, from);
  }
  Sequence sequence() const override { return moment_->sequence; }

 private:
  std::shared_ptr<Now> now_;
  std::shared_ptr<const Moment> moment_;
};

/// Versions as the store will have them after the batches taken so far; only the leader has one.
class Overlay {
 public:
  Overlay(Now& now, std::shared_ptr<const Moment> base) : now_(now), base_(std::move(base)) {}

  Result<std::optional<Sequence>> version_of(const std::string& key) {
    if (const auto it = written_.find(key); it != written_.end()) return it->second;
    for (const auto& [from, to] : erased_)
      if (key >= from && (to.empty() || key < to)) return std::optional<Sequence>();
    TRY_LET(const auto row, now_.get(key, base_));
    return row ? std::optional<Sequence>(row->version) : std::nullopt;
  }
  void put(const std::string& key, Sequence version) { written_[key] = version; }
  void erase(const std::string& key) { written_[key] = std::nullopt; }
  void erase_range(const std::string& from, const std::string& to) {
    for (auto it = written_.lower_bound(from); it != written_.end() && (to.empty() || it->first < to); ++it)
      it->second = std::nullopt;
    erased_.emplace_back(from, to);
  }
  void forget_written(RowCache& rows) const {
    if (!erased_.empty()) return rows.clear();
    for (const auto& [key, version] : written_) rows.erase(key);
  }

 private:
  Now& now_;
  const std::shared_ptr<const Moment> base_;
  std::map<std::string, std::optional<Sequence>> written_;
  std::vector<std::pair<std::string, std::string>> erased_;
};

/// A caller that waits for its batch, or for its turn to write the next group.
struct Waiter {
  const Batch* batch;
  size_t bytes;
  std::shared_ptr<base::Bell> turn;  ///< of who found others before it
  bool done = false;
  Result<Sequence> result{Sequence{0}};
};

class RocksStore final : public Store {
 public:
  RocksStore(std::shared_ptr<rocksdb::DB> db, std::string path, const RocksOptions& options, Sequence last)
      : db_(std::move(db)),
        path_(std::move(path)),
        options_(options),
        now_(std::make_shared<Now>(std::make_shared<Moment>(db_, last))),
        applies_(base::metrics().counter("tarn_kv_applies_total")),
        groups_(base::metrics().counter("tarn_kv_groups_total")) {}

  Result<std::optional<Row>> get(const Context& ctx, std::string_view key) override {
    TRY(ctx.check(*options_.clock));
    return now_->get(key, nullptr);
  }
  std::unique_ptr<Iterator> scan(const Context&, std::string_view prefix, std::string_view from) override {
    return std::make_unique<RocksIterator>(now_->moment(), prefix, from);
  }
  Result<std::unique_ptr<View>> view(const Context& ctx) override {
    TRY(ctx.check(*options_.clock));
    return std::unique_ptr<View>(new RocksView(now_));
  }
  Result<Sequence> apply(const Context& ctx, const Batch& batch) override {
    TRY(ctx.check(*options_.clock));
    Waiter waiter{&batch, 0, nullptr};
    for (const auto& step : batch.steps()) waiter.bytes += step.key.size() + step.value.size() + 32;
    bool leads = false;
    {
      base::Lock lock(mutex_);
      leads = queue_.empty();
      if (!leads) waiter.turn = std::make_shared<base::Bell>();
      queue_.push_back(&waiter);
    }
    // Once taken, a batch has an outcome soon; a deadline in between would only make it unknown.
    if (!leads) waiter.turn->wait();
    if (!waiter.done) lead();
    return std::move(waiter.result);
  }

 private:
  /// Writes a group, the caller's batch first. Whoever comes meanwhile stays in the queue behind it: one of them is the
  /// next to lead, before this group's callers are told.
  void lead() {
    std::vector<Waiter*> group;
    {
      base::Lock lock(mutex_);
      size_t bytes = 0;
      for (Waiter* waiter : queue_) {
        if (group.size() == kGroupBatches || bytes >= kGroupBytes) break;
        bytes += waiter->bytes;
        group.push_back(waiter);
      }
    }
    apply_group(group);
    std::shared_ptr<base::Bell> next;
    {
      base::Lock lock(mutex_);
      queue_.erase(queue_.begin(), queue_.begin() + static_cast<ptrdiff_t>(group.size()));
      if (!queue_.empty()) next = queue_.front()->turn;
    }
    if (next) next->ring();
    for (Waiter* waiter : group) {
      const auto bell = waiter->turn;  // the waiter ends when it is rung
      waiter->done = true;
      if (waiter != group.front()) bell->ring();
    }
  }

  /// Sets every waiter's result. Holds no lock.
  void apply_group(const std::vector<Waiter*>& group) {
    if (failed_) return fail(group, Error(Code::kUnavailable, "store", failed_text_));
    if (auto room = check_space(group); !room) return fail(group, room.error());
    const auto base = now_->moment();
    Overlay overlay(*now_, base);
    rocksdb::WriteBatch writes;
    Sequence sequence = base->sequence;
    std::vector<Waiter*> taken;
    for (Waiter* waiter : group) {
      if (auto holds = check_batch(*waiter->batch, overlay); !holds) {
        waiter->result = holds.error();
        continue;
      }
      // A failed read in here leaves half a batch in `writes`, and nothing in the store: the whole group fails.
      if (auto added = write_batch(*waiter->batch, sequence + 1, overlay, writes); !added)
        return fail(group, added.error());
      waiter->result = ++sequence;
      taken.push_back(waiter);
    }
    if (taken.empty()) return;
    writes.Put(slice(kSequenceKey), number(sequence));
    rocksdb::WriteOptions how;
    how.sync = options_.sync;
    KILL_POINT("kv.before_write");
    if (const auto status = db_->Write(how, &writes); !status.ok()) return stop(taken, status.ToString());
    KILL_POINT("kv.after_write");
    auto next = std::make_shared<const Moment>(db_, sequence);
    now_->advance(next, [&](RowCache& rows) { overlay.forget_written(rows); });
    applies_.add(static_cast<int64_t>(taken.size()));
    groups_.add();
  }

  static Result<void> check_batch(const Batch& batch, Overlay& overlay) {
    for (const auto& step : batch.steps()) {
      if (!detail::is_precondition(step.kind)) continue;
      TRY_LET(const auto found, overlay.version_of(step.key));
      TRY(detail::check(step, found));
    }
    return {};
  }

  static Result<void> write_batch(const Batch& batch, Sequence sequence, Overlay& overlay, rocksdb::WriteBatch& out) {
    const std::string version = number(sequence);
    for (const auto& step : batch.steps()) {
      switch (step.kind) {
        case Batch::Kind::kPut:
          out.Put(disk_key(step.key), version + step.value);
          overlay.put(step.key, sequence);
          break;
        case Batch::Kind::kErase:
          out.Delete(disk_key(step.key));
          overlay.erase(step.key);
          break;
        case Batch::Kind::kEraseIfVersion: {
          TRY_LET(const auto found, overlay.version_of(step.key));
          if (found != step.version) break;
          out.Delete(disk_key(step.key));
          overlay.erase(step.key);
          break;
        }
        case Batch::Kind::kEraseRange:
          if (!step.value.empty() && step.key >= step.value) break;
          out.DeleteRange(disk_key(step.key), disk_end(step.value));
          overlay.erase_range(step.key, step.value);
          break;
        case Batch::Kind::kRequireAbsent:
        case Batch::Kind::kRequireVersion:
        case Batch::Kind::kRequirePresent:
          break;
      }
    }
    return {};
  }

  Result<void> check_space(const std::vector<Waiter*>& group) {
    uint64_t wanted = options_.reserve_bytes;
    for (const Waiter* waiter : group) wanted += waiter->bytes;
    TRY_LET(const uint64_t available, options_.disk->free_bytes(path_));
    if (available >= wanted) return {};
    return Error(Code::kNoSpace, "disk",
                 fmt::format("{} has {} bytes free and a write needs {}: make room", path_, available, wanted));
  }

  static void fail(const std::vector<Waiter*>& group, const Error& error) {
    for (Waiter* waiter : group) waiter->result = error;
  }
  /// After this nothing is acknowledged again: what the disk holds is known only after a reopen.
  void stop(const std::vector<Waiter*>& group, const std::string& why) {
    failed_ = true;
    failed_text_ = fmt::format("an earlier write failed ({}): restart the server to recover", why);
    base::log(base::Level::kError, "kv write failed, store refuses further writes", {{"path", path_}, {"error", why}});
    fail(group, Error(Code::kUnknownOutcome, "store", fmt::format("the write failed half-way: {}", why)));
  }

  std::shared_ptr<rocksdb::DB> db_;
  const std::string path_;
  const RocksOptions options_;

  base::Mutex mutex_;          ///< guards queue_
  std::deque<Waiter*> queue_;  ///< the front leads: its group is written, the others wait

  const std::shared_ptr<Now> now_;

  bool failed_ = false;  ///< the leader's own, as the text
  std::string failed_text_;
  base::Counter& applies_;
  base::Counter& groups_;
};

rocksdb::Options tuning(const RocksOptions& options, rocksdb::Env* environment) {
  rocksdb::Options out;
  out.env = environment;
  out.info_log = detail::make_logger();
  out.create_if_missing = true;
  out.write_buffer_size = options.memtable_bytes;
  out.max_write_buffer_number = 2;
  out.max_total_wal_size = 4 * options.memtable_bytes;
  out.compression = rocksdb::kLZ4Compression;
  out.max_background_jobs = 2;
  out.max_open_files = 256;
  out.stats_dump_period_sec = 0;
  out.paranoid_checks = true;
  // A WAL that ends in a torn record was never acknowledged to its end; damage before that is an error.
  out.wal_recovery_mode = options.cut_damaged_log ? rocksdb::WALRecoveryMode::kPointInTimeRecovery
                                                  : rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
  rocksdb::BlockBasedTableOptions table;
  // Index and filter of a table are split into small blocks. In one piece the filter of a million keys has more than a
  // megabyte, fits into no shard of a small cache, and every look-up would read it whole.
  constexpr int kCacheShardBits = 3;
  table.block_cache = rocksdb::NewLRUCache(options.cache_bytes, kCacheShardBits);
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10, false));
  table.index_type = rocksdb::BlockBasedTableOptions::IndexType::kTwoLevelIndexSearch;
  table.partition_filters = true;
  table.metadata_block_size = 4 << 10;
  table.cache_index_and_filter_blocks = true;
  table.pin_l0_filter_and_index_blocks_in_cache = true;
  table.block_size = 8 << 10;
  table.format_version = 5;
  out.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return out;
}

Result<Sequence> read_head(rocksdb::DB& db) {
  std::string format, stored;
  auto status = db.Get({}, slice(kFormatKey), &format);
  if (status.IsNotFound()) {
    rocksdb::WriteOptions synced;
    synced.sync = true;
    if (status = db.Put(synced, slice(kFormatKey), slice(kFormat)); !status.ok())
      return from_status(status, "writing the format row");
    return Sequence{0};
  }
  if (!status.ok()) return from_status(status, "reading the format row");
  if (format != kFormat)
    return Error(
        Code::kCorrupt, "store",
        fmt::format("the store has format \"{}\", this version reads \"{}\"", detail::printable(format), kFormat));
  status = db.Get({}, slice(kSequenceKey), &stored);
  if (status.IsNotFound()) return Sequence{0};
  if (!status.ok()) return from_status(status, "reading the last sequence");
  return base::ByteReader(stored, "the last sequence").u64();
}

}  // namespace

Result<std::unique_ptr<Store>> open_rocks_store(const std::string& path, const RocksOptions& options) {
  TRY(options.disk->make_directories(path));
  std::shared_ptr<rocksdb::Env> environment = detail::make_environment(*options.disk);
  rocksdb::DB* raw = nullptr;
  const auto status = rocksdb::DB::Open(tuning(options, environment.get()), path, &raw);
  if (status.IsBusy())
    return Error(Code::kBusy, "store", fmt::format("{} is open in another process: stop it first", path));
  if (status.IsCorruption() && !options.cut_damaged_log)
    return Error(Code::kCorrupt, "store",
                 fmt::format("{} is damaged ({}): restore it, or, if the machine has just lost its power, start once "
                             "with kv.cut_damaged_log",
                             path, status.ToString()));
  if (!status.ok()) return from_status(status, fmt::format("opening {}", path));
  const std::shared_ptr<rocksdb::DB> db(raw, [environment](rocksdb::DB* open) { delete open; });
  TRY_LET(const Sequence last, read_head(*db));
  return std::unique_ptr<Store>(new RocksStore(db, path, options, last));
}

}  // namespace tarn::kv
