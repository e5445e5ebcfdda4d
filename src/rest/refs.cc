// Two refs against each other: diff, merge, merge base.
#include <fmt/format.h>

#include <fmt/core.h>

#include "mesh/mesh.h"
#include "rest/fields.h"
#include "rest/handlers.h"
#include "rest/shapes.h"

namespace tarn::rest {
namespace {

http::Response diff_page(const versioning::Page<versioning::DiffItem>& found, bool with_right) {
  constexpr size_t kBytesEach = 256;
  std::string out = begin_page(found.items.size(), found.has_more, found.next_after, kBytesEach);
  for (size_t i = 0; i < found.items.size(); ++i) {
    if (i > 0) out.push_back(',');
    write_diff(out, found.items[i], with_right);
  }
  out.append("]}");
  return http::json(200, std::move(out));
}

Result<tree::Strategy> strategy_of(std::string_view text) {
  if (text.empty()) return tree::Strategy::kNone;
  if (text == "source-wins") return tree::Strategy::kSourceWins;
  if (text == "dest-wins") return tree::Strategy::kDestinationWins;
  return Error(Code::kInvalid, "strategy", "merge strategy must be source-wins, dest-wins or left out");
}

/// Tarn's own member "path_strategies": [{"paths": "reports/", "strategy": "source-wins"}].
Result<std::vector<versioning::PathStrategy>> path_strategies_of(const Json& body) {
  std::vector<versioning::PathStrategy> out;
  const Json& list = body["path_strategies"];
  if (list.is_null()) return out;
  if (!list.is_array()) return Error(Code::kInvalid, "path_strategies", "'path_strategies' must be an array");
  for (const Json& one : list.items()) {
    TRY(need_object(one));
    TRY_LET(std::string paths, optional_string(one, "paths"));
    if (paths.empty())
      return Error(Code::kInvalid, "path_strategies",
                   "each of 'path_strategies' needs 'paths': a prefix that ends with '/', or a glob");
    TRY_LET(const std::string name, optional_string(one, "strategy"));
    TRY_LET(const tree::Strategy strategy, strategy_of(name));
    out.push_back({std::move(paths), strategy});
  }
  return out;
}

constexpr size_t kConflictsShown = 1'000;

/// The API's MergeResult, with what it lacks: which paths conflict and how.
http::Response conflict_answer(std::string_view source, std::string_view destination,
                               const std::vector<tree::Conflict>& conflicts) {
  return http::json(
      409, Json::object({{"reference", ""},
                         {"message", fmt::format("cannot merge {} into {}: {}; change one side or choose a strategy",
                                                 source, destination, describe(conflicts))},
                         {"conflicts",
                          conflicts_to_json(std::span(conflicts).first(std::min(conflicts.size(), kConflictsShown)))},
                         {"conflicts_total", conflicts.size()}})
               .dump());
}

constexpr int64_t kGateWaitMs = 600'000;

Answer merge_by_proposal(Call& call, const versioning::Repository& repository, const std::string& source) {
  mesh::ProposalSpec proposal;
  proposal.repository = repository.name;
  proposal.source = source;
  proposal.destination = call.path("branch");
  proposal.proposer.actor = {call.principal.user, call.principal.admin};
  TRY_LET(const Json opened, call.doors.mesh->proposals.open_or_join(call.ctx, proposal));
  const std::string id = opened["id"].as_string();
  TRY_LET(const Json decided, call.doors.mesh->proposals.wait(call.ctx, id, kGateWaitMs));
  const std::string& state = decided["state"].as_string();
  if (state == "landed") return ok(Json::object({{"reference", decided["landed_commit"]}}));
  if (state == "conflict")
    return http::json(
        409,
        Json::object({{"message", "conflict found"}, {"reference", ""}, {"conflicts", decided["conflicts"]}}).dump());
  return Error(Code::kRefused, "gate",
               fmt::format("pre-merge gate: proposal {} is {}, incident INC-{}; see 'tarn mesh proposal show {}'", id,
                           state, decided["incident"].as_int(), id));
}

}  // namespace

// GET …/branches/{branch}/diff — operation diffBranch. 200 the staged changes; 404.
Answer diff_branch(Call& call) {
  TRY_LET(const auto query, call.list_query());
  TRY_LET(const auto repository, call.repository());
  TRY_LET(const auto found, call.engine().uncommitted(call.ctx, repository, call.path("branch"), query));
  return diff_page(found, false);
}

// GET …/refs/{leftRef}/diff/{rightRef} — operation diffRefs. 200; 400 unknown type; 404.
Answer diff_refs(Call& call) {
  TRY_LET(const auto query, call.list_query());
  TRY_LET(const bool with_right, call.flag("include_right_stats", false));
  const std::string type = call.query("type", "three_dot");
  if (type != "three_dot" && type != "two_dot")
    return Error(Code::kInvalid, "type", "diff type must be two_dot or three_dot");
  TRY_LET(const auto repository, call.repository());
  TRY_LET(
      const auto found,
      call.engine().diff(call.ctx, repository, call.path("leftRef"), call.path("rightRef"),
                         type == "two_dot" ? versioning::DiffType::kTwoDot : versioning::DiffType::kThreeDot, query));
  return diff_page(found, with_right);
}

// POST …/refs/{sourceRef}/merge/{branch} — operation mergeIntoBranch.
// 200 {reference}; 400 dirty destination, no changes; 403; 404; 409 conflict, with the first 1,000; 412 a gate refused.
Answer merge_into_branch(Call& call) {
  TRY_LET(const Json body, call.optional_body());
  TRY(need_object(body));
  versioning::MergeSpec spec;
  TRY_LET(spec.commit, commit_spec(call, body));
  TRY_LET(const std::string strategy, optional_string(body, "strategy"));
  TRY_LET(spec.strategy, strategy_of(strategy));
  TRY_LET(spec.path_strategies, path_strategies_of(body));
  TRY_LET(spec.squash, optional_bool(body, "squash_merge", false));
  TRY_LET(const bool force, optional_bool(body, "force", false));
  spec.commit.allow_empty = spec.commit.allow_empty || force;
  const std::string& source = call.path("sourceRef");
  TRY(call.allow(auth::Action::kReadCommit, {.repository = call.path("repository"), .ref = source}));
  TRY_LET(const auto repository, call.repository());
  if (call.doors.mesh) {
    // A data product's trunk: the same call goes through the mesh's gate, and attaches to a proposal that it made
    // before.
    TRY_LET(const bool gated, call.doors.mesh->gates(call.ctx, repository.name, call.path("branch")));
    if (gated) return merge_by_proposal(call, repository, source);
  }
  TRY_LET(const auto result, call.engine().merge(call.ctx, repository, source, call.path("branch"), spec));
  if (!result.landed) return conflict_answer(source, call.path("branch"), result.conflicts);
  return ok(Json::object({{"reference", result.landed->id.hex()}}));
}

// GET …/refs/{sourceRef}/merge/{branch}/conflicts — Tarn's own: what a merge could not decide. 200 a page; 404.
Answer list_conflicts(Call& call) {
  TRY_LET(const auto query, call.page());
  TRY_LET(const auto repository, call.repository());
  TRY_LET(const auto found,
          call.engine().conflicts(call.ctx, repository, call.path("sourceRef"), call.path("branch"), query));
  return ok(page_to_json(conflicts_to_json(found.items).items(), found.has_more, found.next_after));
}

// GET …/refs/{sourceRef}/merge/{branch} — operation findMergeBase. 200; 404.
Answer find_merge_base(Call& call) {
  TRY_LET(const auto repository, call.repository());
  TRY_LET(const auto source, call.engine().resolve(call.ctx, repository, call.path("sourceRef")));
  TRY_LET(const auto destination, call.engine().resolve(call.ctx, repository, call.path("branch")));
  TRY_LET(const auto base, call.engine().merge_base(call.ctx, repository, source.commit.id, destination.commit.id));
  return ok(Json::object({{"source_commit_id", source.commit.id.hex()},
                          {"destination_commit_id", destination.commit.id.hex()},
                          {"base_commit_id", base.hex()}}));
}

}  // namespace tarn::rest
