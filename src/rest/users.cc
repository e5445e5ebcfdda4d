// Users, their keys, and signing in. Extension: a user has `writable_repositories`, globs over repository names.
#include <algorithm>

#include "rest/answers.h"
#include "rest/fields.h"
#include "rest/handlers.h"

namespace tarn::rest {
namespace {

Json user_to_json(const auth::User& user) {
  Json globs = Json::array();
  for (const auto& glob : user.writable_repositories) globs.push(glob);
  return Json::object({{"id", user.id},
                       {"creation_date", seconds(user.created_ms)},
                       {"friendly_name", user.friendly_name},
                       {"email", user.email},
                       {"admin", user.admin},
                       {"writable_repositories", std::move(globs)}});
}

Json credentials_to_json(const auth::Credentials& made, bool with_secret) {
  Json out = Json::object({{"access_key_id", made.access_key_id}, {"creation_date", seconds(made.created_ms)}});
  if (with_secret) out.set("secret_access_key", made.secret.reveal());
  return out;
}

/// One page out of a whole sorted list.
template <class T, class Name, class Show>
http::Response page_of(const std::vector<T>& all, const versioning::PageQuery& page, Name name, Show show) {
  Json::Array results;
  std::string last;
  bool more = false;
  for (const auto& item : all) {
    if (!page.after.empty() && name(item) <= page.after) continue;
    if (results.size() == page.amount) {
      more = true;
      break;
    }
    last = name(item);
    results.push_back(show(item));
  }
  return ok(page_to_json(std::move(results), more, last, 0));
}

}  // namespace

// POST /auth/login — operation login. 200 a token of 12 hours; 401 wrong pair.
Answer login(Call& call) {
  TRY_LET(const Json body, call.body());
  TRY(need_object(body));
  TRY_LET(const std::string id, body.need_string("access_key_id"));
  TRY_LET(const std::string secret, body.need_string("secret_access_key"));
  TRY_LET(const auth::Token token, call.doors.auth.issue_token(call.ctx, id, secret));
  return ok(Json::object({{"token", token.text}, {"token_expiration", seconds(token.expires_ms)}}));
}

// GET /user — operation getCurrentUser. 200.
Answer get_current_user(Call& call) {
  auth::User user{.id = call.principal.user};
  auto stored = call.doors.auth.get_user(call.ctx, call.principal.user);
  if (stored)
    user = std::move(*stored);
  else if (stored.error().code() != Code::kNotFound)
    return std::move(stored).error();
  return ok(Json::object({{"user", user_to_json(user)}}));
}

// GET /auth/capabilities — operation getAuthCapabilities. 200.
Answer get_auth_capabilities(Call&) { return ok(Json::object({{"invite_user", false}, {"forgot_password", false}})); }

// GET /auth/users — operation listUsers. 200.
Answer list_users(Call& call) {
  TRY_LET(const auto page, call.page());
  TRY_LET(const auto all, call.doors.auth.list_users(call.ctx, page.prefix));
  return page_of(
      all, page, [](const auth::User& u) { return u.id; }, user_to_json);
}

// POST /auth/users — operation createUser. 201; 400 bad name; 409 taken.
Answer create_user(Call& call) {
  TRY_LET(const Json body, call.body());
  TRY(need_object(body));
  TRY_LET(const std::string id, body.need_string("id"));
  TRY_LET(const bool invite, optional_bool(body, "invite_user", false));
  if (invite)
    return Error(Code::kUnsupported, "invite_user",
                 "users are not invited by e-mail: create the user and its credentials");
  auth::User user{.id = id};
  TRY_LET(user.admin, optional_bool(body, "admin", false));
  TRY_LET(user.writable_repositories, string_list(body, "writable_repositories", false));
  TRY_LET(const auth::User made, call.doors.auth.create_user(call.ctx, std::move(user)));
  return created(user_to_json(made));
}

// GET /auth/users/{user} — operation getUser. 200; 404.
Answer get_user(Call& call) {
  TRY_LET(const auth::User user, call.doors.auth.get_user(call.ctx, call.path("user")));
  return ok(user_to_json(user));
}

// DELETE /auth/users/{user} — operation deleteUser. 204; 403 the last administrator; 404.
Answer delete_user(Call& call) {
  TRY(call.doors.auth.delete_user(call.ctx, call.path("user")));
  return no_content();
}

// GET /auth/users/{user}/credentials — operation listUserCredentials. 200; 404.
Answer list_user_credentials(Call& call) {
  TRY_LET(const auto page, call.page());
  TRY_LET(auto all, call.doors.auth.list_credentials(call.ctx, call.path("user")));
  std::erase_if(all, [&](const auth::Credentials& c) { return !c.access_key_id.starts_with(page.prefix); });
  return page_of(
      all, page, [](const auth::Credentials& c) { return c.access_key_id; },
      [](const auth::Credentials& c) { return credentials_to_json(c, false); });
}

// POST /auth/users/{user}/credentials — operation createCredentials. 201 with the secret, shown this once; 404.
Answer create_credentials(Call& call) {
  TRY_LET(const auth::Credentials made, call.doors.auth.create_credentials(call.ctx, call.path("user")));
  return created(credentials_to_json(made, true));
}

// GET /auth/users/{user}/credentials/{key} — operation getCredentials. 200; 404.
Answer get_credentials(Call& call) {
  TRY_LET(const auto all, call.doors.auth.list_credentials(call.ctx, call.path("user")));
  for (const auto& c : all)
    if (c.access_key_id == call.path("key")) return ok(credentials_to_json(c, false));
  return Error(Code::kNotFound, "credentials", "credentials not found");
}

// DELETE /auth/users/{user}/credentials/{key} — operation deleteCredentials. 204; 404.
Answer delete_credentials(Call& call) {
  TRY(call.doors.auth.delete_credentials(call.ctx, call.path("user"), call.path("key")));
  return no_content();
}

}  // namespace tarn::rest
