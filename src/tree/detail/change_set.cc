#include "tree/detail/change_set.h"

#include <algorithm>

#include "tree/change_filter.h"
#include "tree/detail/header.h"
#include "tree/detail/leaf.h"

namespace tarn::tree::detail {
namespace {

constexpr size_t kHead = kHeaderSize + 32;
constexpr size_t kFilterSizeMax = 64 * 1024 + 2;

std::string head(Kind kind, std::string_view commit_id32) {
  std::string out;
  put_header(out, kind);
  out.append(commit_id32);
  return out;
}

Result<std::string_view> rest_after_head(std::string_view body, Kind kind, std::string_view commit_id32) {
  TRY(expect_kind(body, kind));
  if (body.size() < kHead) return corrupt("change-set", "it is cut short");
  if (body.substr(kHeaderSize, 32) != commit_id32) return corrupt("change-set", "it belongs to another commit");
  return body.substr(kHead);
}

std::string encode_side(std::span<const Change> changes, std::optional<Entry> Change::*side) {
  Arena arena;
  std::vector<Row> rows;
  for (const Change& change : changes)
    if (const auto& entry = change.*side) rows.push_back(row_of(change.key, *entry, arena));
  return encode_leaf(rows);
}

Result<std::vector<Item>> decode_side(std::string_view bytes) {
  TRY_LET(const Leaf leaf, Leaf::parse(bytes));
  std::vector<Item> items;
  TRY_LET(Leaf::Walk walk, leaf.walk(0));
  Row row;
  for (uint32_t i = 0; i < leaf.count(); ++i) {
    TRY(walk.step(row));
    if (row.spill) return corrupt("change-set", "its metadata is elsewhere");
    if (!items.empty() && row.key <= items.back().key) return corrupt("change-set", "its keys are not in order");
    TRY_LET(Entry entry, entry_of(row, row.metadata));
    items.push_back({std::string(row.key), std::move(entry)});
  }
  return items;
}

}  // namespace

std::string encode_change_set(std::string_view commit_id32, std::span<const Change> changes) {
  std::string out = head(Kind::kChangeSet, commit_id32);
  const std::string left = encode_side(changes, &Change::left), right = encode_side(changes, &Change::right);
  put_le<uint32_t>(out, static_cast<uint32_t>(left.size()));
  out.append(left).append(right);
  return out;
}

Result<std::vector<Change>> decode_change_set(std::string_view body, std::string_view commit_id32) {
  TRY_LET(const std::string_view rest, rest_after_head(body, Kind::kChangeSet, commit_id32));
  if (rest.size() < 4 || load_le<uint32_t>(rest.data()) > rest.size() - 4)
    return corrupt("change-set", "it is cut short");
  const size_t split = 4 + size_t{load_le<uint32_t>(rest.data())};
  TRY_LET(std::vector<Item> left, decode_side(rest.substr(4, split - 4)));
  TRY_LET(std::vector<Item> right, decode_side(rest.substr(split)));
  std::vector<Change> changes;
  size_t l = 0, r = 0;
  while (l < left.size() || r < right.size()) {
    const bool has_left = l < left.size() && (r == right.size() || left[l].key <= right[r].key);
    const bool has_right = r < right.size() && (l == left.size() || right[r].key <= left[l].key);
    Change change;
    change.type = has_left && has_right ? ChangeType::kChanged : has_left ? ChangeType::kRemoved : ChangeType::kAdded;
    change.key = has_left ? left[l].key : right[r].key;
    if (has_left) change.left = std::move(left[l++].entry);
    if (has_right) change.right = std::move(right[r++].entry);
    changes.push_back(std::move(change));
  }
  return changes;
}

std::string encode_filter(std::string_view commit_id32, std::span<const Change> changes) {
  const std::string filter = encode_change_filter(changes, kFilterSizeMax);
  return filter.empty() ? filter : head(Kind::kFilter, commit_id32) + filter;
}

Result<bool> filter_may_contain(std::string_view body, std::string_view commit_id32, std::string_view path) {
  TRY_LET(const std::string_view rest, rest_after_head(body, Kind::kFilter, commit_id32));
  TRY(check_change_filter(rest));
  const uint64_t name = change_filter_name(path);
  return change_filter_may_contain(rest, {&name, 1});
}

}  // namespace tarn::tree::detail
