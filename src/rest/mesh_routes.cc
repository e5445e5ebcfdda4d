// What REST answers about the mesh: one line a call, in the order of docs/notes/0002-mesh-thin-path.md.
#include "mesh/mesh.h"

#include <charconv>

#include <fmt/core.h>

#include "base/process.h"
#include "rest/answers.h"
#include "rest/handlers.h"
#include "rest/mesh_routes.h"
#include "rest/routes.h"

namespace tarn::rest {
namespace {

using auth::Action;
using http::Method;

mesh::Actor actor_of(const Call& call) { return {call.principal.user, call.principal.admin}; }

Result<int64_t> number(const std::string& text, std::string_view what) {
  int64_t value = 0;
  std::string_view digits = text;
  if (digits.substr(0, 4) == "INC-") digits.remove_prefix(4);
  const auto r = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (r.ec != std::errc() || r.ptr != digits.data() + digits.size())
    return Error(Code::kInvalid, std::string(what), fmt::format("'{}' is no number", text));
  return value;
}

/// A call of the mesh as a handler: the value becomes the body.
using Ask = std::function<Result<Json>(Call&, mesh::Mesh&)>;
Handler handle(Ask ask, int status = 200) {
  return [ask = std::move(ask), status](Call& call) -> Result<http::Response> {
    if (!call.doors.mesh) return Error(Code::kUnsupported, "mesh", "the mesh is not running in this server");
    if (call.principal.attempt && call.request.method != Method::kGet)
      return Error(Code::kForbidden, "permissions", "a job's credential writes its data and nothing else");
    TRY_LET(const Json value, ask(call, *call.doors.mesh));
    return http::json(status, value.dump());
  };
}

Result<void> need_admin(const Call& call) {
  if (call.principal.admin) return {};
  return Error(Code::kForbidden, "permissions", "insufficient permissions: an administrator does this");
}

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> out;
  size_t from = 0;
  while (from <= text.size()) {
    const size_t comma = std::min(text.find(',', from), text.size());
    if (comma > from) out.push_back(text.substr(from, comma - from));
    from = comma + 1;
  }
  return out;
}

Result<Json> clock_now(Call& call, mesh::Mesh& m) {
  TRY_LET(const base::WallMs now, m.world.now(call.ctx));
  TRY_LET(const bool set, m.world.clock_is_set(call.ctx));
  return Json::object({{"now", base::rfc3339(now)}, {"set", set}});
}

Result<Json> set_clock(Call& call, mesh::Mesh& m) {
  TRY(need_admin(call));
  TRY_LET(const Json body, call.body());
  std::optional<base::WallMs> at;
  if (body["at"].is_string()) {
    at = base::parse_rfc3339(body["at"].as_string());
    if (!at)
      return Error(Code::kInvalid, "at",
                   fmt::format("'{}' is no time: write 2013-10-02T06:00:00Z", body["at"].as_string()));
  }
  TRY(m.world.set_clock(call.ctx, at));
  TRY(m.monitors.evaluate(call.ctx));
  return clock_now(call, m);
}

Result<Json> open_proposal(Call& call, mesh::Mesh& m) {
  TRY_LET(const Json body, call.body());
  mesh::ProposalSpec spec;
  spec.repository = call.path("repository");
  TRY_LET(spec.source, body.need_string("source"));
  TRY_LET(const versioning::Repository repository, call.engine().get_repository(call.ctx, spec.repository));
  spec.destination = body["destination"].is_string() ? body["destination"].as_string() : repository.default_branch;
  spec.title = body["title"].as_string();
  spec.key = body["key"].is_string() ? "user/" + body["key"].as_string() : "";
  spec.proposer.actor = actor_of(call);
  TRY_LET(const Json opened, m.proposals.open(call.ctx, spec));
  return m.proposals.wait(call.ctx, opened["id"].as_string(), body["wait_ms"].as_int(60'000));
}

Result<Json> waive(Call& call, mesh::Mesh& m) {
  TRY_LET(const Json body, call.body());
  return m.proposals.waive(call.ctx, actor_of(call), call.path("id"), body);
}

Result<Json> retry(Call& call, mesh::Mesh& m) {
  TRY_LET(const Json body, call.optional_body());
  TRY_LET(const Json opened, m.retry(call.ctx, actor_of(call), call.path("id")));
  return m.proposals.wait(call.ctx, opened["id"].as_string(), body["wait_ms"].as_int(60'000));
}

Result<int64_t> query_number(Call& call, std::string_view name, int64_t otherwise) {
  const std::string text = call.query(name);
  if (text.empty()) return otherwise;
  return number(text, name);
}

Result<Json> withdraw(Call& call, mesh::Mesh& m) {
  TRY_LET(const Json body, call.body());
  TRY_LET(const int64_t major, query_number(call, "major", 1));
  TRY_LET(const int64_t n, number(call.path("number"), "number"));
  return m.withdrawals.withdraw(call.ctx, actor_of(call), call.path("repository"), call.path("port"), major, n, body);
}

Result<Json> resolve_incident(Call& call, mesh::Mesh& m) {
  TRY_LET(const Json body, call.body());
  TRY_LET(const std::string reason, body.need_string("reason"));
  TRY_LET(const int64_t n, number(call.path("number"), "number"));
  TRY_LET(const Json incident, m.incidents.get(call.ctx, n));
  TRY(m.world.need_owner(call.ctx, actor_of(call), incident["repository"].as_string()));
  kv::Batch batch;
  TRY(m.incidents.resolve(call.ctx, batch, n, reason));
  if (!batch.empty()) TRY(m.world.doors.kv.apply(call.ctx, batch));
  m.world.doors.tasks.wake();
  return m.incidents.get(call.ctx, n);
}

Result<Json> locks(Call& call, mesh::Mesh& m) {
  TRY_LET(const versioning::Repository repository, call.engine().get_repository(call.ctx, call.path("repository")));
  TRY_LET(const versioning::Resolved at,
          call.engine().resolve(call.ctx, repository, call.query("ref", repository.default_branch)));
  TRY_LET(const Json inputs, m.publications.locks(call.ctx, repository, at.commit));
  return Json::object({{"commit", at.commit.id.hex()}, {"inputs", inputs}});
}

Result<Json> publications(Call& call, mesh::Mesh& m) {
  TRY_LET(const int64_t major, query_number(call, "major", 1));
  TRY_LET(const auto all, m.publications.list(call.ctx, call.path("repository"), call.path("port"), major));
  Json list = Json::array();
  for (const Json& p : all) list.push(p);
  return Json::object({{"results", list}});
}

Result<Json> publication(Call& call, mesh::Mesh& m) {
  TRY_LET(const int64_t major, query_number(call, "major", 1));
  TRY_LET(const int64_t n, number(call.path("number"), "number"));
  return m.publications.get(call.ctx, call.path("repository"), call.path("port"), major, n);
}

Json results(Json list) { return Json::object({{"results", std::move(list)}}); }

/// A list as {"results": […]}.
Ask listing(Ask ask) {
  return [ask = std::move(ask)](Call& call, mesh::Mesh& m) -> Result<Json> {
    TRY_LET(Json list, ask(call, m));
    return results(std::move(list));
  };
}

Result<Json> attempt(Call& call, mesh::Mesh& m, bool whole) {
  TRY_LET(const Json body, call.body());
  TRY_LET(const std::string fence, body.need_string("fence"));
  if (whole) return m.runs.complete(call.ctx, call.path("id"), fence);
  return m.runs.fail(call.ctx, call.path("id"), fence, body["reason"].as_string());
}

}  // namespace

std::vector<Route> mesh_routes() {
  const std::string repo = "/mesh/repos/{repository}";
  const std::string run = repo + "/pipelines/{pipeline}/runs";
  const auto with_body = [](auto call_it) {
    return [call_it](Call& c, mesh::Mesh& m) -> Result<Json> {
      TRY_LET(const Json body, c.body());
      return call_it(c, m, body);
    };
  };
  std::vector<Route> routes = {
      {Method::kGet, "/mesh/clock", "meshClock", Action::kReadMesh, handle(clock_now)},
      {Method::kPut, "/mesh/clock", "meshSetClock", Action::kReadMesh, handle(set_clock)},
      // Catalogue.
      {Method::kPost, "/mesh/domains", "meshCreateDomain", Action::kReadMesh,
       handle(with_body([](Call& c, mesh::Mesh& m, const Json& b) {
                return m.products.create_domain(c.ctx, actor_of(c), b);
              }),
              201)},
      {Method::kGet, "/mesh/domains", "meshDomains", Action::kReadMesh,
       handle(listing([](Call& c, mesh::Mesh& m) { return m.products.domains(c.ctx); }))},
      {Method::kPost, "/mesh/products", "meshCreateProduct", Action::kReadMesh,
       handle(with_body([](Call& c, mesh::Mesh& m, const Json& b) { return m.products.create(c.ctx, actor_of(c), b); }),
              201)},
      {Method::kGet, "/mesh/products", "meshProducts", Action::kReadMesh,
       handle(listing([](Call& c, mesh::Mesh& m) { return m.products.list(c.ctx); }))},
      {Method::kGet, "/mesh/products/{domain}/{product}", "meshProduct", Action::kReadMesh,
       handle([](Call& c, mesh::Mesh& m) { return m.products.describe(c.ctx, c.path("domain"), c.path("product")); })},
      {Method::kGet, "/mesh/graph", "meshGraph", Action::kReadMesh,
       handle([](Call& c, mesh::Mesh& m) { return m.products.graph(c.ctx); })},
      // The gate.
      {Method::kPost, repo + "/onboard/history", "meshOnboardHistory", Action::kReadMesh,
       handle(with_body([](Call& c, mesh::Mesh& m, const Json& b) {
         return m.products.onboard_history(c.ctx, actor_of(c), c.path("repository"), b);
       }))},
      {Method::kPost, repo + "/proposals", "meshOpenProposal", Action::kReadMesh, handle(open_proposal)},
      {Method::kGet, "/mesh/proposals", "meshProposals", Action::kReadMesh, handle(listing([](Call& c, mesh::Mesh& m) {
         return m.proposals.list(c.ctx, c.query("repository"), c.query("state"));
       }))},
      {Method::kGet, "/mesh/proposals/{id}", "meshProposal", Action::kReadMesh,
       handle([](Call& c, mesh::Mesh& m) { return m.proposals.get(c.ctx, c.path("id")); })},
      {Method::kGet, "/mesh/proposals/{id}/wait", "meshWaitProposal", Action::kReadMesh,
       handle([](Call& c, mesh::Mesh& m) -> Result<Json> {
         TRY_LET(const int64_t ms, query_number(c, "timeout_ms", 60'000));
         return m.proposals.wait(c.ctx, c.path("id"), ms);
       })},
      {Method::kPost, "/mesh/proposals/{id}/retry", "meshRetryProposal", Action::kReadMesh, handle(retry)},
      {Method::kPost, "/mesh/proposals/{id}/waive", "meshWaive", Action::kReadMesh, handle(waive)},
      {Method::kPost, "/mesh/proposals/{id}/cancel", "meshCancelProposal", Action::kReadMesh,
       handle([](Call& c, mesh::Mesh& m) {
         return m.proposals.cancel(c.ctx, actor_of(c), c.path("id"), "cancelled", "cancelled by its owner");
       })},
      {Method::kGet, repo + "/commits/{commit}/gate", "meshGateRecord", Action::kReadMesh,
       handle([](Call& c, mesh::Mesh& m) {
         return m.proposals.gate_record(c.ctx, c.path("repository"), c.path("commit"));
       })},
      // Contracts.
      {Method::kPost, "/mesh/contracts/lint", "meshLintContract", Action::kReadMesh,
       handle(with_body([](Call&, mesh::Mesh& m, const Json& b) { return m.lint(b); }))},
      {Method::kPost, "/mesh/contracts/diff", "meshDiffContracts", Action::kReadMesh,
       handle(with_body([](Call& c, mesh::Mesh& m, const Json& b) { return m.diff(c.ctx, b); }))},
      // Publications.
      {Method::kGet, repo + "/ports/{port}/publications", "meshPublications", Action::kReadMesh, handle(publications)},
      {Method::kGet, repo + "/ports/{port}/publications/{number}", "meshPublication", Action::kReadMesh,
       handle(publication)},
      {Method::kPost, repo + "/ports/{port}/publications/{number}/withdraw", "meshWithdraw", Action::kReadMesh,
       handle(withdraw)},
      {Method::kGet, repo + "/digests", "meshDigests", Action::kReadMesh,
       handle([](Call& c, mesh::Mesh& m) { return m.products.digests(c.ctx, c.path("repository"), c.query("ref")); })},
      // Subscriptions and onboarding.
      {Method::kPost, "/mesh/subscriptions", "meshSubscribe", Action::kReadMesh,
       handle(with_body([](Call& c, mesh::Mesh& m, const Json& b) {
                return m.subscriptions.subscribe(c.ctx, actor_of(c), b);
              }),
              201)},
      {Method::kGet, "/mesh/subscriptions", "meshSubscriptions", Action::kReadMesh,
       handle(listing([](Call& c, mesh::Mesh& m) { return m.subscriptions.list(c.ctx, c.query("consumer")); }))},
      {Method::kPost, "/mesh/subscriptions/{consumer}/{input}/approve", "meshApprove", Action::kReadMesh,
       handle([](Call& c, mesh::Mesh& m) {
         return m.subscriptions.approve(c.ctx, actor_of(c), c.path("consumer"), c.path("input"));
       })},
      {Method::kPost, "/mesh/subscriptions/{consumer}/{input}/dry-run", "meshDryRun", Action::kReadMesh,
       handle(with_body([](Call& c, mesh::Mesh& m, const Json& b) -> Result<Json> {
         TRY_LET(const std::string from, b.need_string("from"));
         return m.subscriptions.dry_run(c.ctx, c.path("consumer"), c.path("input"), from);
       }))},
      {Method::kPost, repo + "/onboard/{input}/runs", "meshOnboard", Action::kReadMesh,
       handle([](Call& c, mesh::Mesh& m) -> Result<Json> {
         TRY(m.world.need_owner(c.ctx, actor_of(c), c.path("repository")));
         return m.subscriptions.onboard(c.ctx, c.path("repository"), c.path("input"));
       })},
      {Method::kGet, repo + "/lock", "meshLock", Action::kReadMesh, handle(locks)},
      // Runs.
      {Method::kGet, run, "meshRuns", Action::kReadMesh, handle(listing([](Call& c, mesh::Mesh& m) {
         return m.runs.list(c.ctx, c.path("repository"), c.path("pipeline"), c.query("state"));
       }))},
      {Method::kPost, run, "meshStartRun", Action::kReadMesh,
       handle(with_body([](Call& c, mesh::Mesh& m, const Json& b) -> Result<Json> {
                TRY_LET(const std::string key, b.need_string("key"));
                return m.runs.start(c.ctx, actor_of(c), c.path("repository"), c.path("pipeline"), key);
              }),
              201)},
      {Method::kGet, run + "/{key}", "meshRun", Action::kReadMesh, handle([](Call& c, mesh::Mesh& m) {
         return m.runs.get(c.ctx, c.path("repository"), c.path("pipeline"), c.path("key"));
       })},
      {Method::kGet, run + "/{key}/wait", "meshWaitRun", Action::kReadMesh,
       handle([](Call& c, mesh::Mesh& m) -> Result<Json> {
         TRY_LET(const int64_t ms, query_number(c, "timeout_ms", 60'000));
         return m.runs.wait(c.ctx, c.path("repository"), c.path("pipeline"), c.path("key"),
                            split(c.query("states", "landed,stopped")), ms);
       })},
      {Method::kPost, run + "/{key}/jobs/{job}/begin", "meshBeginJob", Action::kReadMesh,
       handle([](Call& c, mesh::Mesh& m) {
         return m.runs.begin(c.ctx, actor_of(c), c.path("repository"), c.path("pipeline"), c.path("key"),
                             c.path("job"));
       })},
      {Method::kPost, run + "/{key}/resume", "meshResumeRun", Action::kReadMesh, handle([](Call& c, mesh::Mesh& m) {
         return m.runs.resume(c.ctx, actor_of(c), c.path("repository"), c.path("pipeline"), c.path("key"));
       })},
      {Method::kPost, "/mesh/attempts/{id}/complete", "meshCompleteAttempt", Action::kReadMesh,
       handle([](Call& c, mesh::Mesh& m) { return attempt(c, m, true); })},
      {Method::kPost, "/mesh/attempts/{id}/fail", "meshFailAttempt", Action::kReadMesh,
       handle([](Call& c, mesh::Mesh& m) { return attempt(c, m, false); })},
      {Method::kPost, "/mesh/attempts/{id}/heartbeat", "meshHeartbeat", Action::kReadMesh,
       handle(with_body([](Call& c, mesh::Mesh& m, const Json& b) -> Result<Json> {
         TRY_LET(const std::string fence, b.need_string("fence"));
         return m.runs.heartbeat(c.ctx, c.path("id"), fence);
       }))},
      // Incidents, channels, monitors.
      {Method::kGet, "/mesh/incidents", "meshIncidents", Action::kReadMesh,
       handle(listing([](Call& c, mesh::Mesh& m) { return m.incidents.list(c.ctx, c.query("state")); }))},
      {Method::kGet, "/mesh/incidents/{number}", "meshIncident", Action::kReadMesh,
       handle([](Call& c, mesh::Mesh& m) -> Result<Json> {
         TRY_LET(const int64_t n, number(c.path("number"), "number"));
         return m.incidents.get(c.ctx, n);
       })},
      {Method::kPost, "/mesh/incidents/{number}/resolve", "meshResolveIncident", Action::kReadMesh,
       handle(resolve_incident)},
      {Method::kPost, "/mesh/channels", "meshAddChannel", Action::kReadMesh,
       handle(with_body([](Call& c, mesh::Mesh& m, const Json& b) -> Result<Json> {
                TRY(need_admin(c));
                return m.alerts.add_channel(c.ctx, b);
              }),
              201)},
      {Method::kGet, "/mesh/channels", "meshChannels", Action::kReadMesh,
       handle(listing([](Call& c, mesh::Mesh& m) { return m.alerts.channels(c.ctx); }))},
      {Method::kGet, "/mesh/monitors", "meshMonitors", Action::kReadMesh,
       handle(listing([](Call& c, mesh::Mesh& m) { return m.monitors.evaluate(c.ctx); }))},
      // Environments, experiments, exports.
      {Method::kPost, repo + "/envs", "meshCreateEnvironment", Action::kReadMesh,
       handle(with_body([](Call& c, mesh::Mesh& m, const Json& b) {
                return m.environments.create(c.ctx, actor_of(c), c.path("repository"), b);
              }),
              201)},
      {Method::kGet, repo + "/envs", "meshEnvironments", Action::kReadMesh,
       handle(listing([](Call& c, mesh::Mesh& m) { return m.environments.list(c.ctx, c.path("repository")); }))},
      {Method::kPost, repo + "/envs/{env}/sync", "meshSyncEnvironment", Action::kReadMesh,
       handle(listing([](Call& c, mesh::Mesh& m) -> Result<Json> {
         TRY(m.world.need_owner(c.ctx, actor_of(c), c.path("repository")));
         return m.environments.sync(c.ctx, c.path("repository"), c.path("env"));
       }))},
      {Method::kPost, repo + "/experiments", "meshCreateExperiment", Action::kReadMesh,
       handle(with_body([](Call& c, mesh::Mesh& m, const Json& b) {
                return m.environments.create_experiment(c.ctx, actor_of(c), c.path("repository"), b);
              }),
              201)},
      {Method::kGet, repo + "/experiments", "meshExperiments", Action::kReadMesh,
       handle(listing([](Call& c, mesh::Mesh& m) { return m.environments.experiments(c.ctx, c.path("repository")); }))},
      {Method::kPost, repo + "/experiments/{experiment}/reset", "meshResetExperiment", Action::kReadMesh,
       handle([](Call& c, mesh::Mesh& m) {
         return m.environments.reset_experiment(c.ctx, actor_of(c), c.path("repository"), c.path("experiment"));
       })},
      {Method::kDelete, repo + "/experiments/{experiment}", "meshDiscardExperiment", Action::kReadMesh,
       handle([](Call& c, mesh::Mesh& m) {
         return m.environments.discard_experiment(c.ctx, actor_of(c), c.path("repository"), c.path("experiment"));
       })},
      {Method::kGet, repo + "/compare", "meshCompare", Action::kReadMesh,
       handle([](Call& c, mesh::Mesh& m) -> Result<Json> {
         TRY_LET(const std::string left, c.need_query("left"));
         TRY_LET(const std::string right, c.need_query("right"));
         return m.environments.compare(c.ctx, c.path("repository"), left, right, c.query("prefix"));
       })},
      {Method::kGet, repo + "/exports", "meshExports", Action::kReadMesh,
       handle([](Call& c, mesh::Mesh& m) { return m.exports.list(c.ctx, c.path("repository")); })},
      // Figures and events.
      {Method::kGet, "/mesh/stats", "meshStats", Action::kReadMesh, handle([](Call& c, mesh::Mesh& m) -> Result<Json> {
         TRY_LET(Json stats, m.stats(c.ctx));
         TRY_LET(const auto memory, base::process_memory());
         return stats.set("rss_bytes", memory.resident).set("rss_bytes_max", memory.resident_max);
       })},
      {Method::kGet, "/mesh/events", "meshEvents", Action::kReadMesh,
       handle([](Call& c, mesh::Mesh& m) { return m.events(c.ctx, c.query("after"), 1000); })},
  };
  // What changes something may test, link and land: it takes the time it takes.
  for (Route& route : routes)
    if (route.method != Method::kGet) route.deadline = Deadline::kNone;
  return routes;
}

}  // namespace tarn::rest
