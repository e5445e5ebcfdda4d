#pragma once
// Users and their access keys: who may come in.
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "auth/principal.h"
#include "base/context.h"
#include "base/disk.h"
#include "base/random.h"
#include "base/secret.h"
#include "kv/store.h"

namespace tarn::auth {

struct User {
  std::string id;  ///< 1..128 bytes of UTF-8 without control bytes, '%' or '/'
  bool admin = false;
  std::vector<std::string> writable_repositories;
  std::string email, friendly_name;
  base::WallMs created_ms = 0;
};

struct KeyPair {
  std::string access_key_id;
  base::Secret<std::string> secret;
};

struct Credentials {
  std::string access_key_id;
  base::Secret<std::string> secret;  ///< filled only when the key is made
  base::WallMs created_ms = 0;
};

struct FoundSecret {
  Principal principal;
  base::Secret<std::string> secret;
};

struct Token {
  std::string text;
  base::WallMs expires_ms = 0;
};

/// Records lie under "auth/" in the store; secrets are sealed there with AES-256-GCM (bound to key id and user) under a
/// key file of mode 0600. Threads: any. Errors of all calls besides their own: those of the store.
class Auth {
 public:
  /// Reads the key file, or makes it when absent. Errors: kCorrupt (not 32 bytes), kUnavailable, kNoSpace.
  static Result<std::unique_ptr<Auth>> open(kv::Store& store, base::Disk& disk, const std::string& key_file,
                                            base::Clock& clock, base::Random& random);
  virtual ~Auth() = default;

  virtual Result<bool> is_set_up(const Context& ctx) = 0;
  /// Makes the first administrator, once. @param keys  to use; nullopt draws a pair.
  /// Errors: kAlreadyExists subject "setup"; kInvalid (name or keys).
  virtual Result<Credentials> set_up(const Context& ctx, const std::string& user, std::optional<KeyPair> keys) = 0;

  /// Errors: kAlreadyExists, kInvalid; all below: kNotFound subject "user" or "credentials".
  virtual Result<User> create_user(const Context& ctx, User user) = 0;
  /// Adds the repository to what the user may write, in a caller's batch: how owning a product grants access to it.
  virtual Result<void> grant_write(const Context& ctx, kv::Batch& batch, std::string_view user,
                                   const std::string& repository) = 0;
  virtual Result<User> get_user(const Context& ctx, std::string_view id) = 0;
  virtual Result<std::vector<User>> list_users(const Context& ctx, std::string_view prefix) = 0;
  /// With all its keys. Errors: kForbidden for the last administrator.
  virtual Result<void> delete_user(const Context& ctx, std::string_view id) = 0;
  virtual Result<Credentials> create_credentials(const Context& ctx, std::string_view user,
                                                 std::optional<KeyPair> keys = {}) = 0;
  virtual Result<std::vector<Credentials>> list_credentials(const Context& ctx, std::string_view user) = 0;
  virtual Result<void> delete_credentials(const Context& ctx, std::string_view user,
                                          std::string_view access_key_id) = 0;

  /// For signatures. Errors: kUnauthenticated (unknown, revoked or expired key). Cost: two reads, one decryption.
  virtual Result<FoundSecret> find_secret(const Context& ctx, std::string_view access_key_id) = 0;
  /// Compares in constant time. Errors: kUnauthenticated, the same for an unknown key and a wrong secret.
  virtual Result<Principal> authenticate_basic(const Context& ctx, std::string_view access_key_id,
                                               std::string_view secret) = 0;
  /// The value of an Authorization header: Basic or Bearer. Errors: kUnauthenticated.
  virtual Result<Principal> authenticate_header(const Context& ctx, std::string_view value) = 0;
  /// A signed token in the name of an access key; it dies with the key, and after 12 hours.
  virtual Result<Token> issue_token(const Context& ctx, std::string_view access_key_id, std::string_view secret) = 0;

  /// Adds a temporary credential to a caller's batch: it exists if and only if the batch lands.
  virtual Result<Credentials> add_temporary(kv::Batch& batch, const std::string& user, const AttemptScope& scope) = 0;
  /// Takes a credential back in a caller's batch; absent is fine.
  virtual void revoke(kv::Batch& batch, std::string_view access_key_id) = 0;
};

}  // namespace tarn::auth
