#include "tree/detail/pack_file.h"

#include <algorithm>

#include "base/hash.h"
#include "tree/detail/change_set.h"
#include "tree/detail/frame.h"
#include "tree/detail/node.h"

namespace tarn::tree::detail {
namespace {

constexpr std::string_view kOpeningMagic = "TARNPACK", kClosingMagic = "TARNPEND";
constexpr uint8_t kPackVersion = 1;

void put_slots(std::string& out, const std::vector<Slot>& slots) {
  put_varint(out, slots.size());
  for (const Slot& slot : slots) {
    out.append(slot.id);
    put_varint(out, slot.offset);
    put_varint(out, slot.length);
  }
}

void read_slots(Parser& in, std::vector<Slot>& slots) {
  const uint64_t count = in.varint();
  if (count > in.remaining() / 34) return in.fail();  // 32 bytes of id and two numbers each
  slots.reserve(static_cast<size_t>(count));
  for (uint64_t i = 0; i < count && !in.failed(); ++i) {
    Slot slot;
    slot.id = in.raw(32);
    slot.offset = in.varint();
    const uint64_t length = in.varint();
    if (length > UINT32_MAX) return in.fail();
    slot.length = static_cast<uint32_t>(length);
    slots.push_back(std::move(slot));
  }
}

}  // namespace

const Slot* Tail::find(const std::vector<Slot>& slots, std::string_view id) {
  for (const Slot& slot : slots)
    if (slot.id == id) return &slot;
  return nullptr;
}

std::string opening() {
  std::string out(kOpeningMagic);
  out.push_back(static_cast<char>(kPackVersion));
  out.push_back(static_cast<char>(kAlgorithmSha256));
  out.append(6, '\0');
  return out;
}

Result<void> append_tail(std::string& pack, const Tail& tail, Codec codec) {
  std::string body;
  put_header(body, Kind::kTail);
  put_text(body, tail.pack_id);
  put_slots(body, tail.nodes);
  put_slots(body, tail.commits);
  put_slots(body, tail.change_sets);
  put_slots(body, tail.filters);
  const uint64_t offset = pack.size();
  TRY(append_frame(pack, body, {}, codec));
  std::string closing;
  put_le<uint64_t>(closing, offset);
  put_le<uint32_t>(closing, static_cast<uint32_t>(pack.size() - offset));
  closing.push_back(static_cast<char>(kPackVersion));
  closing.push_back(static_cast<char>(kAlgorithmSha256));
  put_le<uint16_t>(closing, 0);
  put_le<uint64_t>(closing, base::xxh3_64(closing));
  closing.append(kClosingMagic);
  pack.append(closing);
  return {};
}

Result<Tail> parse_tail(std::string_view body) {
  TRY(expect_kind(body, Kind::kTail));
  Parser in(body.substr(kHeaderSize));
  Tail tail;
  tail.pack_id = in.text();
  read_slots(in, tail.nodes);
  read_slots(in, tail.commits);
  read_slots(in, tail.change_sets);
  read_slots(in, tail.filters);
  if (in.failed() || !in.at_end()) return corrupt("pack", "its tail index is cut short or has a rest");
  return tail;
}

Result<Closing> parse_closing(std::string_view bytes, uint64_t pack_size) {
  if (bytes.size() != kClosingSize || bytes.substr(24) != kClosingMagic)
    return corrupt("pack", "its end is missing: it was cut short or is no pack");
  if (load_le<uint64_t>(bytes.data() + 16) != base::xxh3_64(bytes.substr(0, 16)))
    return corrupt("pack", "the checksum of its end does not fit");
  const auto version = static_cast<uint8_t>(bytes[12]), algorithm = static_cast<uint8_t>(bytes[13]);
  if (version != kPackVersion) return unsupported("pack", "pack version", version);
  if (algorithm != kAlgorithmSha256) return unsupported("pack", "hash algorithm", algorithm);
  Closing closing{load_le<uint64_t>(bytes.data()), load_le<uint32_t>(bytes.data() + 8)};
  if (pack_size < kOpeningSize + kClosingSize || closing.tail_offset < kOpeningSize ||
      closing.tail_offset > pack_size - kClosingSize ||
      closing.tail_length != pack_size - kClosingSize - closing.tail_offset)
    return corrupt("pack", "its end does not fit its size");
  return closing;
}

Result<std::string_view> commit_record(std::string_view body, std::string_view commit_id32) {
  constexpr size_t kHead = kHeaderSize + 32;
  TRY(expect_kind(body, Kind::kCommit));
  if (body.size() < kHead || body.substr(kHeaderSize, 32) != commit_id32)
    return corrupt("pack", "a commit record belongs to another commit");
  return body.substr(kHead);
}

Result<void> check_pack(std::string_view bytes, std::string_view pack_id) {
  if (bytes.size() < kOpeningSize + kClosingSize || !bytes.starts_with(kOpeningMagic))
    return corrupt("pack", "its opening is missing");
  if (bytes[8] != static_cast<char>(kPackVersion))
    return unsupported("pack", "pack version", static_cast<uint8_t>(bytes[8]));
  if (bytes.substr(0, kOpeningSize) != opening()) return corrupt("pack", "its opening is damaged");
  TRY_LET(const Closing closing, parse_closing(bytes.substr(bytes.size() - kClosingSize), bytes.size()));
  TRY_LET(const Frame tail_frame, open_frame(bytes.substr(closing.tail_offset, closing.tail_length)));
  TRY_LET(const Tail tail, parse_tail(tail_frame.body));
  if (tail.pack_id != pack_id) return corrupt("pack", "it holds the bytes of pack " + tail.pack_id);

  struct Part {
    const Slot* slot;
    const std::vector<Slot>* list;
  };
  std::vector<Part> parts;
  for (const auto* list : {&tail.nodes, &tail.commits, &tail.change_sets, &tail.filters})
    for (const Slot& slot : *list) parts.push_back({&slot, list});
  std::sort(parts.begin(), parts.end(), [](const Part& a, const Part& b) { return a.slot->offset < b.slot->offset; });
  uint64_t at = kOpeningSize;
  for (const auto& [slot, list] : parts) {
    if (slot->offset != at || slot->length > closing.tail_offset - at)
      return corrupt("pack", "its tail index leaves a gap at byte " + std::to_string(at));
    at += slot->length;
    TRY_LET(Frame frame, open_frame(bytes.substr(slot->offset, slot->length)));
    if (list == &tail.nodes) {
      if (base::sha256(frame.body).bytes() != slot->id) return corrupt("pack", "a node's bytes do not give its id");
      TRY(Node::make(std::move(frame.body), std::move(frame.hints)));
    } else if (list == &tail.commits) {
      TRY(commit_record(frame.body, slot->id));
    } else if (list == &tail.change_sets) {
      TRY(decode_change_set(frame.body, slot->id));
    } else {
      TRY(filter_may_contain(frame.body, slot->id, {}));
    }
  }
  if (at != closing.tail_offset) return corrupt("pack", "its tail index leaves a gap at byte " + std::to_string(at));
  return {};
}

bool is_pack_id(std::string_view text) {
  if (text.empty() || text.size() > 64) return false;
  for (const char c : text)
    if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '-')) return false;
  return true;
}

}  // namespace tarn::tree::detail
