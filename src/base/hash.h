#pragma once
// Hashes, all from OpenSSL and xxHash; fetched once, so that a short hash costs no look-up.
#include <array>
#include <compare>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace tarn::base {

/// 32 bytes of SHA-256. Ordered bytewise.
class Digest {
 public:
  Digest() = default;
  explicit Digest(std::string_view thirty_two_bytes);
  /// 64 hex digits, or nullopt.
  static std::optional<Digest> from_hex(std::string_view text);
  std::string hex() const;
  std::string_view bytes() const { return {reinterpret_cast<const char*>(bytes_.data()), bytes_.size()}; }
  bool is_zero() const { return bytes_ == std::array<unsigned char, 32>{}; }
  auto operator<=>(const Digest&) const = default;

 private:
  std::array<unsigned char, 32> bytes_{};
};

enum class Algorithm { kMd5, kSha1, kSha256 };

/// An incremental hash. Threads: one at a time.
class Hasher {
 public:
  explicit Hasher(Algorithm algorithm);
  ~Hasher();
  Hasher(Hasher&&) noexcept;
  Hasher& operator=(Hasher&&) noexcept;
  void update(std::string_view bytes);
  /// The raw hash so far; the hasher may go on afterwards.
  std::string finish() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

Digest sha256(std::string_view bytes);
std::string sha256_hex(std::string_view bytes);
/// 16 raw bytes.
std::string md5(std::string_view bytes);
/// 32 raw bytes.
std::string hmac_sha256(std::string_view key, std::string_view bytes);
uint64_t xxh3_64(std::string_view bytes, uint64_t seed = 0);
/// 16 raw bytes, canonical (big-endian) order.
std::string xxh3_128(std::string_view bytes);

/// XXH3-128 in pieces. Threads: one at a time.
class Xxh3Stream {
 public:
  Xxh3Stream();
  ~Xxh3Stream();
  Xxh3Stream(const Xxh3Stream&) = delete;
  Xxh3Stream& operator=(const Xxh3Stream&) = delete;
  void update(std::string_view bytes);
  /// 16 raw bytes, canonical order: what xxh3_128() says of all bytes so far.
  std::string finish() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

struct DigestHash {
  size_t operator()(const Digest& d) const {
    uint64_t v = 0;
    __builtin_memcpy(&v, d.bytes().data(), sizeof v);
    return static_cast<size_t>(v);
  }
};

}  // namespace tarn::base
