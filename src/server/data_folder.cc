#include "server/data_folder.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/ids.h"
#include "base/json.h"

namespace tarn::server {
namespace {

/// What may lie in a folder that no server has used yet.
constexpr std::string_view kHarmless[] = {"tarn.yaml", "lock", "lost+found"};

Result<std::string> check_marker(const std::string& path, std::string_view text) {
  const auto json = Json::parse(text);
  const auto id = json ? json->need_string("installation_id") : Result<std::string>(json.error());
  if (!id)
    return Error(Code::kCorrupt, "data folder", fmt::format("{}/TARN is damaged: restore it from a backup", path));
  const int64_t needed = (*json)["minimum_reader"].as_int(INT64_MAX);
  if (needed > kFolderFormat)
    return Error(
        Code::kUnsupported, "data folder",
        fmt::format("{} was written by a newer version (format {}, readable from {}); this one reads up to {}: use "
                    "the newer version",
                    path, (*json)["format"].as_int(), needed, kFolderFormat));
  return *id;
}

}  // namespace

Result<DataFolder> open_data_folder(base::Disk& disk, const std::string& path, base::Clock& clock,
                                    base::Random& random) {
  const std::string marker = path + "/TARN";
  const auto info = disk.stat(path);
  if (info && !info->is_directory)
    return Error(Code::kInvalid, "data folder", fmt::format("{} is a file, not a folder", path));
  if (!info && info.error().code() != Code::kNotFound) return info.error();
  if (info) {
    TRY_LET(const auto names, disk.list(path));
    const bool marked = std::find(names.begin(), names.end(), "TARN") != names.end();
    for (const auto& name : names)
      if (!marked && !name.starts_with("TARN") &&
          std::find(std::begin(kHarmless), std::end(kHarmless), name) == std::end(kHarmless))
        return Error(
            Code::kInvalid, "data folder",
            fmt::format("{} holds {} and no TARN file: name an empty folder, or one that tarn made", path, name));
    if (marked) {
      TRY_LET(const std::string text, disk.read_all(marker));
      TRY(check_marker(path, text));
    }
  } else {
    TRY(disk.make_directories(path));
  }

  auto lock = disk.lock(path + "/lock");
  if (!lock && lock.error().code() == Code::kBusy) {
    const auto address = disk.read_all(path + "/address");
    return Error(Code::kBusy, "data folder",
                 fmt::format("{} is in use by another server{}: stop it, or name another folder with --data", path,
                             address ? " at " + address->substr(0, address->find('\n')) : ""));
  }
  if (!lock) return lock.error();

  DataFolder folder{path, {}, std::move(*lock)};
  auto text = disk.read_all(marker);
  if (text) {
    TRY_LET(folder.installation_id, check_marker(path, *text));
    return folder;
  }
  if (text.error().code() != Code::kNotFound) return text.error();
  folder.installation_id = base::uuid7(clock, random);
  const Json made = Json::object({{"installation_id", folder.installation_id},
                                  {"format", kFolderFormat},
                                  {"minimum_reader", kFolderMinimumReader},
                                  {"created", base::rfc3339(clock.wall_ms())}});
  TRY(disk.write_atomic(marker, made.dump_pretty() + "\n"));
  return folder;
}

}  // namespace tarn::server
