#include "mesh/policy.h"

#include <fmt/core.h>

namespace tarn::mesh {
namespace {

bool is_gated(const versioning::Repository& repository, std::string_view branch) {
  return branch == repository.default_branch || branch.substr(0, 5) == "dag--";
}

}  // namespace

Result<bool> MeshPolicy::is_product(const Context& ctx, const versioning::Repository& repository) const {
  TRY_LET(const auto index, records_.find(ctx, keys::repository(repository.name)));
  return index.has_value();
}

Result<void> MeshPolicy::review(const Context& ctx, const versioning::Repository& repository,
                                const versioning::Candidate& candidate, const versioning::Pass* pass) {
  if (pass && pass->reviewer == "mesh") return {};
  TRY_LET(const bool concerned, concerns(ctx, repository, candidate.branch));
  if (!concerned) return {};
  return Error(
      Code::kForbidden, "branch",
      fmt::format("'{}' of data product '{}' moves only by a proposal that its gate has tested: use 'tarn mesh "
                  "propose {}/<your branch>'",
                  candidate.branch, repository.name, repository.name));
}

Result<bool> MeshPolicy::concerns(const Context& ctx, const versioning::Repository& repository,
                                  std::string_view branch) {
  if (!is_gated(repository, branch)) return false;
  return is_product(ctx, repository);
}

Result<void> MeshPolicy::admit_write(const Context& ctx, const versioning::Repository& repository,
                                     std::string_view branch) {
  TRY_LET(const bool concerned, concerns(ctx, repository, branch));
  if (!concerned) return {};
  return Error(
      Code::kForbidden, "branch",
      fmt::format("'{}' of data product '{}' takes no direct writes: write to a branch of your own and propose it",
                  branch, repository.name));
}

}  // namespace tarn::mesh
