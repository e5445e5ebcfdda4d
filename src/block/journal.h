#pragma once
// The append-only segments of a local store, written by groups that share one sync.
#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/bell.h"
#include "base/disk.h"
#include "base/mutex.h"
#include "block/segment.h"

namespace tarn::block {

/// Where a record lies.
struct Place {
  uint32_t segment = 0;
  uint32_t offset = 0;
  auto operator<=>(const Place&) const = default;
};

/// A record to be written. `durable` runs when it is on stable storage, before append() returns, in the order of the
/// records, on some writer's thread. The views live as long as the call.
struct Append {
  segment::Kind kind;
  std::string_view name;
  std::string_view body;
  std::function<void(Place)> durable;
};

/// Threads: any. The writer at the head of the queue leads: it appends all that waits, syncs once, and hands over.
/// After a failed sync nothing is ever acknowledged again (promise G12): open anew.
class Journal {
 public:
  using Found = std::function<Result<void>(Place, const segment::Record&, std::string_view body)>;
  struct Held {
    std::shared_ptr<base::File> file;
    uint64_t bytes = 0;  ///< durable length
  };
  /// The durable records of one moment. What is appended later, also by compaction, lies behind `end`.
  struct View {
    std::map<uint32_t, Held> segments;
    Place end;
  };

  /// Opens or makes the folder of segments and tells every record, oldest first. The last segment is checked whole and
  /// cut behind its last good record; damage that is not the torn end of a crash is kCorrupt, naming file and offset.
  /// Segments that a compaction emptied and could not remove any more are removed; then all is told once again, after
  /// `restart`.
  static Result<std::unique_ptr<Journal>> open(base::Disk& disk, const std::string& folder, uint64_t segment_bytes,
                                               const std::function<void()>& restart, const Found& found);

  /// Returns when the records are durable; they lie in one segment, one after the other. At least one.
  /// Errors: kNoSpace and kUnavailable (not written), kUnknownOutcome (the sync failed).
  Result<void> append(std::span<const Append> records);
  Result<void> append(segment::Kind kind, std::string_view name, std::string_view body,
                      std::function<void(Place)> durable) {
    const Append one{kind, name, body, std::move(durable)};
    return append(std::span(&one, 1));
  }

  /// The open file of a segment; null when there is none (any more).
  std::shared_ptr<base::File> find(uint32_t number);

  View view();
  /// Tells every record of the view about an object, dead ones too. Errors: kCorrupt, and those of `found`.
  Result<void> each(const View& view, const Found& found);

  /// Lengths of all segment files.
  uint64_t bytes();

  /// No record is written to the segment after this. For the compactor, which is one thread, like forget().
  Result<void> close(uint32_t number);
  /// Takes a closed segment without a live record away: writes down that it is gone, then removes the file, then makes
  /// that durable. After an error the segment is still there, and the call may be repeated.
  Result<void> forget(uint32_t number);

 private:
  struct Waiter {
    std::span<const Append> records;
    std::vector<std::string> tails;
    uint64_t bytes = 0;
    std::shared_ptr<base::Bell> turn = std::make_shared<base::Bell>();  ///< its group is written, or it leads the next
    bool done = false;
    Result<void> result;
  };

  Journal(base::Disk& disk, std::string folder, uint64_t segment_bytes)
      : disk_(disk), folder_(std::move(folder)), segment_bytes_(segment_bytes) {}

  std::string path(uint32_t number) const;
  Result<void> recover(const Found& found);
  Result<void> recover_segment(uint32_t number, bool last, const Found& found);
  Result<bool> remove_gone();
  Result<void> roll();
  Result<void> write_group(const std::vector<Waiter*>& group);
  Result<uint64_t> append_group(const std::vector<Waiter*>& group, std::vector<Place>& places);

  base::Disk& disk_;
  const std::string folder_;
  const uint64_t segment_bytes_;

  base::Mutex mutex_;  ///< guards queue_
  std::deque<Waiter*> queue_;

  base::Mutex files_mutex_;  ///< guards files_, last_ and end_ (the last two written by the leader only), gone_
  std::map<uint32_t, Held> files_;
  uint32_t last_ = 0;   ///< the segment being written; 0 before the first
  uint64_t end_ = 0;    ///< its durable length
  segment::Gone gone_;  ///< written down as gone; the file may still be there

  std::atomic<uint32_t> close_{0};  ///< the segment that the next group must not write to
  bool failed_ = false;             ///< the leader's own
};

}  // namespace tarn::block
