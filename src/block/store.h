#pragma once
// The object store underneath: immutable named byte strings.
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/context.h"
#include "base/ids.h"
#include "base/result.h"

namespace tarn::block {

struct NameTag {};
/// "<namespace>/data/<partition>/<sequence>", "<namespace>/packs/<id>" …: relative to the store, '/'-separated, 1..1024
/// bytes, no empty, "." or ".." segment.
using Name = base::Named<NameTag>;

/// Checks the form above. Errors: kInvalid.
Result<Name> make_name(std::string text);

/// Bytes on their way in. read() says 0 only at the end; an error is never the end.
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  virtual Result<size_t> read(char* buffer, size_t size) = 0;
};

/// A ByteSource over a string that outlives it.
class StringSource final : public ByteSource {
 public:
  explicit StringSource(std::string_view bytes) : rest_(bytes) {}
  Result<size_t> read(char* buffer, size_t size) override;

 private:
  std::string_view rest_;
};

/// Bytes on their way out, from offset to offset + length of one object.
class ByteReader : public ByteSource {
 public:
  /// Where the bytes lie in a file, for sendfile; nullopt when there is none.
  struct Span {
    int descriptor;
    uint64_t offset;
    uint64_t length;
  };
  virtual std::optional<Span> span() const { return std::nullopt; }
};

struct Stored {
  uint64_t size = 0;
  std::string md5;  ///< 16 raw bytes
};

struct Info {
  uint64_t size = 0;
};

/// Threads: any. Errors of all calls besides their own: kUnavailable, kDeadline, kCancelled.
class Store {
 public:
  virtual ~Store() = default;

  /// Writes one object. When it returns, the bytes and the name are durable; nothing is ever overwritten.
  ///
  /// Errors: kAlreadyExists (name taken; nothing written); kNoSpace; the source's own error (nothing is left behind);
  ///         kUnknownOutcome (a sync failed: look with stat()).
  /// Cost:   small objects (<= 64 KiB, local store): one append, one shared fdatasync. Larger: a file, its sync and its
  ///         directory's sync. Memory: 256 KiB.
  virtual Result<Stored> put(const Context& ctx, const Name& name, ByteSource& source) = 0;
  Result<Stored> put(const Context& ctx, const Name& name, std::string_view bytes) {
    StringSource source(bytes);
    return put(ctx, name, source);
  }

  /// @param length  nullopt reads to the end. Errors: kNotFound, kInvalid (offset behind the end), kCorrupt.
  virtual Result<std::unique_ptr<ByteReader>> open(const Context& ctx, const Name& name, uint64_t offset,
                                                   std::optional<uint64_t> length) = 0;
  /// The same bytes as one string; for packs and other small things.
  virtual Result<std::string> read(const Context& ctx, const Name& name, uint64_t offset,
                                   std::optional<uint64_t> length);
  /// Errors: kNotFound.
  virtual Result<Info> stat(const Context& ctx, const Name& name) = 0;
  /// Calls `each` for every name with the prefix, in no promised order, until it returns an error. Cost: linear in the
  /// whole store for the local one: for recovery, checks and clean-up only.
  virtual Result<void> list(const Context& ctx, std::string_view prefix,
                            const std::function<Result<void>(const Name&, const Info&)>& each) = 0;
  /// Absent is fine. Only clean-up that has proof calls this.
  virtual Result<void> remove(const Context& ctx, const Name& name) = 0;
  /// Bytes of all live objects, for reports.
  virtual Result<uint64_t> stored_bytes(const Context& ctx) = 0;
  /// Bytes that the store takes up: live objects, and what names, bookkeeping and removed objects still occupy. Not
  /// less than stored_bytes(). A store that keeps no such extra says stored_bytes().
  virtual Result<uint64_t> disk_bytes(const Context& ctx) { return stored_bytes(ctx); }

  /// Gives back room that removed objects still take up. Names, bytes and open readers are not touched, and every other
  /// call may run meanwhile. Stopping at any point, a crash too, loses nothing; a later call goes on.
  ///
  /// @return bytes by which the store shrank, but for some bookkeeping; 0 when nothing is worth it, when another
  ///         call is at it already, and for stores that have nothing to give back.
  /// Errors: kNoSpace (no room for the copies of what is moved); kCorrupt (damage met, and nothing could be freed);
  ///         kUnknownOutcome (as for put).
  virtual Result<uint64_t> compact(const Context& ctx);
};

}  // namespace tarn::block
