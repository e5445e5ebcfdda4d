#include "auth/auth.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>

#include "auth/seal.h"
#include "base/bytes.h"
#include "base/hash.h"
#include "base/ids.h"
#include "base/json.h"
#include "base/mutex.h"
#include "kv/record.h"

namespace tarn::auth {
namespace {

constexpr std::string_view kSetUpKey = "auth/setup";
constexpr std::string_view kUsers = "auth/user/";
constexpr std::string_view kKeys = "auth/key/";
constexpr std::string_view kUserKeys = "auth/user-key/";
constexpr int64_t kTokenLifeMs = 12 * 3600 * 1000;
constexpr size_t kKeySize = 32;
constexpr size_t kKnownMax = 1'000;  // access keys whose decoded rows are kept

std::string key_of_user(std::string_view id) { return fmt::format("{}{}", kUsers, id); }
std::string key_of_key(std::string_view id) { return fmt::format("{}{}", kKeys, id); }
std::string key_of_user_key(std::string_view user, std::string_view id) {
  return fmt::format("{}{}/{}", kUserKeys, user, id);
}

Result<void> check_user_id(std::string_view id) {
  const bool plain = std::all_of(id.begin(), id.end(), [](char c) {
    return static_cast<unsigned char>(c) > 0x20 && c != 0x7f && c != '%' && c != '/' && c != ':';
  });
  if (id.empty() || id.size() > 128 || !plain || !base::is_utf8(id))
    return Error(Code::kInvalid, "user",
                 "a user's name has 1 to 128 bytes of UTF-8 without blanks, control characters, '%', ':' or '/'");
  return {};
}

Result<void> check_keys(const KeyPair& keys) {
  const auto& id = keys.access_key_id;
  const bool plain = std::all_of(id.begin(), id.end(), [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  });
  if (id.size() < 3 || id.size() > 64 || !plain)
    return Error(Code::kInvalid, "access_key_id", "an access key id has 3 to 64 letters, digits, '-' or '_'");
  if (keys.secret.reveal().size() < 8 || keys.secret.reveal().size() > 128)
    return Error(Code::kInvalid, "secret_access_key", "a secret access key has 8 to 128 bytes");
  return {};
}

Error wrong_credentials() {
  return Error(Code::kUnauthenticated, "credentials", "unknown access key id or wrong secret");
}

Json strings_to_json(const std::vector<std::string>& items) {
  Json out = Json::array();
  for (const auto& item : items) out.push(item);
  return out;
}

std::vector<std::string> strings_of(const Json& json) {
  std::vector<std::string> out;
  for (const auto& item : json.items()) out.push_back(item.as_string());
  return out;
}

std::string encode_user(const User& user) {
  return kv::encode_record(Json::object({{"id", user.id},
                                         {"admin", user.admin},
                                         {"writable_repositories", strings_to_json(user.writable_repositories)},
                                         {"email", user.email},
                                         {"friendly_name", user.friendly_name},
                                         {"created_ms", user.created_ms}}));
}

Result<User> decode_user(std::string_view value) {
  TRY_LET(const Json json, kv::decode_record(value, "user"));
  return User{json["id"].as_string(),    json["admin"].as_bool(),           strings_of(json["writable_repositories"]),
              json["email"].as_string(), json["friendly_name"].as_string(), json["created_ms"].as_int()};
}

Json scope_to_json(const AttemptScope& scope) {
  return Json::object({{"repository", scope.repository},
                       {"branch", scope.branch},
                       {"write_prefixes", strings_to_json(scope.write_prefixes)},
                       {"fence", scope.fence},
                       {"expires_ms", scope.expires_ms}});
}

AttemptScope scope_of(const Json& json) {
  return {json["repository"].as_string(), json["branch"].as_string(), strings_of(json["write_prefixes"]),
          json["fence"].as_string(), json["expires_ms"].as_int()};
}

class StoredAuth final : public Auth {
 public:
  StoredAuth(kv::Store& store, Sealer sealer, base::Clock& clock, base::Random& random)
      : store_(store),
        sealer_(std::move(sealer)),
        token_key_(sealer_.derive("tarn login token")),
        clock_(clock),
        random_(random) {}

  Result<bool> is_set_up(const Context& ctx) override {
    TRY_LET(const auto row, store_.get(ctx, kSetUpKey));
    return row.has_value();
  }

  Result<Credentials> set_up(const Context& ctx, const std::string& id, std::optional<KeyPair> keys) override {
    TRY(check_user_id(id));
    if (keys) TRY(check_keys(*keys));
    User user{.id = id, .admin = true, .created_ms = clock_.wall_ms()};
    Credentials made = draw(std::move(keys));
    kv::Batch batch;
    batch.require_absent(std::string(kSetUpKey)).require_absent(key_of_user(id));
    batch.put(std::string(kSetUpKey), kv::encode_record(Json::object({{"user", id}, {"at_ms", user.created_ms}})));
    batch.put(key_of_user(id), encode_user(user));
    add_key(batch, id, made, nullptr);
    auto applied = store_.apply(ctx, batch);
    if (!applied && applied.error().code() == Code::kConflict)
      return Error(Code::kAlreadyExists, "setup", "already set up: sign in with an administrator's key");
    TRY(std::move(applied));
    return made;
  }

  Result<User> create_user(const Context& ctx, User user) override {
    TRY(check_user_id(user.id));
    user.created_ms = clock_.wall_ms();
    kv::Batch batch;
    batch.require_absent(key_of_user(user.id)).put(key_of_user(user.id), encode_user(user));
    auto applied = store_.apply(ctx, batch);
    if (!applied && applied.error().code() == Code::kConflict)
      return Error(Code::kAlreadyExists, "user", fmt::format("user {} already exists", user.id));
    TRY(std::move(applied));
    return user;
  }

  Result<void> grant_write(const Context& ctx, kv::Batch& batch, std::string_view id,
                           const std::string& repository) override {
    TRY_LET(const auto row, store_.get(ctx, key_of_user(id)));
    if (!row) return Error(Code::kNotFound, "user", fmt::format("user {} not found", id));
    TRY_LET(User user, decode_user(row->value));
    auto& writable = user.writable_repositories;
    if (std::find(writable.begin(), writable.end(), repository) == writable.end()) writable.push_back(repository);
    batch.require_version(key_of_user(id), row->version).put(key_of_user(id), encode_user(user));
    return {};
  }

  Result<User> get_user(const Context& ctx, std::string_view id) override {
    TRY_LET(const auto row, store_.get(ctx, key_of_user(id)));
    if (!row) return Error(Code::kNotFound, "user", fmt::format("user {} not found", id));
    return decode_user(row->value);
  }

  Result<std::vector<User>> list_users(const Context& ctx, std::string_view prefix) override {
    std::vector<User> out;
    const auto rows = store_.scan(ctx, key_of_user(prefix));
    while (true) {
      TRY_LET(const auto row, rows->next());
      if (!row) return out;
      TRY_LET(User user, decode_user(row->row.value));
      out.push_back(std::move(user));
    }
  }

  Result<void> delete_user(const Context& ctx, std::string_view id) override {
    TRY_LET(const User user, get_user(ctx, id));
    if (user.admin) {
      TRY_LET(const auto all, list_users(ctx, {}));
      if (std::count_if(all.begin(), all.end(), [](const User& u) { return u.admin; }) < 2)
        return Error(Code::kForbidden, "user", "the last administrator stays: make another one first");
    }
    TRY_LET(const auto keys, list_credentials(ctx, id));
    kv::Batch batch;
    batch.require_present(key_of_user(id)).erase(key_of_user(id));
    for (const auto& key : keys)
      batch.erase(key_of_key(key.access_key_id)).erase(key_of_user_key(id, key.access_key_id));
    TRY(store_.apply(ctx, batch));
    return {};
  }

  Result<Credentials> create_credentials(const Context& ctx, std::string_view user,
                                         std::optional<KeyPair> keys) override {
    if (keys) TRY(check_keys(*keys));
    TRY(get_user(ctx, user));
    Credentials made = draw(std::move(keys));
    kv::Batch batch;
    batch.require_present(key_of_user(user)).require_absent(key_of_key(made.access_key_id));
    add_key(batch, std::string(user), made, nullptr);
    auto applied = store_.apply(ctx, batch);
    if (!applied && applied.error().code() == Code::kConflict)
      return Error(Code::kAlreadyExists, "credentials", fmt::format("access key {} is taken", made.access_key_id));
    TRY(std::move(applied));
    return made;
  }

  Result<std::vector<Credentials>> list_credentials(const Context& ctx, std::string_view user) override {
    TRY(get_user(ctx, user));
    std::vector<Credentials> out;
    const std::string prefix = key_of_user_key(user, {});
    const auto rows = store_.scan(ctx, prefix);
    while (true) {
      TRY_LET(const auto row, rows->next());
      if (!row) return out;
      TRY_LET(const Json json, kv::decode_record(row->row.value, "credentials"));
      out.push_back({row->key.substr(prefix.size()), {}, json["created_ms"].as_int()});
    }
  }

  Result<void> delete_credentials(const Context& ctx, std::string_view user, std::string_view id) override {
    kv::Batch batch;
    batch.require_present(key_of_user_key(user, id)).erase(key_of_user_key(user, id)).erase(key_of_key(id));
    auto applied = store_.apply(ctx, batch);
    if (!applied && applied.error().code() == Code::kConflict)
      return Error(Code::kNotFound, "credentials", fmt::format("user {} has no access key {}", user, id));
    TRY(std::move(applied));
    return {};
  }

  Result<FoundSecret> find_secret(const Context& ctx, std::string_view id) override {
    if (id.empty() || id.size() > 64) return wrong_credentials();
    TRY_LET(const auto row, store_.get(ctx, key_of_key(id)));
    if (!row) return wrong_credentials();
    const auto known = find_known(id);
    if (known && known->key_version == row->version) {
      TRY_LET(const auto user_row, store_.get(ctx, key_of_user(known->found.principal.user)));
      if (!user_row) return wrong_credentials();
      if (known->user_version == user_row->version) return known->found;
    }
    TRY_LET(const Json json, kv::decode_record(row->value, "credentials"));
    const std::string user = json["user"].as_string();
    const auto sealed = base::from_base64(json["sealed"].as_string());
    if (!sealed) return Error(Code::kCorrupt, "credentials", "a stored access key is damaged");
    TRY_LET(auto secret, sealer_.open(*sealed, binding(id, user)));
    FoundSecret found;
    found.secret = std::move(secret);
    found.principal.user = user;
    if (const Json* scope = json.find("scope")) {
      found.principal.attempt = scope_of(*scope);
      if (found.principal.attempt->expires_ms <= clock_.wall_ms())
        return Error(Code::kUnauthenticated, "credentials", "this temporary access key has expired");
      return found;
    }
    TRY_LET(const auto user_row, store_.get(ctx, key_of_user(user)));
    if (!user_row) return wrong_credentials();
    TRY_LET(User record, decode_user(user_row->value));
    found.principal.admin = record.admin;
    found.principal.writable_repositories = std::move(record.writable_repositories);
    remember(id, {row->version, user_row->version, found});
    return found;
  }

  Result<Principal> authenticate_basic(const Context& ctx, std::string_view id, std::string_view secret) override {
    auto found = find_secret(ctx, id);
    if (!found) return std::move(found).error();
    if (!base::equal_constant_time(found->secret.reveal(), secret)) return wrong_credentials();
    return std::move(found->principal);
  }

  Result<Principal> authenticate_header(const Context& ctx, std::string_view value) override {
    const size_t blank = value.find(' ');
    std::string scheme(value.substr(0, blank));
    std::transform(scheme.begin(), scheme.end(), scheme.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    std::string_view rest = blank == std::string_view::npos ? std::string_view{} : value.substr(blank + 1);
    while (rest.starts_with(' ')) rest.remove_prefix(1);
    if (scheme == "basic") {
      const auto pair = base::from_base64(rest);
      const size_t colon = pair ? pair->find(':') : std::string::npos;
      if (colon == std::string::npos)
        return Error(Code::kUnauthenticated, "credentials", "the Authorization header is not base64 of key:secret");
      return authenticate_basic(ctx, std::string_view(*pair).substr(0, colon),
                                std::string_view(*pair).substr(colon + 1));
    }
    if (scheme == "bearer") return authenticate_token(ctx, rest);
    return Error(Code::kUnauthenticated, "credentials", "the Authorization header must be Basic or Bearer");
  }

  Result<Token> issue_token(const Context& ctx, std::string_view id, std::string_view secret) override {
    TRY_LET(const Principal principal, authenticate_basic(ctx, id, secret));
    const int64_t now = clock_.wall_ms() / 1000;
    int64_t life_s = kTokenLifeMs / 1000;
    if (principal.attempt) life_s = std::min(life_s, principal.attempt->expires_ms / 1000 - now);
    Json claims = Json::object({{"iss", "auth"},
                                {"aud", "login"},
                                {"sub", principal.user},
                                {"key", id},
                                {"iat", now},
                                {"exp", now + life_s},
                                {"jti", random_.hex(16)}});
    const std::string signed_part = base::to_base64url(kTokenHead) + "." + base::to_base64url(claims.dump());
    const std::string signature = base::hmac_sha256(token_key_.reveal(), signed_part);
    return Token{signed_part + "." + base::to_base64url(signature), (now + life_s) * 1000};
  }

  Result<Credentials> add_temporary(kv::Batch& batch, const std::string& user, const AttemptScope& scope) override {
    if (scope.repository.empty() || scope.branch.empty())
      return Error(Code::kInvalid, "scope", "a temporary credential needs a repository and a branch");
    Credentials made = draw({});
    batch.require_absent(key_of_key(made.access_key_id));
    add_key(batch, user, made, &scope);
    return made;
  }

  void revoke(kv::Batch& batch, std::string_view id) override { batch.erase(key_of_key(id)); }

 private:
  static constexpr std::string_view kTokenHead = R"({"alg":"HS256","typ":"JWT","kid":"1"})";

  static std::string binding(std::string_view key, std::string_view user) {
    return fmt::format("access-key\n{}\n{}", key, user);
  }

  Credentials draw(std::optional<KeyPair> keys) {
    Credentials made;
    made.created_ms = clock_.wall_ms();
    if (keys) {
      made.access_key_id = std::move(keys->access_key_id);
      made.secret = std::move(keys->secret);
    } else {
      made.access_key_id = base::access_key_id(random_);
      made.secret = base::Secret<std::string>(base::secret_access_key(random_));
    }
    return made;
  }

  void add_key(kv::Batch& batch, const std::string& user, const Credentials& made, const AttemptScope* scope) {
    const std::string sealed = sealer_.seal(random_, made.secret.reveal(), binding(made.access_key_id, user));
    Json row = Json::object({{"user", user}, {"sealed", base::to_base64(sealed)}, {"created_ms", made.created_ms}});
    if (scope != nullptr) row.set("scope", scope_to_json(*scope));
    batch.put(key_of_key(made.access_key_id), kv::encode_record(row));
    if (scope == nullptr)
      batch.put(key_of_user_key(user, made.access_key_id),
                kv::encode_record(Json::object({{"created_ms", made.created_ms}})));
  }

  /// The signature is checked before anything in the token is believed; the algorithm is ours, not the token's.
  Result<Principal> authenticate_token(const Context& ctx, std::string_view token) {
    const Error refused(Code::kUnauthenticated, "token", "the token is not valid or has expired: sign in again");
    const size_t first = token.find('.');
    const size_t second = first == std::string_view::npos ? first : token.find('.', first + 1);
    if (second == std::string_view::npos || token.size() > 4096) return refused;
    const auto signature = base::from_base64url(token.substr(second + 1));
    const std::string expected = base::hmac_sha256(token_key_.reveal(), token.substr(0, second));
    if (!signature || !base::equal_constant_time(*signature, expected)) return refused;
    const auto payload = base::from_base64url(token.substr(first + 1, second - first - 1));
    if (!payload) return refused;
    const auto claims = Json::parse(*payload);
    if (!claims || (*claims)["aud"].as_string() != "login" || (*claims)["exp"].as_int() * 1000 <= clock_.wall_ms())
      return refused;
    auto found = find_secret(ctx, (*claims)["key"].as_string());
    if (!found) return found.error().code() == Code::kUnauthenticated ? refused : std::move(found).error();
    if (found->principal.user != (*claims)["sub"].as_string()) return refused;
    return std::move(found->principal);
  }

  /// What the rows of a key and its user say, as long as they are these versions: the rows are read for every request,
  /// decoded and opened only when they changed.
  struct Known {
    kv::Sequence key_version = 0, user_version = 0;
    FoundSecret found;
  };
  std::shared_ptr<const Known> find_known(std::string_view id) {
    const base::Lock lock(mutex_);
    const auto it = known_.find(id);
    return it == known_.end() ? nullptr : it->second;
  }
  void remember(std::string_view id, Known known) {
    const auto made = std::make_shared<const Known>(std::move(known));
    const base::Lock lock(mutex_);
    if (known_.size() >= kKnownMax) known_.clear();
    known_.insert_or_assign(std::string(id), made);
  }

  base::Mutex mutex_;  ///< guards known_; never held while waiting
  std::map<std::string, std::shared_ptr<const Known>, std::less<>> known_;
  kv::Store& store_;
  const Sealer sealer_;
  const base::Secret<std::string> token_key_;
  base::Clock& clock_;
  base::Random& random_;
};

}  // namespace

Result<std::unique_ptr<Auth>> Auth::open(kv::Store& store, base::Disk& disk, const std::string& key_file,
                                         base::Clock& clock, base::Random& random) {
  auto text = disk.read_all(key_file);
  if (!text && text.error().code() != Code::kNotFound) return std::move(text).error();
  if (!text) {
    std::string fresh(kKeySize, '\0');
    random.fill(fresh.data(), fresh.size());
    const size_t slash = key_file.rfind('/');
    if (slash != std::string::npos) TRY(disk.make_directories(key_file.substr(0, slash)));
    TRY(disk.write_atomic(key_file, base::to_hex(fresh) + "\n"));
    text = base::to_hex(fresh) + "\n";
  }
  while (!text->empty() && (text->back() == '\n' || text->back() == ' ')) text->pop_back();
  auto key = base::from_hex(*text);
  if (!key || key->size() != kKeySize)
    return Error(
        Code::kCorrupt, "auth key",
        fmt::format(
            "{} does not hold 64 hex digits: put the right key file back, access keys cannot be read without it",
            key_file));
  return std::unique_ptr<Auth>(
      new StoredAuth(store, Sealer(base::Secret<std::string>(std::move(*key))), clock, random));
}

}  // namespace tarn::auth
