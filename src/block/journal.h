#pragma once
// The append-only segments of a local store, written by groups that share one sync.
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/disk.h"
#include "base/mutex.h"
#include "block/segment.h"

namespace tarn::block {

/// Where a record lies.
struct Place {
  uint32_t segment = 0;
  uint32_t offset = 0;
  bool operator==(const Place&) const = default;
};

/// Threads: any. The writer at the head of the queue leads: it appends all that waits, syncs once, and hands over.
/// After a failed sync nothing is ever acknowledged again (promise G12): open anew.
class Journal {
 public:
  using Found = std::function<Result<void>(Place, const segment::Record&, std::string_view body)>;

  /// Opens or makes the folder of segments and tells every record, oldest first. The last segment is checked whole and
  /// cut behind its last good record; damage that is not the torn end of a crash is kCorrupt, naming file and offset.
  static Result<std::unique_ptr<Journal>> open(base::Disk& disk, std::string folder, uint64_t segment_bytes,
                                               const Found& found);

  /// Returns when the record is durable. `durable` runs before that, in the order of the records, on some writer's
  /// thread. Errors: kNoSpace and kUnavailable (not written), kUnknownOutcome (the sync failed).
  Result<void> append(segment::Kind kind, std::string_view name, std::string_view body,
                      const std::function<void(Place)>& durable);

  /// The open file of a segment. Errors: kCorrupt (no such segment).
  Result<std::shared_ptr<base::File>> file(uint32_t number);

  /// Tells every durable record, dead ones too.
  Result<void> each(const Found& found);

 private:
  struct Waiter {
    segment::Kind kind;
    std::string_view name;
    uint32_t body_bytes;
    std::string tail;
    const std::function<void(Place)>* durable;
    base::Condition turn;
    bool done = false;
    Result<void> result;
  };

  Journal(base::Disk& disk, std::string folder, uint64_t segment_bytes)
      : disk_(disk), folder_(std::move(folder)), segment_bytes_(segment_bytes) {}

  std::string path(uint32_t number) const;
  Result<void> recover(const Found& found);
  Result<void> recover_segment(uint32_t number, bool last, const Found& found);
  Result<void> roll();
  Result<void> write_group(const std::vector<Waiter*>& group);
  Result<void> append_group(const std::vector<Waiter*>& group, std::vector<Place>& places);

  base::Disk& disk_;
  const std::string folder_;
  const uint64_t segment_bytes_;

  base::Mutex mutex_;  ///< guards queue_
  std::deque<Waiter*> queue_;

  base::Mutex files_mutex_;  ///< guards files_, last_ and end_ (written by the leader only)
  std::map<uint32_t, std::shared_ptr<base::File>> files_;
  uint32_t last_ = 0;  ///< the segment being written; 0 before the first
  uint64_t end_ = 0;   ///< its durable length

  bool failed_ = false;  ///< the leader's own
};

}  // namespace tarn::block
