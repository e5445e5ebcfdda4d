#pragma once
// The store in memory: for tests and simulation. Lost when it goes.
#include <memory>

#include "base/clock.h"
#include "kv/store.h"

namespace tarn::kv {

/// Same contract as the durable store, sync aside. `clock` decides deadlines only and outlives the store.
/// Cost: one lock; old versions of a row live while a view may see them.
std::unique_ptr<Store> make_memory_store(base::Clock& clock = base::system_clock());

}  // namespace tarn::kv
