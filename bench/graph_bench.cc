// The commit graph on histories of 10^4 to 10^6 commits that the pack writer wrote and recovery opened: merge base,
// path log, log pages, first use.   ninja -C build graph_bench && build/bench/graph_bench [commits]
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "base/disk.h"
#include "base/testing/scratch.h"
#include "block/local.h"
#include "kv/rocks.h"
#include "versioning/engine.h"
#include "versioning/recovery.h"
#include "versioning/testing/long_history.h"

namespace {

using namespace tarn;  // NOLINT(google-build-using-namespace)

[[noreturn]] void give_up(const std::string& why) {
  std::fprintf(stderr, "%s\n", why.c_str());
  std::exit(1);
}
template <class T>
T must(Result<T> result) {
  if (!result) give_up(result.error().text());
  return std::move(result).value();
}
void must(const Result<void>& result) {
  if (!result) give_up(result.error().text());
}

double seconds(const std::function<void()>& action) {
  const auto start = std::chrono::steady_clock::now();
  action();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

bool report(const std::string& name, int rounds, double bar_ms, const std::function<void()>& action) {
  std::vector<double> ms;
  for (int i = 0; i < rounds; ++i) ms.push_back(1000 * seconds(action));
  std::sort(ms.begin(), ms.end());
  const double p50 = ms[ms.size() / 2];
  const bool pass = bar_ms == 0 || p50 <= bar_ms;
  std::printf("  %-52s p50 %9.3f ms  max %9.3f ms", name.c_str(), p50, ms.back());
  if (bar_ms > 0) std::printf("  bar %5.1f ms  %s", bar_ms, pass ? "pass" : "MISSED");
  std::printf("\n");
  return pass;
}

/// One history, recovered into a fresh key-value store.
class History {
 public:
  History(uint64_t commits, bool forked) {
    must(base::system_disk().make_directories(folder_.path("blocks")));
    blocks = must(block::open_local_store(base::system_disk(), folder_.path("blocks")));
    versioning::testing::LongHistory how;
    how.commits = commits;
    how.forked = forked;
    how.hit = commits / 3;
    const double wrote = seconds([&] {
      written =
          must(versioning::testing::write_long_history(ctx, *blocks, base::system_clock(), base::system_random(), how));
    });
    kv = must(kv::open_rocks_store(folder_.path("kv")));
    const double recovered = seconds([&] {
      const auto back = must(versioning::recover(ctx, *kv, *blocks, base::system_clock(), base::system_random()));
      if (!back.whole() || back.repositories.at(0).commits != commits || !back.repositories[0].unreached.empty())
        give_up("the history did not come back whole");
    });
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    std::printf("%llu commits%s: written in %.1f s, recovered in %.1f s, at most %.0f MB of memory\n",
                static_cast<unsigned long long>(commits), forked ? ", two lines" : "", wrote, recovered,
                static_cast<double>(usage.ru_maxrss) / 1024);
    open();
  }
  void open() {
    engine.reset();
    engine =
        must(versioning::Engine::open(*kv, *blocks, base::system_clock(), base::system_random(), {.fold_from = 0}));
    repository = must(engine->get_repository(ctx, "long"));
  }
  versioning::Page<versioning::Commit> log(const versioning::LogQuery& query) {
    return must(engine->log(ctx, repository, "main", query));
  }
  versioning::CommitId back(uint64_t steps) {
    return must(engine->resolve(ctx, repository, "main~" + std::to_string(steps))).commit.id;
  }

  Context ctx;

 private:
  base::testing::ScratchFolder folder_;

 public:
  std::unique_ptr<block::Store> blocks;
  std::unique_ptr<kv::Store> kv;
  std::unique_ptr<versioning::Engine> engine;
  versioning::Repository repository;
  versioning::testing::WrittenHistory written;
};

bool measure_line(uint64_t commits, bool barred) {
  History history(commits, false);
  versioning::LogQuery rare;
  rare.objects = {versioning::testing::kRareFile};
  const auto ask = [&] {
    const auto page = history.log(rare);
    if (page.items.size() != 1 || page.has_more || page.items[0].id != history.written.hit)
      give_up("the path log did not find its one commit");
  };
  report("path log, 1 hit, after a start: it builds the graph", 1, 0, ask);
  const bool pass = report("path log, 1 hit", 9, barred ? 100 : 0, ask);
  versioning::LogQuery page;
  const auto whole_page = [&] {
    if (history.log(page).items.size() != 100) give_up("a page is not whole");
  };
  report("log, first page of 100", 99, 0, whole_page);
  page.after = history.back(commits - 201).hex();
  const auto before_last = history.log(page);
  page.after = before_last.next_after;
  report("log, last page of 100, behind the page before it", 1, 0, whole_page);
  report("log, last page of 100, from nowhere", 99, 0, whole_page);
  report("main~(N-1)", 99, 0, [&] {
    if (history.back(commits - 1) != history.written.first) give_up("the first commit is another one");
  });
  history.open();
  report("log, first page of 100, after a start", 1, 0, [&] { history.log({}); });
  return pass;
}

bool measure_fork(uint64_t commits, bool barred) {
  History history(commits, true);
  const auto ask = [&] {
    const auto base =
        must(history.engine->merge_base(history.ctx, history.repository, history.written.main, history.written.other));
    if (base != history.written.first) give_up("the merge base is not the first commit");
  };
  report("merge base, heads N commits apart, after a start", 1, 0, ask);
  return report("merge base, heads N commits apart", 9, barred ? 50 : 0, ask);
}

}  // namespace

int main(int argc, char** argv) {
  const uint64_t most = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1'000'000;
  bool pass = true;
  for (uint64_t commits = std::min<uint64_t>(most, 10'000); commits <= most; commits *= 10) {
    pass &= measure_line(commits, commits >= 1'000'000);
    pass &= measure_fork(commits, commits >= 1'000'000);
  }
  return pass ? 0 : 1;
}
