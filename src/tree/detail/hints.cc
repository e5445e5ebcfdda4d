#include "tree/detail/hints.h"

namespace tarn::tree::detail {

std::string encode_hints(const std::vector<Location>& locations) {
  if (locations.empty()) return {};
  std::vector<std::string_view> packs;
  std::string entries;
  for (const Location& at : locations) {
    size_t pack = packs.size();
    while (pack > 0 && packs[pack - 1] != at.pack) --pack;  // most often the newest
    if (pack == 0) {
      packs.push_back(at.pack);
      pack = packs.size();
    }
    put_le<uint16_t>(entries, static_cast<uint16_t>(pack - 1));
    entries.push_back(static_cast<char>(at.codec));
    put_le<uint32_t>(entries, at.length);
    put_le<uint64_t>(entries, at.offset);
  }
  std::string out;
  put_varint(out, packs.size());
  for (const std::string_view pack : packs) put_text(out, pack);
  out.append(entries);
  return out;
}

Result<Hints> Hints::parse(std::string_view bytes, size_t expected) {
  Hints hints;
  if (expected == 0) {
    if (!bytes.empty()) return corrupt("node", "it has location hints for nothing");
    return hints;
  }
  Parser in(bytes);
  const uint64_t packs = in.varint();
  if (packs == 0 || packs > expected) return corrupt("node", "its number of packs is out of range");
  for (uint64_t i = 0; i < packs && !in.failed(); ++i) hints.packs_.push_back(in.text());
  hints.entries_ = in.raw(expected * kHintSize);
  if (in.failed() || !in.at_end()) return corrupt("node", "its location hints do not fit its children");
  for (size_t i = 0; i < expected; ++i) {
    const char* at = hints.entries_.data() + i * kHintSize;
    if (load_le<uint16_t>(at) >= packs) return corrupt("node", "a location hint names no pack");
    const auto codec = static_cast<uint8_t>(at[2]);
    if (codec > static_cast<uint8_t>(Codec::kFolded)) return unsupported("node", "codec", codec);
  }
  return hints;
}

Location Hints::at(size_t index) const {
  const char* at = entries_.data() + index * kHintSize;
  Location location;
  location.pack = packs_[load_le<uint16_t>(at)];
  location.codec = static_cast<Codec>(at[2]);
  location.length = load_le<uint32_t>(at + 3);
  location.offset = load_le<uint64_t>(at + 7);
  return location;
}

}  // namespace tarn::tree::detail
