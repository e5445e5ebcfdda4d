#include "engine/history.h"

#include <sstream>

#include <fmt/core.h>

#include "base/disk.h"
#include "block/local.h"
#include "kv/rocks.h"
#include "versioning/recovery.h"

namespace tarn::bench {
namespace {

/// The ids of some commits of "main", by the number of commits that lead to them, themselves included.
std::string marks_of(Place& place, uint64_t commits) {
  std::string marks;
  for (uint64_t height = 10; height <= commits; height *= 10) {
    const auto at = place.at(fmt::format("main~{}", commits - height)).commit;
    marks += fmt::format("{} {}\n", height, at.id.hex());
  }
  return marks;
}

}  // namespace

void prepare_history(const std::string& folder, uint64_t commits) {
  if (base::system_disk().stat(folder + "/ready")) return;
  versioning::testing::LongHistory how;
  how.commits = commits;
  how.hit = 2;
  how.name = kRepository;
  const Context ctx;
  versioning::testing::WrittenHistory history;
  must(base::system_disk().make_directories(folder + "/blocks"));
  const double written = seconds([&] {
    const auto blocks = must(block::open_local_store(base::system_disk(), folder + "/blocks"));
    history =
        must(versioning::testing::write_long_history(ctx, *blocks, base::system_clock(), base::system_random(), how));
  });
  const double recovered = seconds([&] {
    const auto kv = must(kv::open_rocks_store(folder + "/kv"));
    const auto blocks = must(block::open_local_store(base::system_disk(), folder + "/blocks"));
    const auto report = must(versioning::recover(ctx, *kv, *blocks, base::system_clock(), base::system_random()));
    if (!report.whole() || report.repositories.size() != 1 || report.repositories[0].commits != commits)
      give_up("the history did not come back whole");
  });
  Place place(folder);
  must(place.engine->create_branch(ctx, place.repository, "side", history.first.hex()));
  must(place.engine->stage(ctx, place.repository, "side", "side/only", own_entry(7, 7)));
  place.commit("side");
  must(base::system_disk().write_atomic(folder + "/marks", marks_of(place, commits)));
  must(base::system_disk().write_atomic(folder + "/ready", "1"));
  std::fprintf(stderr, "  a history of %s commits written in %.1f s, recovered in %.1f s\n", power(commits).c_str(),
               written, recovered);
}

std::vector<std::pair<uint64_t, versioning::CommitId>> history_marks(const std::string& folder) {
  std::istringstream text(must(base::system_disk().read_all(folder + "/marks")));
  std::vector<std::pair<uint64_t, versioning::CommitId>> marks;
  uint64_t height = 0;
  std::string hex;
  while (text >> height >> hex) {
    const auto id = versioning::CommitId::from_hex(hex);
    if (!id) give_up("the marks of the history are damaged");
    marks.emplace_back(height, *id);
  }
  return marks;
}

}  // namespace tarn::bench
