// The first start: is there an administrator, and the one call that makes one.
#include "base/bytes.h"
#include "rest/answers.h"
#include "rest/fields.h"
#include "rest/handlers.h"

namespace tarn::rest {
namespace {

/// A caller on this machine, not through a proxy.
bool is_local(const Call& call) {
  return call.doors.settings.loopback_only && call.request.peer_is_loopback &&
         !call.request.headers.has("X-Forwarded-For") && !call.request.headers.has("Forwarded");
}

Result<void> check_token(const Call& call, const Json& body) {
  if (is_local(call)) return {};
  const std::string given(call.request.headers.find("X-Tarn-Setup-Token").value_or(body["token"].as_string()));
  const std::string& token = call.doors.settings.setup_token;
  if (!token.empty() && base::equal_constant_time(given, token)) return {};
  return Error(Code::kForbidden, "setup",
               "setup from another machine needs the one-time token that the server printed at its start: send it as "
               "member token of the body or header X-Tarn-Setup-Token");
}

}  // namespace

// GET /setup_lakefs — operation getSetupState. 200 the state.
Answer get_setup_state(Call& call) {
  TRY_LET(const bool done, call.doors.auth.is_set_up(call.ctx));
  const Json login = Json::object({{"RBAC", "none"},
                                   {"login_url", ""},
                                   {"login_url_method", "none"},
                                   {"login_failed_message", "The credentials don't match."},
                                   {"login_cookie_names", Json::array()},
                                   {"logout_url", ""}});
  return ok(Json::object(
      {{"state", done ? "initialized" : "not_initialized"}, {"comm_prefs_missing", false}, {"login_config", login}}));
}

// POST /setup_lakefs — operation setup. 200 the key pair, once; 400 bad name; 403 no token; 409 already set up.
Answer setup(Call& call) {
  const std::string_view type = call.request.headers.find("Content-Type").value_or("");
  if (!type.starts_with("application/json"))
    return Error(Code::kInvalid, "Content-Type", "setup takes application/json only, so that no web page can send it");
  TRY_LET(const Json body, call.body());
  TRY(need_object(body));
  TRY_LET(const std::string username, body.need_string("username"));
  std::optional<auth::KeyPair> keys;
  if (const Json& key = body["key"]; !key.is_null()) {
    TRY_LET(std::string id, key.need_string("access_key_id"));
    TRY_LET(std::string secret, key.need_string("secret_access_key"));
    keys = auth::KeyPair{std::move(id), base::Secret<std::string>(std::move(secret))};
  }
  TRY_LET(const bool done, call.doors.auth.is_set_up(call.ctx));
  if (done) return Error(Code::kAlreadyExists, "setup", "already set up: sign in with an administrator's key");
  TRY(check_token(call, body));
  TRY_LET(const auth::Credentials made, call.doors.auth.set_up(call.ctx, username, std::move(keys)));
  return ok(Json::object({{"access_key_id", made.access_key_id},
                          {"secret_access_key", made.secret.reveal()},
                          {"creation_date", seconds(made.created_ms)}}));
}

}  // namespace tarn::rest
