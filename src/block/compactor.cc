#include "block/compactor.h"

#include <deque>
#include <set>

#include <fmt/core.h>

#include "base/kill_point.h"
#include "base/log.h"
#include "base/metrics.h"

namespace tarn::block {
namespace {

/// What is copied with one sync: so much other writers may have to wait for.
constexpr uint64_t kBatchBytes = 1 << 20;

}  // namespace

Result<std::string> record_body(base::File& file, Place place, std::string_view name, uint64_t body_bytes) {
  const uint64_t total = segment::record_bytes(name.size(), body_bytes);
  TRY_LET(const std::string bytes, file.read(place.offset, total));
  const auto damaged = [&](const Error& why) {
    return why.wrap(Code::kCorrupt, "object",
                    fmt::format("{} is damaged in segment {} at offset {}", name, place.segment, place.offset));
  };
  auto record = segment::parse_header(bytes);
  if (!record) return damaged(record.error());
  if (record->name != name || record->total() != total)
    return damaged(Error(Code::kCorrupt, "segment", "the record is another one's"));
  auto body = segment::parse_body(bytes, *record);
  if (!body) return damaged(body.error());
  return std::string(*body);
}

/// Records on their way behind the newest one.
class Compactor::Batch {
 public:
  Batch(Journal& journal, Index& index) : journal_(journal), index_(index) {}

  /// A record of an object that is live at `from`.
  void add(segment::Kind kind, const Key& key, std::string_view name, std::string body, Place from) {
    bytes_ += segment::record_bytes(name.size(), body.size());
    items_.push_back({kind, key, std::string(name), std::move(body), from});
  }
  void add_tombstone(const Key& key, std::string_view name) { add(segment::Kind::kTombstone, key, name, {}, {}); }
  bool full() const { return bytes_ >= kBatchBytes; }
  uint64_t copied_bytes() const { return copied_bytes_; }

  /// Returns when all that is still of use is durable. The names stand still meanwhile: a put or remove of one of them
  /// waits for this sync.
  Result<void> flush() {
    std::deque<Reservation> held;
    KeySet names;
    for (const Item& item : items_)
      if (names.insert(item.key).second) held.emplace_back(index_, item.key);
    std::vector<Append> records;
    uint64_t bytes = 0;
    for (const Item& item : items_) {
      if (!still_needed(item)) continue;
      bytes += segment::record_bytes(item.name.size(), item.body.size());
      records.push_back({item.kind, item.name, item.body, [this, &item](Place to) {
                           if (item.kind == segment::Kind::kTombstone)
                             index_.bury(item.key, item.name.size(), to);
                           else
                             index_.move(item.key, to, item.name.size());
                         }});
    }
    if (!records.empty()) TRY(journal_.append(records));
    copied_bytes_ += bytes;
    items_.clear();
    bytes_ = 0;
    return {};
  }

 private:
  struct Item {
    segment::Kind kind;
    Key key;
    std::string name;
    std::string body;
    Place from;
  };

  /// A copy behind a later record of its name would undo it. A name that exists needs no tombstone: its record wins.
  bool still_needed(const Item& item) {
    const auto entry = index_.find(item.key);
    if (item.kind == segment::Kind::kTombstone) return !entry && buried_.insert(item.key).second;
    return entry && entry->place == item.from;
  }

  Journal& journal_;
  Index& index_;
  std::vector<Item> items_;
  KeySet buried_;
  uint64_t bytes_ = 0, copied_bytes_ = 0;
};

Result<uint64_t> Compactor::run(const Context& ctx) {
  uint64_t freed = 0;
  std::optional<Error> skipped;
  for (const Candidate& candidate : plan()) {
    TRY(ctx.check(clock_));
    const auto one = empty(ctx, candidate);
    if (one) {
      freed += *one;
      continue;
    }
    // Another segment may have less to copy, or be sound.
    if (one.error().code() != Code::kNoSpace && one.error().code() != Code::kCorrupt) return one.error();
    base::log(base::Level::kWarning, "a segment could not be compacted",
              {{"segment", std::to_string(candidate.segment)}, {"error", one.error().text()}});
    skipped = one.error();
  }
  if (freed == 0 && skipped) return *skipped;
  return freed;
}

/// Oldest first: what an older segment loses, the tombstones of a newer one need not guard.
std::vector<Compactor::Candidate> Compactor::plan() {
  const auto view = journal_.view();
  std::vector<Candidate> out;
  for (const auto& [number, held] : view.segments) {
    const bool open = number == view.end.segment;
    if (open && held.bytes <= options_.open_bytes) continue;
    if (worth_it(number, held.bytes)) out.push_back({number, open});
  }
  return out;
}

bool Compactor::worth_it(uint32_t segment, uint64_t bytes) {
  const auto use = index_.use(segment);
  const uint64_t content = bytes - std::min(bytes, segment::kFileHeaderBytes);
  const auto enough = [&](uint64_t needed) {
    const uint64_t dead = content - std::min(content, needed);
    return dead > 0 && dead * 100 >= content * options_.dead_percent;
  };
  if (!enough(use.live_bytes)) return false;
  if (use.tombstones == 0 || enough(use.live_bytes + use.tombstone_bytes)) return true;
  // It depends on the tombstones: those of one segment have about the same length.
  const uint64_t one = use.tombstone_bytes / use.tombstones;
  return enough(use.live_bytes + index_.needed_tombstones(segment).size() * one);
}

Result<uint64_t> Compactor::empty(const Context& ctx, const Candidate& candidate) {
  static base::Counter& segments = base::metrics().counter("tarn_block_compacted_segments_total");
  static base::Counter& bytes = base::metrics().counter("tarn_block_compacted_bytes_total");
  const uint32_t number = candidate.segment;
  if (candidate.open) TRY(journal_.close(number));
  const auto view = journal_.view();
  const Journal::Held held = view.segments.at(number);
  Batch batch(journal_, index_);
  KILL_POINT("block.compact.before_copy");
  TRY(copy_needed(ctx, number, held, batch));
  KILL_POINT("block.compact.after_copy");
  // The last check before bytes go for good.
  if (const uint64_t live = index_.use(number).live_bytes; live != 0)
    return Error(Code::kInternal, "segment",
                 fmt::format("segment {} still has {} live bytes after its objects were copied", number, live));
  TRY(journal_.forget(number));
  index_.drop(number);
  const uint64_t freed = held.bytes - std::min(held.bytes, batch.copied_bytes());
  segments.add();
  bytes.add(static_cast<int64_t>(freed));
  return freed;
}

Result<void> Compactor::copy_needed(const Context& ctx, uint32_t number, const Journal::Held& held, Batch& batch) {
  const KeySet needed = index_.needed_tombstones(number);
  std::vector<Key> dead_files;
  const auto take = [&](uint64_t offset, const segment::Record& record, std::string_view) -> Result<void> {
    if (record.kind == segment::Kind::kGone) return {};
    const Place place{number, static_cast<uint32_t>(offset)};
    const Key key = Key::of(record.name);
    if (record.kind == segment::Kind::kTombstone) {
      if (needed.contains(key)) batch.add_tombstone(key, record.name);
    } else if (const auto entry = index_.find(key); entry && entry->place == place) {
      TRY_LET(std::string body, record_body(*held.file, place, record.name, record.body_bytes));
      batch.add(record.kind, key, record.name, std::move(body), place);
    } else if (record.kind == segment::Kind::kLarge) {
      dead_files.push_back(key);
    }
    if (!batch.full()) return {};
    TRY(ctx.check(clock_));
    return batch.flush();
  };
  TRY_LET(const uint64_t good, segment::scan(*held.file, held.bytes, segment::Verify::kHeaders, take));
  if (good != held.bytes)
    return Error(Code::kCorrupt, "segment", fmt::format("segment {} is damaged at offset {}", number, good));
  TRY(batch.flush());
  return remove_files(dead_files);
}

/// The record of a removed large object is what reminds the next start to delete its file, so the file goes first.
Result<void> Compactor::remove_files(const std::vector<Key>& dead) {
  std::set<std::string> folders;
  for (const Key& key : dead) {
    const Reservation reservation(index_, key);
    if (const auto entry = index_.find(key); entry && entry->large) continue;
    const FilePath path = file_path_(key);
    TRY(disk_.remove(path.file));
    folders.insert(path.folder);
  }
  for (const auto& folder : folders) TRY(disk_.sync_directory(folder));
  return {};
}

}  // namespace tarn::block
