#include "mesh/publications.h"
#include "rest/fields.h"
#include "rest/handlers.h"
#include "rest/shapes.h"

namespace tarn::rest {
namespace {

/// Consumers pin what a publication's tag names, and an incident what its snapshot does.
Result<void> admit(std::string_view tag) {
  if (!mesh::is_mesh_tag(tag)) return {};
  return Error(Code::kForbidden, "tag",
               "tags that begin with 'pub--' or 'fail--' name publications and failure snapshots, which never change: "
               "choose another name; a publication can be withdrawn");
}

}  // namespace

// GET …/tags — operation listTags. 200; 404.
Answer list_tags(Call& call) {
  TRY_LET(const auto page, call.page());
  TRY_LET(const auto repository, call.repository());
  TRY_LET(const auto found, call.engine().list_tags(call.ctx, repository, page));
  Json::Array results;
  for (const auto& tag : found.items) results.push_back(ref_to_json(tag.name, tag.commit));
  return ok(page_to_json(std::move(results), found.has_more, found.next_after));
}

// POST …/tags — operation createTag. 201; 400 bad name; 403 the mesh's own; 404 ref; 409 exists without force.
Answer create_tag(Call& call) {
  TRY_LET(const Json body, call.body());
  TRY(need_object(body));
  TRY_LET(const std::string id, body.need_string("id"));
  TRY_LET(const std::string ref, body.need_string("ref"));
  TRY_LET(const bool force, optional_bool(body, "force", false));
  TRY(admit(id));
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

// DELETE …/tags/{tag} — operation deleteTag. 204; 403 the mesh's own; 404.
Answer delete_tag(Call& call) {
  TRY_LET(const auto repository, call.repository());
  TRY(admit(call.path("tag")));
  TRY(call.engine().delete_tag(call.ctx, repository, call.path("tag")));
  return no_content();
}

}  // namespace tarn::rest
