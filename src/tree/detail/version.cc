#include "tree/detail/version.h"

#include <algorithm>
#include <functional>

#include "tree/detail/leaf.h"
#include "tree/entry.h"

namespace tarn::tree::detail {
namespace {

using Record = LeafRecords::Record;

/// Calls `each(key, right)` for every key that differs; nullptr where `b` lacks it. `each` says whether to go on.
void compare(const LeafRecords& a, const LeafRecords& b,
             const std::function<bool(const std::string&, const Record*)>& each) {
  auto l = a.records.begin(), r = b.records.begin();
  while (l != a.records.end() || r != b.records.end()) {
    const bool left = r == b.records.end() || (l != a.records.end() && l->key <= r->key);
    const bool right = l == a.records.end() || (r != b.records.end() && r->key <= l->key);
    if (!(left && right && l->entry == r->entry) && !each(left ? l->key : r->key, right ? &*r : nullptr)) return;
    if (left) ++l;
    if (right) ++r;
  }
}

Parser after_header(std::string_view body) { return Parser(body.substr(std::min(body.size(), kHeaderSize))); }

}  // namespace

Result<std::optional<LeafRecords>> LeafRecords::of(std::string_view body) {
  TRY_LET(const Kind kind, kind_of(body));
  if (kind != Kind::kLeaf) return std::optional<LeafRecords>();
  TRY_LET(const Leaf leaf, Leaf::parse(body));
  TRY_LET(Leaf::Walk walk, leaf.walk(0));
  LeafRecords out;
  Row row;
  for (uint32_t i = 0; i < leaf.count(); ++i) {
    TRY(walk.step(row));
    if (row.spill) return std::optional<LeafRecords>();
    TRY_LET(const Entry entry, entry_of(row, row.metadata));
    out.records.push_back({std::string(row.key), encode_entry(entry)});
  }
  // Only what comes back byte for byte.
  TRY_LET(const std::string again, out.leaf());
  if (again != body) return std::optional<LeafRecords>();
  return std::optional(std::move(out));
}

Result<std::string> LeafRecords::leaf() const {
  Arena arena;
  std::vector<Entry> entries;
  entries.reserve(records.size());
  std::vector<Row> rows;
  for (const Record& record : records) {
    TRY_LET(Entry entry, decode_entry(record.entry));
    entries.push_back(std::move(entry));
    rows.push_back(row_of(record.key, entries.back(), arena));
  }
  return encode_leaf(rows);
}

std::string encode_version(const LeafRecords& base, const LeafRecords& version, uint64_t distance) {
  std::string out, edits;
  uint64_t count = 0;
  compare(base, version, [&](const std::string& key, const Record* right) {
    ++count;
    put_text(edits, key);
    edits.push_back(right != nullptr ? 1 : 0);
    if (right != nullptr) put_text(edits, right->entry);
    return true;
  });
  put_header(out, Kind::kVersion);
  put_varint(out, distance);
  put_varint(out, count);
  return out + edits;
}

size_t differing(const LeafRecords& base, const LeafRecords& version, size_t limit) {
  size_t count = 0;
  compare(base, version, [&](const std::string&, const Record*) { return ++count < limit; });
  return count;
}

bool is_version(std::string_view body) {
  return body.size() > kHeaderSize && body.starts_with("TARN") && body[4] == static_cast<char>(Kind::kVersion);
}

Result<uint64_t> base_distance(std::string_view body) {
  TRY(expect_kind(body, Kind::kVersion));
  Parser in = after_header(body);
  const uint64_t distance = in.varint();
  if (in.failed() || distance == 0) return corrupt("node", "it names no base");
  return distance;
}

Result<void> apply_version(LeafRecords& base, std::string_view body) {
  TRY(expect_kind(body, Kind::kVersion));
  Parser in = after_header(body);
  in.varint();
  const uint64_t count = in.varint();
  for (uint64_t i = 0; i < count && !in.failed(); ++i) {
    const std::string_view key = in.text();
    const uint8_t put = in.u8();
    const std::string_view entry = put == 1 ? in.text() : std::string_view();
    if (in.failed() || put > 1) break;
    auto& records = base.records;
    auto at = std::lower_bound(records.begin(), records.end(), key,
                               [](const Record& r, std::string_view k) { return r.key < k; });
    const bool there = at != records.end() && at->key == key;
    if (put == 0) {
      if (!there) return corrupt("node", "it removes what its base does not have");
      records.erase(at);
    } else if (there) {
      at->entry = entry;
    } else {
      records.insert(at, {std::string(key), std::string(entry)});
    }
  }
  if (in.failed() || !in.at_end()) return corrupt("node", "what differs from its base is cut short");
  return {};
}

}  // namespace tarn::tree::detail
