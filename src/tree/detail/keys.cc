#include "tree/detail/keys.h"

#include <algorithm>

namespace tarn::tree::detail {
namespace {

size_t common_prefix(std::string_view a, std::string_view b) {
  const size_t limit = std::min(a.size(), b.size());
  size_t n = 0;
  while (n + 8 <= limit) {
    const uint64_t difference = load_le<uint64_t>(a.data() + n) ^ load_le<uint64_t>(b.data() + n);
    if (difference != 0) return n + static_cast<size_t>(std::countr_zero(difference)) / 8;
    n += 8;
  }
  while (n < limit && a[n] == b[n]) ++n;
  return n;
}

/// The first 8 bytes as a number in their order.
uint64_t head_of(std::string_view bytes) {
  char head[8] = {};
  std::memcpy(head, bytes.data(), std::min<size_t>(8, bytes.size()));
  return __builtin_bswap64(load_le<uint64_t>(head));
}

constexpr uint32_t kGroupsIndexed = 4;
constexpr size_t kLinesAhead = 4;  ///< of memory, that a group usually has

Error damaged() { return corrupt("node", "its keys are cut short or out of range"); }

}  // namespace

void KeyWriter::add(std::string_view key) {
  size_t shared = 0;
  if (count_ % kGroup == 0)
    groups_.push_back(static_cast<uint32_t>(bytes_.size()));
  else
    shared = common_prefix(last_, key);
  put_varint(bytes_, shared);
  put_text(bytes_, key.substr(shared));
  last_ = key;
  ++count_;
}

Result<Parser> Keys::group(uint32_t number) const {
  const uint32_t start = start_of(number);
  if (start >= bytes_.size()) return damaged();
  return Parser(bytes_.substr(start));
}

Result<std::string_view> Keys::first_of(uint32_t number) const {
  TRY_LET(Parser in, group(number));
  const uint64_t shared = in.varint();
  const std::string_view first = in.text();
  if (in.failed() || shared != 0) return damaged();
  return first;
}

KeyIndex Keys::make_index() const {
  KeyIndex index;
  if (groups() < kGroupsIndexed) return index;
  const auto first = first_of(0), last = first_of(groups() - 1);
  if (!first || !last) return index;
  const size_t shared = common_prefix(*first, *last);
  std::vector<uint64_t> firsts;
  firsts.reserve(groups());
  for (uint32_t i = 0; i < groups(); ++i) {
    const auto key = first_of(i);
    // In their order; else whoever reads them finds the damage.
    if (!key || key->size() < shared || (!firsts.empty() && head_of(key->substr(shared)) < firsts.back())) return index;
    firsts.push_back(head_of(key->substr(shared)));
  }
  index.shared = first->substr(0, shared);
  index.firsts = std::move(firsts);
  return index;
}

Result<Keys::Found> Keys::lower_bound(std::string_view key) const {
  if (count_ == 0) return Found{};
  TRY_LET(const uint32_t group, group_for(key));
  return lower_bound_in(group, key);
}

// The last group whose first key is <= key, or the first group.
Result<uint32_t> Keys::group_for(std::string_view key) const {
  uint32_t low = 0, high = groups();
  if (index_ != nullptr) {
    const std::string_view shared = index_->shared;
    if (const int order = key.substr(0, shared.size()).compare(shared); order != 0) return order < 0 ? 0 : high - 1;
    const uint64_t head = head_of(key.substr(shared.size()));
    uint32_t smaller = 0, not_greater = 0;
    for (const uint64_t other : index_->firsts) {
      smaller += other < head ? 1 : 0;
      not_greater += other <= head ? 1 : 0;
    }
    low = std::max(smaller, 1u) - 1;
    high = std::max(not_greater, 1u);
  }
  while (high - low > 1) {
    const uint32_t middle = low + (high - low) / 2;
    TRY_LET(const std::string_view first, first_of(middle));
    if (first <= key)
      low = middle;
    else
      high = middle;
  }
  return low;
}

Result<Keys::Found> Keys::lower_bound_in(uint32_t number, std::string_view key) const {
  TRY_LET(Parser in, group(number));
  for (size_t ahead = 1; ahead <= kLinesAhead; ++ahead) __builtin_prefetch(in.position() + 64 * ahead);
  const auto start = static_cast<uint32_t>(number * kGroup);
  const uint32_t end = std::min(count_, start + static_cast<uint32_t>(kGroup));
  // `matched`: bytes that the key before shares with the wanted one, which is greater.
  size_t matched = 0;
  for (uint32_t i = start; i < end; ++i) {
    const uint64_t shared = in.varint();
    const std::string_view rest = in.text();
    if (in.failed() || (i == start && shared != 0)) return damaged();
    if (shared > matched) continue;                // differs where the key before did, and is smaller there
    if (shared < matched) return Found{i, false};  // grows above the wanted key before the match ends
    const std::string_view wanted = key.substr(matched);
    const size_t common = common_prefix(rest, wanted);
    if (common == wanted.size()) return Found{i, common == rest.size()};
    if (common < rest.size() && static_cast<unsigned char>(rest[common]) > static_cast<unsigned char>(wanted[common]))
      return Found{i, false};
    matched += common;
  }
  return Found{end, false};
}

Result<std::string> Keys::at(uint32_t index) const {
  TRY_LET(const Walk found, walk(index));
  Walk w = found;
  TRY(w.step());
  return w.key();
}

Result<Keys::Walk> Keys::walk(uint32_t index) const {
  Walk w;
  w.next_ = static_cast<uint32_t>(index / kGroup * kGroup);
  if (index >= count_) {
    w.next_ = count_;
    return w;
  }
  TRY_LET(w.in_, group(static_cast<uint32_t>(index / kGroup)));
  while (w.next_ < index) TRY(w.step());
  return w;
}

Result<void> Keys::Walk::step() {
  const uint64_t shared = in_.varint();
  const std::string_view rest = in_.text();
  if (in_.failed() || shared > key_.size() || (next_ % kGroup == 0 && shared != 0)) return damaged();
  key_.resize(static_cast<size_t>(shared));
  key_.append(rest);
  ++next_;
  return {};
}

}  // namespace tarn::tree::detail
