#include "server/upkeep.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdio>
#include <functional>
#include <memory>

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "block/local.h"
#include "catalog/object_check.h"
#include "cli/output.h"
#include "kv/rocks.h"
#include "server/config.h"
#include "server/data_folder.h"
#include "server/process.h"
#include "versioning/fsck.h"
#include "versioning/keys.h"
#include "versioning/recovery.h"

namespace tarn::server {
namespace {

constexpr int kDone = 0, kExitFailed = 1, kExitUsage = 2, kExitFound = 3;
constexpr size_t kShown = 20;  // lines of a list for people; --json has all
constexpr int64_t kProgressMs = 3'000;

/// What was typed: own switches taken out, the rest left for the settings.
struct Typed {
  bool json = false, quiet = false, no_color = false, help = false, replace = false, deep = false;
  std::string repository;
  std::vector<std::string> settings;
};

Result<Typed> parse(const std::vector<std::string>& arguments, bool is_fsck) {
  Typed typed;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& word = arguments[i];
    if (word == "--help" || word == "-h") {
      typed.help = true;
    } else if (word == "--json") {
      typed.json = true;
    } else if (word == "--quiet" || word == "-q") {
      typed.quiet = true;
    } else if (word == "--no-color") {
      typed.no_color = true;
    } else if (word == "--replace" && !is_fsck) {
      typed.replace = true;
    } else if (word == "--deep" && is_fsck) {
      typed.deep = true;
    } else if (word == "--repo" && is_fsck) {
      if (++i == arguments.size()) return Error(Code::kInvalid, "command line", "--repo needs a repository's name");
      typed.repository = arguments[i];
    } else if (word.starts_with("--repo=") && is_fsck) {
      typed.repository = word.substr(7);
    } else {
      typed.settings.push_back(word);
    }
  }
  return typed;
}

constexpr std::string_view kRecoverHelp =
    "tarn recover --data DIR [--replace] [--json] [--quiet]\n\n"
    "Rebuilds a lost key-value store from the object store; the server is stopped. 'tarn help recover' tells more.\n";
constexpr std::string_view kFsckHelp =
    "tarn fsck --data DIR [--repo NAME] [--deep] [--json] [--quiet]\n\n"
    "Checks everything that a stopped server's folder stores. 'tarn help fsck' tells more.\n";

/// The folder that tarn made, locked. Unlike a start it makes nothing.
Result<DataFolder> open_existing(const std::string& path) {
  const auto marker = base::system_disk().stat(path + "/TARN");
  if (!marker && marker.error().code() == Code::kNotFound)
    return Error(Code::kNotFound, "data folder",
                 fmt::format("{} is no data folder: it holds no TARN file; name one with --data", path));
  if (!marker) return marker.error();
  return open_data_folder(base::system_disk(), path, base::system_clock(), base::system_random());
}

/// What the store cut off or mends while it opens is said; what is found later stands in the report.
Result<std::unique_ptr<block::Store>> open_blocks(const std::string& folder) {
  auto blocks = block::open_local_store(base::system_disk(), folder + "/objects");
  base::configure_log(base::Level::kError, base::LogStyle::kText);
  return blocks;
}

versioning::Progress progress_for(const cli::Output& out) {
  if (out.quiet() || out.json()) return {};
  return [shown = base::system_clock().steady_ms()](const std::string& what, uint64_t done, uint64_t of) mutable {
    const int64_t now = base::system_clock().steady_ms();
    if (now - shown < kProgressMs) return;
    shown = now;
    fmt::print(stderr, "{}",
               of > 0 ? fmt::format("{}: {} of {}\n", what, done, of) : fmt::format("{} {}\n", what, done));
  };
}

Result<std::unique_ptr<kv::Store>> open_kv(const std::string& path, const Config& config) {
  return kv::open_rocks_store(path, {.cache_bytes = static_cast<uint64_t>(config.number("kv.cache_bytes"))});
}

Result<bool> has_file(base::Disk& disk, const std::string& path) {
  const auto info = disk.stat(path);
  if (info) return true;
  if (info.error().code() == Code::kNotFound) return false;
  return info.error();
}

/// Whether the folder's key-value store may be put aside: it is not there, or damaged, or the user says so.
Result<void> admit_replacing(const std::string& path, const Config& config, bool replace) {
  base::Disk& disk = base::system_disk();
  TRY_LET(const bool present, has_file(disk, path + "/CURRENT"));
  if (!present || replace) return {};
  const auto look = [&]() -> Result<size_t> {
    TRY_LET(const auto kv, open_kv(path, config));
    size_t repositories = 0;
    const auto rows = kv->scan({}, "");
    while (true) {
      TRY_LET(const auto row, rows->next());
      if (!row) return repositories;
      if (row->key.starts_with(versioning::keys::kRepositories)) ++repositories;
    }
  };
  const auto healthy = look();
  if (healthy)
    return Error(
        Code::kAlreadyExists, "key-value store",
        fmt::format("the key-value store {} is healthy and holds {} repositories: recovering would lose what only "
                    "it knows. To go on all the same, say --replace; it is then kept beside the new one",
                    path, *healthy));
  if (healthy.error().code() == Code::kCorrupt) return {};
  return healthy.error().wrap(
      healthy.error().code(), "key-value store",
      fmt::format("the key-value store {} cannot be read: {}. If it is lost, say --replace; it is "
                  "then kept beside the new one",
                  path, healthy.error().message()));
}

/// Puts the new store in the old one's place. @return where the old one is now; empty when there was none.
Result<std::string> exchange(const std::string& folder, const std::string& fresh) {
  base::Disk& disk = base::system_disk();
  const std::string place = folder + "/kv";
  std::string kept;
  TRY_LET(const bool present, has_file(disk, place));
  if (present) {
    TRY_LET(const auto files, disk.list(place));
    if (files.empty()) {
      TRY(disk.remove_all(place));
    } else {
      for (int n = 1; kept.empty(); ++n) {
        const std::string name = fmt::format("{}/kv.replaced-{}", folder, n);
        TRY_LET(const bool taken, has_file(disk, name));
        if (!taken) kept = name;
      }
      TRY(disk.rename(place, kept));
    }
  }
  TRY(disk.rename(fresh, place));
  TRY(disk.sync_directory(folder));
  return kept;
}

Json to_json(const versioning::RecoveryReport& report, const std::string& kept) {
  Json repositories = Json::array();
  for (const auto& r : report.repositories) {
    Json unreached = Json::array(), losses = Json::array();
    for (const auto& c : r.unreached)
      unreached.push(Json::object({{"id", c.id.hex()},
                                   {"branch", c.branch},
                                   {"generation", c.generation},
                                   {"date", base::rfc3339(c.date_ms)},
                                   {"committer", c.committer},
                                   {"message", c.message},
                                   {"tip", c.tip},
                                   {"follows_head", c.follows_head}}));
    for (const auto& text : r.losses) losses.push(text);
    repositories.push(
        Json::object({{"name", r.name},
                      {"id", r.id},
                      {"storage_namespace", r.storage_namespace},
                      {"default_branch", r.default_branch},
                      {"packs", r.packs},
                      {"commits", r.commits},
                      {"branches", r.branches},
                      {"tags", r.tags},
                      {"journal_objects", r.journal_objects},
                      {"refs_written_at", r.refs_written_ms ? Json(base::rfc3339(r.refs_written_ms)) : Json()},
                      {"unreached_commits", unreached},
                      {"losses", losses}}));
  }
  Json deleted = Json::array(), losses = Json::array();
  for (const auto& text : report.deleted) deleted.push(text);
  for (const auto& text : report.losses) losses.push(text);
  return Json::object({{"whole", report.whole()},
                       {"repositories", repositories},
                       {"deleted", deleted},
                       {"losses", losses},
                       {"not_recovered", Json::array({"staged changes", "users and keys", "mesh records",
                                                      "tasks, imports and uploads under way"})},
                       {"old_key_value_store", kept.empty() ? Json() : Json(kept)}});
}

std::string place_of(const versioning::UnreachedCommit& commit) {
  return commit.follows_head ? "after the head of " + commit.branch : "made for " + commit.branch;
}

void print(cli::Output& out, const versioning::RecoveryReport& report, const std::string& folder,
           const std::string& kept) {
  if (out.as_json(to_json(report, kept))) return;
  using Align = cli::Table::Align;
  cli::Table table({{"repository"},
                    {"commits", Align::kRight},
                    {"branches", Align::kRight},
                    {"tags", Align::kRight},
                    {"refs as of"},
                    {"unreached", Align::kRight},
                    {"lost", Align::kRight}});
  size_t unreached = 0, losses = report.losses.size();
  for (const auto& r : report.repositories) {
    table.row({r.name, std::to_string(r.commits), std::to_string(r.branches), std::to_string(r.tags),
               r.refs_written_ms ? base::rfc3339(r.refs_written_ms) : "-", std::to_string(r.unreached.size()),
               std::to_string(r.losses.size())});
    unreached += r.unreached.size();
    losses += r.losses.size();
  }
  table.print(out);
  if (report.repositories.empty()) out.line("no repository was found");
  if (unreached > 0) {
    out.line("");
    out.line(
        fmt::format("{} commits that no branch or tag reaches; none was made anybody's head. Landings that the "
                    "journal did not know yet are among them, and refused candidates, too.",
                    unreached));
    out.line("`tarn branch create REPOSITORY/NAME --source ID` keeps one.");
    cli::Table list({{"repository"}, {"commit"}, {"where"}, {"date"}, {"message"}});
    size_t shown = 0;
    for (const auto& r : report.repositories)
      for (const auto& c : r.unreached)
        if (shown++ < kShown)
          list.row({r.name, c.id.hex().substr(0, 16), cli::printable(place_of(c)), base::rfc3339(c.date_ms),
                    cli::printable(c.message.substr(0, c.message.find('\n')))});
    list.print(out, "  ");
    if (shown > kShown) out.line(fmt::format("  … and {} more (--json lists all)", shown - kShown));
  }
  if (losses > 0) {
    out.line("");
    out.line("could not be brought back:");
    for (const auto& text : report.losses) out.line("  " + cli::printable(text));
    for (const auto& r : report.repositories)
      for (const auto& text : r.losses) out.line(fmt::format("  {}: {}", r.name, cli::printable(text)));
  }
  out.line("");
  out.line("gone with the old key-value store: staged changes; users and keys; mesh records (domains, products,");
  out.line("contracts, proposals, runs, incidents, subscriptions: products are not guarded until they are declared");
  out.line("again); tasks, imports and uploads under way.");
  if (!kept.empty()) out.line("the old key-value store is kept as " + kept);
  out.line(fmt::format("next: `tarn fsck --data {}`, start the server, `tarn setup`.", folder));
}

Result<int> recover_in(const Typed& typed, const Config& config, cli::Output& out) {
  base::Disk& disk = base::system_disk();
  TRY_LET(const DataFolder folder, open_existing(config.text("data")));
  TRY(admit_replacing(folder.path + "/kv", config, typed.replace));
  const std::string fresh = folder.path + "/kv.recovering";
  TRY(disk.remove_all(fresh));
  versioning::RecoveryReport report;
  {
    TRY_LET(const auto blocks, open_blocks(folder.path));
    TRY_LET(const auto kv, open_kv(fresh, config));
    TRY_LET(report,
            versioning::recover({}, *kv, *blocks, base::system_clock(), base::system_random(), progress_for(out)));
  }
  TRY_LET(const std::string kept, exchange(folder.path, fresh));
  print(out, report, folder.path, kept);
  TRY(out.flush());
  return report.whole() ? kDone : kExitFound;
}

Json to_json(const versioning::FsckReport& report, bool deep, const catalog::ObjectCheck* objects) {
  Json repositories = Json::array(), lies = Json::array();
  for (const auto& r : report.repositories)
    repositories.push(Json::object({{"name", r.name},
                                    {"packs", r.packs},
                                    {"commits", r.commits},
                                    {"unreferenced_commits", r.unreferenced},
                                    {"branches", r.branches},
                                    {"tags", r.tags},
                                    {"nodes", r.nodes},
                                    {"entries", r.entries},
                                    {"staged", r.staged},
                                    {"lies", r.lies}}));
  for (const auto& lie : report.lies)
    lies.push(Json::object(
        {{"repository", lie.repository}, {"what", lie.what}, {"subject", lie.subject}, {"message", lie.message}}));
  return Json::object({{"clean", report.lies.empty()},
                       {"deep", deep},
                       {"rows", report.rows},
                       {"object_bytes_read", objects ? objects->bytes_read() : 0},
                       {"distinct_objects", objects ? objects->distinct().objects : 0},
                       {"distinct_object_bytes", objects ? objects->distinct().bytes : 0},
                       {"repositories", repositories},
                       {"lies", lies}});
}

void print(cli::Output& out, const versioning::FsckReport& report, bool deep, const catalog::ObjectCheck* checked) {
  if (out.as_json(to_json(report, deep, checked))) return;
  using Align = cli::Table::Align;
  cli::Table table({{"repository"},
                    {"packs", Align::kRight},
                    {"commits", Align::kRight},
                    {"branches", Align::kRight},
                    {"tags", Align::kRight},
                    {"nodes", Align::kRight},
                    {"entries", Align::kRight},
                    {"staged", Align::kRight},
                    {"lies", Align::kRight}});
  for (const auto& r : report.repositories)
    table.row({r.name, std::to_string(r.packs), std::to_string(r.commits), std::to_string(r.branches),
               std::to_string(r.tags), std::to_string(r.nodes), std::to_string(r.entries), std::to_string(r.staged),
               std::to_string(r.lies)});
  if (!table.empty()) table.print(out);
  for (const auto& lie : report.lies)
    out.line(fmt::format("{} {}{} {}: {}", out.paint(cli::Paint::kBad, "LIE"),
                         lie.repository.empty() ? "" : lie.repository + ": ", lie.what, cli::printable(lie.subject),
                         cli::printable(lie.message)));
  const std::string objects =
      deep && checked
          ? fmt::format("every object was read ({})", cli::bytes_text(static_cast<int64_t>(checked->bytes_read())))
          : "objects were looked up, not read (--deep reads them)";
  out.line(report.lies.empty() ? fmt::format("clean: {} rows; {}", report.rows, objects)
                               : fmt::format("{} lies; {} rows; {}", report.lies.size(), report.rows, objects));
}

/// A store that does not open because it is damaged: that is what the check is for.
int say_damage(cli::Output& out, const char* what, const std::string& path, const Error& error) {
  versioning::FsckReport report;
  report.lies.push_back({"", what, path, error.message()});
  print(out, report, false, nullptr);
  return kExitFound;
}

Result<int> fsck_in(const Typed& typed, const Config& config, cli::Output& out) {
  base::Disk& disk = base::system_disk();
  TRY_LET(const DataFolder folder, open_existing(config.text("data")));
  TRY_LET(const bool lost, lost_its_records(disk, folder.path));
  if (lost)
    return Error(
        Code::kCorrupt, "key-value store",
        fmt::format("{} holds objects and no key-value store: run `tarn recover --data {}`", folder.path, folder.path));
  auto blocks = open_blocks(folder.path);
  if (!blocks && blocks.error().code() == Code::kCorrupt)
    return say_damage(out, "object store", folder.path + "/objects", blocks.error());
  if (!blocks) return blocks.error();
  auto kv = open_kv(folder.path + "/kv", config);
  if (!kv &&
      (kv.error().code() == Code::kCorrupt || kv.error().code() == Code::kUnavailable))  // or files of it are gone
    return say_damage(out, "key-value store", folder.path + "/kv", kv.error());
  if (!kv) return kv.error();
  catalog::ObjectCheck objects(
      **blocks, disk, typed.deep ? catalog::ObjectCheck::Depth::kContent : catalog::ObjectCheck::Depth::kPresence);
  versioning::FsckOptions options;
  options.repository = typed.repository;
  options.object = [&](const Context& ctx, const versioning::Repository& repository, const tree::Entry& entry) {
    return objects.check(ctx, repository, entry);
  };
  options.progress = progress_for(out);
  TRY_LET(const auto report,
          versioning::fsck({}, **kv, **blocks, base::system_clock(), base::system_random(), options));
  print(out, report, typed.deep, &objects);
  TRY(out.flush());
  return report.lies.empty() ? kDone : kExitFound;
}

int run(const std::vector<std::string>& arguments, bool is_fsck,
        Result<int> (*work)(const Typed&, const Config&, cli::Output&)) {
  const auto typed = parse(arguments, is_fsck);
  if (!typed) return complain(typed.error(), kExitUsage);
  if (typed->help) {
    fmt::print("{}", is_fsck ? kFsckHelp : kRecoverHelp);
    return kDone;
  }
  const auto config = Config::load(base::system_disk(), typed->settings, environment_of_process());
  if (!config) return complain(config.error(), kExitUsage);
  base::configure_log(base::Level::kWarning, base::LogStyle::kText);
  ::umask(077);
  cli::Output out(typed->json, typed->quiet, typed->no_color);
  const auto done = work(*typed, *config, out);
  return done ? *done : complain(done.error(), kExitFailed);
}

}  // namespace

Result<bool> lost_its_records(base::Disk& disk, const std::string& folder) {
  TRY_LET(const bool records, has_file(disk, folder + "/kv/CURRENT"));
  if (records) return false;
  const auto segments = disk.list(folder + "/objects/segments");
  if (!segments && segments.error().code() == Code::kNotFound) return false;
  if (!segments) return segments.error();
  return !segments->empty();
}

int recover(const std::vector<std::string>& arguments) { return run(arguments, false, recover_in); }
int fsck(const std::vector<std::string>& arguments) { return run(arguments, true, fsck_in); }

}  // namespace tarn::server
