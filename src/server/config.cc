#include "server/config.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/yaml.h"

namespace tarn::server {
namespace {

/// Variables with our prefix that belong to the command line tool, jobs, tests or builds, not to the server.
constexpr std::string_view kForeignVariables[] = {
    "TARN_CONFIG",       "TARN_KILL_POINT", "TARN_BINARY",       "TARN_JOBS",          "TARN_SKIP_APT",
    "TARN_OS_RELEASE",   "TARN_ENDPOINT",   "TARN_S3_ENDPOINT",  "TARN_REPOSITORY",    "TARN_BRANCH",
    "TARN_JOB_URI",      "TARN_RUN_KEY",    "TARN_PIPELINE",     "TARN_JOB",           "TARN_ATTEMPT",
    "TARN_SERVER",       "TARN_PROFILE",    "TARN_PROFILE_FILE", "TARN_ACCESS_KEY_ID", "TARN_SECRET_ACCESS_KEY",
    "TARN_SEED",         "TARN_BIN",        "TARN_PYTHON",       "TARN_ALERTMANAGER",  "TARN_FLIGHTS_ARCHIVE",
    "TARN_DUCKDB_HTTPFS"};

/// Lower case, with '.', '-' and '_' the same.
std::string plain(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
    if (c == '.' || c == '-') c = '_';
  }
  return out;
}

const Setting* find(std::string_view name) {
  const std::string wanted = plain(name);
  for (const auto& setting : settings())
    if (plain(setting.key) == wanted) return &setting;
  return nullptr;
}

size_t distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t corner = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t above = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, corner + (a[i - 1] == b[j - 1] ? 0 : 1)});
      corner = above;
    }
  }
  return row[b.size()];
}

std::string_view nearest(std::string_view name) {
  std::string_view best;
  size_t least = SIZE_MAX;
  for (const auto& setting : settings()) {
    const size_t d = distance(plain(name), plain(setting.key));
    if (d < least) {
      least = d;
      best = setting.key;
    }
  }
  return best;
}

std::string variable_of(std::string_view key) {
  std::string out = "TARN_";
  for (const char c : plain(key)) out.push_back(c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c);
  return out;
}

std::string flag_of(std::string_view key) {
  std::string out = "--";
  for (const char c : plain(key)) out.push_back(c == '_' ? '-' : c);
  return out;
}

Error unknown(std::string_view where, std::string_view name, std::string_view suggestion) {
  return Error(Code::kInvalid, "config",
               fmt::format("{}: unknown setting {}; did you mean {}?", where, name, suggestion));
}

/// YAML levels as dotted keys.
Result<void> flatten(const Json& json, const std::string& prefix, std::vector<std::pair<std::string, Json>>& into,
                     const std::string& file) {
  for (const auto& [name, value] : json.members()) {
    const std::string key = prefix.empty() ? name : fmt::format("{}.{}", prefix, name);
    if (value.is_object())
      TRY(flatten(value, key, into, file));
    else
      into.emplace_back(key, value);
  }
  return {};
}

Result<std::string> text_of(const std::string& key, const Json& value, const std::string& file) {
  if (value.is_string()) return value.as_string();
  if (value.is_bool()) return std::string(value.as_bool() ? "true" : "false");
  if (value.is_int()) return std::to_string(value.as_int());
  if (value.is_array()) {
    std::string out;
    for (const auto& item : value.items()) {
      if (!item.is_string())
        return Error(Code::kInvalid, "config", fmt::format("{}: {} must be a list of texts", file, key));
      out += (out.empty() ? "" : ",") + item.as_string();
    }
    return out;
  }
  return Error(Code::kInvalid, "config", fmt::format("{}: {} has a value of the wrong kind", file, key));
}

struct Flag {
  std::string name, value;
  bool has_value = false;
};

/// "--name value", "--name=value"; a bool needs no value.
Result<std::vector<Flag>> flags_of(const std::vector<std::string>& arguments) {
  std::vector<Flag> out;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& word = arguments[i];
    if (!word.starts_with("--"))
      return Error(Code::kInvalid, "config", fmt::format("unexpected argument {}: settings begin with --", word));
    const size_t equals = word.find('=');
    Flag flag{word.substr(2, equals == std::string::npos ? equals : equals - 2), {}, equals != std::string::npos};
    if (flag.has_value) flag.value = word.substr(equals + 1);
    const Setting* setting = find(flag.name);
    const bool is_bool = setting != nullptr && setting->kind == Kind::kBool;
    if (!flag.has_value && !is_bool) {
      if (setting == nullptr && flag.name != "config")
        return unknown("command line", word, flag_of(nearest(flag.name)));
      if (i + 1 == arguments.size()) return Error(Code::kInvalid, "config", fmt::format("{} needs a value", word));
      flag.value = arguments[++i];
      flag.has_value = true;
    }
    if (is_bool && !flag.has_value) flag.value = "true";
    out.push_back(std::move(flag));
  }
  return out;
}

}  // namespace

const std::vector<Setting>& settings() {
  static const std::vector<Setting> table = {
      {"data", Kind::kText, "./tarn-data", "data folder; made when absent"},
      {"listen", Kind::kText, "127.0.0.1:8000", "address of the one listener (REST and S3); port 0 takes a free one"},
      {"insecure_listen", Kind::kBool, "false", "allow an address that other machines reach without TLS"},
      {"tls.certificate_file", Kind::kText, "", "PEM chain; with tls.key_file the listener speaks TLS"},
      {"tls.key_file", Kind::kText, "", "PEM private key"},
      {"admin.user", Kind::kText, "admin", "name of the administrator that admin.key makes"},
      {"admin.key", Kind::kText, "", "access key id of the first administrator: set up at the first start"},
      {"admin.secret", Kind::kSecret, "", "its secret access key"},
      {"s3.domains", Kind::kList, "s3.local.lakefs.io,s3.localhost", "hosts whose requests are S3 even when unsigned"},
      {"s3.region", Kind::kText, "us-east-1", "region named in answers; signatures may name any"},
      {"import.local_roots", Kind::kList, "",
       "folders that imports may read; empty: any on a loopback listener, none otherwise"},
      {"http.connections_max", Kind::kNumber, "16384", "open connections"},
      {"http.requests_in_flight_max", Kind::kNumber, "2048", "requests at once"},
      {"http.requests_per_principal_max", Kind::kNumber, "1200", "requests at once of one user"},
      {"http.json_body_bytes_max", Kind::kNumber, "8388608", "largest JSON body; bulk calls take four times as much"},
      {"http.request_deadline_ms", Kind::kNumber, "600000",
       "time for a call that neither streams bytes nor lands on a branch; 0: none"},
      {"kv.cache_bytes", Kind::kNumber, "33554432", "block cache of the key-value store"},
      {"kv.reserve_bytes", Kind::kNumber, "67108864", "writes are refused when less would stay free on the disk"},
      {"kv.cut_damaged_log", Kind::kBool, "false",
       "for one start after a power failure: cut the store's log at its first damaged record; what lies behind is "
       "lost"},
      {"storage.cache.folder", Kind::kText, "",
       "folder on a fast local disk that keeps blocks of objects when the data folder, or objects/ in it, is on a slow "
       "one; empty: none"},
      {"storage.cache.bytes", Kind::kNumber, "1073741824", "what that folder may take up"},
      {"tree.node_cache_bytes", Kind::kNumber, "33554432", "cache of tree nodes"},
      {"tree.fold_from", Kind::kNumber, "512", "packs that a repository writes before they are folded; 0: never"},
      {"tasks.threads", Kind::kNumber, "4", "background tasks at once"},
      {"mesh.heartbeat_limit_ms", Kind::kNumber, "600000",
       "a job's attempt whose heartbeat stays away for so long is failed, if it ever sent one"},
      {"mesh.landed_runs_kept", Kind::kNumber, "32",
       "landed runs of a repository that keep their branches; those of older ones are deleted"},
      {"duckdb.library", Kind::kText, "", "libduckdb.so that runs the checks; empty: looked for beside the program"},
      {"log.level", Kind::kText, "info", "debug, info, warning or error"},
      {"log.style", Kind::kText, "text", "text or json"},
      {"shutdown.grace_ms", Kind::kNumber, "10000", "time that running requests get when the server stops"},
  };
  return table;
}

Result<void> Config::set(const Setting& setting, std::string value, Origin origin, std::string from) {
  const auto wrong = [&](std::string_view kind) {
    return Error(Code::kInvalid, "config", fmt::format("{}: {} must be {}, not {}", from, setting.key, kind, value));
  };
  if (setting.kind == Kind::kNumber) {
    int64_t number = 0;
    const auto [end, failed] = std::from_chars(value.data(), value.data() + value.size(), number);
    if (value.empty() || failed != std::errc{} || end != value.data() + value.size() || number < 0)
      return wrong("a whole number, 0 or more");
  }
  if (setting.kind == Kind::kBool) {
    if (value == "1" || value == "yes" || value == "on") value = "true";
    if (value == "0" || value == "no" || value == "off") value = "false";
    if (value != "true" && value != "false") return wrong("true or false");
  }
  values_[std::string(setting.key)] = Value{std::move(value), origin, std::move(from)};
  return {};
}

Result<Config> Config::load(base::Disk& disk, const std::vector<std::string>& arguments,
                            const Environment& environment) {
  Config config;
  for (const auto& setting : settings())
    config.values_[std::string(setting.key)] = Value{std::string(setting.standard), Origin::kDefault, "default"};
  TRY_LET(const auto flags, flags_of(arguments));

  // Which file: the folder may itself be set by a variable or a flag.
  std::string file, data(settings().front().standard);
  bool must_exist = false;
  if (const auto it = environment.find("TARN_DATA"); it != environment.end()) data = it->second;
  for (const auto& flag : flags)
    if (flag.name == "data") data = flag.value;
  file = data + "/tarn.yaml";
  if (const auto it = environment.find("TARN_CONFIG"); it != environment.end()) {
    file = it->second;
    must_exist = true;
  }
  for (const auto& flag : flags) {
    if (flag.name != "config") continue;
    file = flag.value;
    must_exist = true;
  }

  auto text = disk.read_all(file);
  if (!text && (must_exist || text.error().code() != Code::kNotFound))
    return text.error().wrap(text.error().code(), "config",
                             fmt::format("cannot read the configuration {}: {}", file, text.error().message()));
  if (text) {
    auto yaml = base::parse_yaml(*text);
    if (!yaml) return yaml.error().wrap(Code::kInvalid, "config", fmt::format("{}: {}", file, yaml.error().message()));
    if (!yaml->is_object() && !yaml->is_null())
      return Error(Code::kInvalid, "config", fmt::format("{}: must hold keys and values", file));
    std::vector<std::pair<std::string, Json>> found;
    TRY(flatten(*yaml, {}, found, file));
    for (const auto& [key, value] : found) {
      const auto setting = std::find_if(settings().begin(), settings().end(),
                                        [&, name = key](const Setting& s) { return s.key == name; });
      if (setting == settings().end()) return unknown(file, key, nearest(key));
      if (value.is_null()) continue;
      TRY_LET(std::string as_text, text_of(key, value, file));
      TRY(config.set(*setting, std::move(as_text), Origin::kFile, file));
    }
  }

  for (const auto& [name, value] : environment) {
    if (!name.starts_with("TARN_")) continue;
    if (std::find(std::begin(kForeignVariables), std::end(kForeignVariables), name) != std::end(kForeignVariables))
      continue;
    const Setting* setting = find(std::string_view(name).substr(5));
    if (setting == nullptr) return unknown("environment", name, variable_of(nearest(std::string_view(name).substr(5))));
    TRY(config.set(*setting, value, Origin::kEnvironment, name));
  }

  for (const auto& flag : flags) {
    if (flag.name == "config") continue;
    const Setting* setting = find(flag.name);
    if (setting == nullptr) return unknown("command line", "--" + flag.name, flag_of(nearest(flag.name)));
    TRY(config.set(*setting, flag.value, Origin::kFlag, flag_of(setting->key)));
  }
  return config;
}

const Config::Value& Config::at(std::string_view key) const {
  const auto it = values_.find(key);
  ENSURE(it != values_.end());
  return it->second;
}

int64_t Config::number(std::string_view key) const {
  const std::string& value = text(key);
  int64_t number = 0;
  std::from_chars(value.data(), value.data() + value.size(), number);
  return number;
}

std::vector<std::string> Config::list(std::string_view key) const {
  std::vector<std::string> out;
  std::string_view rest = text(key);
  while (!rest.empty()) {
    const size_t comma = rest.find(',');
    if (const auto item = rest.substr(0, comma); !item.empty()) out.emplace_back(item);
    if (comma == std::string_view::npos) break;
    rest.remove_prefix(comma + 1);
  }
  return out;
}

std::string Config::table() const {
  std::string out;
  for (const auto& setting : settings()) {
    const Value& v = at(setting.key);
    const std::string shown = setting.kind == Kind::kSecret && !v.value.empty() ? "(set)" : v.value;
    out += fmt::format("{:<32} {:<32} {}\n", setting.key, shown.empty() ? "-" : shown, v.from);
  }
  return out;
}

std::string settings_help() {
  std::string out =
      "Every setting as a flag, TARN_* variable, or key of the YAML file (--config FILE, default DIR/tarn.yaml):\n\n";
  for (const auto& setting : settings())
    out += fmt::format("  {:<34} {}{}\n", flag_of(setting.key), setting.help,
                       setting.standard.empty() ? "" : fmt::format(" [{}]", setting.standard));
  return out;
}

}  // namespace tarn::server
