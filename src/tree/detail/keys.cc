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
  const auto start = load_le<uint32_t>(groups_ + size_t{4} * number);
  if (start >= bytes_.size()) return damaged();
  return Parser(bytes_.substr(start));
}

Result<Keys::Found> Keys::lower_bound(std::string_view key) const {
  if (count_ == 0) return Found{};
  // The last group whose first key is <= key.
  uint32_t low = 0, high = static_cast<uint32_t>((count_ + kGroup - 1) / kGroup);
  while (high - low > 1) {
    const uint32_t middle = low + (high - low) / 2;
    TRY_LET(Parser in, group(middle));
    const uint64_t shared = in.varint();
    const std::string_view first = in.text();
    if (in.failed() || shared != 0) return damaged();
    if (first <= key)
      low = middle;
    else
      high = middle;
  }
  TRY_LET(Parser in, group(low));
  const auto start = static_cast<uint32_t>(low * kGroup);
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
