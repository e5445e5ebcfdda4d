// What REST answers about repositories: one line an operation, in the order of the API description.
#include "rest/handlers.h"
#include "rest/routes.h"

namespace tarn::rest {
namespace {

using auth::Action;
using http::Method;

constexpr std::string_view kRepo = "/repositories/{repository}";
constexpr std::string_view kBranch = "/repositories/{repository}/branches/{branch}";
constexpr std::string_view kRef = "/repositories/{repository}/refs/{ref}";

std::string operator+(std::string_view base, const char* rest) { return std::string(base) + rest; }

}  // namespace

std::vector<Route> repository_routes() {
  return {
      // Repositories and their settings.
      {Method::kGet, "/repositories", "listRepositories", Action::kListRepositories, list_repositories},
      {Method::kPost, "/repositories", "createRepository", Action::kListRepositories, create_repository},
      {Method::kGet, kRepo + "", "getRepository", Action::kReadRepository, get_repository},
      {Method::kDelete, kRepo + "", "deleteRepository", Action::kDeleteRepository, delete_repository},
      {Method::kGet, kRepo + "/metadata", "getRepositoryMetadata", Action::kReadRepository, get_repository_metadata},
      {Method::kPost, kRepo + "/metadata", "setRepositoryMetadata", Action::kUpdateRepository, set_repository_metadata},
      {Method::kDelete, kRepo + "/metadata", "deleteRepositoryMetadata", Action::kUpdateRepository,
       delete_repository_metadata},
      {Method::kGet, kRepo + "/settings/branch_protection", "getBranchProtectionRules", Action::kReadProtection,
       get_branch_protection_rules},
      {Method::kPut, kRepo + "/settings/branch_protection", "setBranchProtectionRules", Action::kWriteProtection,
       set_branch_protection_rules},
      {Method::kGet, kRepo + "/branch_protection", "internalGetBranchProtectionRules", Action::kReadProtection,
       get_branch_protection_rules},
      {Method::kPost, kRepo + "/branch_protection", "internalCreateBranchProtectionRule", Action::kWriteProtection,
       create_branch_protection_rule},
      {Method::kDelete, kRepo + "/branch_protection", "internalDeleteBranchProtectionRule", Action::kWriteProtection,
       delete_branch_protection_rule},
      {Method::kGet, kRepo + "/branch_protection/set_allowed", "createBranchProtectionRulePreflight",
       Action::kWriteProtection, preflight},
      {Method::kPost, kRepo + "/fold", "foldPacks", Action::kUpdateRepository, fold_packs},  // Tarn's own
      // Tags and branches.
      {Method::kGet, kRepo + "/tags", "listTags", Action::kListTags, list_tags},
      {Method::kPost, kRepo + "/tags", "createTag", Action::kCreateTag, create_tag},
      {Method::kGet, kRepo + "/tags/{tag}", "getTag", Action::kReadTag, get_tag},
      {Method::kDelete, kRepo + "/tags/{tag}", "deleteTag", Action::kDeleteTag, delete_tag},
      {Method::kGet, kRepo + "/branches", "listBranches", Action::kListBranches, list_branches},
      {Method::kPost, kRepo + "/branches", "createBranch", Action::kCreateBranch, create_branch},
      {Method::kGet, kBranch + "", "getBranch", Action::kReadBranch, get_branch},
      {Method::kDelete, kBranch + "", "deleteBranch", Action::kDeleteBranch, delete_branch},
      {Method::kPut, kBranch + "", "resetBranch", Action::kRevertBranch, reset_branch, Deadline::kNone},
      {Method::kPut, kBranch + "/hard_reset", "hardResetBranch", Action::kRevertBranch, hard_reset_branch,
       Deadline::kNone},
      // History.
      {Method::kPost, kBranch + "/commits", "commit", Action::kCreateCommit, commit, Deadline::kNone},
      {Method::kGet, kRepo + "/commits/{ref}", "getCommit", Action::kReadCommit, get_commit},
      {Method::kGet, kRef + "/commits", "logCommits", Action::kListCommits, log_commits},
      {Method::kPost, kBranch + "/revert", "revertBranch", Action::kRevertBranch, revert_branch, Deadline::kNone},
      {Method::kPost, kBranch + "/cherry-pick", "cherryPick", Action::kCreateCommit, cherry_pick, Deadline::kNone},
      {Method::kPost, kRepo + "/refs/{sourceRef}/merge/{branch}", "mergeIntoBranch", Action::kCreateCommit,
       merge_into_branch, Deadline::kNone},
      {Method::kGet, kRepo + "/refs/{sourceRef}/merge/{branch}", "findMergeBase", Action::kListCommits,
       find_merge_base},
      {Method::kGet, kRepo + "/refs/{sourceRef}/merge/{branch}/conflicts", "listConflicts", Action::kListObjects,
       list_conflicts},  // Tarn's own
      {Method::kGet, kBranch + "/diff", "diffBranch", Action::kListObjects, diff_branch},
      {Method::kGet, kRepo + "/refs/{leftRef}/diff/{rightRef}", "diffRefs", Action::kListObjects, diff_refs},
      // Objects.
      {Method::kPost, kBranch + "/objects", "uploadObject", Action::kWriteObject, upload_object, Deadline::kNone},
      {Method::kDelete, kBranch + "/objects", "deleteObject", Action::kDeleteObject, delete_object},
      {Method::kPost, kBranch + "/objects/delete", "deleteObjects", Action::kListObjects, delete_objects},
      {Method::kPost, kBranch + "/objects/copy", "copyObject", Action::kListObjects, copy_object},
      {Method::kGet, kBranch + "/objects/stage_allowed", "uploadObjectPreflight", Action::kWriteObject, preflight},
      {Method::kPut, kBranch + "/objects/stat/user_metadata", "updateObjectUserMetadata", Action::kWriteObject,
       update_object_user_metadata},
      {Method::kGet, kRef + "/objects", "getObject", Action::kReadObject, get_object, Deadline::kNone},
      {Method::kHead, kRef + "/objects", "headObject", Action::kReadObject, head_object},
      {Method::kGet, kRef + "/objects/stat", "statObject", Action::kReadObject, stat_object},
      {Method::kGet, kRef + "/objects/ls", "listObjects", Action::kListObjects, list_objects},
      {Method::kGet, kRef + "/objects/underlyingProperties", "getUnderlyingProperties", Action::kReadObject,
       get_underlying_properties},
      // Imports.
      {Method::kPost, kBranch + "/import", "importStart", Action::kImportFromStorage, import_start, Deadline::kNone},
      {Method::kGet, kBranch + "/import", "importStatus", Action::kReadBranch, import_status},
      {Method::kDelete, kBranch + "/import", "importCancel", Action::kImportCancel, import_cancel},
  };
}

}  // namespace tarn::rest
