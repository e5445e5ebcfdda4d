#pragma once
// The commands on a data folder that no server uses: bring it back, check it (docs/recovery.md).
#include <string>
#include <vector>

#include "base/disk.h"

namespace tarn::server {

/// `tarn recover`: rebuilds the key-value store from the object store. @return 0; 1 could not (the old store is as it
/// was); 2 wrong options; 3 done, and something could not be brought back.
int recover(const std::vector<std::string>& arguments);
/// `tarn fsck`: checks everything that is stored. @return 0 clean; 1 could not be checked; 2 wrong options; 3 lies
/// found.
int fsck(const std::vector<std::string>& arguments);

/// Whether a folder has objects and no key-value store: starting it would begin with nothing.
Result<bool> lost_its_records(base::Disk& disk, const std::string& folder);

}  // namespace tarn::server
