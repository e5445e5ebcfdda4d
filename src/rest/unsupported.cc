#include "rest/routes.h"

namespace tarn::rest {
namespace {

struct Row {
  http::Method method;
  std::string_view pattern;
  std::string_view operation;
  std::string_view why;
};

constexpr std::string_view kPolicies =
    "groups and policies do not exist here yet: grant with writable_repositories of a user";
constexpr std::string_view kActions = "hooks do not exist here yet: the mesh's gates test what lands on a branch";
constexpr std::string_view kCollection =
    "clean-up of unreferenced objects does not exist here yet: nothing is ever deleted";
constexpr std::string_view kPulls = "pull requests do not exist here yet: merge, or propose through the mesh";
constexpr std::string_view kDump = "dump and restore do not exist here yet: copy the data folder of a stopped server";
constexpr std::string_view kStaging = "the object store is not reachable by clients: upload through this server";
constexpr std::string_view kFormat = "metadata is not stored as ranges: list objects, or diff two refs";
constexpr std::string_view kSignIn = "sign in with an access key";

using http::Method;

constexpr Row kRows[] = {
    {Method::kPost, "/setup_comm_prefs", "setupCommPrefs", "no e-mail address is asked for"},
    {Method::kPost, "/auth/external/principal/login", "externalPrincipalLogin", kSignIn},
    {Method::kPost, "/sts/login", "stsLogin", kSignIn},
    {Method::kGet, "/oidc/callback", "oauthCallback", kSignIn},
    {Method::kGet, "/usage-report/summary", "getUsageReportSummary", "no usage is recorded"},
    {Method::kGet, "/config/garbage-collection", "getGarbageCollectionConfig", kCollection},
    {Method::kGet, "/auth/groups", "listGroups", kPolicies},
    {Method::kPost, "/auth/groups", "createGroup", kPolicies},
    {Method::kGet, "/auth/groups/{group}", "getGroup", kPolicies},
    {Method::kDelete, "/auth/groups/{group}", "deleteGroup", kPolicies},
    {Method::kGet, "/auth/groups/{group}/members", "listGroupMembers", kPolicies},
    {Method::kPut, "/auth/groups/{group}/members/{user}", "addGroupMembership", kPolicies},
    {Method::kDelete, "/auth/groups/{group}/members/{user}", "deleteGroupMembership", kPolicies},
    {Method::kGet, "/auth/groups/{group}/policies", "listGroupPolicies", kPolicies},
    {Method::kPut, "/auth/groups/{group}/policies/{policy}", "attachPolicyToGroup", kPolicies},
    {Method::kDelete, "/auth/groups/{group}/policies/{policy}", "detachPolicyFromGroup", kPolicies},
    {Method::kGet, "/auth/groups/{group}/acl", "getGroupACL", kPolicies},
    {Method::kPost, "/auth/groups/{group}/acl", "setGroupACL", kPolicies},
    {Method::kGet, "/auth/policies", "listPolicies", kPolicies},
    {Method::kPost, "/auth/policies", "createPolicy", kPolicies},
    {Method::kGet, "/auth/policies/{policy}", "getPolicy", kPolicies},
    {Method::kPut, "/auth/policies/{policy}", "updatePolicy", kPolicies},
    {Method::kDelete, "/auth/policies/{policy}", "deletePolicy", kPolicies},
    {Method::kGet, "/auth/users/{user}/groups", "listUserGroups", kPolicies},
    {Method::kGet, "/auth/users/{user}/policies", "listUserPolicies", kPolicies},
    {Method::kPut, "/auth/users/{user}/policies/{policy}", "attachPolicyToUser", kPolicies},
    {Method::kDelete, "/auth/users/{user}/policies/{policy}", "detachPolicyFromUser", kPolicies},
    {Method::kPost, "/auth/users/{user}/external/principals", "createUserExternalPrincipal", kSignIn},
    {Method::kDelete, "/auth/users/{user}/external/principals", "deleteUserExternalPrincipal", kSignIn},
    {Method::kGet, "/auth/users/{user}/external/principals/ls", "listUserExternalPrincipals", kSignIn},
    {Method::kGet, "/auth/external/principals", "getExternalPrincipal", kSignIn},
    {Method::kGet, "/repositories/{repository}/settings/gc_rules", "getGCRules", kCollection},
    {Method::kPut, "/repositories/{repository}/settings/gc_rules", "setGCRules", kCollection},
    {Method::kDelete, "/repositories/{repository}/settings/gc_rules", "deleteGCRules", kCollection},
    {Method::kGet, "/repositories/{repository}/gc/rules/set_allowed", "setGarbageCollectionRulesPreflight",
     kCollection},
    {Method::kGet, "/repositories/{repository}/gc/rules", "internalGetGarbageCollectionRules", kCollection},
    {Method::kPost, "/repositories/{repository}/gc/rules", "internalSetGarbageCollectionRules", kCollection},
    {Method::kDelete, "/repositories/{repository}/gc/rules", "internalDeleteGarbageCollectionRules", kCollection},
    {Method::kPost, "/repositories/{repository}/gc/prepare_commits", "prepareGarbageCollectionCommits", kCollection},
    {Method::kPost, "/repositories/{repository}/gc/prepare_commits/async", "prepareGarbageCollectionCommitsAsync",
     kCollection},
    {Method::kGet, "/repositories/{repository}/gc/prepare_commits/status", "prepareGarbageCollectionCommitsStatus",
     kCollection},
    {Method::kPost, "/repositories/{repository}/gc/prepare_uncommited", "prepareGarbageCollectionUncommitted",
     kCollection},
    {Method::kPut, "/repositories/{repository}/refs/dump", "dumpRefs", kDump},
    {Method::kPut, "/repositories/{repository}/refs/restore", "restoreRefs", kDump},
    {Method::kPost, "/repositories/{repository}/dump", "dumpSubmit", kDump},
    {Method::kGet, "/repositories/{repository}/dump", "dumpStatus", kDump},
    {Method::kPost, "/repositories/{repository}/restore", "restoreSubmit", kDump},
    {Method::kGet, "/repositories/{repository}/restore", "restoreStatus", kDump},
    {Method::kPost, "/repositories/{repository}/commits", "CreateCommitRecord", kDump},
    {Method::kGet, "/repositories/{repository}/branches/{branch}/staging/backing", "getPhysicalAddress", kStaging},
    {Method::kPut, "/repositories/{repository}/branches/{branch}/staging/backing", "linkPhysicalAddress", kStaging},
    {Method::kPut, "/repositories/{repository}/branches/{branch}/objects", "stageObject", kStaging},
    {Method::kPost, "/repositories/{repository}/branches/{branch}/staging/pmpu", "createPresignMultipartUpload",
     kStaging},
    {Method::kPut, "/repositories/{repository}/branches/{branch}/staging/pmpu/{upload}",
     "completePresignMultipartUpload", kStaging},
    {Method::kDelete, "/repositories/{repository}/branches/{branch}/staging/pmpu/{upload}",
     "abortPresignMultipartUpload", kStaging},
    {Method::kPut, "/repositories/{repository}/branches/{branch}/staging/pmpu/{upload}/parts/{part}", "uploadPart",
     kStaging},
    {Method::kPut, "/repositories/{repository}/branches/{branch}/staging/pmpu/{upload}/parts/{part}/copy",
     "uploadPartCopy", kStaging},
    {Method::kPost, "/repositories/{repository}/refs/{branch}/symlink", "createSymlinkFile", kStaging},
    {Method::kGet, "/repositories/{repository}/actions/runs", "listRepositoryRuns", kActions},
    {Method::kGet, "/repositories/{repository}/actions/runs/{run}", "getRun", kActions},
    {Method::kGet, "/repositories/{repository}/actions/runs/{run}/hooks", "listRunHooks", kActions},
    {Method::kGet, "/repositories/{repository}/actions/runs/{run}/hooks/{hook}/output", "getRunHookOutput", kActions},
    {Method::kGet, "/repositories/{repository}/metadata/object/{type}/{object}", "getMetadataObject", kFormat},
    {Method::kGet, "/repositories/{repository}/metadata/meta_range/{id}", "getMetaRange", kFormat},
    {Method::kGet, "/repositories/{repository}/metadata/range/{id}", "getRange", kFormat},
    {Method::kGet, "/repositories/{repository}/pulls", "listPullRequests", kPulls},
    {Method::kPost, "/repositories/{repository}/pulls", "createPullRequest", kPulls},
    {Method::kGet, "/repositories/{repository}/pulls/{pull}", "getPullRequest", kPulls},
    {Method::kPatch, "/repositories/{repository}/pulls/{pull}", "updatePullRequest", kPulls},
    {Method::kPut, "/repositories/{repository}/pulls/{pull}/merge", "mergePullRequest", kPulls},
};

}  // namespace

std::vector<Route> unsupported_routes() {
  std::vector<Route> out;
  for (const Row& row : kRows)
    out.push_back({row.method, std::string(row.pattern), std::string(row.operation), auth::Action::kReadConfig,
                   [&row](Call&) -> Result<http::Response> {
                     return Error(Code::kUnsupported, std::string(row.operation),
                                  std::string(row.operation) + " is not supported: " + std::string(row.why));
                   }});
  return out;
}

}  // namespace tarn::rest
