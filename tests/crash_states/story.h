#pragma once
// One story of the whole engine on real stores over a recorded disk, and what its clients were told.
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/testing/simulated_disk.h"
#include "block/store.h"
#include "kv/store.h"
#include "versioning/engine.h"

namespace tarn::crash_states {

using base::testing::Crash;
using base::testing::DiskStep;
using base::testing::SimulatedDisk;

/// A count of disk operations. What was asked for at moment m can have done operation m and later ones; what returned
/// at moment m did none from m on.
using Moment = size_t;
inline constexpr Moment kNever = SIZE_MAX;

/// What the refs of one client show: compared as text, so that a failure can be read.
struct Shown {
  std::string text;
  std::map<std::string, std::string> refs;  ///< "branch main" -> commit
};

struct Call {
  std::string what;
  Moment invoked = kNever, returned = kNever;
};

/// One client works on refs of its own, one call after the other.
struct Client {
  std::string prefix;  ///< of its branches and tags
  std::vector<Call> calls;
  std::vector<Shown> states;  ///< states[k]: after k calls
};

/// An object of the object store beside the refs.
struct Blob {
  std::string bytes;
  Moment put_invoked = kNever, put_returned = kNever, remove_invoked = kNever, remove_returned = kNever;
};

/// What was in the ref journal for certain.
struct Flushed {
  Moment returned = kNever;
  std::vector<size_t> calls;  ///< of each client, that had returned when it began
};

/// How the stores are opened. Without syncs something acknowledged must get lost: the positive control.
struct Setting {
  bool kv_syncs = true, object_syncs = true, folder_syncs = true;
  bool all_sync() const { return kv_syncs && object_syncs && folder_syncs; }
};

struct Recording {
  uint64_t seed = 0, trace = 0;  ///< trace: of the order of the disk operations
  std::vector<DiskStep> steps;
  Call created;  ///< the repository
  std::vector<Client> clients;
  std::map<std::string, Blob> blobs;  ///< by name
  std::vector<Flushed> flushes;
  std::string broken;  ///< why the story did not come to its end: a fault of the engine or of the harness
};

Recording tell(uint64_t seed, const Setting& setting);
/// Again until the disk operations come in the order of `trace`: RocksDB's own threads, which compact, obey no seed.
/// 0: any order.
Recording tell(uint64_t seed, const Setting& setting, uint64_t trace);

/// The server over a disk. Members go in the order opposite to this.
struct Server {
  std::unique_ptr<kv::Store> kv;
  std::unique_ptr<block::Store> blocks;
  std::unique_ptr<versioning::Engine> engine;
};
struct Opening {
  uint64_t memtable_bytes = 256 << 10;
  bool kv_syncs = true, cut_damaged_log = false;
  int64_t fold_from = 0;
};
Result<std::unique_ptr<Server>> start(SimulatedDisk& disk, base::Clock& clock, base::Random& random,
                                      const Opening& opening);

Result<Shown> show(const Context& ctx, versioning::Engine& engine, const versioning::Repository& repository,
                   const std::string& prefix);
std::string blob_bytes(uint64_t seed, uint64_t id, size_t size);
tree::Entry entry_of(const std::string& bytes, uint64_t id);
std::string blob_name(uint64_t id);

/// What is wrong with a disk that a crash left.
struct Verdict {
  enum class Kind { kLost, kResurrected, kHalf, kLie, kNotOpened, kNoFurther } kind = Kind::kHalf;
  std::string text;
};
const char* name_of(Verdict::Kind kind);

struct Checked {
  std::vector<Verdict> wrong;
  bool log_cut = false;      ///< the key-value store had to be told that the power failed
  size_t opening_steps = 0;  ///< operations of the opening, for a crash in it
};
/// Opens the engine on `disk`, which is what a crash before operation `at` left, and holds it to the recording.
/// @param torn  sectors may be missing before the end of a file.
/// @param dice  which of the dear checks are made. @param steps  takes the operations of the opening.
Checked check(const Recording& recording, SimulatedDisk& disk, Moment at, bool torn, uint64_t dice,
              std::vector<DiskStep>* steps);

}  // namespace tarn::crash_states
