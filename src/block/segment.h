#pragma once
// The bytes of a segment file (docs/formats/segments.md): a header, then records one after the other.
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/disk.h"
#include "base/result.h"

namespace tarn::block::segment {

inline constexpr uint64_t kFileHeaderBytes = 16;
inline constexpr uint64_t kRecordHeaderBytes = 24;
inline constexpr uint64_t kCheckBytes = 16;
inline constexpr uint64_t kLargeBodyBytes = 40;

enum class Kind : uint8_t {
  kObject = 1,     ///< body: the object's bytes
  kTombstone = 2,  ///< body: empty
  kLarge = 3,      ///< body: LargeBody; the object's bytes are a file of their own
  kGone = 4        ///< name: kGoneName; body: Gone. Not about an object
};

/// The name in a record about the segments themselves; no object can have it.
inline constexpr std::string_view kGoneName = ".";

/// The numbers of all segments that compaction has emptied: their files are absent or about to be.
class Gone {
 public:
  bool contains(uint32_t number) const;
  void add(uint32_t number);
  std::string encode() const;
  static Result<Gone> decode(std::string_view body);

 private:
  std::vector<std::pair<uint32_t, uint32_t>> ranges_;  ///< first and last, ascending, apart from each other
};

/// What a segment keeps about an object that has its own file.
struct LargeBody {
  uint64_t size = 0;
  std::string md5;    ///< 16 raw bytes
  std::string check;  ///< XXH3-128 of the bytes, 16 raw bytes
  std::string encode() const;
  static Result<LargeBody> decode(std::string_view body);
};

std::string file_header(uint64_t number);
bool is_file_header(std::string_view bytes, uint64_t number);

/// Everything of a record behind its header: name, body, check. Prepared by the writer, outside the group's turn.
std::string encode_tail(std::string_view name, std::string_view body);
/// @param synced  how many bytes of this segment were durable when the record was written.
std::string encode_header(Kind kind, std::string_view name, uint32_t body_bytes, uint32_t synced);

struct Record {
  Kind kind = Kind::kObject;
  std::string_view name;
  uint32_t body_bytes = 0;
  uint32_t synced = 0;
  uint64_t total() const { return kRecordHeaderBytes + name.size() + body_bytes + kCheckBytes; }
};

inline uint64_t record_bytes(size_t name_bytes, uint64_t body_bytes) {
  return kRecordHeaderBytes + name_bytes + body_bytes + kCheckBytes;
}

/// Reads header and name at the start of `bytes`. Errors: kCorrupt; kUnsupported for a good header of an unknown kind.
Result<Record> parse_header(std::string_view bytes);
/// Checks a whole record and gives its body. Errors: kCorrupt.
Result<std::string_view> parse_body(std::string_view bytes, const Record& record);

enum class Verify { kHeaders, kBodies };

/// Calls `each` for every good record of [kFileHeaderBytes, end) with its offset; `body` is given for kLarge and
/// kGone and, under Verify::kBodies, for all. The views live during the call only.
/// @return where the good records end: `end`, or the place of the first bad one. Errors: of the disk and of `each`.
/// Cost: reads headers and names; bodies above 64 KiB of distance are skipped unless verified.
Result<uint64_t> scan(base::File& file, uint64_t end, Verify verify,
                      const std::function<Result<void>(uint64_t offset, const Record&, std::string_view body)>& each);

/// Whether behind a bad place some good record says that the bad place had been durable: then it is damage and not the
/// torn end of a crash.
Result<bool> damaged_before_end(base::File& file, uint64_t bad, uint64_t end);

}  // namespace tarn::block::segment
