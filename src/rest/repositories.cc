#include "rest/fields.h"
#include "rest/handlers.h"
#include "rest/shapes.h"

namespace tarn::rest {

// GET /repositories — operation listRepositories. 200 what the caller may read; `search` matches anywhere in the name.
Answer list_repositories(Call& call) {
  TRY_LET(const auto asked, call.page());
  const std::string search = call.query("search");
  versioning::PageQuery page = asked;
  if (!search.empty()) page.amount = 1000;
  Json::Array results;
  std::string last;
  bool more = false;
  while (true) {
    TRY_LET(const auto found, call.engine().list_repositories(call.ctx, page));
    for (const auto& repository : found.items) {
      if (repository.name.find(search) == std::string::npos) continue;
      if (!call.allow(auth::Action::kReadRepository, {.repository = repository.name})) continue;
      if (results.size() == asked.amount) {
        more = true;
        break;
      }
      results.push_back(to_json(repository));
      last = repository.name;
    }
    if (more || !found.has_more) break;
    page.after = found.next_after;
    page.amount = 1000;
  }
  return ok(page_to_json(std::move(results), more, last));
}

// POST /repositories — operation createRepository. 201; 400 bad name or namespace, or namespace in use; 409 exists.
Answer create_repository(Call& call) {
  TRY_LET(const Json body, call.body());
  TRY(need_object(body));
  versioning::RepositoryCreation in;
  TRY_LET(in.name, body.need_string("name"));
  TRY(versioning::check_repository_name(in.name));
  TRY_LET(in.storage_namespace, body.need_string("storage_namespace"));
  TRY_LET(in.default_branch, optional_string(body, "default_branch", "main"));
  if (in.default_branch.empty()) in.default_branch = "main";
  TRY_LET(in.read_only, optional_bool(body, "read_only", false));
  TRY_LET(in.bare, call.flag("bare", false));
  TRY_LET(const std::string storage_id, optional_string(body, "storage_id"));
  if (!storage_id.empty())
    return Error(Code::kInvalid, "storage_id", "unknown storage_id: this server has one object store");
  TRY_LET(const bool sample_data, optional_bool(body, "sample_data", false));
  if (sample_data)
    return Error(Code::kUnsupported, "sample_data", "sample data is not part of Tarn: leave sample_data out");
  TRY(call.allow(auth::Action::kCreateRepository, {.repository = in.name}));
  TRY_LET(const auto repository, call.engine().create_repository(call.ctx, in));
  return created(to_json(repository));
}

// GET /repositories/{repository} — operation getRepository. 200; 404.
Answer get_repository(Call& call) {
  TRY_LET(const auto repository, call.repository());
  return ok(to_json(repository));
}

// DELETE /repositories/{repository} — operation deleteRepository. 204; 403 read-only without force; 404.
Answer delete_repository(Call& call) {
  TRY_LET(const auto repository, call.repository());
  TRY_LET(const bool force, call.flag("force", false));
  if (repository.read_only && !force)
    return Error(Code::kForbidden, "repository", "the repository is read-only: delete it with force=true");
  TRY(call.engine().delete_repository(call.ctx, repository.name));
  return no_content();
}

// GET /repositories/{repository}/metadata — operation getRepositoryMetadata. 200; 404.
Answer get_repository_metadata(Call& call) {
  TRY_LET(const auto repository, call.repository());
  return ok(base::to_json(repository.metadata));
}

// POST /repositories/{repository}/metadata — operation setRepositoryMetadata. 204, merged into what is there; 404.
Answer set_repository_metadata(Call& call) {
  TRY_LET(const Json body, call.body());
  TRY(need_object(body));
  TRY_LET(const auto added, metadata_of(body));
  TRY_LET(const auto repository, call.repository());
  versioning::Metadata all = repository.metadata;
  for (const auto& [key, value] : added) all[key] = value;
  TRY(call.engine().set_repository_metadata(call.ctx, repository.name, all));
  return no_content();
}

// DELETE /repositories/{repository}/metadata — operation deleteRepositoryMetadata. 204; 404.
Answer delete_repository_metadata(Call& call) {
  TRY_LET(const Json body, call.body());
  TRY(need_object(body));
  TRY_LET(const auto keys, string_list(body, "keys", true));
  TRY_LET(const auto repository, call.repository());
  versioning::Metadata rest = repository.metadata;
  for (const auto& key : keys) rest.erase(key);
  TRY(call.engine().set_repository_metadata(call.ctx, repository.name, rest));
  return no_content();
}

// POST /repositories/{repository}/fold — Tarn's own. 200 what it did; 404.
Answer fold_packs(Call& call) {
  TRY_LET(const auto repository, call.repository());
  TRY_LET(const auto report, call.engine().fold_packs(call.ctx, repository));
  return ok(Json::object({{"packs_before", report.packs_before},
                          {"packs_after", report.packs_after},
                          {"bytes_before", report.bytes_before},
                          {"bytes_after", report.bytes_after},
                          {"reclaimed_bytes", report.reclaimed}}));
}

}  // namespace tarn::rest
