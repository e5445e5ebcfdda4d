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

Result<std::unique_ptr<Journal>> Journal::open(base::Disk& disk, std::string folder, uint64_t segment_bytes,
                                               const Found& found) {
  std::unique_ptr<Journal> out(new Journal(disk, std::move(folder), std::min(segment_bytes, kSegmentBytesMax)));
  TRY(out->recover(found));
  return out;
}

Result<void> Journal::recover(const Found& found) {
  TRY(disk_.make_directories(folder_));
  TRY_LET(const auto names, disk_.list(folder_));
  uint32_t expected = 0;
  std::vector<uint32_t> numbers;
  for (const auto& name : names) {
    if (!name.ends_with(kSuffix)) continue;
    const auto number = static_cast<uint32_t>(std::strtoul(name.c_str(), nullptr, 10));
    if (number != ++expected)
      return Error(Code::kCorrupt, "segment",
                   fmt::format("{} is missing: put it back from a copy before starting", path(expected)));
    numbers.push_back(number);
  }
  for (const uint32_t number : numbers) TRY(recover_segment(number, number == numbers.back(), found));
  return {};
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
      TRY_LET(good, segment::scan(*file, size, verify, [&](uint64_t offset, const auto& record, std::string_view body) {
                return found(Place{number, static_cast<uint32_t>(offset)}, record, body);
              }));
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
  files_[number] = std::move(file);
  last_ = number;
  end_ = size;
  return {};
}

Result<std::shared_ptr<base::File>> Journal::file(uint32_t number) {
  base::Lock lock(files_mutex_);
  const auto it = files_.find(number);
  if (it == files_.end()) return Error(Code::kCorrupt, "segment", fmt::format("{} does not exist", path(number)));
  return it->second;
}

Result<void> Journal::each(const Found& found) {
  std::map<uint32_t, std::shared_ptr<base::File>> files;
  uint32_t last = 0;
  uint64_t last_end = 0;
  {
    base::Lock lock(files_mutex_);
    files = files_;
    last = last_;
    last_end = end_;
  }
  for (const auto& [number, file] : files) {
    if (number > last) continue;
    uint64_t end = last_end;
    if (number != last) {
      TRY_LET(end, file->size());
    }
    if (end <= segment::kFileHeaderBytes) continue;
    TRY_LET(const uint64_t good,
            segment::scan(*file, end, segment::Verify::kHeaders,
                          [&](uint64_t offset, const auto& record, std::string_view body) {
                            return found(Place{number, static_cast<uint32_t>(offset)}, record, body);
                          }));
    if (good != end)
      return Error(Code::kCorrupt, "segment", fmt::format("{} is damaged at offset {}", path(number), good));
  }
  return {};
}

Result<void> Journal::append(segment::Kind kind, std::string_view name, std::string_view body,
                             const std::function<void(Place)>& durable) {
  Waiter self{kind, name, static_cast<uint32_t>(body.size()), segment::encode_tail(name, body), &durable};
  base::Lock lock(mutex_);
  queue_.push_back(&self);
  self.turn.wait(lock, [&] { return self.done || queue_.front() == &self; });
  if (self.done) return self.result;

  std::vector<Waiter*> group;
  uint64_t bytes = 0;
  for (Waiter* waiter : queue_) {
    if (bytes >= kGroupBytes) break;
    bytes += segment::kRecordHeaderBytes + waiter->tail.size();
    group.push_back(waiter);
  }
  lock.unlock();
  const auto written = write_group(group);
  lock.lock();
  queue_.erase(queue_.begin(), queue_.begin() + static_cast<ptrdiff_t>(group.size()));
  for (Waiter* waiter : group) {
    if (waiter == &self) continue;
    waiter->result = written;
    waiter->done = true;
    waiter->turn.notify_one();
  }
  if (!queue_.empty()) queue_.front()->turn.notify_one();
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
  files_[number] = std::move(file);
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
  TRY(append_group(group, places));
  for (size_t i = 0; i < group.size(); ++i) (*group[i]->durable)(places[i]);
  records.add(static_cast<int64_t>(group.size()));
  groups.add();
  return {};
}

Result<void> Journal::append_group(const std::vector<Waiter*>& group, std::vector<Place>& places) {
  if (last_ == 0 || end_ >= segment_bytes_) TRY(roll());
  TRY_LET(const auto file, this->file(last_));
  const uint64_t start = std::max(end_, segment::kFileHeaderBytes);
  std::string bytes;
  for (const Waiter* waiter : group) {
    places.push_back({last_, static_cast<uint32_t>(start + bytes.size())});
    bytes += segment::encode_header(waiter->kind, waiter->name, waiter->body_bytes, static_cast<uint32_t>(end_));
    bytes += waiter->tail;
  }
  KILL_POINT("block.segment.before_append");
  if (auto put = file->append(bytes); !put) {
    // Part of the group may be in the file: it must be gone for good before anybody hears "not written".
    auto undone = file->truncate(start);
    if (undone) undone = file->sync();
    if (undone) return put;
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
  base::Lock lock(files_mutex_);
  end_ = start + bytes.size();
  return {};
}

}  // namespace tarn::block
