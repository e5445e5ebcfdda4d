#pragma once
// What the clients of a simulated run do, and what they saw.
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "versioning/testing/graph_order.h"
#include "versioning/testing/linear_models.h"
#include "versioning/types.h"
#include "world.h"

namespace tarn::simulation {

using versioning::testing::kSmallKeys;
using versioning::testing::SmallMap;

inline const std::string kPaths[kSmallKeys] = {"a/0", "a/1", "b/0", "b/1"};

struct Op {
  enum class Kind {
    kPut,
    kPutIfAbsent,
    kPutIfMatch,
    kPutMany,
    kPutOnce,
    kRemove,
    kGet,
    kList,
    kGetCommitted,
    kReadHead,
    kIsDirty,
    kCommit,
    kMerge,
    kRevert,
    kCherryPick,
    kImport,
    kReset,
    kHardReset,
    kCreateBranch,
    kDeleteBranch,
    kCreateTag,
    kForceTag,
    kDeleteTag,
    kGetTag,
    kFold,
    kFlush
  } kind = Kind::kGet;
  int id = 0;  ///< its place in the story; also the value that it writes, plus one
  int client = 0;
  std::string name;  ///< branch or tag
  size_t key = 0;
  uint64_t dice = 0;  ///< chooses among what is there when it runs
};
const char* name_of(Op::Kind kind);

/// What kind of run a seed is.
struct Plan {
  enum class Profile { kObjects, kBranches, kRefs, kOrder } profile = Profile::kObjects;
  Faults faults;
  int crashes = 0;
  Simulation::Choice choice = Simulation::Choice::kUniform;
  size_t fold_from = 0, cache_bytes = 1 << 20;
  int64_t journal_ms = 0;
  int clients = 4;
  std::vector<Op> ops;
};
Plan make_plan(uint64_t seed);

struct Record {
  Op op;
  int64_t invoked = 0, returned = base::testing::kNeverReturned;
  enum class Outcome { kDone, kRefused, kUnknown } outcome = Outcome::kUnknown;
  Code code = Code::kInternal;
  std::string subject, message;
  int value = 0, expected = 0;  ///< what a get saw; what a put-if-match expected
  SmallMap map{};
  std::string commit;  ///< that landed, that a read gave, that a ref was set to
  std::string source;  ///< merge: its branch; revert, cherry-pick: the commit
};

/// What lies in the stores at the end.
struct KnownCommit {
  std::vector<std::string> parents;
  std::string message;
  uint64_t generation = 0;
  SmallMap map{};
  std::set<std::string> once;  ///< paths that are written once
};
struct Ending {
  std::map<std::string, KnownCommit> commits;
  std::map<std::string, std::string> heads;
  std::map<std::string, std::set<std::string>> staged_once;  ///< by branch
  std::vector<std::string> wrong;                            ///< what the checks of the end found
};

struct Played {
  Plan plan;
  std::string first_commit;
  std::vector<Record> records;
  Ending ending;
  int64_t steps = 0, crashes = 0, undecided = 0;
  uint64_t trace = 0;
  std::vector<std::string> wrong;
};

/// @param keep      only these of the plan's operations; nullopt: all.
/// @param schedule  another order of the same story; 0: the seed's own.
/// @param stores    in memory, or RocksDB and the local object store on a simulated disk: other orders, too.
enum class Stores { kMemory, kDisk };
Played play(uint64_t seed, const std::optional<std::set<int>>& keep, uint64_t schedule, Stores stores);
/// Fills in `wrong`.
void judge(Played& played);
std::string to_text(const Record& record);

}  // namespace tarn::simulation
