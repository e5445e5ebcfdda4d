// The bars of the engine, each beside what the machine allows in the same minute.
//   ./run bench engine [--json FILE] [--entries N] [--quick] [--only NAME] [--curves FILE] [--folder FOLDER] [--list]
// Each measure runs in a process of its own, so that its memory is its own; its rows come back as JSON.
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>

#include <fmt/core.h>

#include "base/disk.h"
#include "base/random.h"
#include "engine/history.h"
#include "engine/place.h"

namespace {

using namespace tarn;         // NOLINT(google-build-using-namespace)
using namespace tarn::bench;  // NOLINT(google-build-using-namespace)

struct Asked {
  Options options;
  std::string json, curves, only, child, out;
  bool list = false, keep = false, no_measures = false;
};

constexpr const char* kUsage =
    "bench engine [--json FILE] [--entries N] [--quick] [--only NAME] [--curves FILE [--curves-only]] [--folder "
    "FOLDER] [--list]\n"
    "  --entries N    of the big tree (default 10000000); the middle one has a tenth. 100000000 takes 30 GB of disk "
    "and an hour\n"
    "  --quick        fewer rounds, fewer branches, shorter histories\n"
    "  --only NAME    one measure, --list names them\n"
    "  --curves FILE  cost against entries, branches and commits as JSON, for bench/report.py\n"
    "  --folder       where the scratch folder goes (default: TMPDIR or /tmp); it must lie on a disk\n";

Asked parse(int argc, char** argv) {
  Asked a;
  const auto value = [&](int& i) -> std::string {
    if (i + 1 == argc) give_up(fmt::format("{} needs a value\n{}", argv[i], kUsage));
    return argv[++i];
  };
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--json")
      a.json = value(i);
    else if (word == "--curves")
      a.curves = value(i);
    else if (word == "--curves-only")
      a.no_measures = true;
    else if (word == "--entries")
      a.options.entries = std::strtoull(value(i).c_str(), nullptr, 10);
    else if (word == "--quick")
      a.options.quick = true;
    else if (word == "--only")
      a.only = value(i);
    else if (word == "--folder")
      a.options.folder = value(i);
    else if (word == "--keep")
      a.keep = true;
    else if (word == "--list")
      a.list = true;
    else if (word == "--child")
      a.child = value(i);
    else if (word == "--out")
      a.out = value(i);
    else if (word == "--help" || word == "-h") {
      std::fputs(kUsage, stdout);
      std::exit(0);
    } else
      give_up(fmt::format("unknown word '{}'\n{}", word, kUsage));
  }
  if (a.options.entries < 10'000 || a.options.entries > 100'000'000) give_up("--entries takes 10000 to 100000000");
  return a;
}

std::vector<Measure> all_measures() {
  std::vector<Measure> all;
  for (auto* group : {tree_measures, commit_measures, branch_measures, list_measures, history_measures})
    for (Measure& measure : group()) all.push_back(std::move(measure));
  return all;
}

Json curves_json(const std::vector<Curve>& curves) {
  Json list = Json::array();
  for (const Curve& curve : curves) {
    Json points = Json::array();
    for (const auto& [x, y] : curve.points) points.push(Json::array({x, y}));
    list.push(Json::object(
        {{"picture", curve.picture}, {"name", curve.name}, {"x", curve.x}, {"unit", curve.unit}, {"points", points}}));
  }
  return list;
}

/// The work of one child process.
int run_child(const Asked& a) {
  const Options& o = a.options;
  Json out = Json::array();
  std::vector<Curve> curves;
  if (a.child == "prepare-big")
    prepare(big_folder(o), o.big());
  else if (a.child == "prepare-middle")
    prepare(middle_folder(o), o.middle());
  else if (a.child == "prepare-history")
    prepare_history(history_folder(o), history_length(o));
  else if (a.child == "curves-entries")
    curves_of_entries(o, curves);
  else if (a.child == "curves-branches")
    curves_of_branches(o, curves);
  else if (a.child == "curves-commits")
    curves_of_commits(o, curves);
  else
    for (const Measure& measure : all_measures()) {
      if (measure.name != a.child) continue;
      std::vector<Row> rows;
      measure.run(o, rows);
      for (const Row& row : rows) out.push(row.to_json());
    }
  if (!curves.empty()) out = curves_json(curves);
  must(base::system_disk().write_atomic(a.out, out.dump_pretty()));
  return 0;
}

/// Runs a child and gives what it wrote, or nullopt.
std::optional<Json> child(const Asked& a, const std::string& what) {
  const std::string out = a.options.folder + "/out-" + what + ".json", entries = std::to_string(a.options.entries);
  std::vector<std::string> words = {"bench-engine", "--child",        what,        "--out", out,
                                    "--folder",     a.options.folder, "--entries", entries};
  if (a.options.quick) words.emplace_back("--quick");
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  pid_t pid = 0;
  if (posix_spawn(&pid, "/proc/self/exe", nullptr, nullptr, arguments.data(), environ) != 0)
    give_up("cannot start a child process");
  int status = 0;
  while (waitpid(pid, &status, 0) < 0)
    if (errno != EINTR) give_up("waitpid failed");
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) return std::nullopt;
  return must(Json::parse(must(base::system_disk().read_all(out))));
}

int run_all(Asked& a) {
  const std::vector<Measure> all = all_measures();
  if (a.list) {
    for (const Measure& measure : all) std::printf("%-16s %s\n", measure.name.c_str(), measure.about.c_str());
    return 0;
  }
  const char* temporary = std::getenv("TMPDIR");
  std::string parent = !a.options.folder.empty() ? a.options.folder : (temporary ? temporary : "/tmp");
  a.options.folder = parent + "/tarn-bench-engine-" + base::system_random().hex(6);
  must(base::system_disk().make_directories(a.options.folder));
  Json rows = Json::array();
  bool found = false, failed = false;
  const double start = now();
  for (const Measure& measure : all) {
    if (a.no_measures || (!a.only.empty() && measure.name != a.only)) continue;
    found = true;
    bool ready = true;
    if (measure.needs_big) ready = child(a, "prepare-big").has_value();
    if (measure.needs_middle) ready = ready && child(a, "prepare-middle").has_value();
    if (measure.needs_history) ready = ready && child(a, "prepare-history").has_value();
    const double begin = now();
    const auto got = ready ? child(a, measure.name) : std::nullopt;
    std::fprintf(stderr, "  %-16s %5.1f s\n", measure.name.c_str(), now() - begin);
    if (!got) {
      failed = true;
      Row row{.name = measure.about, .unit = ""};
      row.pass = false;
      row.measured = false;
      row.note = "the measure ended with an error, see above";
      rows.push(row.to_json());
      continue;
    }
    for (const Json& row : got->items()) rows.push(row);
  }
  if (!found && !a.no_measures) give_up("no measure is called '" + a.only + "', --list names them");
  if (!a.curves.empty()) {
    Json curves = Json::array();
    for (const char* what : {"curves-entries", "curves-branches", "curves-commits"}) {
      const double begin = now();
      const auto got = child(a, what);
      std::fprintf(stderr, "  %-16s %5.1f s\n", what, now() - begin);
      failed = failed || !got;
      if (got)
        for (const Json& curve : got->items()) curves.push(curve);
    }
    must(base::system_disk().write_atomic(a.curves, curves.dump_pretty() + "\n"));
  }
  if (!a.keep) must(base::system_disk().remove_all(a.options.folder));
  std::printf("%s entries, %ld cores, %.0f s\n", power(a.options.entries).c_str(), sysconf(_SC_NPROCESSORS_ONLN),
              now() - start);
  if (found) print(rows);
  if (!a.json.empty()) must(base::system_disk().write_atomic(a.json, rows.dump_pretty() + "\n"));
  for (const Json& row : rows.items()) failed = failed || (row["pass"].is_bool() && !row["pass"].as_bool());
  return failed ? 1 : 0;
}

}  // namespace

int main(int argc, char** argv) {
  Asked asked = parse(argc, argv);
  return asked.child.empty() ? run_all(asked) : run_child(asked);
}
