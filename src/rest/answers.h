#pragma once
// Answers in the API's common forms.
#include <string>

#include "base/clock.h"
#include "base/json.h"
#include "http/response.h"

namespace tarn::rest {

/// {pagination, results}. @param results  JSON texts of the items.
Json page_to_json(Json::Array results, bool has_more, std::string next_offset, int max_per_page = 1000);

/// The pagination member alone, for answers that are written as text.
Json pagination_to_json(size_t results, bool has_more, std::string next_offset, int max_per_page = 1000);

http::Response ok(const Json& json);
http::Response created(const Json& json);
http::Response no_content();

/// Seconds on the wire.
inline int64_t seconds(base::WallMs ms) { return ms / 1000; }

}  // namespace tarn::rest
