#pragma once
// Every handler, by file. A name is the operationId of the API description in snake_case.
#include "rest/doors.h"

namespace tarn::rest {

using Answer = Result<http::Response>;

// setup.cc
Answer get_setup_state(Call& call);
Answer setup(Call& call);
// health.cc
Answer health_check(Call& call);
Answer post_stats_events(Call& call);
// config.cc
Answer get_config(Call& call);
Answer get_version_config(Call& call);
Answer get_storage_config(Call& call);
// users.cc
Answer login(Call& call);
Answer get_current_user(Call& call);
Answer get_auth_capabilities(Call& call);
Answer list_users(Call& call);
Answer create_user(Call& call);
Answer get_user(Call& call);
Answer delete_user(Call& call);
Answer list_user_credentials(Call& call);
Answer create_credentials(Call& call);
Answer get_credentials(Call& call);
Answer delete_credentials(Call& call);
// repositories.cc
Answer list_repositories(Call& call);
Answer create_repository(Call& call);
Answer get_repository(Call& call);
Answer delete_repository(Call& call);
Answer get_repository_metadata(Call& call);
Answer set_repository_metadata(Call& call);
Answer delete_repository_metadata(Call& call);
Answer fold_packs(Call& call);
// protection.cc
Answer get_branch_protection_rules(Call& call);
Answer set_branch_protection_rules(Call& call);
Answer create_branch_protection_rule(Call& call);
Answer delete_branch_protection_rule(Call& call);
Answer preflight(Call& call);
// branches.cc
Answer list_branches(Call& call);
Answer create_branch(Call& call);
Answer get_branch(Call& call);
Answer delete_branch(Call& call);
Answer reset_branch(Call& call);
Answer hard_reset_branch(Call& call);
// tags.cc
Answer list_tags(Call& call);
Answer create_tag(Call& call);
Answer get_tag(Call& call);
Answer delete_tag(Call& call);
// commits.cc
Answer commit(Call& call);
Answer get_commit(Call& call);
Answer log_commits(Call& call);
Answer revert_branch(Call& call);
Answer cherry_pick(Call& call);
// refs.cc
Answer diff_branch(Call& call);
Answer diff_refs(Call& call);
Answer merge_into_branch(Call& call);
Answer find_merge_base(Call& call);
Answer list_conflicts(Call& call);
// objects.cc
Answer upload_object(Call& call);
Answer list_objects(Call& call);
Answer stat_object(Call& call);
Answer delete_object(Call& call);
Answer delete_objects(Call& call);
Answer copy_object(Call& call);
Answer update_object_user_metadata(Call& call);
Answer get_underlying_properties(Call& call);
// object_get.cc
Answer get_object(Call& call);
Answer head_object(Call& call);
// imports.cc
Answer import_start(Call& call);
Answer import_status(Call& call);
Answer import_cancel(Call& call);

/// commits.cc: reads the members that commits, merges and imports share.
Result<versioning::CommitSpec> commit_spec(const Call& call, const Json& body);

}  // namespace tarn::rest
