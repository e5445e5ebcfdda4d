#pragma once
// Stretches of a branch where a listing found nothing to show because removals hide what lies there. Later listings
// step over them, so that an emptied prefix costs O(log N). Learned by readers, never told by writers:
// docs/notes/0005-emptied-prefixes.md. Only for the one process that writes to the key-value store.
#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "tree/tree.h"

namespace tarn::versioning::detail {

/// Threads: any; no lock is held over input or output. Memory: at most 16 x 4,096 stretches of two paths each; what is
/// forgotten costs time, never truth.
class Voids {
 private:
  struct Branch;

 public:
  /// Something may appear on a branch: opened before the batch is applied, closed when its outcome is known.
  class Change {
   public:
    /// The paths that `edits` put; removals make nothing appear.
    Change(Voids& voids, std::string branch_id, std::span<const tree::Edit> edits);
    /// Anything, anywhere on the branch: its head moves, or staged rows are dropped.
    Change(Voids& voids, std::string branch_id);
    ~Change();
    Change(const Change&) = delete;
    Change& operator=(const Change&) = delete;
    /// The outcome will never be known: these places are never learned again while the process lives.
    void leave_open() { open_for_ever_ = true; }

   private:
    friend class Voids;
    Voids& voids_;
    const std::string branch_id_;
    std::vector<std::string> paths_;
    const bool everything_;
    bool open_for_ever_ = false;
  };

  /// A listing: opened before its view is taken.
  class Reader {
   public:
    Reader(Voids& voids, std::string branch_id);
    /// What was learned is kept, except for places that changed meanwhile.
    ~Reader();
    Reader(const Reader&) = delete;
    Reader& operator=(const Reader&) = delete;
    /// The end of the known stretch around `path`: nothing is visible from `path` up to there in this reader's view.
    std::optional<std::string> end_around(std::string_view path) const;
    /// Nothing is visible in [from, to) in this reader's view.
    void learn(std::string from, std::string to);

   private:
    friend class Voids;
    Voids& voids_;
    const std::string branch_id_;
    uint64_t opened_ = 0;
    bool all_changed_ = false;
    std::vector<std::string> changed_;                          ///< paths that may have appeared since it was opened
    std::vector<std::pair<std::string, std::string>> learned_;  ///< [from, to), ascending
  };

 private:
  struct Stretch {
    std::string to;
    uint64_t learned = 0;
  };
  struct Branch {
    uint64_t clock = 0;
    std::map<std::string, Stretch, std::less<>> stretches;  ///< by their first path; they do not overlap
    std::vector<const Change*> changes;                     ///< under way
    std::vector<Reader*> readers;
    std::vector<std::string> never;  ///< paths whose last write has no known outcome
    bool never_at_all = false;
    bool idle() const {
      return stretches.empty() && changes.empty() && readers.empty() && never.empty() && !never_at_all;
    }
  };
  struct Shard {
    base::Mutex mutex;
    std::unordered_map<std::string, Branch> branches;
    size_t stretches = 0;
  };

  void open(const Change& change);
  Shard& shard(const std::string& branch_id);
  static void split(Shard& shard, Branch& branch, std::string_view path);
  static void touch(Reader& reader, const Change& change);
  static void keep(Shard& shard, Branch& branch, std::string from, std::string to);

  std::array<Shard, 16> shards_;
};

}  // namespace tarn::versioning::detail
