#include "block/cache_file.h"

#include <charconv>
#include <vector>

#include <fmt/format.h>

#include "base/bytes.h"
#include "base/hash.h"

namespace tarn::block::cache_file {
namespace {

constexpr std::string_view kMagic = "TARNBLK1";
constexpr size_t kFixedBytes = 40, kCheckBytes = 16;
constexpr uint64_t kPage = 4096;

uint64_t chunks_of(uint64_t length) { return (length + kChunkBytes - 1) / kChunkBytes; }

uint32_t check_of(std::string_view name) { return static_cast<uint32_t>(base::xxh3_64(name)); }

std::string stem_of(const FileName& file) {
  return fmt::format("{:016x}{:016x}-{:x}-{:x}-{}-{}-{:x}", file.key.high, file.key.low, file.offset, file.length,
                     file.object_size == kUnknownSize ? std::string("u") : fmt::format("{:x}", file.object_size),
                     static_cast<char>(file.kind), file.serial);
}

bool parse_hex(std::string_view text, uint64_t& number) {
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number, 16);
  return !text.empty() && failed == std::errc{} && end == text.data() + text.size();
}

/// All of the header but its own check.
std::string start_of(const Identity& identity, const FileName& file) {
  base::ByteWriter out;
  out.raw(kMagic);
  out.u64(file.offset);
  out.u64(file.length);
  out.u64(file.object_size);
  out.u32(static_cast<uint32_t>(identity.store.size()));
  out.u32(static_cast<uint32_t>(identity.name.size()));
  out.raw(identity.store);
  out.raw(identity.name);
  return out.take();
}

Error not_fit(const FileName& file, std::string_view why) {
  return Error(Code::kCorrupt, "cache file", fmt::format("{} {}", file.path(), why));
}

}  // namespace

Key Key::of(std::string_view store, std::string_view name) {
  std::string whole;
  whole.reserve(store.size() + 1 + name.size());
  whole.append(store).append(1, '\0').append(name);
  const base::Digest digest = base::sha256(whole);
  Key key;
  for (size_t i = 0; i < 8; ++i) {
    key.high = key.high << 8 | static_cast<unsigned char>(digest.bytes()[i]);
    key.low = key.low << 8 | static_cast<unsigned char>(digest.bytes()[8 + i]);
  }
  return key;
}

std::string FileName::path() const {
  const std::string stem = stem_of(*this);
  return fmt::format("{}/{}-{:08x}", stem.substr(0, 2), stem, check_of(stem));
}

std::optional<FileName> FileName::parse(std::string_view name) {
  std::vector<std::string_view> parts;
  for (size_t at = 0; at <= name.size();) {
    const size_t end = std::min(name.find('-', at), name.size());
    parts.push_back(name.substr(at, end - at));
    at = end + 1;
  }
  FileName file;
  if (parts.size() != 7 || parts[0].size() != 32 || parts[4].size() != 1 || parts[6].size() != 8) return std::nullopt;
  if (parts[4] != "p" && parts[4] != "d") return std::nullopt;
  file.kind = static_cast<Kind>(parts[4][0]);
  uint64_t check = 0;
  if (!parse_hex(parts[0].substr(0, 16), file.key.high) || !parse_hex(parts[0].substr(16), file.key.low) ||
      !parse_hex(parts[1], file.offset) || !parse_hex(parts[2], file.length) || !parse_hex(parts[5], file.serial) ||
      !parse_hex(parts[6], check))
    return std::nullopt;
  if (parts[3] != "u" && !parse_hex(parts[3], file.object_size)) return std::nullopt;
  if (check != check_of(name.substr(0, name.size() - 9))) return std::nullopt;
  return file;
}

uint64_t FileName::charge() const {
  const uint64_t header_max = kFixedBytes + kStoreBytesMax + 1024 + kCheckBytes;  // the name is not known here
  return (header_max + 8 * chunks_of(length) + length + kPage - 1) / kPage * kPage;
}

std::string header_of(const Identity& identity, const FileName& file, std::string_view bytes) {
  base::ByteWriter out;
  out.raw(start_of(identity, file));
  for (uint64_t at = 0; at < bytes.size(); at += kChunkBytes) out.u64(base::xxh3_64(bytes.substr(at, kChunkBytes)));
  out.raw(base::xxh3_128(out.str()));
  return out.take();
}

Result<std::string> read(base::File& opened, const Identity& identity, const FileName& file, uint64_t from,
                         uint64_t to) {
  ENSURE(from <= to && to <= file.length);
  const std::string start = start_of(identity, file);
  const uint64_t chunks = chunks_of(file.length);
  const size_t header_bytes = start.size() + 8 * chunks + kCheckBytes;
  TRY_LET(const std::string header, opened.read(0, header_bytes));
  const std::string_view checked = std::string_view(header).substr(0, header_bytes - kCheckBytes);
  if (!checked.starts_with(start)) return not_fit(file, "holds something else than its name says");
  if (base::xxh3_128(checked) != std::string_view(header).substr(checked.size()))
    return not_fit(file, "has a damaged header");
  if (from == to) return std::string();
  const uint64_t first = from / kChunkBytes, last = chunks_of(to);
  const uint64_t start_at = first * kChunkBytes, end_at = std::min(file.length, last * kChunkBytes);
  TRY_LET(std::string bytes, opened.read(header_bytes + start_at, static_cast<size_t>(end_at - start_at)));
  for (uint64_t i = first; i < last; ++i) {
    uint64_t wanted = 0;
    __builtin_memcpy(&wanted, checked.data() + start.size() + 8 * i, 8);
    if (base::xxh3_64(std::string_view(bytes).substr((i - first) * kChunkBytes, kChunkBytes)) != wanted)
      return not_fit(file, "has damaged bytes");
  }
  bytes.resize(static_cast<size_t>(to - start_at));
  if (from > start_at) bytes.erase(0, static_cast<size_t>(from - start_at));
  return bytes;
}

}  // namespace tarn::block::cache_file
