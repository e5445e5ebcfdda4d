#include "tree/detail/pack_file.h"

#include <algorithm>

#include "base/hash.h"
#include "tree/detail/bundle.h"
#include "tree/detail/change_set.h"
#include "tree/detail/frame.h"
#include "tree/detail/node.h"

namespace tarn::tree::detail {
namespace {

constexpr std::string_view kOpeningMagic = "TARNPACK", kClosingMagic = "TARNPEND";
constexpr uint8_t kPackVersion = 1, kFoldedVersion = 2;

std::string uuid_text(std::string_view raw16) {
  const std::string hex = base::to_hex(raw16);
  std::string out;
  for (size_t i = 0; i < hex.size(); ++i) {
    if (i == 8 || i == 12 || i == 16 || i == 20) out.push_back('-');
    out.push_back(hex[i]);
  }
  return out;
}

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

/// The ids that we give are UUIDs: 16 bytes behind a 1; any other text stands behind a 0.
void put_pack_id(std::string& out, std::string_view id) {
  std::string hex;
  for (const char c : id)
    if (c != '-') hex.push_back(c);
  const auto raw = base::from_hex(hex);
  if (raw && raw->size() == 16 && uuid_text(*raw) == id) {
    out.push_back(1);
    out.append(*raw);
  } else {
    out.push_back(0);
    put_text(out, id);
  }
}

std::string read_pack_id(Parser& in) {
  const uint8_t kind = in.u8();
  if (kind == 0) return std::string(in.text());
  if (kind != 1) in.fail();
  const std::string_view raw = in.raw(16);
  return in.failed() ? std::string() : uuid_text(raw);
}

std::vector<Slot>* list_of(Tail& tail, char list) {
  switch (list) {
    case 'n':
      return &tail.nodes;
    case 'r':
      return &tail.commits;
    case 'c':
      return &tail.change_sets;
    case 'f':
      return &tail.filters;
    default:
      return nullptr;
  }
}

void append_closing(std::string& pack, uint64_t tail_offset, uint8_t version) {
  std::string closing;
  put_le<uint64_t>(closing, tail_offset);
  put_le<uint32_t>(closing, static_cast<uint32_t>(pack.size() - tail_offset));
  closing.push_back(static_cast<char>(version));
  closing.push_back(static_cast<char>(kAlgorithmSha256));
  put_le<uint16_t>(closing, 0);
  put_le<uint64_t>(closing, base::xxh3_64(closing));
  closing.append(kClosingMagic);
  pack.append(closing);
}

Result<Tail> parse_folded_tail(std::string_view body) {
  Parser in(body.substr(kHeaderSize));
  Tail tail;
  tail.folded = true;
  tail.pack_id = in.text();
  const uint64_t replaced = in.varint();
  for (uint64_t i = 0; i < replaced && !in.failed(); ++i) tail.replaces.push_back(read_pack_id(in));
  const uint64_t frames = in.varint();
  uint64_t offset = kOpeningSize;
  for (uint64_t i = 0; i < frames && !in.failed(); ++i) {
    const uint64_t length = in.varint();
    const uint8_t bundle = in.u8();
    const uint64_t members = in.varint();
    if (length > UINT32_MAX || bundle > 1 || (bundle == 0 && members != 1) || members > in.remaining()) {
      in.fail();
      break;
    }
    for (uint64_t m = 0; m < members && !in.failed(); ++m) {
      std::vector<Slot>* list = list_of(tail, static_cast<char>(in.u8()));
      const std::string_view id = in.raw(kShortId);
      if (list == nullptr) in.fail();
      if (in.failed()) break;
      list->push_back(
          {std::string(id), offset, static_cast<uint32_t>(length), bundle == 1 ? static_cast<uint32_t>(m) : kAlone});
    }
    offset += length;
  }
  if (in.failed() || !in.at_end()) return corrupt("pack", "its index is cut short or has a rest");
  for (auto* list : {&tail.nodes, &tail.commits, &tail.change_sets, &tail.filters})
    std::stable_sort(list->begin(), list->end(), [](const Slot& a, const Slot& b) { return a.id < b.id; });
  return tail;
}

}  // namespace

std::span<const Slot> Tail::find(const std::vector<Slot>& slots, std::string_view id) {
  // Plain packs hold few things; folded ones many, in the order of their ids.
  if (!slots.empty() && slots.front().id.size() == kShortId) {
    struct Less {
      bool operator()(const Slot& a, std::string_view b) const { return a.id < b; }
      bool operator()(std::string_view a, const Slot& b) const { return a < b.id; }
    };
    const auto [from, to] = std::equal_range(slots.begin(), slots.end(), id.substr(0, kShortId), Less());
    return {from, to};
  }
  for (const Slot& slot : slots)
    if (slot.id == id) return {&slot, 1};
  return {};
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
  append_closing(pack, offset, kPackVersion);
  return {};
}

Result<void> append_folded_tail(std::string& pack, std::string_view pack_id, std::span<const std::string> replaces,
                                std::span<const FoldedFrame> frames) {
  std::string body;
  put_header(body, Kind::kFoldedTail);
  put_text(body, pack_id);
  put_varint(body, replaces.size());
  for (const std::string& replaced : replaces) put_pack_id(body, replaced);
  put_varint(body, frames.size());
  for (const FoldedFrame& frame : frames) {
    put_varint(body, frame.length);
    body.push_back(frame.bundle ? 1 : 0);
    put_varint(body, frame.members.size());
    for (const auto& [list, id] : frame.members) {
      body.push_back(list);
      body.append(id, 0, kShortId);
    }
  }
  const uint64_t offset = pack.size();
  TRY(append_frame(pack, body, {}, Codec::kZstd, kFoldLevel));
  append_closing(pack, offset, kFoldedVersion);
  return {};
}

Result<Tail> parse_tail(std::string_view body) {
  TRY_LET(const Kind kind, kind_of(body));
  if (kind == Kind::kFoldedTail) return parse_folded_tail(body);
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
  if (version != kPackVersion && version != kFoldedVersion) return unsupported("pack", "pack version", version);
  if (algorithm != kAlgorithmSha256) return unsupported("pack", "hash algorithm", algorithm);
  Closing closing{load_le<uint64_t>(bytes.data()), load_le<uint32_t>(bytes.data() + 8), version == kFoldedVersion};
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

Result<std::string> whole_id(char list, const Slot& slot, std::string_view body) {
  std::string id;
  if (list == 'n') {
    id = base::sha256(body).bytes();
  } else {
    if (body.size() < kHeaderSize + 32) return corrupt("pack", "one of its parts is cut short");
    id = body.substr(kHeaderSize, 32);
  }
  if (!id.starts_with(slot.id)) return corrupt("pack", "a part of it is not what its index says");
  return id;
}

Result<Tail> read_tail(std::string_view bytes, std::string_view pack_id) {
  if (bytes.size() < kOpeningSize + kClosingSize || !bytes.starts_with(kOpeningMagic))
    return corrupt("pack", "its opening is missing");
  if (bytes[8] != static_cast<char>(kPackVersion))
    return unsupported("pack", "pack version", static_cast<uint8_t>(bytes[8]));
  if (bytes.substr(0, kOpeningSize) != opening()) return corrupt("pack", "its opening is damaged");
  TRY_LET(const Closing closing, parse_closing(bytes.substr(bytes.size() - kClosingSize), bytes.size()));
  TRY_LET(const Frame tail_frame, open_frame(bytes.substr(closing.tail_offset, closing.tail_length)));
  TRY_LET(Tail tail, parse_tail(tail_frame.body));
  if (tail.pack_id != pack_id) return corrupt("pack", "it holds the bytes of pack " + tail.pack_id);
  return tail;
}

Result<void> check_pack(std::string_view bytes, std::string_view pack_id) {
  TRY_LET(const Tail tail, read_tail(bytes, pack_id));
  TRY_LET(const Closing closing, parse_closing(bytes.substr(bytes.size() - kClosingSize), bytes.size()));
  struct Part {
    const Slot* slot;
    char list;
  };
  std::vector<Part> parts;
  for (const auto& [list, slots] : {std::pair('n', &tail.nodes), std::pair('r', &tail.commits),
                                    std::pair('c', &tail.change_sets), std::pair('f', &tail.filters)})
    for (const Slot& slot : *slots) parts.push_back({&slot, list});
  std::sort(parts.begin(), parts.end(), [](const Part& a, const Part& b) {
    return std::pair(a.slot->offset, a.slot->member) < std::pair(b.slot->offset, b.slot->member);
  });
  const auto gap = [](uint64_t at) {
    return corrupt("pack", "its tail index leaves a gap at byte " + std::to_string(at));
  };
  uint64_t at = kOpeningSize;
  for (size_t i = 0; i < parts.size();) {
    const Slot& first = *parts[i].slot;
    if (first.offset != at || first.length > closing.tail_offset - at) return gap(at);
    at += first.length;
    TRY_LET(Frame frame, open_frame(bytes.substr(first.offset, first.length)));
    std::shared_ptr<const Bundle> bundle;
    if (first.member != kAlone) {
      if (!frame.hints.empty()) return corrupt("pack", "a bundle has hints");
      TRY_LET(bundle, Bundle::open(std::move(frame.body)));
    }
    const size_t members = bundle ? bundle->count() : 1;
    if (members > parts.size() - i) return gap(at);
    for (size_t m = 0; m < members; ++m, ++i) {
      const auto& [slot, list] = parts[i];
      if (slot->offset != first.offset || (bundle && slot->member != m)) return gap(slot->offset);
      std::string rebuilt;
      if (bundle) {
        TRY_LET(rebuilt, bundle->body(m));
      }
      const Member member = bundle ? Member{rebuilt, bundle->member(m).hints} : Member{frame.body, frame.hints};
      TRY_LET(const std::string id, whole_id(list, *slot, member.body));
      if (list == 'n') {
        TRY(Node::make(std::string(member.body), std::string(member.hints)));
      } else if (list == 'r') {
        TRY(commit_record(member.body, id));
      } else if (list == 'c') {
        TRY(decode_change_set(member.body, id));
      } else {
        TRY(filter_may_contain(member.body, id, {}));
      }
    }
  }
  if (at != closing.tail_offset) return gap(at);
  return {};
}

bool is_pack_id(std::string_view text) {
  if (text.empty() || text.size() > 64) return false;
  for (const char c : text)
    if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '-')) return false;
  return true;
}

}  // namespace tarn::tree::detail
