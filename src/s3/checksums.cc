#include "s3/checksums.h"

#include <fmt/format.h>
#include <isa-l/crc.h>

#include "base/bytes.h"
#include "http/headers.h"
#include "s3/errors.h"
#include "tree/entry.h"

namespace tarn::s3 {
namespace {

/// CRC-64/NVME, reflected, eight bytes a step (slicing-by-8).
constexpr uint64_t kPolynomial = 0x9a6c9329ac4bc9b5;
using Tables = std::array<std::array<uint64_t, 256>, 8>;

Tables make_tables() {
  Tables t{};
  for (uint64_t i = 0; i < 256; ++i) {
    uint64_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) != 0 ? kPolynomial : 0);
    t[0][i] = value;
  }
  for (size_t k = 1; k < 8; ++k)
    for (size_t i = 0; i < 256; ++i) t[k][i] = (t[k - 1][i] >> 8) ^ t[0][t[k - 1][i] & 0xff];
  return t;
}

uint64_t crc64_nvme(uint64_t crc, std::string_view bytes) {
  static const Tables t = make_tables();
  crc = ~crc;
  while (bytes.size() >= 8) {
    uint64_t word = 0;
    __builtin_memcpy(&word, bytes.data(), 8);
    word ^= crc;  // little-endian, as all that is built for here
    crc = 0;
    for (size_t k = 0; k < 8; ++k) crc ^= t[7 - k][(word >> (8 * k)) & 0xff];
    bytes.remove_prefix(8);
  }
  for (const char c : bytes) crc = (crc >> 8) ^ t[0][(crc ^ static_cast<unsigned char>(c)) & 0xff];
  return ~crc;
}

std::string big_endian(uint64_t value, size_t bytes) {
  std::string out(bytes, '\0');
  for (size_t i = 0; i < bytes; ++i) out[bytes - 1 - i] = static_cast<char>(value >> (8 * i));
  return out;
}

size_t size_of(ChecksumKind kind) {
  switch (kind) {
    case ChecksumKind::kCrc32:
    case ChecksumKind::kCrc32c:
      return 4;
    case ChecksumKind::kCrc64Nvme:
      return 8;
    case ChecksumKind::kSha1:
      return 20;
    case ChecksumKind::kSha256:
      return 32;
  }
  return 0;
}

}  // namespace

std::string_view header_of(ChecksumKind kind) {
  switch (kind) {
    case ChecksumKind::kCrc32:
      return "x-amz-checksum-crc32";
    case ChecksumKind::kCrc32c:
      return "x-amz-checksum-crc32c";
    case ChecksumKind::kCrc64Nvme:
      return "x-amz-checksum-crc64nvme";
    case ChecksumKind::kSha1:
      return "x-amz-checksum-sha1";
    case ChecksumKind::kSha256:
      return "x-amz-checksum-sha256";
  }
  return {};
}

std::optional<ChecksumKind> checksum_of_header(std::string_view name) {
  for (const ChecksumKind kind : kChecksumKinds)
    if (http::equal_ignoring_case(name, header_of(kind))) return kind;
  return std::nullopt;
}

uint32_t tag_of(ChecksumKind kind) {
  switch (kind) {
    case ChecksumKind::kCrc32:
      return tree::kTagCrc32;
    case ChecksumKind::kCrc32c:
      return tree::kTagCrc32c;
    case ChecksumKind::kCrc64Nvme:
      return tree::kTagCrc64Nvme;
    case ChecksumKind::kSha1:
      return tree::kTagSha1;
    case ChecksumKind::kSha256:
      return tree::kTagSha256;
  }
  return 0;
}

Result<std::string> decode_checksum(ChecksumKind kind, std::string_view base64) {
  auto raw = base::from_base64(base64);
  if (!raw || raw->size() != size_of(kind))
    return refuse("InvalidRequest", fmt::format("Value for {} header is invalid: it must be the base64 of {} bytes",
                                                header_of(kind), size_of(kind)));
  return std::move(*raw);
}

Checksum::Checksum(ChecksumKind kind) : kind_(kind) {
  if (kind == ChecksumKind::kSha1) hasher_ = std::make_unique<base::Hasher>(base::Algorithm::kSha1);
  if (kind == ChecksumKind::kSha256) hasher_ = std::make_unique<base::Hasher>(base::Algorithm::kSha256);
}

void Checksum::update(std::string_view bytes) {
  if (hasher_) return hasher_->update(bytes);
  if (kind_ == ChecksumKind::kCrc64Nvme) {
    crc_ = crc64_nvme(crc_, bytes);
    return;
  }
  constexpr size_t kPiece = 1 << 30;  // crc32_iscsi counts in int
  while (!bytes.empty()) {
    const std::string_view piece = bytes.substr(0, kPiece);
    auto* data = reinterpret_cast<unsigned char*>(const_cast<char*>(piece.data()));
    const auto crc = static_cast<uint32_t>(crc_);
    crc_ = kind_ == ChecksumKind::kCrc32 ? crc32_gzip_refl(crc, data, piece.size())
                                         : ~crc32_iscsi(data, static_cast<int>(piece.size()), ~crc);
    bytes.remove_prefix(piece.size());
  }
}

std::string Checksum::finish() const {
  if (hasher_) return hasher_->finish();
  return big_endian(kind_ == ChecksumKind::kCrc64Nvme ? crc_ : crc_ & 0xffffffff, size_of(kind_));
}

}  // namespace tarn::s3
