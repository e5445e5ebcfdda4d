#pragma once
// Where a key stands among all keys, by the counts that nodes keep: nothing is walked.
#include <cstdint>
#include <optional>
#include <string_view>

#include "tree/tree.h"

namespace tarn::tree {

/// Entries and bytes of the keys below `key`; what is not below it is root.count and root.bytes less these. What a
/// prefix begins with and ends with gives totals(). Cost: O(depth) node loads, and one leaf's records up to the key.
/// Errors: kCorrupt, kUnavailable.
Result<Totals> below(const Context& ctx, Packs& packs, const Root& root, std::string_view key);

/// The entry that has `position` others before it; nullopt from root.count on. With below(), pages can be counted and
/// taken from behind: the last page before `key` begins at below(key).count - n. Cost and errors: as below().
Result<std::optional<Item>> at_position(const Context& ctx, Packs& packs, const Root& root, uint64_t position);

}  // namespace tarn::tree
