// The contract suite over every back end.
#include "kv/testing/store_contract.h"

#include "base/testing/scratch.h"
#include "kv/memory.h"
#include "kv/rocks.h"

namespace tarn::kv::testing {
namespace {

class MemoryBench final : public Bench {
 public:
  Store& store() override { return *store_; }
  bool reopen() override { return false; }

 private:
  std::unique_ptr<Store> store_ = make_memory_store();
};

class RocksBench final : public Bench {
 public:
  RocksBench() { open(); }
  Store& store() override { return *store_; }
  bool reopen() override {
    store_.reset();
    open();
    return true;
  }

 private:
  void open() { store_ = open_rocks_store(folder_.path("kv"), {.reserve_bytes = 0}).value(); }
  base::testing::ScratchFolder folder_;
  std::unique_ptr<Store> store_;
};

INSTANTIATE_TEST_SUITE_P(Memory, StoreContract,
                         ::testing::Values(Maker{"memory", [] { return std::make_unique<MemoryBench>(); }}),
                         name_of_maker);
INSTANTIATE_TEST_SUITE_P(Rocks, StoreContract,
                         ::testing::Values(Maker{"rocks", [] { return std::make_unique<RocksBench>(); }}),
                         name_of_maker);

}  // namespace
}  // namespace tarn::kv::testing
