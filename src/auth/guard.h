#pragma once
// May this principal do that? Deny by default; no I/O.
#include <string>
#include <string_view>

#include "auth/principal.h"
#include "base/result.h"

namespace tarn::auth {

enum class Action {
  kListRepositories,
  kReadRepository,
  kCreateRepository,
  kUpdateRepository,
  kDeleteRepository,
  kListBranches,
  kReadBranch,
  kCreateBranch,
  kDeleteBranch,
  kRevertBranch,  ///< reset, hard reset, revert
  kListTags,
  kReadTag,
  kCreateTag,
  kDeleteTag,
  kListCommits,
  kReadCommit,
  kCreateCommit,  ///< commit, merge, cherry-pick
  kListObjects,
  kReadObject,
  kWriteObject,
  kDeleteObject,
  kImportFromStorage,
  kImportCancel,
  kReadProtection,
  kWriteProtection,
  kReadConfig,
  kReadUser,
  kListUsers,
  kCreateUser,
  kDeleteUser,
  kListCredentials,
  kCreateCredentials,
  kDeleteCredentials,
  kReadMesh,   ///< any record of the mesh
  kWriteMesh,  ///< propose, onboard, publish … in the resource's repository
  kAdminMesh,  ///< clock, domains, channels
};

/// "fs:ReadObject" and so on: the names of the policy language, also in denials and logs.
std::string_view name_of(Action action);

/// What the action touches; what does not apply stays empty. Paths are decoded and exact.
struct Resource {
  std::string_view repository, ref, path, user;
};

/// Administrators may everything; users read every repository and write where granted, and see to their own user;
/// attempts as their scope says. Threads: any. Cost: a few comparisons.
class Guard {
 public:
  /// Errors: kForbidden, subject "permissions".
  static Result<void> allow(const Principal& principal, Action action, const Resource& resource);
};

}  // namespace tarn::auth
