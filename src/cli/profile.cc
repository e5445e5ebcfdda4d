#include "cli/profile.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <cstdlib>

#include "base/disk.h"
#include "base/yaml.h"
#include "http/url.h"

namespace tarn::cli {
namespace {

constexpr std::string_view kDefaultServer = "http://127.0.0.1:8000";
constexpr std::string_view kDefaultProfile = "default";

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : std::string(value);
}

/// Nothing when the file is absent. Errors: the file by name.
Result<std::optional<Json>> read_yaml(const std::string& path) {
  auto text = base::system_disk().read_all(path);
  if (!text) {
    if (text.error().code() == Code::kNotFound) return std::optional<Json>();
    return text.error().wrap(Code::kInvalid, "configuration", fmt::format("cannot read {}", path));
  }
  auto parsed = base::parse_yaml(*text);
  if (!parsed) return usage_error(fmt::format("{}: {}", path, parsed.error().message()));
  return std::optional<Json>(std::move(*parsed));
}

/// Without slashes and the path of the API, which lakeFS clients write.
Result<std::string> tidy_server(std::string server, std::string_view origin) {
  if (server.find("://") == std::string::npos) server.insert(0, "http://");
  while (!server.empty() && server.back() == '/') server.pop_back();
  if (server.ends_with("/api/v1")) server.resize(server.size() - 7);
  const auto url = http::parse_url(server);
  if (!url) return usage_error(fmt::format("{}: {}", origin, url.error().message()));
  return server;
}

struct Keys {
  std::string id, secret, origin;
};

/// From ~/.lakectl.yaml and the variables that override it.
struct Lakectl {
  std::string server;
  Keys keys;
};

Result<Lakectl> load_lakectl() {
  Lakectl out;
  std::string path = variable("LAKECTL_CONFIG_FILE");
  if (path.empty()) path = variable("HOME") + "/.lakectl.yaml";
  TRY_LET(const auto file, read_yaml(path));
  if (file) {
    out.server = (*file)["server"]["endpoint_url"].as_string();
    const Json& credentials = (*file)["credentials"];
    out.keys = {credentials["access_key_id"].as_string(), credentials["secret_access_key"].as_string(), path};
  }
  if (const auto server = variable("LAKECTL_SERVER_ENDPOINT_URL"); !server.empty()) out.server = server;
  const auto id = variable("LAKECTL_CREDENTIALS_ACCESS_KEY_ID");
  const auto secret = variable("LAKECTL_CREDENTIALS_SECRET_ACCESS_KEY");
  if (!id.empty() && !secret.empty()) out.keys = {id, secret, "LAKECTL_CREDENTIALS_ACCESS_KEY_ID"};
  return out;
}

/// What was said outright: flags and variables.
Result<Keys> spoken_keys(const Call& call) {
  const std::string secret = call.has("secret") ? call.get("secret") : variable("TARN_SECRET_ACCESS_KEY");
  if (call.has("access-key-id")) {
    if (secret.empty())
      return usage_error("--access-key-id needs its secret: set TARN_SECRET_ACCESS_KEY, or add --secret");
    return Keys{call.get("access-key-id"), secret, "--access-key-id"};
  }
  const std::string id = variable("TARN_ACCESS_KEY_ID");
  if (!id.empty() && !secret.empty()) return Keys{id, secret, "TARN_ACCESS_KEY_ID"};
  if (call.has("secret")) return usage_error("--secret needs its access key: add --access-key-id");
  return Keys{};
}

void take_keys(Target& target, const Keys& keys) {
  target.access_key_id = keys.id;
  target.secret = base::Secret<std::string>(keys.secret);
  target.key_origin = keys.origin;
}

}  // namespace

std::string profile_path() {
  if (auto path = variable("TARN_PROFILE_FILE"); !path.empty()) return path;
  if (const auto base = variable("XDG_CONFIG_HOME"); !base.empty()) return base + "/tarn/config.yaml";
  return variable("HOME") + "/.config/tarn/config.yaml";
}

std::string profile_name(const Call& call) {
  if (call.has("profile")) return call.get("profile");
  const std::string name = variable("TARN_PROFILE");
  return name.empty() ? std::string(kDefaultProfile) : name;
}

Result<std::optional<Profile>> load_profile(const std::string& name) {
  TRY_LET(const auto file, read_yaml(profile_path()));
  if (!file) return std::optional<Profile>();
  const Json* entry = (*file)["profiles"].find(name);
  if (entry == nullptr) return std::optional<Profile>();
  Profile out;
  out.server = (*entry)["server"].as_string();
  out.access_key_id = (*entry)["access_key_id"].as_string();
  out.secret = base::Secret<std::string>((*entry)["secret_access_key"].as_string());
  return std::optional<Profile>(std::move(out));
}

Result<void> save_profile(const std::string& name, const Profile& profile) {
  const std::string path = profile_path();
  TRY_LET(auto file, read_yaml(path));
  Json all = file ? std::move(*file) : Json::object();
  Json profiles = all["profiles"].is_object() ? all["profiles"] : Json::object();
  profiles.set(name, Json::object({{"server", profile.server},
                                   {"access_key_id", profile.access_key_id},
                                   {"secret_access_key", profile.secret.reveal()}}));
  all.set("profiles", std::move(profiles));
  const mode_t before = ::umask(077);  // the file holds a secret
  Result<void> done = base::system_disk().make_directories(path.substr(0, path.rfind('/')));
  if (done) done = base::system_disk().write_atomic(path, base::to_yaml(all));
  ::umask(before);
  return done;
}

Result<Target> resolve_target(const Call& call) {
  Target target;
  TRY_LET(const Keys spoken, spoken_keys(call));
  std::string server;
  if (call.has("server"))
    server = call.get("server"), target.server_origin = "--server";
  else if (server = variable("TARN_SERVER"); !server.empty())
    target.server_origin = "TARN_SERVER";
  else if (server = variable("TARN_ENDPOINT"); !server.empty())
    target.server_origin = "TARN_ENDPOINT";
  if (!spoken.id.empty()) take_keys(target, spoken);
  if (!server.empty()) {
    TRY_LET(target.server, tidy_server(std::move(server), target.server_origin));
  }
  if (!target.server.empty() && !target.access_key_id.empty()) return target;

  const std::string name = profile_name(call);
  const bool asked = call.has("profile") || !variable("TARN_PROFILE").empty();
  TRY_LET(const auto profile, load_profile(name));
  if (!profile && call.has("profile"))
    return usage_error(fmt::format("there is no profile '{}' in {}", name, profile_path()));
  if (profile && !profile->server.empty()) {
    TRY_LET(const std::string known, tidy_server(profile->server, profile_path()));
    if (target.server.empty()) {
      target.server = known;
      target.server_origin = profile_path();
    }
    if (target.access_key_id.empty() && !profile->access_key_id.empty() && (asked || target.server == known))
      take_keys(target, {profile->access_key_id, profile->secret.reveal(), profile_path()});
  }
  if (target.server.empty() || target.access_key_id.empty()) {
    TRY_LET(const Lakectl lakectl, load_lakectl());
    std::string known(kDefaultServer);
    if (!lakectl.server.empty()) {
      TRY_LET(known, tidy_server(lakectl.server, "lakectl's configuration"));
    }
    if (target.server.empty()) {
      target.server = known;
      target.server_origin = lakectl.server.empty() ? "default" : "lakectl's configuration";
    }
    if (target.access_key_id.empty() && !lakectl.keys.id.empty() && target.server == known)
      take_keys(target, lakectl.keys);
  }
  return target;
}

}  // namespace tarn::cli
