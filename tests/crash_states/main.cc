// crash_states: what a crash after any disk operation can leave of both stores, opened and held to what was
// acknowledged. docs/notes/0004-proof.md says what it promises.
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <unordered_set>

#include "base/log.h"
#include "base/testing/workers.h"
#include "story.h"

namespace tarn::crash_states {
namespace {

using SteadyTime = std::chrono::steady_clock;
using Bytes = Crash::Bytes;
using Names = Crash::Names;

/// What is made of each moment. A seed is drawn for the last ones.
constexpr Crash kVariants[] = {
    {Bytes::kLost, Names::kLost},   {Bytes::kKept, Names::kKept},   {Bytes::kLost, Names::kKept},
    {Bytes::kKept, Names::kLost},   {Bytes::kTorn, Names::kKept},   {Bytes::kTorn, Names::kSome},
    {Bytes::kTorn, Names::kSome},   {Bytes::kTorn, Names::kLost},   {Bytes::kPrefix, Names::kKept},
    {Bytes::kPrefix, Names::kSome}, {Bytes::kPrefix, Names::kSome}, {Bytes::kKept, Names::kSome},
};
constexpr size_t kPerMoment = std::size(kVariants);
constexpr size_t kInOpening = 2;  ///< of every eighth state: crashes while it is opened

struct Arguments {
  uint64_t first = 1, every = 1;
  uint64_t states = 50'000;
  double seconds = 1e8;
  int jobs = 2;
  std::optional<uint64_t> state;
  uint64_t trace = 0;
  bool without_syncs = false, story = false;
  std::string keep;
};

void usage() {
  std::puts(
      "crash_states [--states N] [--seconds S] [--seed N] [--every K] [--jobs N]\n"
      "                                  stories from seed N on, until N states were checked; of each K-th state\n"
      "crash_states --without-syncs …    the positive control: with syncs left out a loss must be found\n"
      "crash_states --seed N --story     what the clients of a story were told, and after which disk operation\n"
      "crash_states --seed N --state N [--trace T] [--keep FOLDER] [--without-syncs]\n"
      "                                  one state again, of disk operations in the order T; its files are written to\n"
      "                                  FOLDER");
}

uint64_t mix(uint64_t a, uint64_t b) {
  uint64_t x = a * 0x9e3779b97f4a7c15 + b + 0x632be59bd9b4e019;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

Setting setting_of(const Arguments& arguments, uint64_t seed) {
  Setting out;
  if (!arguments.without_syncs) return out;
  out.kv_syncs = seed % 3 != 0;
  out.object_syncs = seed % 3 != 1;
  out.folder_syncs = seed % 3 != 2;
  return out;
}

/// All that a worker counts; sent as numbers in this order.
struct Tally {
  uint64_t stories = 0, operations = 0, calls = 0, made = 0, checked = 0, disks = 0, in_opening = 0, log_cut = 0;
  uint64_t bad = 0;  ///< states with something wrong
  uint64_t kinds[6] = {};
};
constexpr size_t kNumbers = sizeof(Tally) / sizeof(uint64_t);

Crash crash_of(uint64_t seed, uint64_t number) {
  Crash how = kVariants[number % kPerMoment];
  how.seed = mix(seed, number);
  return how;
}
bool is_torn(const Crash& how) { return how.bytes == Bytes::kTorn; }

/// Equal between two moments at which a reader can expect the same.
std::vector<Moment> boundaries(const Recording& recording) {
  std::vector<Moment> out;
  const auto add = [&](Moment invoked, Moment returned) {
    out.push_back(invoked == kNever ? kNever : invoked + 1);
    out.push_back(returned);
  };
  add(recording.created.invoked, recording.created.returned);
  for (const Client& client : recording.clients)
    for (const Call& call : client.calls) add(call.invoked, call.returned);
  for (const auto& [name, blob] : recording.blobs) {
    add(blob.put_invoked, blob.put_returned);
    add(blob.remove_invoked, blob.remove_returned);
  }
  for (const Flushed& flushed : recording.flushes) out.push_back(flushed.returned);
  std::sort(out.begin(), out.end());
  return out;
}

using Report = std::function<void(uint64_t number, const Verdict&)>;

/// The disks of one story that were met.
struct Met {
  std::unordered_set<uint64_t> states, disks;
  /// @param era  equal when a reader can expect the same. @return whether this is new.
  bool is_new(SimulatedDisk& disk, uint64_t era, Tally& tally) {
    ++tally.made;
    const uint64_t digest = disk.digest();
    if (!states.insert(mix(digest, era)).second) return false;
    tally.disks += disks.insert(digest).second;
    return true;
  }
};

/// Checks one state and, for some, what a second crash in its opening leaves. `left` is used up.
void check_state(const Recording& recording, std::unique_ptr<SimulatedDisk> left, Moment at, uint64_t era,
                 uint64_t number, Met& met, Tally& tally, const Report& report) {
  const uint64_t dice = mix(recording.seed * 31 + 7, number);
  const Crash how = crash_of(recording.seed, number);
  const bool again = dice / 64 % 8 == 0;
  const std::unique_ptr<SimulatedDisk> before = again ? left->copy() : nullptr;
  std::vector<DiskStep> steps;
  const auto count = [&](const Checked& checked) {
    ++tally.checked;
    tally.log_cut += checked.log_cut;
    tally.bad += !checked.wrong.empty();
    for (const Verdict& verdict : checked.wrong) {
      ++tally.kinds[static_cast<size_t>(verdict.kind)];
      report(number, verdict);
    }
  };
  const Checked first = check(recording, *left, at, is_torn(how), dice, again ? &steps : nullptr);
  count(first);
  for (size_t i = 0; again && i < kInOpening && first.opening_steps > 0; ++i) {
    const uint64_t draw = mix(dice, i + 1);
    Crash second = kVariants[draw % kPerMoment];
    second.seed = draw;
    const auto disk = before->copy();
    for (size_t step = 0; step < 1 + draw / kPerMoment % first.opening_steps; ++step) disk->play(steps[step]);
    disk->crash(second);
    if (!met.is_new(*disk, era, tally)) continue;
    ++tally.in_opening;
    // What the first crash tore is perhaps torn still.
    count(check(recording, *disk, at, is_torn(how) || is_torn(second), draw, nullptr));
  }
}

/// All states of one story. @param more  asked before each. @return false when it said no.
bool check_story(const Recording& recording, uint64_t every, Tally& tally, const std::function<bool()>& more,
                 const Report& report) {
  ++tally.stories;
  tally.operations += recording.steps.size();
  for (const Client& client : recording.clients) tally.calls += client.calls.size();
  const std::vector<Moment> changes = boundaries(recording);
  Met met;
  SimulatedDisk image;
  for (Moment at = 1; at <= recording.steps.size(); ++at) {
    image.play(recording.steps[at - 1]);
    const auto era = static_cast<uint64_t>(std::upper_bound(changes.begin(), changes.end(), at) - changes.begin());
    for (size_t variant = 0; variant < kPerMoment; ++variant) {
      const uint64_t number = at * kPerMoment + variant;
      if (every > 1 && mix(recording.seed, number * 5) % every != 0) continue;
      if (!more()) return false;
      auto left = image.copy();
      left->crash(crash_of(recording.seed, number));
      if (!met.is_new(*left, era, tally)) continue;
      check_state(recording, std::move(left), at, era, number, met, tally, report);
    }
  }
  return true;
}

void keep_files(SimulatedDisk& disk, const std::string& folder) {
  for (const std::string& path : disk.paths()) {
    const std::string to = folder + path;
    const auto bytes = disk.read_all(path);
    if (bytes && base::system_disk().make_directories(to.substr(0, to.rfind('/'))))
      (void)base::system_disk().write_atomic(to, *bytes);
  }
  std::printf("its files are in %s\n", folder.c_str());
}

int show_one(const Arguments& arguments) {
  const Recording recording = tell(arguments.first, setting_of(arguments, arguments.first), arguments.trace);
  std::printf("seed %llu: %zu disk operations, %zu clients, trace %016llx\n",
              static_cast<unsigned long long>(recording.seed), recording.steps.size(), recording.clients.size(),
              static_cast<unsigned long long>(recording.trace));
  if (arguments.trace != 0 && recording.trace != arguments.trace)
    std::printf("the disk operations do not come in the order %016llx any more: its states have other numbers\n",
                static_cast<unsigned long long>(arguments.trace));
  if (!recording.broken.empty()) std::printf("the story broke: %s\n", recording.broken.c_str());
  if (arguments.story)
    for (const Client& client : recording.clients)
      for (const Call& call : client.calls)
        std::printf("  %5zu %5zu  %s %s\n", call.invoked, call.returned, client.prefix.c_str(), call.what.c_str());
  if (!arguments.state) return recording.broken.empty() ? 0 : 1;
  const Moment at = *arguments.state / kPerMoment;
  if (at == 0 || at > recording.steps.size()) {
    std::printf("there is no such state\n");
    return 2;
  }
  SimulatedDisk image;
  for (Moment step = 0; step < at; ++step) image.play(recording.steps[step]);
  const DiskStep& last = recording.steps[at - 1];
  std::printf("state %llu: a crash after operation %zu, which was no. %d of the disk's kinds on %s\n",
              static_cast<unsigned long long>(*arguments.state), at, static_cast<int>(last.op), last.path.c_str());
  auto left = image.copy();
  left->crash(crash_of(recording.seed, *arguments.state));
  if (!arguments.keep.empty()) keep_files(*left, arguments.keep);
  Tally tally;
  Met met;
  check_state(recording, std::move(left), at, 0, *arguments.state, met, tally, [](uint64_t, const Verdict& verdict) {
    std::printf("WRONG %s: %s\n", name_of(verdict.kind), verdict.text.c_str());
  });
  if (tally.bad == 0)
    std::printf("%llu states checked: nothing is wrong\n", static_cast<unsigned long long>(tally.checked));
  return tally.bad == 0 ? 0 : 1;
}

/// One worker: takes every jobs-th seed. Says what it counted after each story, and what was wrong at once.
void work(const Arguments& arguments, int worker, int out, SteadyTime::time_point until) {
  base::configure_log(base::Level::kError, base::LogStyle::kText);
  if (std::freopen("/dev/null", "w", stderr) == nullptr) std::exit(2);
  Tally tally;
  const uint64_t share = arguments.states / static_cast<uint64_t>(arguments.jobs) + 1;
  bool going = true;
  for (uint64_t seed = arguments.first + static_cast<uint64_t>(worker); going;
       seed += static_cast<uint64_t>(arguments.jobs)) {
    ::dprintf(out, "S %llu\n", static_cast<unsigned long long>(seed));
    ::alarm(600);
    const Recording recording = tell(seed, setting_of(arguments, seed));
    if (!recording.broken.empty()) {
      ::dprintf(out, "F %llu 0 0 the story broke: %s\n", static_cast<unsigned long long>(seed),
                recording.broken.c_str());
      std::_Exit(1);
    }
    going = check_story(
        recording, arguments.every, tally, [&] { return tally.checked < share && SteadyTime::now() < until; },
        [&](uint64_t number, const Verdict& verdict) {
          if (arguments.without_syncs) return;
          const std::string first = verdict.text.substr(0, verdict.text.find('\n'));
          ::dprintf(out, "F %llu %llu %llx %s: %s\n", static_cast<unsigned long long>(seed),
                    static_cast<unsigned long long>(number), static_cast<unsigned long long>(recording.trace),
                    name_of(verdict.kind), first.c_str());
        });
    going = going && tally.checked < share;
  }
  std::string line = "T";
  const auto* numbers = reinterpret_cast<const uint64_t*>(&tally);
  for (size_t i = 0; i < kNumbers; ++i) line += " " + std::to_string(numbers[i]);
  ::dprintf(out, "%s\n", line.c_str());
  std::_Exit(0);
}

int many(const Arguments& arguments) {
  const auto start_time = SteadyTime::now();
  const auto until = start_time + std::chrono::milliseconds(static_cast<int64_t>(arguments.seconds * 1000));
  const auto workers =
      base::testing::start_workers(arguments.jobs, [&](int worker, int out) { work(arguments, worker, out, until); });
  if (!workers) return 2;
  Tally sum;
  int failures = 0;
  for (const base::testing::Worker& worker : *workers) {
    char line[4096];
    unsigned long long seed = 0, state = 0, trace = 0;
    bool ended = false;
    while (std::fgets(line, sizeof line, worker.lines)) {
      if (std::sscanf(line, "S %llu", &seed) == 1) continue;
      int text = 0;
      if (std::sscanf(line, "F %llu %llu %llx %n", &seed, &state, &trace, &text) == 3 && text > 0) {
        if (++failures <= 20)
          std::printf("WRONG %s  repeat with: crash_states --seed %llu --state %llu --trace %016llx\n", line + text,
                      seed, state, trace);
        continue;
      }
      if (line[0] != 'T') continue;
      ended = true;
      char* at = line + 1;
      for (size_t i = 0; i < kNumbers; ++i) reinterpret_cast<uint64_t*>(&sum)[i] += std::strtoull(at, &at, 10);
    }
    base::testing::end_worker(worker);
    if (!ended && ++failures) std::printf("WRONG a worker died in the story of seed %llu\n", seed);
  }
  const double seconds = std::chrono::duration<double>(SteadyTime::now() - start_time).count();
  const auto n = [](uint64_t value) { return static_cast<unsigned long long>(value); };
  std::printf(
      "%llu stories: %llu calls, %llu disk operations; %llu states made, %llu of them checked (the others equal one of "
      "the same story and moment), %llu different disks, %llu of a second crash while the first was recovered, %llu "
      "with a log torn in pieces; %.0f s\n",
      n(sum.stories), n(sum.calls), n(sum.operations), n(sum.made), n(sum.checked), n(sum.disks), n(sum.in_opening),
      n(sum.log_cut), seconds);
  std::printf("%llu lost, %llu resurrected, %llu half-visible, %llu lies, %llu not opened, %llu without further work\n",
              n(sum.kinds[0]), n(sum.kinds[1]), n(sum.kinds[2]), n(sum.kinds[3]), n(sum.kinds[4]), n(sum.kinds[5]));
  if (arguments.without_syncs) {
    std::printf("syncs left out: %llu states show it, %s\n", n(sum.bad), sum.kinds[0] ? "as they must" : "WRONG");
    return failures == 0 && sum.kinds[0] > 0 ? 0 : 1;
  }
  return failures == 0 && sum.bad == 0 && sum.checked > 0 ? 0 : 1;
}

int run(int count, char** values) {
  Arguments arguments;
  for (int i = 1; i < count; ++i) {
    const std::string name = values[i];
    if (name == "--without-syncs" || name == "--story") {
      (name == "--story" ? arguments.story : arguments.without_syncs) = true;
      continue;
    }
    if (i + 1 == count) {
      usage();
      return 2;
    }
    const char* const value = values[++i];
    if (name == "--seed") {
      arguments.first = std::strtoull(value, nullptr, 10);
    } else if (name == "--state") {
      arguments.state = std::strtoull(value, nullptr, 10);
    } else if (name == "--trace") {
      arguments.trace = std::strtoull(value, nullptr, 16);
    } else if (name == "--states") {
      arguments.states = std::strtoull(value, nullptr, 10);
    } else if (name == "--seconds") {
      arguments.seconds = std::min(std::strtod(value, nullptr), 1e8);
    } else if (name == "--every") {
      arguments.every = std::max<uint64_t>(1, std::strtoull(value, nullptr, 10));
    } else if (name == "--jobs") {
      arguments.jobs = std::max(1, std::atoi(value));
    } else if (name == "--keep") {
      arguments.keep = value;
    } else {
      usage();
      return 2;
    }
  }
  return arguments.state || arguments.story ? show_one(arguments) : many(arguments);
}

}  // namespace
}  // namespace tarn::crash_states

int main(int count, char** values) { return tarn::crash_states::run(count, values); }
