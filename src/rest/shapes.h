#pragma once
// Domain values as the JSON of the API's models.
#include <span>
#include <string>
#include <string_view>

#include "base/json.h"
#include "catalog/catalog.h"
#include "rest/answers.h"

namespace tarn::rest {

Json to_json(const versioning::Repository& repository);
Json to_json(const versioning::Commit& commit);
/// {id, commit_id}
Json ref_to_json(std::string_view name, const versioning::CommitId& commit);
/// What pages are made of, as text behind what `out` holds: a tree of values would cost most of a listing.
/// ObjectStats, that of a common prefix, and Diff.
void write_stats(std::string& out, std::string_view path, const tree::Entry& entry, std::string_view physical_address,
                 bool with_metadata);
void write_prefix(std::string& out, std::string_view prefix);
void write_diff(std::string& out, const versioning::DiffItem& item, bool with_right);
/// A page up to the first of its results; "]}" ends it. @param bytes_each  about how long a result is.
std::string begin_page(size_t results, bool has_more, const std::string& next_after, size_t bytes_each);
Json conflicts_to_json(std::span<const tree::Conflict> conflicts);
/// "3 conflicts: a, b, c": at most ten paths by name.
std::string describe(const std::vector<tree::Conflict>& conflicts);

}  // namespace tarn::rest
