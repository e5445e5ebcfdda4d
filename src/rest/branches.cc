#include "rest/fields.h"
#include "rest/handlers.h"
#include "rest/shapes.h"

namespace tarn::rest {

// GET …/branches — operation listBranches. 200, hidden ones only with show_hidden; 404.
Answer list_branches(Call& call) {
  TRY_LET(const auto page, call.page());
  TRY_LET(const bool hidden, call.flag("show_hidden", false));
  TRY_LET(const auto repository, call.repository());
  TRY_LET(const auto found, call.engine().list_branches(call.ctx, repository, page, hidden));
  Json::Array results;
  for (const auto& branch : found.items) results.push_back(ref_to_json(branch.name, branch.head));
  return ok(page_to_json(std::move(results), found.has_more, found.next_after));
}

// POST …/branches — operation createBranch. 201 the head's id as text; 400 bad name; 404 source; 409 exists.
Answer create_branch(Call& call) {
  TRY_LET(const Json body, call.body());
  TRY(need_object(body));
  TRY_LET(const std::string name, body.need_string("name"));
  TRY_LET(const std::string source, body.need_string("source"));
  TRY_LET(const bool hidden, optional_bool(body, "hidden", false));
  TRY_LET(const auto repository, call.repository());
  TRY_LET(const auto branch, call.engine().create_branch(call.ctx, repository, name, source, hidden));
  return http::text(201, branch.head.hex());
}

// GET …/branches/{branch} — operation getBranch. 200; 404.
Answer get_branch(Call& call) {
  TRY_LET(const auto repository, call.repository());
  TRY_LET(const auto branch, call.engine().get_branch(call.ctx, repository, call.path("branch")));
  return ok(ref_to_json(branch.name, branch.head));
}

// DELETE …/branches/{branch} — operation deleteBranch. 204; 403 default or protected branch; 404.
Answer delete_branch(Call& call) {
  TRY_LET(const auto repository, call.repository());
  TRY(call.engine().delete_branch(call.ctx, repository, call.path("branch")));
  return no_content();
}

// PUT …/branches/{branch} — operation resetBranch. 204; 400 unknown type; 403 protected; 404.
Answer reset_branch(Call& call) {
  TRY_LET(const Json body, call.body());
  TRY(need_object(body));
  TRY_LET(const std::string type, body.need_string("type"));
  TRY_LET(std::string path, optional_string(body, "path"));
  if (type != "object" && type != "common_prefix" && type != "reset")
    return Error(Code::kInvalid, "type", "reset type must be object, common_prefix or reset");
  if (type == "reset")
    path.clear();
  else if (path.empty())
    return Error(Code::kInvalid, "path", "reset of an object or a prefix needs its path");
  TRY_LET(const auto repository, call.repository());
  TRY(call.engine().reset(call.ctx, repository, call.path("branch"), path, type != "object"));
  return no_content();
}

// PUT …/branches/{branch}/hard_reset — operation hardResetBranch. 204; 400 dirty; 403 protected; 404.
Answer hard_reset_branch(Call& call) {
  TRY_LET(const std::string ref, call.need_query("ref"));
  TRY_LET(const auto repository, call.repository());
  TRY(call.engine().hard_reset(call.ctx, repository, call.path("branch"), ref));
  return no_content();
}

}  // namespace tarn::rest
