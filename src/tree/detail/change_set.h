#pragma once
// What a commit changed against its first parent, and the filter over it: docs/formats/pack.md.
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tree/tree.h"

namespace tarn::tree::detail {

/// Body of a change-set. @param changes  in key order.
std::string encode_change_set(std::string_view commit_id32, std::span<const Change> changes);
/// Errors: kCorrupt (also when it belongs to another commit), kUnsupported.
Result<std::vector<Change>> decode_change_set(std::string_view body, std::string_view commit_id32);

/// Body of a filter over the changed keys and their directories; empty when it would be too big to be worth it.
std::string encode_filter(std::string_view commit_id32, std::span<const Change> changes);
/// Whether `path` (a key, or a directory ending with '/') may have changed; false is certain.
/// Errors: kCorrupt, kUnsupported.
Result<bool> filter_may_contain(std::string_view body, std::string_view commit_id32, std::string_view path);

}  // namespace tarn::tree::detail
