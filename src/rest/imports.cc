// Imports link a folder's files into a branch without reading them; they run as a durable task.
#include "rest/fields.h"
#include "rest/handlers.h"
#include "rest/shapes.h"

namespace tarn::rest {
namespace {

Result<catalog::ImportPath> location_of(const Json& item) {
  TRY(need_object(item));
  TRY_LET(const std::string type, item.need_string("type"));
  if (type != "common_prefix" && type != "object")
    return Error(Code::kInvalid, "type", "an import path's type must be common_prefix or object");
  TRY_LET(std::string path, item.need_string("path"));
  TRY_LET(std::string destination, item.need_string("destination"));
  return catalog::ImportPath{type == "object" ? catalog::ImportPath::Type::kObject : catalog::ImportPath::Type::kPrefix,
                             std::move(path), std::move(destination)};
}

}  // namespace

// POST …/branches/{branch}/import — operation importStart. 202 {id}; 400; 403 folder not allowed; 404.
Answer import_start(Call& call) {
  TRY_LET(const Json body, call.bulk_body());
  TRY(need_object(body));
  std::vector<catalog::ImportPath> paths;
  for (const Json& item : body["paths"].items()) {
    TRY_LET(auto path, location_of(item));
    paths.push_back(std::move(path));
  }
  if (paths.empty()) return Error(Code::kInvalid, "paths", "an import needs at least one path");
  const Json& commit = body["commit"];
  TRY(need_object(commit));
  TRY_LET(auto spec, commit_spec(call, commit));
  if (spec.message.empty()) spec.message = "Import objects";
  const std::string& repository = call.path("repository");
  const std::string& branch = call.path("branch");
  TRY(call.allow(auth::Action::kCreateCommit, {.repository = repository, .ref = branch}));
  for (const auto& path : paths)
    TRY(call.allow(auth::Action::kWriteObject, {.repository = repository, .ref = branch, .path = path.destination}));
  TRY_LET(const std::string id, call.doors.catalog.start_import(call.ctx, repository, branch, paths, spec));
  return http::json(202, Json::object({{"id", id}}).dump());
}

// GET …/branches/{branch}/import — operation importStatus. 200; 404.
Answer import_status(Call& call) {
  TRY_LET(const std::string id, call.need_query("id"));
  TRY_LET(const auto status, call.doors.catalog.import_status(call.ctx, call.path("repository"), id));
  Json out = Json::object({{"completed", status.completed},
                           {"update_time", base::rfc3339(status.updated_ms)},
                           {"ingested_objects", status.ingested}});
  if (status.commit) {
    out.set("metarange_id", status.commit->root.id.hex());
    out.set("commit", to_json(*status.commit));
  }
  if (!status.error.empty()) out.set("error", Json::object({{"message", status.error}}));
  return ok(out);
}

// DELETE …/branches/{branch}/import — operation importCancel. 204; 404; 409 already completed.
Answer import_cancel(Call& call) {
  TRY_LET(const std::string id, call.need_query("id"));
  auto cancelled = call.doors.catalog.cancel_import(call.ctx, call.path("repository"), id);
  if (!cancelled && cancelled.error().code() == Code::kConflict)
    return cancelled.error().wrap(Code::kAlreadyExists, "import", "the import is already over");
  TRY(std::move(cancelled));
  return no_content();
}

}  // namespace tarn::rest
