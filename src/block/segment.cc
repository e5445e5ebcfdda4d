#include "block/segment.h"

#include <algorithm>
#include <cstring>

#include <fmt/core.h>

#include "base/bytes.h"
#include "base/hash.h"

namespace tarn::block::segment {
namespace {

constexpr std::string_view kFileMagic = "TARNSEG1";
constexpr std::string_view kRecordMagic = "\xa7REC";
constexpr uint64_t kWindowBytes = 256 << 10;
constexpr size_t kNameBytesMax = 1024;

Error damaged(std::string_view what) { return Error(Code::kCorrupt, "segment", std::string(what)); }

/// A buffered look at a file: gives any range, reading ahead.
class Window {
 public:
  Window(base::File& file, uint64_t end) : file_(file), end_(end) {}
  /// At most `length` bytes from `offset`, fewer at the end. Valid until the next call.
  Result<std::string_view> at(uint64_t offset, uint64_t length) {
    if (offset >= end_) return std::string_view();
    length = std::min(length, end_ - offset);
    if (offset < start_ || offset + length > start_ + bytes_.size()) {
      TRY_LET(bytes_, file_.read(offset, std::min(std::max(length, kWindowBytes), end_ - offset)));
      start_ = offset;
    }
    return std::string_view(bytes_).substr(offset - start_, length);
  }

 private:
  base::File& file_;
  uint64_t end_;
  uint64_t start_ = 0;
  std::string bytes_;
};

uint64_t header_check(std::string_view head, std::string_view name) {
  return base::xxh3_64(name, base::xxh3_64(head.substr(0, 16)));
}

}  // namespace

std::string LargeBody::encode() const {
  base::ByteWriter out;
  out.u64(size);
  out.raw(md5);
  out.raw(check);
  return out.take();
}

Result<LargeBody> LargeBody::decode(std::string_view body) {
  if (body.size() != kLargeBodyBytes) return damaged("the record of a large object has a wrong length");
  base::ByteReader in(body);
  LargeBody out;
  TRY_LET(out.size, in.u64());
  out.md5 = body.substr(8, 16);
  out.check = body.substr(24, 16);
  return out;
}

bool Gone::contains(uint32_t number) const {
  const auto after = std::upper_bound(ranges_.begin(), ranges_.end(), std::pair(number, UINT32_MAX));
  return after != ranges_.begin() && std::prev(after)->second >= number;
}

void Gone::add(uint32_t number) {
  if (contains(number)) return;
  auto at = std::upper_bound(ranges_.begin(), ranges_.end(), std::pair(number, UINT32_MAX));
  if (at != ranges_.begin() && std::prev(at)->second + 1 == number) {
    --at;
    at->second = number;
  } else {
    at = ranges_.insert(at, {number, number});
  }
  const auto next = std::next(at);
  if (next == ranges_.end() || next->first != number + 1) return;
  at->second = next->second;
  ranges_.erase(next);
}

std::string Gone::encode() const {
  base::ByteWriter out;
  for (const auto& [first, last] : ranges_) {
    out.u32(first);
    out.u32(last);
  }
  return out.take();
}

Result<Gone> Gone::decode(std::string_view body) {
  Gone out;
  base::ByteReader in(body);
  uint64_t free = 1;
  for (size_t i = 0; i < body.size() / 8; ++i) {
    TRY_LET(const uint32_t first, in.u32());
    TRY_LET(const uint32_t last, in.u32());
    if (first < free || last < first) return damaged("a list of gone segments is out of order");
    out.ranges_.emplace_back(first, last);
    free = uint64_t{last} + 2;
  }
  if (body.size() % 8 != 0) return damaged("a list of gone segments has a wrong length");
  return out;
}

std::string file_header(uint64_t number) {
  base::ByteWriter out;
  out.raw(kFileMagic);
  out.u64(number);
  return out.take();
}

bool is_file_header(std::string_view bytes, uint64_t number) { return bytes == file_header(number); }

std::string encode_tail(std::string_view name, std::string_view body) {
  std::string out;
  out.reserve(name.size() + body.size() + kCheckBytes);
  out.append(name);
  out.append(body);
  out.append(base::xxh3_128(out));
  return out;
}

std::string encode_header(Kind kind, std::string_view name, uint32_t body_bytes, uint32_t synced) {
  base::ByteWriter out;
  out.raw(kRecordMagic);
  out.u8(static_cast<uint8_t>(kind));
  out.u8(0);
  out.u16(static_cast<uint16_t>(name.size()));
  out.u32(body_bytes);
  out.u32(synced);
  out.u64(header_check(out.str(), name));
  return out.take();
}

Result<Record> parse_header(std::string_view bytes) {
  if (bytes.size() < kRecordHeaderBytes) return damaged("a record ends inside its header");
  if (!bytes.starts_with(kRecordMagic)) return damaged("no record starts here");
  base::ByteReader in(bytes.substr(4));
  Record out;
  TRY_LET(const uint8_t kind, in.u8());
  TRY_LET(const uint8_t reserved, in.u8());
  TRY_LET(const uint16_t name_bytes, in.u16());
  TRY_LET(out.body_bytes, in.u32());
  TRY_LET(out.synced, in.u32());
  TRY_LET(const uint64_t check, in.u64());
  if (name_bytes == 0 || name_bytes > kNameBytesMax) return damaged("a record's name has an impossible length");
  if (bytes.size() < kRecordHeaderBytes + name_bytes) return damaged("a record ends inside its name");
  out.name = bytes.substr(kRecordHeaderBytes, name_bytes);
  if (check != header_check(bytes, out.name)) return damaged("a record's header fails its check");
  if (kind < 1 || kind > 4 || reserved != 0)
    return Error(Code::kUnsupported, "segment",
                 "a record has a kind that this version does not know: use the version that wrote it");
  out.kind = static_cast<Kind>(kind);
  return out;
}

Result<std::string_view> parse_body(std::string_view bytes, const Record& record) {
  if (bytes.size() < record.total()) return damaged("a record ends inside its body");
  const size_t covered = record.name.size() + record.body_bytes;
  const std::string_view tail = bytes.substr(kRecordHeaderBytes);
  if (base::xxh3_128(tail.substr(0, covered)) != tail.substr(covered, kCheckBytes))
    return damaged("a record's bytes fail their check");
  return tail.substr(record.name.size(), record.body_bytes);
}

Result<uint64_t> scan(base::File& file, uint64_t end, Verify verify,
                      const std::function<Result<void>(uint64_t, const Record&, std::string_view)>& each) {
  Window window(file, end);
  uint64_t offset = kFileHeaderBytes;
  while (offset < end) {
    TRY_LET(std::string_view bytes, window.at(offset, kRecordHeaderBytes + kNameBytesMax));
    auto record = parse_header(bytes);
    if (!record && record.error().code() == Code::kUnsupported) return record.error();
    if (!record || offset + record->total() > end) return offset;
    std::string_view body;
    if (verify == Verify::kBodies || record->kind == Kind::kLarge || record->kind == Kind::kGone) {
      const uint64_t total = record->total();
      TRY_LET(bytes, window.at(offset, total));
      record->name = bytes.substr(kRecordHeaderBytes, record->name.size());
      auto checked = parse_body(bytes, *record);
      if (!checked) return offset;
      body = *checked;
    }
    const uint64_t next = offset + record->total();
    TRY(each(offset, *record, body));
    offset = next;
  }
  return offset;
}

Result<bool> damaged_before_end(base::File& file, uint64_t bad, uint64_t end) {
  TRY_LET(const std::string rest, file.read(bad, end - bad));
  for (size_t at = rest.find(kRecordMagic, 0); at != std::string::npos; at = rest.find(kRecordMagic, at + 1)) {
    const std::string_view candidate = std::string_view(rest).substr(at);
    const auto record = parse_header(candidate);
    if (record && record->synced > bad && parse_body(candidate, *record)) return true;
  }
  return false;
}

}  // namespace tarn::block::segment
