#include "tree/change_filter.h"

#include <algorithm>
#include <vector>

#include "base/hash.h"
#include "tree/detail/parser.h"

namespace tarn::tree {
namespace {

constexpr uint8_t kDigests = 1, kBloom = 2;
constexpr size_t kDigestsUpTo = 8;  ///< changes
constexpr uint8_t kBloomHashes = 7;
constexpr size_t kBloomBitsPerName = 10;

std::vector<uint64_t> names_of(std::span<const Change> changes) {
  std::vector<uint64_t> names;
  std::string_view last;
  for (const Change& change : changes) {
    const std::string_view key = change.key;
    names.push_back(change_filter_name(key));
    for (size_t slash = key.find('/'); slash != std::string_view::npos; slash = key.find('/', slash + 1)) {
      const std::string_view directory = key.substr(0, slash + 1);
      if (!last.starts_with(directory)) names.push_back(change_filter_name(directory));
    }
    last = key;
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

bool digests_contain(std::string_view digests, std::span<const uint64_t> names) {
  for (size_t at = 0; at < digests.size(); at += 8) {
    const auto digest = detail::load_le<uint64_t>(digests.data() + at);
    if (std::find(names.begin(), names.end(), digest) != names.end()) return true;
  }
  return false;
}

bool bloom_contains(std::string_view words, int hashes, uint64_t name) {
  const uint64_t bits = words.size() * 8;
  const uint64_t step = (name >> 32) | 1;
  uint64_t at = name & 0xffffffffu;
  for (int i = 0; i < hashes; ++i, at += step) {
    const uint64_t bit = at % bits;
    if ((detail::load_le<uint64_t>(words.data() + bit / 64 * 8) >> (bit % 64) & 1) == 0) return false;
  }
  return true;
}

}  // namespace

std::string encode_change_filter(std::span<const Change> changes, size_t bytes_max) {
  const std::vector<uint64_t> names = names_of(changes);
  std::string out;
  if (changes.size() <= kDigestsUpTo) {
    if (1 + names.size() * 8 > bytes_max) return {};
    out.push_back(static_cast<char>(kDigests));
    for (const uint64_t name : names) detail::put_le<uint64_t>(out, name);
    return out;
  }
  const size_t words = (names.size() * kBloomBitsPerName + 63) / 64;
  if (2 + words * 8 > bytes_max) return {};
  std::vector<uint64_t> bits(words);
  for (const uint64_t name : names) {
    const uint64_t step = (name >> 32) | 1;
    uint64_t at = name & 0xffffffffu;
    for (uint8_t i = 0; i < kBloomHashes; ++i, at += step) {
      const uint64_t bit = at % (words * 64);
      bits[bit / 64] |= uint64_t{1} << (bit % 64);
    }
  }
  out.push_back(static_cast<char>(kBloom));
  out.push_back(static_cast<char>(kBloomHashes));
  for (const uint64_t word : bits) detail::put_le<uint64_t>(out, word);
  return out;
}

Result<void> check_change_filter(std::string_view filter) {
  if (filter.empty()) return detail::corrupt("filter", "it is cut short");
  const auto kind = static_cast<uint8_t>(filter[0]);
  if (kind != kDigests && kind != kBloom) return detail::unsupported("filter", "kind of filter", kind);
  const bool whole = kind == kDigests ? filter.size() % 8 == 1 : filter.size() >= 10 && filter.size() % 8 == 2;
  return whole ? base::ok() : detail::corrupt("filter", "it is cut short");
}

uint64_t change_filter_name(std::string_view path) { return base::xxh3_64(path); }

bool change_filter_may_contain(std::string_view filter, std::span<const uint64_t> names) {
  if (filter.empty() || !check_change_filter(filter)) return true;
  if (static_cast<uint8_t>(filter[0]) == kDigests) return digests_contain(filter.substr(1), names);
  return std::any_of(names.begin(), names.end(), [&](uint64_t name) {
    return bloom_contains(filter.substr(2), static_cast<uint8_t>(filter[1]), name);
  });
}

}  // namespace tarn::tree
