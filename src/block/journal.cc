#include "block/journal.h"

#include <fmt/core.h>

#include "base/kill_point.h"
#include "base/log.h"
#include "base/metrics.h"

namespace tarn::block {
namespace {

constexpr uint64_t kGroupBytes = 8 << 20;
constexpr std::string_view kSuffix = ".seg";
/// Offsets have 32 bits; a segment may go over its size by one group.
constexpr uint64_t kSegmentBytesMax = 1ULL << 31;

}  // namespace

std::string Journal::path(uint32_t number) const { return fmt::format("{}/{:010}{}", folder_, number, kSuffix); }

Result<std::unique_ptr<Journal>> Journal::open(base::Disk& disk, const std::string& folder, uint64_t segment_bytes,
                                               const std::function<void()>& restart, const Found& found) {
  while (true) {
    std::unique_ptr<Journal> out(new Journal(disk, folder, std::min(segment_bytes, kSegmentBytesMax)));
    TRY(out->recover(found));
    TRY_LET(const bool removed, out->remove_gone());
    if (!removed) return out;
    restart();
  }
}

Result<void> Journal::recover(const Found& found) {
  TRY(disk_.make_directories(folder_));
  TRY_LET(const auto names, disk_.list(folder_));
  std::vector<uint32_t> numbers;
  for (const auto& name : names) {
    if (!name.ends_with(kSuffix)) continue;
    const auto number = static_cast<uint32_t>(std::strtoul(name.c_str(), nullptr, 10));
    if (number == 0 || path(number) != folder_ + "/" + name)
      return Error(Code::kCorrupt, "segment",
                   fmt::format("{}/{} is not a segment of this store: move it away", folder_, name));
    numbers.push_back(number);
  }
  for (const uint32_t number : numbers) TRY(recover_segment(number, number == numbers.back(), found));
  for (uint32_t number = 1; number < last_; ++number)
    if (!files_.contains(number) && !gone_.contains(number))
      return Error(Code::kCorrupt, "segment",
                   fmt::format("{} is missing: put it back from a copy before starting", path(number)));
  return {};
}

/// A crash between the record that a segment is gone and the end of its removal leaves the file. Its objects live on in
/// later segments, and what was removed from it must not come back: it is not read.
Result<bool> Journal::remove_gone() {
  std::vector<std::string> left;
  for (const auto& [number, held] : files_)
    if (gone_.contains(number)) left.push_back(path(number));
  if (left.empty()) return false;
  for (const auto& file : left) TRY(disk_.remove(file));
  TRY(disk_.sync_directory(folder_));
  return true;
}

Result<void> Journal::recover_segment(uint32_t number, bool last, const Found& found) {
  TRY_LET(std::shared_ptr<base::File> file,
          disk_.open(path(number), last ? base::OpenMode::kAppend : base::OpenMode::kRead));
  TRY_LET(uint64_t size, file->size());
  uint64_t good = 0;
  if (size >= segment::kFileHeaderBytes) {
    TRY_LET(const std::string header, file->read(0, segment::kFileHeaderBytes));
    if (segment::is_file_header(header, number)) {
      const auto verify = last ? segment::Verify::kBodies : segment::Verify::kHeaders;
      const auto each = [&](uint64_t offset, const auto& record, std::string_view body) -> Result<void> {
        if (record.kind != segment::Kind::kGone)
          return found(Place{number, static_cast<uint32_t>(offset)}, record, body);
        TRY_LET(gone_, segment::Gone::decode(body));
        return {};
      };
      TRY_LET(good, segment::scan(*file, size, verify, each));
    }
  }
  if (good < size || good < segment::kFileHeaderBytes) {
    bool damaged = !last;
    if (!damaged) {
      TRY_LET(damaged, segment::damaged_before_end(*file, good, size));
    }
    if (damaged)
      return Error(
          Code::kCorrupt, "segment",
          fmt::format("{} is damaged at offset {}: put it back from a copy before starting", path(number), good));
    base::log(base::Level::kWarning, "cut the torn end of a segment, which no write had been told of",
              {{"file", path(number)}, {"offset", std::to_string(good)}, {"bytes", std::to_string(size - good)}});
    TRY(file->truncate(good));
    if (good == 0) TRY(file->append(segment::file_header(number)));
    size = std::max(good, segment::kFileHeaderBytes);
  }
  if (last) {
    // Records of a process that was killed between append and sync are in the file but perhaps not on the disk.
    TRY(file->sync());
    TRY(disk_.sync_directory(folder_));
  }
  files_[number] = {std::move(file), size};
  last_ = number;
  end_ = size;
  return {};
}

std::shared_ptr<base::File> Journal::find(uint32_t number) {
  base::Lock lock(files_mutex_);
  const auto it = files_.find(number);
  return it == files_.end() ? nullptr : it->second.file;
}

Journal::View Journal::view() {
  base::Lock lock(files_mutex_);
  return {files_, {last_, static_cast<uint32_t>(end_)}};
}

uint64_t Journal::bytes() {
  base::Lock lock(files_mutex_);
  uint64_t total = 0;
  for (const auto& [number, held] : files_) total += std::max(held.bytes, segment::kFileHeaderBytes);
  return total;
}

Result<void> Journal::each(const View& view, const Found& found) {
  for (const auto& [number, held] : view.segments) {
    if (held.bytes <= segment::kFileHeaderBytes) continue;
    const auto tell = [&](uint64_t offset, const auto& record, std::string_view body) -> Result<void> {
      if (record.kind == segment::Kind::kGone) return {};
      return found(Place{number, static_cast<uint32_t>(offset)}, record, body);
    };
    TRY_LET(const uint64_t good, segment::scan(*held.file, held.bytes, segment::Verify::kHeaders, tell));
    if (good != held.bytes)
      return Error(Code::kCorrupt, "segment", fmt::format("{} is damaged at offset {}", path(number), good));
  }
  return {};
}

Result<void> Journal::append(std::span<const Append> records) {
  Waiter self;
  self.records = records;
  for (const Append& record : records) {
    self.tails.push_back(segment::encode_tail(record.name, record.body));
    self.bytes += segment::kRecordHeaderBytes + self.tails.back().size();
  }
  bool leads = false;
  {
    base::Lock lock(mutex_);
    leads = queue_.empty();
    queue_.push_back(&self);
  }
  if (!leads) self.turn->wait();
  if (self.done) return self.result;

  std::vector<Waiter*> group;
  uint64_t bytes = 0;
  base::Lock lock(mutex_);
  for (Waiter* waiter : queue_) {
    if (bytes >= kGroupBytes) break;
    bytes += waiter->bytes;
    group.push_back(waiter);
  }
  lock.unlock();
  auto written = write_group(group);
  std::shared_ptr<base::Bell> next;
  lock.lock();
  queue_.erase(queue_.begin(), queue_.begin() + static_cast<ptrdiff_t>(group.size()));
  if (!queue_.empty()) next = queue_.front()->turn;
  lock.unlock();
  if (next) next->ring();  // the next group's write begins while this one's are told
  for (Waiter* waiter : group) {
    if (waiter == &self) continue;
    const auto bell = waiter->turn;  // the waiter ends when it is rung
    waiter->result = written;
    waiter->done = true;
    bell->ring();
  }
  return written;
}

Result<void> Journal::roll() {
  const uint32_t number = last_ + 1;
  TRY_LET(std::shared_ptr<base::File> file, disk_.open(path(number), base::OpenMode::kCreate));
  auto made = file->append(segment::file_header(number));
  if (made) made = disk_.sync_directory(folder_);
  if (!made) {
    TRY(disk_.remove(path(number)));
    return made;
  }
  base::Lock lock(files_mutex_);
  files_[number] = {std::move(file), 0};
  last_ = number;
  end_ = 0;
  return {};
}

Result<void> Journal::write_group(const std::vector<Waiter*>& group) {
  static base::Counter& records = base::metrics().counter("tarn_block_records_total");
  static base::Counter& groups = base::metrics().counter("tarn_block_groups_total");
  if (failed_)
    return Error(Code::kUnavailable, "store", "an earlier write to the segments failed: restart the server to recover");
  std::vector<Place> places;
  TRY_LET(const uint64_t end, append_group(group, places));
  size_t i = 0;
  for (const Waiter* waiter : group)
    for (const Append& record : waiter->records) record.durable(places[i++]);
  {
    // Last: a view that holds a moved record finds the index pointing at it.
    base::Lock lock(files_mutex_);
    end_ = files_[last_].bytes = end;
  }
  records.add(static_cast<int64_t>(places.size()));
  groups.add();
  return {};
}

/// @return the end of the group in its segment.
Result<uint64_t> Journal::append_group(const std::vector<Waiter*>& group, std::vector<Place>& places) {
  const bool closed = last_ != 0 && close_.exchange(0) == last_;
  if (last_ == 0 || closed || end_ >= segment_bytes_) TRY(roll());
  const auto file = find(last_);
  const uint64_t start = std::max(end_, segment::kFileHeaderBytes);
  std::string bytes;
  for (const Waiter* waiter : group) {
    for (size_t i = 0; i < waiter->records.size(); ++i) {
      const Append& record = waiter->records[i];
      places.push_back({last_, static_cast<uint32_t>(start + bytes.size())});
      bytes += segment::encode_header(record.kind, record.name, static_cast<uint32_t>(record.body.size()),
                                      static_cast<uint32_t>(end_));
      bytes += waiter->tails[i];
    }
  }
  KILL_POINT("block.segment.before_append");
  if (auto put = file->append(bytes); !put) {
    // Part of the group may be in the file: it must be gone for good before anybody hears "not written".
    auto undone = file->truncate(start);
    if (undone) undone = file->sync();
    if (undone) return put.error();
    failed_ = true;
    return put.error().wrap(Code::kUnknownOutcome, "store", "a write to the segments failed and could not be undone");
  }
  KILL_POINT("block.segment.before_sync");
  if (auto synced = file->sync(); !synced) {
    failed_ = true;
    base::log(base::Level::kError, "segment sync failed, the store refuses further writes",
              {{"file", path(last_)}, {"error", synced.error().text()}});
    return synced.error().wrap(Code::kUnknownOutcome, "store", "the sync of a segment failed: look before retrying");
  }
  KILL_POINT("block.segment.after_sync");
  return start + bytes.size();
}

Result<void> Journal::close(uint32_t number) {
  while (true) {
    std::string list;
    {
      base::Lock lock(files_mutex_);
      if (last_ != number) return {};
      list = gone_.encode();
    }
    close_ = number;
    // Any record will do to make the next segment begin.
    TRY(append(segment::Kind::kGone, segment::kGoneName, list, [](Place) {}));
  }
}

Result<void> Journal::forget(uint32_t number) {
  segment::Gone gone;
  {
    base::Lock lock(files_mutex_);
    gone = gone_;
  }
  if (!gone.contains(number)) {
    gone.add(number);
    TRY(append(segment::Kind::kGone, segment::kGoneName, gone.encode(), [](Place) {}));
    base::Lock lock(files_mutex_);
    gone_ = gone;
  }
  KILL_POINT("block.compact.before_unlink");
  TRY(disk_.remove(path(number)));
  KILL_POINT("block.compact.before_folder_sync");
  TRY(disk_.sync_directory(folder_));
  KILL_POINT("block.compact.after_folder_sync");
  Held last;  // closed outside the lock, by the last reader that has it
  base::Lock lock(files_mutex_);
  last = std::move(files_[number]);
  files_.erase(number);
  return {};
}

}  // namespace tarn::block
