#pragma once
// The object store of a data folder, and the cache in front of it when the settings ask for one.
#include <memory>
#include <string>

#include "base/disk.h"
#include "block/store.h"
#include "server/config.h"
#include "server/data_folder.h"

namespace tarn::server {

/// Destroyed in the right order: the cache first.
struct ObjectStore {
  std::unique_ptr<block::Store> local;
  std::unique_ptr<block::Store> cache;  ///< null without storage.cache.folder
  block::Store& front() const { return cache ? *cache : *local; }
};

/// Opens FOLDER/objects. A cache makes sense when objects/ is a link to, or a mount of, something slower than the
/// cache's folder, or when the whole data folder is.
///
/// Errors: kInvalid (a cache within the objects or around them; one in the data folder beside its own objects; a limit
///         below 16 MiB), kBusy (another server has the cache), and those of the folders.
Result<ObjectStore> open_object_store(base::Disk& disk, const DataFolder& folder, const Config& config);

}  // namespace tarn::server
