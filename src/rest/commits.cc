#include <fmt/format.h>

#include "rest/fields.h"
#include "rest/handlers.h"
#include "rest/shapes.h"

namespace tarn::rest {
namespace {

struct Picked {
  std::string ref;
  int parent = 0;
  versioning::CommitSpec commit;  ///< an empty message becomes what the engine says
};

/// What revert and cherry-pick ask for.
Result<Picked> read_pick(const Call& call, bool parent_required) {
  TRY_LET(const Json body, call.body());
  TRY(need_object(body));
  Picked out;
  TRY_LET(out.ref, body.need_string("ref"));
  TRY_LET(const auto parent, optional_int(body, "parent_number"));
  if (!parent && parent_required)
    return Error(Code::kInvalid, "parent_number", "member parent_number of the body is missing");
  if (parent && (*parent < 0 || *parent > 1'000'000))
    return Error(Code::kInvalid, "parent_number",
                 "parent_number counts parents from 1; 0 means that there is only one");
  out.parent = static_cast<int>(parent.value_or(0));
  out.commit.committer = call.principal.user;
  TRY_LET(out.commit.allow_empty, optional_bool(body, "allow_empty", false));
  if (const Json& overrides = body["commit_overrides"]; !overrides.is_null()) {
    TRY(need_object(overrides));
    TRY_LET(out.commit.message, optional_string(overrides, "message"));
    TRY_LET(out.commit.metadata, metadata_of(overrides));
  }
  return out;
}

Error conflict(std::string_view what, const std::vector<tree::Conflict>& conflicts) {
  return Error(Code::kMergeConflict, "path", fmt::format("{}: {}", what, describe(conflicts)));
}

}  // namespace

Result<versioning::CommitSpec> commit_spec(const Call& call, const Json& body) {
  versioning::CommitSpec spec;
  spec.committer = call.principal.user;
  TRY_LET(spec.message, optional_string(body, "message"));
  TRY_LET(spec.metadata, metadata_of(body));
  TRY_LET(spec.allow_empty, optional_bool(body, "allow_empty", false));
  TRY_LET(const auto date, optional_int(body, "date"));
  if (date) {
    if (*date < 0 || *date > 253'402'300'799) return Error(Code::kInvalid, "date", "date counts seconds since 1970");
    spec.date_ms = *date * 1000;
  }
  return spec;
}

// POST …/branches/{branch}/commits — operation commit. 201; 400 no changes; 403 protected; 404; 412 a gate refused.
Answer commit(Call& call) {
  if (call.request.query.has("source_metarange"))
    return Error(Code::kUnsupported, "source_metarange",
                 "commits from a metarange are not supported: merge or import instead");
  TRY_LET(const Json body, call.body());
  TRY(need_object(body));
  TRY(body.need_string("message"));
  TRY_LET(const auto spec, commit_spec(call, body));
  TRY_LET(const auto repository, call.repository());
  TRY_LET(const auto made, call.engine().commit(call.ctx, repository, call.path("branch"), spec));
  return created(to_json(made));
}

// GET …/commits/{ref} — operation getCommit. 200, for any ref; 404.
Answer get_commit(Call& call) {
  TRY_LET(const auto repository, call.repository());
  TRY_LET(const auto found, call.engine().resolve(call.ctx, repository, call.path("ref")));
  return ok(to_json(found.commit));
}

// GET …/refs/{ref}/commits — operation logCommits. 200, newest first; 404.
Answer log_commits(Call& call) {
  TRY_LET(const auto page, call.page());
  TRY_LET(const auto repository, call.repository());
  versioning::LogQuery query;
  query.amount = page.amount;
  TRY_LET(query.first_parent, call.flag("first_parent", false));
  for (const auto object : call.request.query.all("objects")) query.objects.emplace_back(object);
  for (const auto prefix : call.request.query.all("prefixes")) query.prefixes.emplace_back(prefix);
  if (const std::string since = call.query("since"); !since.empty()) {
    query.since_ms = base::parse_rfc3339(since);
    if (!query.since_ms) return Error(Code::kInvalid, "since", "since must be a time like 2013-10-25T06:00:00Z");
  }
  if (!page.after.empty()) {
    TRY_LET(const auto after, call.engine().resolve(call.ctx, repository, page.after));
    query.after = after.commit.id.hex();
  }
  if (const std::string stop = call.query("stop_at"); !stop.empty()) {
    TRY_LET(const auto at, call.engine().resolve(call.ctx, repository, stop));
    query.stop_at = at.commit.id.hex();
  }
  TRY_LET(const auto found, call.engine().log(call.ctx, repository, call.path("ref"), query));
  Json::Array results;
  for (const auto& c : found.items) results.push_back(to_json(c));
  return ok(page_to_json(std::move(results), found.has_more, found.next_after));
}

// POST …/branches/{branch}/revert — operation revertBranch. 204; 400 dirty or no changes; 403; 404; 409 conflict.
Answer revert_branch(Call& call) {
  TRY_LET(const Picked in, read_pick(call, true));
  TRY_LET(const auto repository, call.repository());
  TRY_LET(const auto result,
          call.engine().revert(call.ctx, repository, call.path("branch"), in.ref, in.parent, in.commit));
  if (!result.landed) return conflict("the revert meets later changes", result.conflicts);
  return no_content();
}

// POST …/branches/{branch}/cherry-pick — operation cherryPick. 201; 400; 403; 404; 409 conflict.
Answer cherry_pick(Call& call) {
  TRY_LET(const Picked in, read_pick(call, false));
  TRY_LET(const auto repository, call.repository());
  TRY_LET(const auto result,
          call.engine().cherry_pick(call.ctx, repository, call.path("branch"), in.ref, in.parent, in.commit));
  if (!result.landed) return conflict("the picked commit meets other changes", result.conflicts);
  return created(to_json(*result.landed));
}

}  // namespace tarn::rest
