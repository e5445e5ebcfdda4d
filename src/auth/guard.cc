#include "auth/guard.h"

#include <fmt/format.h>

namespace tarn::auth {
namespace {

/// What kind of right an action needs.
enum class Need {
  kNothing,     ///< any signed-in principal
  kRead,        ///< of a repository
  kWriteFiles,  ///< of one path on one branch
  kWrite,       ///< of a repository
  kOwnUser,     ///< the user itself
  kAdmin,
};

struct Row {
  std::string_view name;
  Need need;
};

Row row_of(Action action) {
  switch (action) {
    case Action::kListRepositories:
      return {"fs:ListRepositories", Need::kNothing};
    case Action::kReadRepository:
      return {"fs:ReadRepository", Need::kRead};
    case Action::kCreateRepository:
      return {"fs:CreateRepository", Need::kWrite};
    case Action::kUpdateRepository:
      return {"fs:UpdateRepository", Need::kWrite};
    case Action::kDeleteRepository:
      return {"fs:DeleteRepository", Need::kWrite};
    case Action::kListBranches:
      return {"fs:ListBranches", Need::kRead};
    case Action::kReadBranch:
      return {"fs:ReadBranch", Need::kRead};
    case Action::kCreateBranch:
      return {"fs:CreateBranch", Need::kWrite};
    case Action::kDeleteBranch:
      return {"fs:DeleteBranch", Need::kWrite};
    case Action::kRevertBranch:
      return {"fs:RevertBranch", Need::kWrite};
    case Action::kListTags:
      return {"fs:ListTags", Need::kRead};
    case Action::kReadTag:
      return {"fs:ReadTag", Need::kRead};
    case Action::kCreateTag:
      return {"fs:CreateTag", Need::kWrite};
    case Action::kDeleteTag:
      return {"fs:DeleteTag", Need::kWrite};
    case Action::kListCommits:
      return {"fs:ListCommits", Need::kRead};
    case Action::kReadCommit:
      return {"fs:ReadCommit", Need::kRead};
    case Action::kCreateCommit:
      return {"fs:CreateCommit", Need::kWrite};
    case Action::kListObjects:
      return {"fs:ListObjects", Need::kRead};
    case Action::kReadObject:
      return {"fs:ReadObject", Need::kRead};
    case Action::kWriteObject:
      return {"fs:WriteObject", Need::kWriteFiles};
    case Action::kDeleteObject:
      return {"fs:DeleteObject", Need::kWriteFiles};
    case Action::kImportFromStorage:
      return {"fs:ImportFromStorage", Need::kWrite};
    case Action::kImportCancel:
      return {"fs:ImportCancel", Need::kWrite};
    case Action::kReadProtection:
      return {"branches:GetBranchProtectionRules", Need::kRead};
    case Action::kWriteProtection:
      return {"branches:SetBranchProtectionRules", Need::kWrite};
    case Action::kReadConfig:
      return {"fs:ReadConfig", Need::kNothing};
    case Action::kReadUser:
      return {"auth:ReadUser", Need::kOwnUser};
    case Action::kListUsers:
      return {"auth:ListUsers", Need::kAdmin};
    case Action::kCreateUser:
      return {"auth:CreateUser", Need::kAdmin};
    case Action::kDeleteUser:
      return {"auth:DeleteUser", Need::kAdmin};
    case Action::kListCredentials:
      return {"auth:ListCredentials", Need::kOwnUser};
    case Action::kCreateCredentials:
      return {"auth:CreateCredentials", Need::kOwnUser};
    case Action::kDeleteCredentials:
      return {"auth:DeleteCredentials", Need::kOwnUser};
    case Action::kReadMesh:
      return {"mesh:Read", Need::kNothing};
    case Action::kWriteMesh:
      return {"mesh:Write", Need::kWrite};
    case Action::kAdminMesh:
      return {"mesh:Admin", Need::kAdmin};
  }
  return {"unknown", Need::kAdmin};
}

bool granted(const Principal& principal, std::string_view repository) {
  if (repository.empty()) return false;
  for (const auto& pattern : principal.writable_repositories)
    if (glob_matches(pattern, repository)) return true;
  return false;
}

bool attempt_may(const AttemptScope& scope, Need need, const Resource& resource) {
  switch (need) {
    case Need::kNothing:
      return true;
    case Need::kRead:
      return resource.repository == scope.repository;
    case Need::kWriteFiles:
      if (resource.repository != scope.repository || resource.ref != scope.branch) return false;
      for (const auto& prefix : scope.write_prefixes)
        if (resource.path.starts_with(prefix)) return true;
      return false;
    case Need::kWrite:
    case Need::kOwnUser:
    case Need::kAdmin:
      return false;
  }
  return false;
}

bool user_may(const Principal& principal, Need need, const Resource& resource) {
  switch (need) {
    case Need::kNothing:
    case Need::kRead:
      return true;
    case Need::kWriteFiles:
    case Need::kWrite:
      return granted(principal, resource.repository);
    case Need::kOwnUser:
      return !resource.user.empty() && resource.user == principal.user;
    case Need::kAdmin:
      return false;
  }
  return false;
}

}  // namespace

std::string_view name_of(Action action) { return row_of(action).name; }

bool glob_matches(std::string_view pattern, std::string_view text) {
  size_t p = 0, t = 0, star = std::string_view::npos, mark = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      mark = t;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[t])) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++mark;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

Result<void> Guard::allow(const Principal& principal, Action action, const Resource& resource) {
  const Row row = row_of(action);
  const bool allowed = principal.attempt        ? attempt_may(*principal.attempt, row.need, resource)
                       : principal.user.empty() ? false
                       : principal.admin        ? true
                                                : user_may(principal, row.need, resource);
  if (allowed) return {};
  std::string on;
  if (!resource.repository.empty()) on = fmt::format(" on repository {}", resource.repository);
  if (!resource.user.empty()) on += fmt::format(" on user {}", resource.user);
  if (!resource.path.empty()) on += fmt::format(", path {}", resource.path);
  return Error(Code::kForbidden, "permissions",
               fmt::format("insufficient permissions: {} needs {}{}",
                           principal.user.empty() ? "the caller" : principal.user, row.name, on));
}

}  // namespace tarn::auth
