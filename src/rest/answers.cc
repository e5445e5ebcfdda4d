#include "rest/answers.h"

namespace tarn::rest {

Json pagination_to_json(size_t results, bool has_more, std::string next_offset, int max_per_page) {
  return Json::object({{"has_more", has_more},
                       {"next_offset", has_more ? std::move(next_offset) : std::string()},
                       {"results", results},
                       {"max_per_page", max_per_page}});
}

Json page_to_json(Json::Array results, bool has_more, std::string next_offset, int max_per_page) {
  Json pagination = pagination_to_json(results.size(), has_more, std::move(next_offset), max_per_page);
  return Json::object({{"pagination", std::move(pagination)}, {"results", Json(std::move(results))}});
}

http::Response ok(const Json& json) { return http::json(200, json.dump()); }
http::Response created(const Json& json) { return http::json(201, json.dump()); }
http::Response no_content() { return http::empty(204); }

}  // namespace tarn::rest
