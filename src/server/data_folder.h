#pragma once
// The data folder: whose it is, which format, and that one server at a time has it.
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/disk.h"
#include "base/random.h"

namespace tarn::server {

inline constexpr int kFolderFormat = 1;
/// What a folder written by this version asks of those that read it.
inline constexpr int kFolderMinimumReader = 1;

/// Held as long as the server runs; the lock dies with the process.
struct DataFolder {
  std::string path;
  std::string installation_id;
  std::shared_ptr<void> lock;
};

/// Checks DIR/TARN (JSON: installation_id, format, minimum_reader) and takes the lock, before anything is written;
/// makes both in a folder that is absent or empty.
///
/// Errors: kBusy (another server has it), kUnsupported (a newer version wrote it), kInvalid (the folder holds other
///         things and no TARN file), kCorrupt (a damaged TARN file), kForbidden, kNoSpace.
Result<DataFolder> open_data_folder(base::Disk& disk, const std::string& path, base::Clock& clock,
                                    base::Random& random);

}  // namespace tarn::server
