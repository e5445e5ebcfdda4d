#pragma once
// The mesh's say at versioning's gate: what moves a product's trunk, and who may stage where.
#include "mesh/world.h"
#include "versioning/gate.h"

namespace tarn::mesh {

class MeshPolicy final : public versioning::LandingPolicy {
 public:
  explicit MeshPolicy(kv::Store& store) : records_(store) {}
  Result<void> review(const Context& ctx, const versioning::Repository& repository,
                      const versioning::Candidate& candidate, const versioning::Pass* pass) override;
  Result<bool> concerns(const Context& ctx, const versioning::Repository& repository, std::string_view branch) override;
  Result<void> admit_write(const Context& ctx, const versioning::Repository& repository,
                           std::string_view branch) override;

 private:
  Result<bool> is_product(const Context& ctx, const versioning::Repository& repository) const;
  Records records_;
};

}  // namespace tarn::mesh
