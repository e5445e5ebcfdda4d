// simulate: many seeded runs of the engine. docs/notes/0004-proof.md says what they promise.
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <numeric>

#include "base/testing/fewer.h"
#include "base/testing/workers.h"
#include "story.h"

namespace tarn::simulation {
namespace {

using SteadyTime = std::chrono::steady_clock;

struct Arguments {
  uint64_t first = 1, seeds = 1'000, schedule = 0;
  double seconds = 1e9;
  int jobs = 2;
  std::optional<std::set<int>> ops;
  bool one = false, story = false, shrink = true;
  Stores stores = Stores::kMemory;
};

void usage() {
  std::puts(
      "simulate [--seeds N] [--first N] [--seconds S] [--jobs N] [--no-shrink] [--disk]\n"
      "                                                            many seeds; ends with a count\n"
      "simulate --seed N [--schedule N] [--ops 1,2,3] [--story] [--disk]\n"
      "                                                            one seed, or some operations of it\n"
      "--disk: RocksDB and the local object store on a simulated disk in place of the stores in memory.\n"
      "A seed that fails is made smaller, printed with its story and the command that repeats it.");
}

/// What is not meant for the terminal of a run of thousands.
void silence_log() {
  if (std::freopen("/dev/null", "w", stderr) == nullptr) std::exit(2);
}

/// Runs in a process of its own, since a run may die or be stuck. @return nullopt: it died.
std::optional<bool> passes(uint64_t seed, const std::set<int>& ops, uint64_t schedule, Stores stores) {
  const pid_t child = ::fork();
  if (child == 0) {
    silence_log();
    ::alarm(60);
    std::_Exit(play(seed, ops, schedule, stores).wrong.empty() ? 0 : 1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  if (WIFEXITED(status) && WEXITSTATUS(status) <= 1) return WEXITSTATUS(status) == 0;
  return std::nullopt;
}

std::set<int> all_ops(uint64_t seed) {
  std::set<int> out;
  for (const Op& op : make_plan(seed).ops) out.insert(op.id);
  return out;
}

/// Within two minutes. Fewer operations meet in other ways, so each try gets some orders.
/// @param schedule  the one that fails with what is left.
std::set<int> smaller(uint64_t seed, uint64_t& schedule, Stores stores) {
  return base::testing::fewer_that_fail(all_ops(seed), 120, [&](const std::set<int>& fewer) {
    for (const uint64_t order : {schedule, schedule + 1, schedule + 2, schedule + 3, schedule + 4, schedule + 5})
      if (!passes(seed, fewer, order, stores).value_or(false)) {
        schedule = order;
        return true;
      }
    return false;
  });
}

int show(uint64_t seed, const std::optional<std::set<int>>& ops, uint64_t schedule, Stores stores, bool story) {
  const Played played = play(seed, ops, schedule, stores);
  static constexpr const char* kProfiles[] = {"objects", "branches", "refs", "order"};
  std::printf("seed %llu: %s, %d clients, %zu operations, %lld steps, %lld deaths, trace %016llx\n",
              static_cast<unsigned long long>(seed), kProfiles[static_cast<size_t>(played.plan.profile)],
              played.plan.clients, played.plan.ops.size(), static_cast<long long>(played.steps),
              static_cast<long long>(played.crashes), static_cast<unsigned long long>(played.trace));
  if (story || !played.wrong.empty())
    for (const Record& record : played.records) std::printf("  %s\n", to_text(record).c_str());
  for (const std::string& line : played.wrong) std::printf("WRONG %s\n", line.c_str());
  std::fflush(stdout);
  return played.wrong.empty() ? 0 : 1;
}

int report_failure(uint64_t seed, Stores stores) {
  std::printf("seed %llu fails; making it smaller\n", static_cast<unsigned long long>(seed));
  std::fflush(stdout);
  uint64_t schedule = 0;
  const std::set<int> ops = smaller(seed, schedule, stores);
  const std::string list = base::testing::list_of(ops);
  const pid_t child = ::fork();
  if (child == 0) {
    ::alarm(60);
    std::_Exit(show(seed, ops, schedule, stores, true));
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  std::printf("repeat with: simulate --seed %llu --schedule %llu --ops %s%s\n", static_cast<unsigned long long>(seed),
              static_cast<unsigned long long>(schedule), list.c_str(), stores == Stores::kDisk ? " --disk" : "");
  return 1;
}

struct Tally {
  uint64_t seeds = 0, steps = 0, deaths = 0, operations = 0, unknown = 0, undecided = 0;
};

/// One worker: takes every jobs-th seed, and says before each which one it is, so that a death names its seed.
void work(const Arguments& arguments, int worker, int out, SteadyTime::time_point until) {
  silence_log();
  Tally tally;
  for (uint64_t i = static_cast<uint64_t>(worker); i < arguments.seeds; i += static_cast<uint64_t>(arguments.jobs)) {
    if (SteadyTime::now() >= until) break;
    const uint64_t seed = arguments.first + i;
    ::dprintf(out, "S %llu\n", static_cast<unsigned long long>(seed));
    ::alarm(120);
    const Played played = play(seed, std::nullopt, 0, arguments.stores);
    ++tally.seeds;
    tally.steps += static_cast<uint64_t>(played.steps);
    tally.deaths += static_cast<uint64_t>(played.crashes);
    tally.operations += played.records.size();
    tally.undecided += static_cast<uint64_t>(played.undecided);
    for (const Record& record : played.records) tally.unknown += record.outcome == Record::Outcome::kUnknown;
    if (!played.wrong.empty()) {
      ::dprintf(out, "F %llu\n", static_cast<unsigned long long>(seed));
      std::_Exit(1);
    }
  }
  ::dprintf(out, "T %llu %llu %llu %llu %llu %llu\n", static_cast<unsigned long long>(tally.seeds),
            static_cast<unsigned long long>(tally.steps), static_cast<unsigned long long>(tally.deaths),
            static_cast<unsigned long long>(tally.operations), static_cast<unsigned long long>(tally.unknown),
            static_cast<unsigned long long>(tally.undecided));
  std::_Exit(0);
}

int many(const Arguments& arguments) {
  const auto start = SteadyTime::now();
  const auto until = start + std::chrono::milliseconds(static_cast<int64_t>(std::min(arguments.seconds, 1e8) * 1000));
  const auto workers =
      base::testing::start_workers(arguments.jobs, [&](int worker, int out) { work(arguments, worker, out, until); });
  if (!workers) return 2;
  Tally sum;
  std::optional<uint64_t> bad;
  for (const base::testing::Worker& worker : *workers) {
    char line[256];
    unsigned long long seed = 0;
    bool ended = false;
    while (std::fgets(line, sizeof line, worker.lines)) {
      unsigned long long v[6];
      if (std::sscanf(line, "S %llu", &seed) == 1) continue;
      if (std::sscanf(line, "T %llu %llu %llu %llu %llu %llu", v, v + 1, v + 2, v + 3, v + 4, v + 5) == 6) {
        ended = true;
        sum.seeds += v[0];
        sum.steps += v[1];
        sum.deaths += v[2];
        sum.operations += v[3];
        sum.unknown += v[4];
        sum.undecided += v[5];
      }
    }
    base::testing::end_worker(worker);
    if (!ended && !bad) bad = seed;
  }
  if (bad && !arguments.shrink)
    std::printf("repeat with: simulate --seed %llu%s\n", static_cast<unsigned long long>(*bad),
                arguments.stores == Stores::kDisk ? " --disk" : "");
  if (bad) return arguments.shrink ? report_failure(*bad, arguments.stores) : 1;
  const double seconds = std::chrono::duration<double>(SteadyTime::now() - start).count();
  std::printf(
      "%llu seeds, 0 failures: %llu operations (%llu of unknown outcome), %llu deaths of the server, %llu steps, "
      "%llu histories undecided, %.0f s\n",
      static_cast<unsigned long long>(sum.seeds), static_cast<unsigned long long>(sum.operations),
      static_cast<unsigned long long>(sum.unknown), static_cast<unsigned long long>(sum.deaths),
      static_cast<unsigned long long>(sum.steps), static_cast<unsigned long long>(sum.undecided), seconds);
  return sum.seeds == 0 ? 1 : 0;
}

int run(int count, char** values) {
  Arguments arguments;
  for (int i = 1; i < count; ++i) {
    const std::string name = values[i];
    if (name == "--disk") {
      arguments.stores = Stores::kDisk;
      continue;
    }
    if (name == "--story" || name == "--no-shrink") {
      (name == "--story" ? arguments.story : arguments.shrink) = name == "--story";
      continue;
    }
    if (i + 1 == count) {
      usage();
      return 2;
    }
    const std::string value = values[++i];
    if (name == "--seed") {
      arguments.first = std::strtoull(value.c_str(), nullptr, 10);
      arguments.one = true;
    } else if (name == "--seeds") {
      arguments.seeds = std::strtoull(value.c_str(), nullptr, 10);
    } else if (name == "--first") {
      arguments.first = std::strtoull(value.c_str(), nullptr, 10);
    } else if (name == "--schedule") {
      arguments.schedule = std::strtoull(value.c_str(), nullptr, 10);
    } else if (name == "--seconds") {
      arguments.seconds = std::strtod(value.c_str(), nullptr);
    } else if (name == "--jobs") {
      arguments.jobs = std::max(1, std::atoi(value.c_str()));
    } else if (name == "--ops") {
      arguments.ops = base::testing::items_of(value);
    } else {
      usage();
      return 2;
    }
  }
  return arguments.one ? show(arguments.first, arguments.ops, arguments.schedule, arguments.stores, arguments.story)
                       : many(arguments);
}

}  // namespace
}  // namespace tarn::simulation

int main(int count, char** values) { return tarn::simulation::run(count, values); }
