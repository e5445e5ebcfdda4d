#include "server/object_store.h"

#include <filesystem>

#include <fmt/format.h>

#include "base/log.h"
#include "block/disk_cache.h"
#include "block/local.h"

namespace tarn::server {
namespace {

constexpr int64_t kCacheBytesMin = 16 << 20;
constexpr std::string_view kFolder = "storage.cache.folder", kBytes = "storage.cache.bytes";

bool is_inside(const std::string& path, const std::string& folder) {
  return folder == "/" || path == folder || path.starts_with(folder + "/");
}

/// Where a folder is, or would be made: links resolved as far as there are any.
Result<std::string> place_of(base::Disk& disk, const std::string& given) {
  const std::filesystem::path path = std::filesystem::absolute(given).lexically_normal();
  std::filesystem::path there = path, missing;
  while (true) {
    auto real = disk.real_path(there.string());
    if (real) return missing.empty() ? *real : (std::filesystem::path(*real) / missing).string();
    if (real.error().code() != Code::kNotFound || there == there.root_path()) return real;
    if (there.has_filename()) missing = missing.empty() ? there.filename() : there.filename() / missing;
    there = there.parent_path();
  }
}

Error refused(const Config& config, std::string_view key, const std::string& why) {
  return Error(Code::kInvalid, "config", fmt::format("{}: {} {}", config.at(key).from, key, why));
}

Result<std::unique_ptr<block::Store>> open_cache(base::Disk& disk, const DataFolder& folder, const Config& config,
                                                 block::Store& local) {
  TRY_LET(const std::string cache, place_of(disk, config.text(kFolder)));
  TRY_LET(const std::string objects, disk.real_path(folder.path + "/objects"));
  TRY_LET(const std::string data, disk.real_path(folder.path));
  if (is_inside(cache, objects) || is_inside(objects, cache))
    return refused(config, kFolder,
                   fmt::format("is {} and the objects lie in {}: name a folder apart from them, on a faster disk",
                               cache, objects));
  if (is_inside(cache, data) && is_inside(objects, data))
    return refused(config, kFolder,
                   fmt::format("is {}, beside the objects in {}: on the same disk a cache only costs; name a folder on "
                               "a faster disk than that of the data folder, or leave it out",
                               cache, objects));
  const int64_t bytes = config.number(kBytes);
  if (bytes < kCacheBytesMin)
    return refused(config, kBytes, fmt::format("must be at least {}, not {}", kCacheBytesMin, bytes));
  block::DiskCacheOptions options;
  options.bytes_max = static_cast<uint64_t>(bytes);
  options.store = folder.installation_id;
  auto opened = block::DiskCache::open(disk, cache, local, std::move(options));
  if (!opened)
    return opened.error().wrap(
        opened.error().code(), "disk cache",
        fmt::format("{} {} cannot be used: {}; repair it, name another, or leave it out to start without a cache",
                    kFolder, cache, opened.error().message()));
  base::log(base::Level::kInfo, "objects are read through the disk cache",
            {{"folder", cache}, {"bytes", std::to_string((*opened)->stats().bytes)}, {"limit", std::to_string(bytes)}});
  return std::unique_ptr<block::Store>(std::move(*opened));
}

}  // namespace

Result<ObjectStore> open_object_store(base::Disk& disk, const DataFolder& folder, const Config& config) {
  ObjectStore store;
  TRY_LET(store.local, block::open_local_store(disk, folder.path + "/objects"));
  if (config.text(kFolder).empty()) return store;
  TRY_LET(store.cache, open_cache(disk, folder, config, *store.local));
  return store;
}

}  // namespace tarn::server
