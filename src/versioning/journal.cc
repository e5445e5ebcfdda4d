#include "versioning/journal.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>

#include "base/bytes.h"
#include "base/hash.h"
#include "kv/record.h"
#include "versioning/records.h"

namespace tarn::versioning::journal {
namespace {

constexpr std::string_view kMagic = "TARNREFS";
constexpr uint8_t kVersion = 1;
constexpr size_t kCheckBytes = 16;
constexpr size_t kNumberDigits = 20;
constexpr uint8_t kGone = 0x80;  // with the kind, in one byte
constexpr uint8_t kHidden = 1;

Result<CommitId> read_id(base::ByteReader& in) {
  TRY_LET(const std::string_view bytes, in.raw(32));
  return CommitId(base::Digest(bytes));
}

bool stops_all(const Error& error) {
  return error.code() != Code::kCorrupt && error.code() != Code::kUnsupported && error.code() != Code::kNotFound &&
         error.code() != Code::kInvalid;
}

}  // namespace

std::string encode(const Object& object) {
  base::ByteWriter out;
  out.raw(kMagic);
  out.u8(kVersion);
  out.u8(static_cast<uint8_t>(object.form));
  out.text(object.repository_id);
  out.varint(object.number);
  out.varint_signed(object.written_ms);
  out.varint(object.entries.size());
  for (const Entry& entry : object.entries) {
    out.u8(static_cast<uint8_t>(static_cast<uint8_t>(entry.kind) | (entry.value ? 0 : kGone)));
    out.text(entry.name);
    if (entry.value) out.text(*entry.value);
  }
  const std::string check = base::xxh3_128(out.str());
  out.raw(check);
  return out.take();
}

Result<Object> decode(std::string_view bytes) {
  base::ByteReader in(bytes, "ref journal");
  TRY_LET(const std::string_view magic, in.raw(kMagic.size()));
  if (magic != kMagic) return in.corrupt("these are not the bytes of a ref journal");
  TRY_LET(const uint8_t version, in.u8());
  if (version != kVersion)
    return Error(
        Code::kUnsupported, "ref journal",
        fmt::format("its format is {}, this version reads {}: use the version that wrote it", version, kVersion));
  if (bytes.size() < kMagic.size() + 1 + kCheckBytes) return in.corrupt("it is cut short");
  const std::string_view body = bytes.substr(0, bytes.size() - kCheckBytes);
  if (base::xxh3_128(body) != bytes.substr(body.size())) return in.corrupt("its bytes fail their check");
  in = base::ByteReader(body.substr(kMagic.size() + 1), "ref journal");

  Object object;
  TRY_LET(const uint8_t form, in.u8());
  if (form != 1 && form != 2) return in.corrupt("unknown form");
  object.form = static_cast<Form>(form);
  TRY_LET(const std::string_view id, in.text());
  object.repository_id = id;
  TRY_LET(object.number, in.varint());
  TRY_LET(object.written_ms, in.varint_signed());
  TRY_LET(const uint64_t count, in.varint());
  if (count > in.remaining()) return in.corrupt("more entries than bytes");
  object.entries.reserve(count);
  for (uint64_t i = 0; i < count; ++i) {
    TRY_LET(const uint8_t kind, in.u8());
    const uint8_t plain = kind & static_cast<uint8_t>(~kGone);
    if (plain < 1 || plain > 4) return in.corrupt("an entry of an unknown kind");
    Entry entry;
    entry.kind = static_cast<Entry::Kind>(plain);
    TRY_LET(const std::string_view name, in.text());
    entry.name = name;
    if ((kind & kGone) == 0) {
      TRY_LET(const std::string_view value, in.text());
      entry.value = value;
    }
    object.entries.push_back(std::move(entry));
  }
  if (!in.empty()) return in.corrupt("bytes after the last entry");
  return object;
}

std::string encode_branch_value(const Branch& branch) {
  base::ByteWriter out;
  out.raw(branch.head.digest().bytes());
  out.text(branch.id);
  out.u8(branch.hidden ? kHidden : 0);
  out.varint_signed(branch.created_ms);
  return out.take();
}

Result<Branch> decode_branch_value(std::string_view name, std::string_view value) {
  base::ByteReader in(value, "ref journal");
  Branch branch;
  branch.name = name;
  TRY_LET(branch.head, read_id(in));
  TRY_LET(const std::string_view id, in.text());
  branch.id = id;
  TRY_LET(const uint8_t flags, in.u8());
  branch.hidden = (flags & kHidden) != 0;
  TRY_LET(branch.created_ms, in.varint_signed());
  return branch;
}

std::string encode_tag_value(const CommitId& commit) { return std::string(commit.digest().bytes()); }

Result<CommitId> decode_tag_value(std::string_view value) {
  base::ByteReader in(value, "ref journal");
  return read_id(in);
}

std::string folder_of(std::string_view block_prefix, std::string_view repository_id) {
  return fmt::format("{}refs/{}/", block_prefix, repository_id);
}

Result<block::Name> name_of(std::string_view folder, uint64_t number) {
  return block::make_name(fmt::format("{}{:0{}}", folder, number, kNumberDigits));
}

std::optional<uint64_t> number_of(std::string_view folder, std::string_view name) {
  if (!name.starts_with(folder) || name.size() != folder.size() + kNumberDigits) return std::nullopt;
  uint64_t number = 0;
  const char* end = name.data() + name.size();
  const auto parsed = std::from_chars(name.data() + folder.size(), end, number);
  if (parsed.ec != std::errc() || parsed.ptr != end) return std::nullopt;
  return number;
}

namespace {

Result<void> take(State& state, const Entry& entry) {
  switch (entry.kind) {
    case Entry::Kind::kRepository: {
      state.gone = !entry.value;
      if (!entry.value) return {};
      TRY_LET(state.repository, decode_repository(kv::kJsonRecord + *entry.value, 0));
      return {};
    }
    case Entry::Kind::kProtection: {
      state.protection.clear();
      if (!entry.value) return {};
      TRY_LET(state.protection, decode_protection(kv::kJsonRecord + *entry.value));
      return {};
    }
    case Entry::Kind::kBranch: {
      state.branches.erase(entry.name);
      if (!entry.value) return {};
      TRY_LET(Branch branch, decode_branch_value(entry.name, *entry.value));
      state.branches.emplace(entry.name, std::move(branch));
      return {};
    }
    case Entry::Kind::kTag: {
      state.tags.erase(entry.name);
      if (!entry.value) return {};
      TRY_LET(const CommitId commit, decode_tag_value(*entry.value));
      state.tags.emplace(entry.name, commit);
      return {};
    }
  }
  return Error(Code::kCorrupt, "ref journal", "an entry of an unknown kind");
}

}  // namespace

Result<std::vector<uint64_t>> numbers_of(const Context& ctx, block::Store& blocks, const std::string& folder) {
  std::vector<uint64_t> numbers;
  TRY(blocks.list(ctx, folder, [&](const block::Name& name, const block::Info&) -> Result<void> {
    if (const auto number = number_of(folder, name.str())) numbers.push_back(*number);
    return {};
  }));
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

Result<State> read(const Context& ctx, block::Store& blocks, const std::string& folder,
                   const std::string& repository_id, const std::vector<uint64_t>& numbers) {
  State state;
  state.objects = numbers.size();
  if (numbers.empty()) return state;
  state.first = numbers.front();
  state.last = numbers.back();
  const auto load = [&](uint64_t number) -> Result<Object> {
    TRY_LET(const block::Name name, name_of(folder, number));
    TRY_LET(const std::string bytes, blocks.read(ctx, name, 0, std::nullopt));
    Result<Object> object = decode(bytes);
    if (object && (object->repository_id != repository_id || object->number != number))
      return Error(Code::kCorrupt, "ref journal", "it holds the bytes of another one");
    return object;
  };
  // Newest first until a whole snapshot is found; then forward from there. What lies before it is left of a removal.
  std::vector<Object> later;
  uint64_t expected = 0;  // number that the next one read (going down) must have
  for (auto it = numbers.rbegin(); it != numbers.rend(); ++it) {
    if (expected != 0 && *it != expected)
      state.damage.push_back(fmt::format("objects {} to {} of the ref journal are missing", *it + 1, expected));
    expected = *it - 1;
    auto object = load(*it);
    if (!object) {
      if (stops_all(object.error())) return std::move(object).error();
      state.damage.push_back(fmt::format("object {}{:0{}} of the ref journal cannot be used: {}", folder, *it,
                                         kNumberDigits, object.error().message()));
      continue;
    }
    if (state.written_ms == 0) state.written_ms = object->written_ms;
    const bool snapshot = object->form == Form::kSnapshot;
    later.push_back(std::move(*object));
    if (snapshot) {
      state.snapshot = *it;
      break;
    }
  }
  if (state.snapshot == 0 && expected != 0)
    state.damage.push_back(fmt::format("objects 1 to {} of the ref journal are missing", expected));
  std::reverse(state.damage.begin(), state.damage.end());
  for (auto it = later.rbegin(); it != later.rend(); ++it)
    for (const Entry& entry : it->entries)
      if (const auto taken = take(state, entry); !taken)
        state.damage.push_back(fmt::format("entry '{}' of object {} of the ref journal cannot be used: {}", entry.name,
                                           it->number, taken.error().message()));
  return state;
}

}  // namespace tarn::versioning::journal
