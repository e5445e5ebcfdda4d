#include "catalog/catalog.h"

#include "catalog/detail/catalog_impl.h"

namespace tarn::catalog {

Result<std::unique_ptr<Catalog>> Catalog::open(kv::Store& kv, block::Store& blocks, base::Disk& disk,
                                               versioning::Engine& engine, tasks::Tasks& tasks, base::Clock& clock,
                                               base::Random& random, Options options) {
  return std::unique_ptr<Catalog>(new CatalogImpl(kv, blocks, disk, engine, tasks, clock, random, std::move(options)));
}

CatalogImpl::CatalogImpl(kv::Store& kv, block::Store& blocks, base::Disk& disk, versioning::Engine& engine,
                         tasks::Tasks& tasks, base::Clock& clock, base::Random& random, Options options)
    : kv_(kv),
      blocks_(blocks),
      disk_(disk),
      engine_(engine),
      tasks_(tasks),
      clock_(clock),
      random_(random),
      options_(std::move(options)),
      foreign_(disk, options_.import_anywhere ? std::vector<std::string>{"/"} : options_.import_roots, clock),
      partition_(random.u64()) {
  tasks_.register_kind("import", [this](const Context& ctx, const tasks::Task& task) { return run_import(ctx, task); });
  remove_old_runs();
}

}  // namespace tarn::catalog
