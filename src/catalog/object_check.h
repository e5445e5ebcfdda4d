#pragma once
// Whether an object's bytes are where its entry says, and are what it says: for fsck.
#include <string>
#include <unordered_set>

#include "base/disk.h"
#include "block/foreign.h"
#include "block/store.h"
#include "tree/entry.h"
#include "versioning/types.h"

namespace tarn::catalog {

/// Threads: one at a time. Memory: about 80 bytes a distinct object, twice that when they are read.
class ObjectCheck {
 public:
  enum class Depth {
    kPresence,  ///< it is there and has its size; a linked file has the time of its linking, too
    kContent    ///< and every byte is read: the store's own check, and the MD5 that the entry's ETag says
  };
  /// Both outlive it.
  ObjectCheck(block::Store& blocks, base::Disk& disk, Depth depth)
      : blocks_(blocks), files_(disk, {"/"}), depth_(depth) {}

  /// Errors: kGone (missing, or a linked file that changed), kCorrupt (another size or content), kForbidden (a linked
  ///         file that may not be read), kUnavailable.
  /// Cost:   presence: a look-up; content: one read of each distinct object.
  Result<void> check(const Context& ctx, const versioning::Repository& repository, const tree::Entry& entry);

  uint64_t bytes_read() const { return bytes_read_; }
  /// Objects stored here (not linked) that were found, each content once.
  struct Distinct {
    uint64_t objects = 0, bytes = 0;
  };
  const Distinct& distinct() const { return distinct_; }

 private:
  Result<uint64_t> size_of(const Context& ctx, const versioning::Repository& repository, const tree::Address& address);
  Result<std::unique_ptr<block::ByteReader>> open(const Context& ctx, const versioning::Repository& repository,
                                                  const tree::Address& address, uint64_t size);
  Result<void> check_content(const Context& ctx, const versioning::Repository& repository, const tree::Entry& entry);

  block::Store& blocks_;
  block::ForeignFiles files_;
  const Depth depth_;
  uint64_t bytes_read_ = 0;
  Distinct distinct_;
  std::unordered_set<std::string> counted_;  ///< digests of ETag and size
  std::unordered_set<std::string> read_;     ///< digests of address and ETag
};

}  // namespace tarn::catalog
