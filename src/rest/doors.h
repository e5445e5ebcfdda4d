#pragma once
// What a handler gets: the rooms below, the call, and the table row that leads to it.
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "auth/auth.h"
#include "auth/guard.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/random.h"
#include "catalog/catalog.h"
#include "http/in_flight.h"
#include "http/response.h"

namespace tarn::mesh {
class Mesh;
}

namespace tarn::rest {

/// What the server says about itself; fixed at start.
struct Settings {
  std::string version;
  std::string installation_id;
  std::string setup_token;    ///< asked for by setup when the caller is not on this machine
  bool loopback_only = true;  ///< the listener is bound to a loopback address
  size_t json_body_max = 8 << 20;
  size_t bulk_body_max = 32 << 20;
  int64_t request_deadline_ms = 600'000;  ///< of a call that neither streams nor lands; 0: none
};

/// References live as long as the server. Threads: any.
struct Doors {
  auth::Auth& auth;
  catalog::Catalog& catalog;
  base::Clock& clock;
  http::InFlight& in_flight;  ///< requests at once, by principal
  Settings settings;
  mesh::Mesh* mesh = nullptr;  ///< set by wiring when the mesh runs
};

/// One request on its way through a handler. Lives on the worker's stack.
struct Call {
  const Context& ctx;
  http::Request& request;
  Doors& doors;
  const auth::Principal& principal;  ///< empty on public routes

  versioning::Engine& engine() const { return doors.catalog.engine(); }
  /// A parameter of the path; the route's pattern must have it.
  const std::string& path(std::string_view name) const;
  std::string query(std::string_view name, std::string_view otherwise = {}) const;
  /// Errors of all below: kInvalid, naming the parameter or member.
  Result<std::string> need_query(std::string_view name) const;
  Result<bool> flag(std::string_view name, bool otherwise) const;
  /// Presigned addresses are not made yet. Errors: kUnsupported when presign=true asks for one.
  Result<void> refuse_presign() const;
  /// prefix, after, amount (-1 and 0 mean 100; at most 1,000).
  Result<versioning::PageQuery> page() const;
  Result<versioning::ListQuery> list_query() const;
  /// The body as one JSON value. Errors: kTooLarge, kInvalid.
  Result<Json> body() const;
  Result<Json> bulk_body() const;
  /// The same, where an absent body means {}.
  Result<Json> optional_body() const;
  /// More than the route's own permission. Errors: kForbidden.
  Result<void> allow(auth::Action action, const auth::Resource& resource) const;
  /// The repository that the path names. Errors: kNotFound.
  Result<versioning::Repository> repository() const;
};

using Handler = std::function<Result<http::Response>(Call&)>;
/// Marks a route that needs no sign-in.
inline constexpr std::nullopt_t kPublic = std::nullopt;

/// Bytes may take as long as they flow, and what lands on a branch is never given up half-way.
enum class Deadline { kSetting, kNone };

struct Route {
  http::Method method;
  std::string pattern;    ///< below /api/v1
  std::string operation;  ///< operationId of the API description
  /// Asked of the guard before the handler runs, on {repository}, {branch} or {ref}, {user}, and the query's path.
  std::optional<auth::Action> needs;
  Handler handler;
  Deadline deadline = Deadline::kSetting;
};

}  // namespace tarn::rest
