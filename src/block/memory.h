#pragma once
// The object store in memory: for tests and simulation. Lost when it goes.
#include <memory>

#include "base/clock.h"
#include "block/store.h"

namespace tarn::block {

/// Same contract as the local store. `clock` decides deadlines only and outlives the store.
std::unique_ptr<Store> make_memory_store(base::Clock& clock = base::system_clock());

}  // namespace tarn::block
