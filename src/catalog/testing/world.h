#pragma once
// A catalog over the small world of versioning's tests, for tests of the rooms above.
#include <memory>

#include "catalog/catalog.h"
#include "tasks/tasks.h"
#include "versioning/testing/world.h"

namespace tarn::catalog::testing {

class World : public versioning::testing::World {
 public:
  explicit World(versioning::testing::Backend backend, uint64_t seed = 1) : versioning::testing::World(backend, seed) {
    catalog =
        versioning::testing::must(Catalog::open(*kv, *blocks, base::system_disk(), *engine, tasks_, clock, random, {}));
  }

 private:
  tasks::Tasks tasks_{*kv, clock, random, 1};

 public:
  std::unique_ptr<Catalog> catalog;
};

}  // namespace tarn::catalog::testing
