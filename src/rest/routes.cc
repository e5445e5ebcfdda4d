#include "rest/routes.h"

#include <fmt/format.h>

#include "base/log.h"
#include "base/metrics.h"
#include "rest/errors.h"
#include "rest/handlers.h"

namespace tarn::rest {
namespace {

using auth::Action;
using http::Method;

constexpr std::string_view kBase = "/api/v1";

/// What the route's permission is asked on: the names in the path, and the object path of the query.
auth::Resource resource_of(const http::Request& request) {
  const auto named = [&](const char* name) -> std::string_view {
    const auto found = request.path_parameters.find(name);
    return found == request.path_parameters.end() ? std::string_view{} : std::string_view(found->second);
  };
  auth::Resource resource{.repository = named("repository"), .ref = named("branch"), .user = named("user")};
  if (resource.ref.empty()) resource.ref = named("ref");
  if (const auto path = request.query.find("path")) resource.path = *path;
  return resource;
}

/// Gate 1: who asks. Exactly one Authorization header.
Result<auth::Principal> sign_in(const Context& ctx, const http::Request& request, Doors& doors) {
  const auto values = request.headers.all("Authorization");
  if (values.empty())
    return Error(Code::kUnauthenticated, "credentials", "send an access key by HTTP Basic, or a bearer token");
  if (values.size() > 1) return Error(Code::kInvalid, "Authorization", "several Authorization headers: send one");
  return doors.auth.authenticate_header(ctx, values.front());
}

/// Bodies are taken as they are: nothing is unpacked, so that no small body becomes a big one.
Result<void> check_encoding(const http::Request& request) {
  for (const std::string_view value : request.headers.all("Content-Encoding"))
    if (!value.empty() && !http::equal_ignoring_case(value, "identity"))
      return Error(
          Code::kUnsupported, "Content-Encoding",
          fmt::format("Content-Encoding {} is not understood: send the body as it is, without that header", value));
  return {};
}

/// The gates in their order; each may end the request.
Result<http::Response> pass_gates(const Context& ctx, http::Request& request, Doors& doors, const Route& route) {
  auth::Principal principal;
  http::InFlight::Ticket ticket;
  if (route.needs) {
    TRY_LET(principal, sign_in(ctx, request, doors));                        // 1. 401
    TRY_LET(ticket, doors.in_flight.enter(principal.user));                  // 2. 429
    TRY(auth::Guard::allow(principal, *route.needs, resource_of(request)));  // 3. 401 as the API has it
  }
  TRY(check_encoding(request));  // 4. 415
  const int64_t limit_ms = route.deadline == Deadline::kSetting ? doors.settings.request_deadline_ms : 0;
  Context named = ctx.with_principal(principal.user);
  if (limit_ms > 0) named = named.with_timeout(doors.clock, limit_ms);
  Call call{named, request, doors, principal};
  auto answer = route.handler(call);  // 5. read, ask for more, do, say
  if (!answer && answer.error().code() == Code::kDeadline && !named.check(doors.clock))
    return answer.error().wrap(
        Code::kDeadline, "request",
        fmt::format("{} was given up after {} s: ask for less at once, or raise http.request_deadline_ms",
                    route.operation, static_cast<double>(limit_ms) / 1000));
  return answer;
}

http::Response health(const Context&, http::Request&) { return http::text(200, "alive!"); }

http::Response show_metrics(const Context&, http::Request& request) {
  if (!request.peer_is_loopback) return http::json(403, R"({"message":"metrics are shown on this machine only"})");
  return http::text(200, base::metrics().text());
}

http::Response unknown(const Context&, http::Request& request) {
  if (request.path.starts_with(kBase)) return http::json(404, R"({"message":"invalid API endpoint"})");
  return http::json(404, R"({"message":"nothing here: REST is below /api/v1, S3 takes signed requests"})");
}

void add_route(http::Router& router, Doors& doors, Route route) {
  const std::string pattern = std::string(kBase) + route.pattern;
  base::Duration& time =
      base::metrics().duration("tarn_rest_request_duration", fmt::format("operation=\"{}\"", route.operation));
  base::Counter& failures =
      base::metrics().counter("tarn_rest_failures_total", fmt::format("operation=\"{}\"", route.operation));
  router.add(route.method, pattern, [&doors, &time, &failures, route](const Context& ctx, http::Request& request) {
    const base::SteadyMs start = doors.clock.steady_ms();
    auto result = pass_gates(ctx, request, doors, route);
    time.record_us((doors.clock.steady_ms() - start) * 1000);
    if (result) return std::move(*result);
    if (status_of(result.error()) >= 500) failures.add();
    return answer(ctx, result.error());
  });
}

}  // namespace

std::vector<Route> system_routes() {
  return {
      // First start, health, what this server is.
      {Method::kGet, "/setup_lakefs", "getSetupState", kPublic, get_setup_state},
      {Method::kPost, "/setup_lakefs", "setup", kPublic, setup},
      {Method::kGet, "/healthcheck", "healthCheck", kPublic, health_check},
      {Method::kPost, "/statistics", "postStatsEvents", Action::kReadConfig, post_stats_events},
      {Method::kGet, "/config", "getConfig", Action::kReadConfig, get_config},
      {Method::kGet, "/config/version", "getLakeFSVersion", Action::kReadConfig, get_version_config},
      {Method::kGet, "/config/storage", "getStorageConfig", Action::kReadConfig, get_storage_config},
      // Users and keys.
      {Method::kPost, "/auth/login", "login", kPublic, login},
      {Method::kGet, "/auth/capabilities", "getAuthCapabilities", kPublic, get_auth_capabilities},
      {Method::kGet, "/user", "getCurrentUser", Action::kReadConfig, get_current_user},
      {Method::kGet, "/auth/users", "listUsers", Action::kListUsers, list_users},
      {Method::kPost, "/auth/users", "createUser", Action::kCreateUser, create_user},
      {Method::kGet, "/auth/users/{user}", "getUser", Action::kReadUser, get_user},
      {Method::kDelete, "/auth/users/{user}", "deleteUser", Action::kDeleteUser, delete_user},
      {Method::kGet, "/auth/users/{user}/credentials", "listUserCredentials", Action::kListCredentials,
       list_user_credentials},
      {Method::kPost, "/auth/users/{user}/credentials", "createCredentials", Action::kCreateCredentials,
       create_credentials},
      {Method::kGet, "/auth/users/{user}/credentials/{key}", "getCredentials", Action::kListCredentials,
       get_credentials},
      {Method::kDelete, "/auth/users/{user}/credentials/{key}", "deleteCredentials", Action::kDeleteCredentials,
       delete_credentials},
  };
}

bool answers_at_once(const http::Request& request) {
  if (request.method != Method::kGet) return false;
  std::string_view path = request.raw_path;
  if (!path.starts_with(kBase)) return false;
  path.remove_prefix(kBase.size());
  if (path == "/healthcheck") return true;
  constexpr std::string_view kRepositories = "/repositories/";
  if (!path.starts_with(kRepositories)) return false;
  path.remove_prefix(kRepositories.size());
  // "main~1000" walks the history; an escaped character may be such a one.
  if (path.ends_with("/objects/stat")) return path.find_first_of("~^@$%") == std::string_view::npos;
  // A repository, or a branch of one.
  const size_t slash = path.find('/');
  if (slash == std::string_view::npos) return !path.empty();
  path.remove_prefix(slash);
  constexpr std::string_view kBranches = "/branches/";
  return path.starts_with(kBranches) && path.find('/', kBranches.size()) == std::string_view::npos;
}

void add_all(http::Router& router, Doors& doors, std::vector<Route> routes) {
  for (auto& route : routes) add_route(router, doors, std::move(route));
}

void add_routes(http::Router& router, Doors& doors) {
  add_all(router, doors, system_routes());
  add_all(router, doors, repository_routes());
  add_all(router, doors, unsupported_routes());
  router.add(Method::kGet, "/_health", health);
  router.add(Method::kGet, "/metrics", show_metrics);
  router.set_not_found(unknown);
}

}  // namespace tarn::rest
