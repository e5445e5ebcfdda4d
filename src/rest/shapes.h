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
Json to_json(const versioning::DiffItem& item, bool with_right);
/// ObjectStats.
Json stats_to_json(std::string_view path, const tree::Entry& entry, std::string physical_address, bool with_metadata);
/// The same as text, and that of a common prefix: for listings, where a tree of values would cost most of the call.
void write_stats(base::JsonWriter& out, std::string_view path, const tree::Entry& entry,
                 std::string_view physical_address, bool with_metadata);
void write_prefix(base::JsonWriter& out, std::string_view prefix);
Json conflicts_to_json(std::span<const tree::Conflict> conflicts);
/// "3 conflicts: a, b, c": at most ten paths by name.
std::string describe(const std::vector<tree::Conflict>& conflicts);

}  // namespace tarn::rest
