// Opens the engine on what a crash left and holds it to what the clients were told.
#include <fmt/core.h>

#include "base/random.h"
#include "kv/memory.h"
#include "story.h"
#include "versioning/fsck.h"
#include "versioning/keys.h"
#include "versioning/records.h"
#include "versioning/recovery.h"

namespace tarn::crash_states {

using namespace versioning;  // NOLINT
using Kind = Verdict::Kind;

const char* name_of(Kind kind) {
  static constexpr const char* kNames[] = {"lost", "resurrected", "half-visible", "a lie", "not opened", "no further"};
  return kNames[static_cast<size_t>(kind)];
}

namespace {

class Checker {
 public:
  Checker(const Recording& recording, SimulatedDisk& disk, Moment at, bool torn, uint64_t dice)
      : recording_(recording), disk_(disk), at_(at), torn_(torn), dice_(dice), random_(dice + 3) {}

  Checked run(std::vector<DiskStep>* steps) {
    if (steps) disk_.record(steps);
    const bool opened = open();
    disk_.record(nullptr);
    if (steps) out_.opening_steps = steps->size();
    if (!opened) return std::move(out_);
    if (look("")) {
      audit();
      if (dice_ % 4 == 0) recovery();
      go_on();
      // What came after the crash, and what was there before, is also there after one more start.
      if (dice_ % 4 == 1 && out_.wrong.empty() && open()) look("after one more start, ");
    }
    return std::move(out_);
  }

 private:
  void wrong(Kind kind, std::string text) { out_.wrong.push_back({kind, std::move(text)}); }
  bool asked(Moment invoked) const { return invoked < at_; }
  bool told(Moment returned) const { return returned <= at_; }

  bool open() {
    server_.reset();
    Opening opening;
    auto server = start(disk_, clock_, random_, opening);
    // A log with holes is for its owner to judge (docs/formats/kv.md): one start after the power failed.
    if (!server && torn_ && server.error().code() == Code::kCorrupt &&
        server.error().text().find("cut_damaged_log") != std::string::npos) {
      out_.log_cut = true;
      opening.cut_damaged_log = true;
      server = start(disk_, clock_, random_, opening);
    }
    if (!server) {
      wrong(Kind::kNotOpened, server.error().text());
      return false;
    }
    server_ = std::move(*server);
    return true;
  }

  /// @return whether there is a repository to look at further.
  bool look(const std::string& when) {
    const auto found = server_->engine->get_repository(ctx_, "data");
    if (!found) {
      if (found.error().code() != Code::kNotFound)
        wrong(Kind::kLie, when + "the repository: " + found.error().text());
      else if (told(recording_.created.returned))
        wrong(Kind::kLost, when + "the repository");
      return false;
    }
    if (!asked(recording_.created.invoked)) wrong(Kind::kResurrected, when + "the repository");
    repository_ = *found;
    for (const Client& client : recording_.clients) refs(client, when);
    names();
    blobs(when);
    return true;
  }

  /// How many calls had returned, and whether one more was under way.
  std::pair<size_t, bool> progress(const Client& client) const {
    size_t done = 0;
    while (done < client.calls.size() && told(client.calls[done].returned)) ++done;
    return {done, done < client.calls.size() && asked(client.calls[done].invoked)};
  }

  void refs(const Client& client, const std::string& when) {
    const auto shown = show(ctx_, *server_->engine, repository_, client.prefix);
    if (!shown) return wrong(Kind::kLie, when + client.prefix + " cannot be read: " + shown.error().text());
    const auto [done, pending] = progress(client);
    if (shown->text == client.states[done].text) return;
    if (pending && shown->text == client.states[done + 1].text) return;
    Kind kind = Kind::kHalf;
    for (size_t k = 0; k < client.states.size(); ++k)
      if (client.states[k].text == shown->text) kind = k < done ? Kind::kLost : Kind::kResurrected;
    std::string text = fmt::format("{}of {}* after {} calls", when, client.prefix, done);
    if (done > 0) text += fmt::format(", the last \"{}\"", client.calls[done - 1].what);
    if (pending) text += fmt::format(", and while \"{}\" was under way", client.calls[done].what);
    text += "\n  expected\n" + client.states[done].text;
    if (pending) text += "  or\n" + client.states[done + 1].text;
    text += "  and there is\n" + shown->text;
    wrong(kind, std::move(text));
  }

  /// No ref and no commit that nobody asked for.
  void names() {
    PageQuery all;
    all.amount = 1000;
    const auto of_client = [&](const std::string& name) {
      for (const Client& client : recording_.clients)
        if (name.starts_with(client.prefix)) return true;
      return name == "main";
    };
    const auto branches = server_->engine->list_branches(ctx_, repository_, all, true);
    if (!branches) return wrong(Kind::kLie, "the branches cannot be listed: " + branches.error().text());
    for (const Branch& branch : branches->items)
      if (!of_client(branch.name)) wrong(Kind::kResurrected, "branch " + branch.name);
    const auto rows = server_->kv->scan(ctx_, keys::commits(repository_.id));
    while (true) {
      const auto row = rows->next();
      if (!row) return wrong(Kind::kLie, "the commits cannot be scanned: " + row.error().text());
      if (!*row) return;
      const auto stored = decode_commit((*row)->row.value);
      if (!stored) {
        wrong(Kind::kLie, "a commit's record: " + stored.error().text());
        continue;
      }
      const std::string& message = stored->commit.message;
      size_t client = 0, call = 0;
      if (std::sscanf(message.c_str(), "%zu %zu", &client, &call) != 2) continue;
      if (client < recording_.clients.size() && call < recording_.clients[client].calls.size() &&
          asked(recording_.clients[client].calls[call].invoked))
        continue;
      wrong(Kind::kResurrected, "commit \"" + message + "\", which nobody had asked for yet");
    }
  }

  void blobs(const std::string& when) {
    std::set<std::string> there;
    const auto listed = server_->blocks->list(ctx_, "blobs/", [&](const block::Name& name, const block::Info&) {
      there.insert(name.str());
      return Result<void>();
    });
    if (!listed) return wrong(Kind::kLie, when + "the objects cannot be listed: " + listed.error().text());
    for (const std::string& name : there)
      if (!recording_.blobs.contains(name)) wrong(Kind::kResurrected, when + "object " + name);
    for (const auto& [name, blob] : recording_.blobs) {
      const bool must = told(blob.put_returned) && !asked(blob.remove_invoked);
      const bool must_not = !asked(blob.put_invoked) || told(blob.remove_returned);
      const auto read = server_->blocks->read(ctx_, *block::make_name(name), 0, {});
      if (!read) {
        if (read.error().code() != Code::kNotFound)
          wrong(Kind::kLie, when + name + ": " + read.error().text());
        else if (must)
          wrong(Kind::kLost, when + "object " + name);
        else if (there.contains(name))
          wrong(Kind::kHalf, when + name + " is listed and not there");
        continue;
      }
      if (must_not) wrong(Kind::kResurrected, when + "object " + name);
      if (*read != blob.bytes) wrong(Kind::kHalf, when + "object " + name + " has other bytes");
      if (!there.contains(name)) wrong(Kind::kHalf, when + name + " is there and not listed");
    }
  }

  void audit() {
    FsckOptions options;
    options.object = [&](const Context& ctx, const Repository&, const tree::Entry& entry) -> Result<void> {
      TRY_LET(const block::Name name, block::make_name(blob_name(entry.address.sequence)));
      TRY_LET(const std::string bytes, server_->blocks->read(ctx, name, 0, {}));
      if (tree::Etag::md5(base::md5(bytes)) == entry.etag) return {};
      return Error(Code::kCorrupt, "object", name.str() + " has other bytes than its entry says");
    };
    const auto report = fsck(ctx_, *server_->kv, *server_->blocks, clock_, random_, options);
    if (!report) return wrong(Kind::kLie, "fsck fails: " + report.error().text());
    for (const Lie& lie : report->lies) wrong(Kind::kLie, "fsck: " + lie.what + " " + lie.subject + ": " + lie.message);
  }

  /// Without the key-value store the refs of some moment since the last flush come back.
  void recovery() {
    const Flushed* last = nullptr;
    for (const Flushed& flushed : recording_.flushes)
      if (told(flushed.returned)) last = &flushed;
    if (!last) return;
    const auto fresh = kv::make_memory_store(clock_);
    const auto recovered = recover(ctx_, *fresh, *server_->blocks, clock_, random_);
    if (!recovered) return wrong(Kind::kLost, "recovery fails: " + recovered.error().text());
    for (const RecoveredRepository& repository : recovered->repositories)
      for (const std::string& loss : repository.losses) wrong(Kind::kLost, "recovery: " + loss);
    auto engine = Engine::open(*fresh, *server_->blocks, clock_, random_, {});
    if (!engine) return wrong(Kind::kLost, "the recovered store does not open: " + engine.error().text());
    const auto repository = (*engine)->get_repository(ctx_, "data");
    if (!repository) return wrong(Kind::kLost, "recovery of the repository: " + repository.error().text());
    for (size_t i = 0; i < recording_.clients.size(); ++i) {
      const Client& client = recording_.clients[i];
      const auto [done, pending] = progress(client);
      const auto shown = show(ctx_, **engine, *repository, client.prefix);
      if (!shown) {
        wrong(Kind::kLie, "recovered " + client.prefix + ": " + shown.error().text());
        continue;
      }
      bool matches = false;
      for (size_t k = last->calls[i]; k <= done + (pending ? 1 : 0); ++k)
        matches = matches || client.states[k].refs == shown->refs;
      if (!matches)
        wrong(Kind::kLost, "the refs of " + client.prefix + "* that were flushed do not come back:\n" + shown->text);
    }
  }

  /// Whatever was left, the next operation of each kind succeeds, under names of its own.
  void go_on() {
    Engine& engine = *server_->engine;
    const auto must = [&](const char* what, const auto& result) {
      if (!result) wrong(Kind::kNoFurther, std::string(what) + " fails: " + result.error().text());
    };
    const std::string small(300, 's'), large(3'000, 'l');
    must("a small object", server_->blocks->put(ctx_, *block::make_name("more/1"), small));
    must("a large object", server_->blocks->put(ctx_, *block::make_name("more/2"), large));
    must("a write", engine.stage(ctx_, repository_, "main", "more", entry_of(small, 1'000'000)));
    CommitSpec spec;
    spec.message = "afterwards";
    spec.committer = "auditor";
    must("a commit", engine.commit(ctx_, repository_, "main", spec));
    if (dice_ % 3 == 0) {
      must("the ref journal", engine.flush_ref_journal(ctx_));
      must("folding", engine.fold_packs(ctx_, repository_));
    }
    if (dice_ % 3 == 1) {
      MergeSpec merge;
      merge.strategy = tree::Strategy::kSourceWins;
      must("a branch", engine.create_branch(ctx_, repository_, "more", "main~1"));
      must("a merge", engine.merge(ctx_, repository_, "main", "more", merge));
      must("its removal", engine.delete_branch(ctx_, repository_, "more"));
    }
    must("a removal", server_->blocks->remove(ctx_, *block::make_name("more/1")));
    must("a removal", server_->blocks->remove(ctx_, *block::make_name("more/2")));
    const auto at = engine.resolve(ctx_, repository_, "main");
    must("main", at);
    if (at) must("reading", engine.find(ctx_, repository_, *at, "more"));
  }

  const Recording& recording_;
  SimulatedDisk& disk_;
  const Moment at_;
  const bool torn_;
  const uint64_t dice_;
  base::FakeClock clock_;
  base::SeededRandom random_;
  Context ctx_;
  Repository repository_;
  std::unique_ptr<Server> server_;
  Checked out_;
};

}  // namespace

Checked check(const Recording& recording, SimulatedDisk& disk, Moment at, bool torn, uint64_t dice,
              std::vector<DiskStep>* steps) {
  return Checker(recording, disk, at, torn, dice).run(steps);
}

}  // namespace tarn::crash_states
