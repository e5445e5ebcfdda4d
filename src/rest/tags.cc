#include "rest/fields.h"
#include "rest/handlers.h"
#include "rest/shapes.h"

namespace tarn::rest {

// GET …/tags — operation listTags. 200; 404.
Answer list_tags(Call& call) {
  TRY_LET(const auto page, call.page());
  TRY_LET(const auto repository, call.repository());
  TRY_LET(const auto found, call.engine().list_tags(call.ctx, repository, page));
  Json::Array results;
  for (const auto& tag : found.items) results.push_back(ref_to_json(tag.name, tag.commit));
  return ok(page_to_json(std::move(results), found.has_more, found.next_after));
}

// POST …/tags — operation createTag. 201; 400 bad name; 404 ref; 409 exists without force.
Answer create_tag(Call& call) {
  TRY_LET(const Json body, call.body());
  TRY(need_object(body));
  TRY_LET(const std::string id, body.need_string("id"));
  TRY_LET(const std::string ref, body.need_string("ref"));
  TRY_LET(const bool force, optional_bool(body, "force", false));
  TRY_LET(const auto repository, call.repository());
  TRY_LET(const auto tag, call.engine().create_tag(call.ctx, repository, id, ref, force));
  return created(ref_to_json(tag.name, tag.commit));
}

// GET …/tags/{tag} — operation getTag. 200; 404.
Answer get_tag(Call& call) {
  TRY_LET(const auto repository, call.repository());
  TRY_LET(const auto tag, call.engine().get_tag(call.ctx, repository, call.path("tag")));
  return ok(ref_to_json(tag.name, tag.commit));
}

// DELETE …/tags/{tag} — operation deleteTag. 204; 404.
Answer delete_tag(Call& call) {
  TRY_LET(const auto repository, call.repository());
  TRY(call.engine().delete_tag(call.ctx, repository, call.path("tag")));
  return no_content();
}

}  // namespace tarn::rest
