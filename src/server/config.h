#pragma once
// What the server is told: defaults, then a YAML file, then TARN_* variables, then flags; the later wins.
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/disk.h"
#include "base/result.h"

namespace tarn::server {

enum class Origin { kDefault, kFile, kEnvironment, kFlag };
enum class Kind { kText, kNumber, kBool, kList, kSecret };

/// One thing that can be set. In YAML the dots are levels; as a variable `tls.key_file` is TARN_TLS_KEY_FILE, as a flag
/// --tls-key-file.
struct Setting {
  std::string_view key;
  Kind kind;
  std::string_view standard;
  std::string_view help;
};

/// The table of all settings: the only place where a key is written down.
const std::vector<Setting>& settings();

/// Effective values with their origin. Immutable after load.
class Config {
 public:
  using Environment = std::map<std::string, std::string>;

  /// The file is --config, else TARN_CONFIG, else DIR/tarn.yaml when it exists.
  /// @param arguments  without the program and the command.
  /// Errors: kInvalid (unknown key, with the nearest known one; a value of the wrong kind; broken YAML), kNotFound
  ///         (the file named by --config).
  static Result<Config> load(base::Disk& disk, const std::vector<std::string>& arguments,
                             const Environment& environment);

  /// A key that is not in the table is a programmer's error.
  const std::string& text(std::string_view key) const { return at(key).value; }
  int64_t number(std::string_view key) const;
  bool flag(std::string_view key) const { return at(key).value == "true"; }
  std::vector<std::string> list(std::string_view key) const;

  struct Value {
    std::string value;  ///< lists joined by ','
    Origin origin = Origin::kDefault;
    std::string from;  ///< the file, variable or flag
  };
  const Value& at(std::string_view key) const;
  /// One line a setting: key, value (secrets as "(set)"), origin. For `tarn config`.
  std::string table() const;

 private:
  Result<void> set(const Setting& setting, std::string value, Origin origin, std::string from);
  std::map<std::string, Value, std::less<>> values_;
};

/// Help text of `tarn serve`.
std::string settings_help();

}  // namespace tarn::server
