#pragma once
// Writes the ref journal behind the head moves: one object per repository and pass, folded into snapshots.
#include <atomic>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "block/store.h"
#include "kv/store.h"
#include "versioning/journal.h"
#include "versioning/types.h"

namespace tarn::versioning::detail {

/// Every batch that moves a ref puts a small row beside it (note_*). A pass reads rows and refs in one view, writes
/// what the refs are now, and takes the rows away, each only if it is still that version. So a crash at any point
/// leaves rows that the next pass writes (again): the journal needs no comparison at a start.
///
/// Lifecycle: start() begins the writer; the destructor stops it and writes the rest. Threads: any.
class RefJournal {
 public:
  RefJournal(kv::Store& kv, block::Store& blocks, base::Clock& clock) : kv_(kv), blocks_(blocks), clock_(clock) {}
  ~RefJournal();
  RefJournal(const RefJournal&) = delete;
  RefJournal& operator=(const RefJournal&) = delete;

  // Steps of the batch that moves something.
  static void note_branch(kv::Batch& batch, const std::string& repository_id, std::string_view name);
  static void note_tag(kv::Batch& batch, const std::string& repository_id, std::string_view name);
  static void note_protection(kv::Batch& batch, const std::string& repository_id);
  static void note_repository(kv::Batch& batch, const std::string& repository_id);
  /// A repository that no journal can know yet: its id was just drawn.
  static void note_created(kv::Batch& batch, const std::string& repository_id);
  /// After the steps that erase everything below the id.
  static void note_deleted(kv::Batch& batch, const Repository& repository);

  /// Says that a batch with such a step was applied. Cost: one atomic exchange.
  void noted();
  /// The same for a batch that somebody else applies soon.
  void will_be_noted();

  /// A writer of its own: at most one pass in `interval_ms`, none when nothing was noted.
  void start(int64_t interval_ms);
  /// Writes all that was noted before the call. Errors: kUnavailable, kNoSpace, kCorrupt: the rows stay for a next
  /// pass.
  Result<void> flush(const Context& ctx);
  /// Writes all that was noted and makes one snapshot of the repository's journal. Errors: as flush().
  Result<void> condense(const Context& ctx, const Repository& repository);
  /// Compares each journal's end with what the key-value store says of it, and begins anew with a snapshot where they
  /// differ: a folder from before there was a journal, a journal object lost, a key-value store put back from a copy.
  /// Cost: two looks a repository. Errors: as flush().
  Result<void> check_ends(const Context& ctx);

 private:
  /// v/je/<repository id>: where the journal ends.
  struct End {
    uint64_t first = 0, last = 0;         ///< numbers of the objects that lie there; last 0: none yet
    uint64_t snapshot_bytes = 0;          ///< of the newest snapshot
    uint64_t moves = 0, moves_bytes = 0;  ///< written since it
    kv::Sequence version = 0;
    std::string encode() const;
    static Result<End> decode(const kv::Row& row);
  };
  struct Noted {
    std::string what;  ///< "r", "p", "b/<name>", "t/<name>"
    kv::KeyRow row;
  };

  void run();
  Result<void> pass(const Context& ctx);
  Result<void> write_moves(const Context& ctx, kv::View& view, const std::string& id, const std::vector<Noted>& noted);
  Result<void> write_snapshot(const Context& ctx, const std::string& id, const Repository& repository, End end);
  Result<void> write_deletion(const Context& ctx, const std::string& id, const Noted& deletion);
  /// Puts the object under the first free number after `end.last` and moves `end` to it.
  Result<uint64_t> put(const Context& ctx, const std::string& folder, journal::Object& object, End& end);
  Result<std::optional<End>> find_end(const Context& ctx, const std::string& id);
  /// An end after everything that lies in the folder. Cost: lists the store.
  Result<End> search_end(const Context& ctx, const std::string& folder);
  static void put_end(kv::Batch& batch, const std::string& id, const End& end);
  Result<void> remove_before(const Context& ctx, const std::string& folder, uint64_t from, uint64_t to);

  kv::Store& kv_;
  block::Store& blocks_;
  base::Clock& clock_;
  base::Mutex passing_;            ///< one pass at a time; held while it writes
  std::atomic<bool> noted_{true};  ///< what an earlier process left may be there
  std::atomic<int> looks_{0};      ///< passes to make without being told
  base::Mutex mutex_;              ///< guards closing_; never held while waiting for a store
  base::Condition woken_;
  bool closing_ = false;
  std::atomic<uint64_t> objects_{0};  ///< written by this process
  int64_t interval_ms_ = 0;
  base::Thread writer_;
};

}  // namespace tarn::versioning::detail
