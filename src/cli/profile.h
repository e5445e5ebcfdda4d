#pragma once
// Which server, as whom: flags, then variables, then the profile file, then what lakectl left.
#include <optional>
#include <string>

#include "base/secret.h"
#include "cli/command.h"

namespace tarn::cli {

struct Target {
  std::string server;  ///< "http://host:port", no slash at the end
  std::string server_origin;
  std::string access_key_id;  ///< empty: none found
  base::Secret<std::string> secret;
  std::string key_origin;
};

struct Profile {
  std::string server, access_key_id;
  base::Secret<std::string> secret;
};

/// The keys of a profile go only to the server that the profile names, unless --profile or TARN_PROFILE asks for it:
/// `--server elsewhere` must not carry them there.
/// Errors: usage errors; a file that cannot be read or understood, by name.
Result<Target> resolve_target(const Call& call);

/// $XDG_CONFIG_HOME/tarn/config.yaml or ~/.config/tarn/config.yaml; TARN_PROFILE_FILE names another.
std::string profile_path();
std::string profile_name(const Call& call);
/// nullopt when the file or the entry is absent.
Result<std::optional<Profile>> load_profile(const std::string& name);
/// Replaces one entry, keeps the others; the file is readable by its owner only.
Result<void> save_profile(const std::string& name, const Profile& profile);

}  // namespace tarn::cli
