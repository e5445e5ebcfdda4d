#pragma once
// The ordered, transactional key-value store that holds every room's records (decision D3).
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/context.h"
#include "base/result.h"

namespace tarn::kv {

/// The number of an apply, given by the store in apply order, starting at 1 and never reused, also across restarts.
/// A row's version is the sequence of the apply that wrote it.
using Sequence = uint64_t;

struct Row {
  std::string value;  ///< first byte: format version of the record
  Sequence version = 0;
};

struct KeyRow {
  std::string key;
  Row row;
};

/// Walks rows in bytewise key order. An error is never the end of data: next() says nullopt only after the last row.
class Iterator {
 public:
  virtual ~Iterator() = default;
  virtual Result<std::optional<KeyRow>> next() = 0;
};

/// One point in time: everything read through a view belongs to the same moment.
/// Threads: any, one at a time. Holds resources of the store: let it go soon.
class View {
 public:
  virtual ~View() = default;
  virtual Result<std::optional<Row>> get(std::string_view key) = 0;
  /// Rows whose key starts with `prefix` and is >= `from` (`from` is a whole key; empty means the start).
  virtual std::unique_ptr<Iterator> scan(std::string_view prefix, std::string_view from = {}) = 0;
  /// Every apply with a sequence <= this one is visible here, and none above it.
  virtual Sequence sequence() const = 0;
};

/// Preconditions and writes that happen together or not at all. All preconditions are checked against the state before
/// the batch, wherever they stand in it; order of writes within a batch is kept.
class Batch {
 public:
  enum class Kind : uint8_t {
    kRequireAbsent,
    kRequireVersion,
    kRequirePresent,
    kPut,
    kErase,
    kEraseRange,
    kEraseIfVersion
  };
  struct Step {
    Kind kind;
    std::string key;
    std::string value;  ///< the row for kPut; the exclusive end for kEraseRange
    Sequence version = 0;
  };

  Batch& require_absent(std::string key) { return add({Kind::kRequireAbsent, std::move(key), {}, 0}); }
  Batch& require_version(std::string key, Sequence v) { return add({Kind::kRequireVersion, std::move(key), {}, v}); }
  Batch& require_present(std::string key) { return add({Kind::kRequirePresent, std::move(key), {}, 0}); }
  Batch& put(std::string key, std::string value) { return add({Kind::kPut, std::move(key), std::move(value), 0}); }
  Batch& erase(std::string key) { return add({Kind::kErase, std::move(key), {}, 0}); }
  /// Removes keys in [from, to); an empty `to` means all keys from `from` on, as prefix_end() says it.
  Batch& erase_range(std::string from, std::string to) {
    return add({Kind::kEraseRange, std::move(from), std::move(to), 0});
  }
  /// Removes the row only if it still has this version; another version is not an error (clean-up of sealed rows).
  Batch& erase_if_version(std::string key, Sequence v) { return add({Kind::kEraseIfVersion, std::move(key), {}, v}); }
  /// Takes over all steps of another batch: how a caller adds its records to someone else's landing.
  Batch& append(const Batch& other) {
    steps_.insert(steps_.end(), other.steps_.begin(), other.steps_.end());
    return *this;
  }
  const std::vector<Step>& steps() const { return steps_; }
  bool empty() const { return steps_.empty(); }

 private:
  Batch& add(Step step) {
    steps_.push_back(std::move(step));
    return *this;
  }
  std::vector<Step> steps_;
};

/// Errors of all calls: kUnavailable (store), kCorrupt, kDeadline/kCancelled. Threads: any.
class Store {
 public:
  virtual ~Store() = default;
  virtual Result<std::optional<Row>> get(const Context& ctx, std::string_view key) = 0;
  /// A scan over a view of its own.
  virtual std::unique_ptr<Iterator> scan(const Context& ctx, std::string_view prefix, std::string_view from = {}) = 0;
  virtual Result<std::unique_ptr<View>> view(const Context& ctx) = 0;
  /// Applies all steps atomically and durably (synced) before it returns.
  /// Preconditions see the batch's place in the apply order, earlier batches of the same group included.
  ///
  /// @return the sequence given to the batch.
  /// Errors: kConflict (a precondition fails; subject = "key", message names the key; nothing written), kNoSpace,
  ///         kUnknownOutcome (the write or its sync failed half-way: look before retrying).
  /// Cost: shares one sync with every batch that waits at the same time; no lock spans the sync.
  virtual Result<Sequence> apply(const Context& ctx, const Batch& batch) = 0;
};

/// The smallest key greater than every key that starts with `prefix`; empty when there is none.
std::string prefix_end(std::string_view prefix);

}  // namespace tarn::kv
