#pragma once
// The filter over what a commit changed against its first parent, by itself: what may lie beside a commit's record.
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "tree/tree.h"

namespace tarn::tree {

/// A filter over the changed keys and each of their directories; docs/formats/pack.md, `F`, from its kind on.
/// @param changes    all of them, in key order; none is a filter that contains nothing.
/// @param bytes_max  a filter that would be bigger is empty: everything may have changed.
std::string encode_change_filter(std::span<const Change> changes, size_t bytes_max);

/// Errors: kCorrupt (cut short), kUnsupported (another kind).
Result<void> check_change_filter(std::string_view filter);

/// What filters know a path by: a key, or a directory with its trailing '/'.
uint64_t change_filter_name(std::string_view path);

/// Whether one of the names may have changed; false is certain. What it cannot read (empty, another kind, cut short)
/// may have changed. Cost: some nanoseconds; no allocation.
bool change_filter_may_contain(std::string_view filter, std::span<const uint64_t> names);

}  // namespace tarn::tree
