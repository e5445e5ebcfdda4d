#include "versioning/fsck.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "kv/record.h"
#include "versioning/detail/listed_once.h"
#include "versioning/journal.h"
#include "versioning/keys.h"
#include "versioning/records.h"

namespace tarn::versioning {
namespace {

bool is_cut_short(const Error& error) { return error.code() == Code::kDeadline || error.code() == Code::kCancelled; }

/// What a store said of one thing: a lie about that thing, or the end of the check.
bool is_lie(const Error& error) { return !is_cut_short(error) && error.code() != Code::kUnavailable; }

struct Known {
  std::vector<CommitId> parents;
  tree::Root root;
  uint64_t generation = 0;
  bool packed = false;
};

/// One repository.
class Examination {
 public:
  Examination(const Context& ctx, kv::View& view, block::Store& blocks, base::Clock& clock, base::Random& random,
              std::shared_ptr<tree::NodeCache> nodes, const FsckOptions& options, Repository repository,
              FsckReport& report)
      : ctx_(ctx),
        view_(view),
        blocks_(blocks),
        options_(options),
        repository_(std::move(repository)),
        prefix_(block_prefix(repository_.storage_namespace)),
        packs_(tree::Packs::open(blocks, prefix_, std::move(nodes), clock, random,
                                 [this](const Context&, const std::string& pack) { return find_relocation(pack); })),
        report_(report) {}

  Result<void> run() {
    out_.name = repository_.name;
    TRY(check_record());
    TRY(read_commits());
    TRY(check_packs());
    check_graph();
    TRY(check_trees());
    TRY(check_refs());
    TRY(check_staging());
    TRY(check_journal());
    report_.repositories.push_back(out_);
    return {};
  }

 private:
  void lie(std::string_view what, std::string subject, std::string message) {
    ++out_.lies;
    report_.lies.push_back({repository_.name, std::string(what), std::move(subject), std::move(message)});
  }
  void progress(std::string_view what, uint64_t done, uint64_t of) {
    if (options_.progress) options_.progress(fmt::format("{}: {}", repository_.name, what), done, of);
  }
  template <class Each>
  Result<void> rows(const std::string& prefix, Each each) {
    const auto scan = view_.scan(prefix);
    while (true) {
      TRY_LET(const std::optional<kv::KeyRow> row, scan->next());
      if (!row) return {};
      TRY(each(keys::after(prefix, row->key), row->row));
    }
  }

  Result<void> check_record() {
    TRY_LET(const std::optional<kv::Row> alive, view_.get(keys::alive(repository_.id)));
    if (!alive) lie("repository", repository_.name, "its row of life is missing: nothing can be written to it");
    TRY_LET(const std::optional<kv::Row> rules, view_.get(keys::protection(repository_.id)));
    if (!rules) {
      lie("repository", repository_.name, "its protection rules are missing");
    } else if (const auto decoded = decode_protection(rules->value); !decoded) {
      lie("repository", repository_.name, "its protection rules: " + decoded.error().message());
    }
    TRY_LET(const std::optional<kv::Row> claim, view_.get(keys::namespace_claim(prefix_)));
    const auto json = claim ? kv::decode_record(claim->value, "storage_namespace") : Result<Json>(Json());
    if (!json || (*json)["repository"].as_string() != repository_.id || (*json)["released"].as_bool())
      lie("repository", repository_.name, "it does not hold the claim on its storage namespace " + prefix_);
    TRY_LET(const block::Name name, block::make_name(prefix_ + "tarn/repository.json"));
    const auto bytes = blocks_.read(ctx_, name, 0, std::nullopt);
    if (!bytes && !is_lie(bytes.error())) return bytes.error();
    const auto record = bytes ? decode_repository(kv::kJsonRecord + *bytes, 0) : Result<Repository>(bytes.error());
    if (!record)
      lie("repository", name.str(), record.error().message());
    else if (record->id != repository_.id)
      lie("repository", name.str(), "it is the record of another repository: " + record->id);
    return {};
  }

  Result<void> read_commits() {
    return rows(keys::commits(repository_.id), [&](const std::string& hex, const kv::Row& row) -> Result<void> {
      ++out_.commits;
      const auto id = CommitId::from_hex(hex);
      auto stored = id ? decode_commit(row.value, *id) : decode_commit("");
      if (!stored || stored->repository_id != repository_.id) {
        lie("commit", hex, stored ? "it is of another repository" : stored.error().message());
        return {};
      }
      commits_[id->digest()] = {std::move(stored->commit.parents), std::move(stored->commit.root),
                                stored->commit.generation, false};
      return {};
    });
  }

  Result<std::optional<std::string>> find_relocation(const std::string& pack) {
    TRY_LET(const std::optional<kv::Row> row, view_.get(keys::relocation(repository_.id, pack)));
    if (!row || row->value.empty()) return std::optional<std::string>();
    return std::optional(row->value.substr(1));
  }

  Result<void> check_packs() {
    TRY_LET(const auto packs, packs_->list(ctx_));
    std::set<std::string> there;
    for (const tree::PackInfo& pack : packs) there.insert(pack.id);
    TRY(rows(keys::relocations(repository_.id), [&](const std::string& old, const kv::Row& row) -> Result<void> {
      const std::string now = row.value.empty() ? std::string() : row.value.substr(1);
      TRY_LET(const auto further, find_relocation(now));
      if (!there.contains(now) && !further)
        lie("pack", now, fmt::format("it is missing, and pack {} was folded into it", old));
      return {};
    }));
    std::unordered_set<base::Digest, base::DigestHash> unknown;
    for (const tree::PackInfo& pack : packs) {
      progress("packs", out_.packs++, packs.size());
      const auto whole = packs_->check_pack(ctx_, pack.id);
      if (!whole) {
        if (!is_lie(whole.error())) return whole.error();
        lie("pack", pack.id, whole.error().message());
      }
      const auto held = packs_->commits_of(ctx_, pack.id);
      if (!held) {
        if (!is_lie(held.error())) return held.error();
        if (whole) lie("pack", pack.id, held.error().message());
        continue;
      }
      for (const tree::PackedCommit& packed : *held) {
        const CommitId id{base::Digest(packed.id)};
        const auto stored = decode_commit(packed.record, id);
        if (!stored) {
          lie("commit", id.hex(), fmt::format("its record in pack {}: {}", pack.id, stored.error().message()));
          continue;
        }
        if (stored->repository_id != repository_.id) continue;  // of a repository that had the place before
        const auto found = commits_.find(id.digest());
        if (found != commits_.end())
          found->second.packed = true;
        else
          unknown.insert(id.digest());
      }
    }
    out_.unreferenced = unknown.size();
    return {};
  }

  void check_graph() {
    for (const auto& [id, known] : commits_) {
      if (!known.packed) lie("commit", id.hex(), "it is in no readable pack: a recovery could not bring it back");
      uint64_t generation = 0;
      bool whole = true;
      for (const CommitId& parent : known.parents) {
        const auto found = commits_.find(parent.digest());
        if (found == commits_.end()) {
          whole = false;
          lie("commit", id.hex(), fmt::format("its parent {} is missing", parent.hex()));
        } else {
          generation = std::max(generation, found->second.generation);
        }
      }
      if (whole && known.generation != generation + 1)
        lie("commit", id.hex(),
            fmt::format("its generation is {}, its parents' give {}", known.generation, generation + 1));
    }
  }

  Result<void> check_object(const std::string& where, const std::string& path, const tree::Entry& entry) {
    if (!options_.object) return {};
    const auto found = options_.object(ctx_, repository_, entry);
    if (found) return {};
    if (is_cut_short(found.error())) return found.error();
    if (lying_.insert(fmt::format("{}\n{}\n{}", path, entry.etag.text(), found.error().message())).second)
      lie("object", path, fmt::format("{} (in {})", found.error().message(), where));
    return {};
  }

  Result<void> check_trees() {
    // The oldest first: a bad node is then told with the commit that made it.
    std::vector<std::pair<uint64_t, base::Digest>> order;
    for (const auto& [id, known] : commits_) order.emplace_back(known.generation, id);
    std::sort(order.begin(), order.end());
    const auto checker = tree::Checker::make(packs_);
    uint64_t done = 0;
    for (const auto& [generation, id] : order) {
      progress(fmt::format("trees ({} nodes, {} entries)", out_.nodes, out_.entries), done++, order.size());
      const std::string where = "commit " + id.hex();
      const auto checked = checker->check(ctx_, commits_[id].root, [&](const tree::Item& item) {
        ++out_.entries;
        if (out_.entries % 100'000 == 0)
          progress(fmt::format("trees ({} nodes, {} entries)", out_.nodes, out_.entries), done, order.size());
        return check_object(where, item.key, item.entry);
      });
      if (checked) {
        out_.nodes += checked->nodes;
        continue;
      }
      if (!is_lie(checked.error())) return checked.error();
      if (lying_.insert(checked.error().message()).second) lie("tree", id.hex(), checked.error().message());
    }
    return {};
  }

  Result<void> check_refs() {
    TRY(rows(keys::branches(repository_.id), [&](const std::string& name, const kv::Row& row) -> Result<void> {
      ++out_.branches;
      auto branch = decode_branch(name, row.value, row.version);
      if (!branch) {
        lie("branch", name, branch.error().message());
        return {};
      }
      if (!commits_.contains(branch->head.digest()))
        lie("branch", name, "its head " + branch->head.hex() + " is missing");
      TRY_LET(const std::optional<kv::Row> epoch, view_.get(keys::epoch(repository_.id, branch->id)));
      if (!epoch) lie("branch", name, "its row of life is missing: nothing can be staged on it");
      heads_.emplace(name, std::move(*branch));
      return {};
    }));
    TRY(rows(keys::tags(repository_.id), [&](const std::string& name, const kv::Row& row) -> Result<void> {
      ++out_.tags;
      const auto commit = decode_tag(row.value);
      if (!commit) {
        lie("tag", name, commit.error().message());
        return {};
      }
      if (!commits_.contains(commit->digest())) lie("tag", name, "its commit " + commit->hex() + " is missing");
      tags_.emplace(name, *commit);
      return {};
    }));
    if (!heads_.empty() && !heads_.contains(repository_.default_branch))
      lie("branch", repository_.default_branch, "the default branch is missing");
    return {};
  }

  Result<void> check_staging() {
    for (const auto& head : heads_) {
      const std::string& name = head.first;
      const kv::Sequence committed = head.second.committed_through;
      TRY(rows(keys::staging(repository_.id, head.second.id),
               [&](const std::string& path, const kv::Row& row) -> Result<void> {
                 if (row.version <= committed) return {};
                 ++out_.staged;
                 const auto staged = decode_staged(row.value);
                 if (!staged) {
                   lie("staged change", path, fmt::format("on branch {}: {}", name, staged.error().message()));
                   return {};
                 }
                 return *staged ? check_object("staged on " + name, path, **staged) : Result<void>();
               }));
    }
    return {};
  }

  // What the journal says, with what is still noted, must be what the refs are.
  Result<void> check_journal() {
    TRY_LET(const std::optional<kv::Row> end, view_.get(keys::journal_end(repository_.id)));
    if (!end) return {};  // a folder from before there was a journal: the next start writes it
    std::set<std::string> noted;
    TRY(rows(keys::noted(repository_.id), [&](const std::string& what, const kv::Row&) -> Result<void> {
      noted.insert(what);
      return {};
    }));
    const std::string folder = journal::folder_of(prefix_, repository_.id);
    TRY_LET(const auto numbers, journal::numbers_of(ctx_, blocks_, folder));
    TRY_LET(const journal::State state, journal::read(ctx_, blocks_, folder, repository_.id, numbers));
    for (const std::string& damage : state.damage) lie("ref journal", folder, damage);
    if (!state.damage.empty()) return {};
    const auto compare = [&](std::string_view kind, const std::map<std::string, CommitId>& here,
                             const std::map<std::string, CommitId>& there) {
      std::set<std::string> names;
      for (const auto& [name, commit] : here) names.insert(name);
      for (const auto& [name, commit] : there) names.insert(name);
      for (const std::string& name : names) {
        if (noted.contains(fmt::format("{}/{}", kind.substr(0, 1), name))) continue;
        const auto a = here.find(name), b = there.find(name);
        const auto text = [](bool known, const CommitId& id) { return known ? "is at " + id.hex() : "does not exist"; };
        if ((a == here.end()) != (b == there.end()) || (a != here.end() && a->second != b->second))
          lie("ref journal", folder,
              fmt::format("{} '{}' {}, the journal says it {}", kind, name,
                          text(a != here.end(), a != here.end() ? a->second : CommitId()),
                          text(b != there.end(), b != there.end() ? b->second : CommitId())));
      }
    };
    std::map<std::string, CommitId> here, there;
    for (const auto& [name, branch] : heads_) here[name] = branch.head;
    for (const auto& [name, branch] : state.branches) there[name] = branch.head;
    compare("branch", here, there);
    compare("tag", tags_, state.tags);
    return {};
  }

  const Context& ctx_;
  kv::View& view_;
  block::Store& blocks_;
  const FsckOptions& options_;
  const Repository repository_;
  const std::string prefix_;
  const std::shared_ptr<tree::Packs> packs_;
  FsckReport& report_;
  CheckedRepository out_;
  std::unordered_map<base::Digest, Known, base::DigestHash> commits_;
  std::map<std::string, Branch> heads_;
  std::map<std::string, CommitId> tags_;
  std::unordered_set<std::string> lying_;  ///< said already
};

}  // namespace

Result<FsckReport> fsck(const Context& ctx, kv::Store& kv, block::Store& store, base::Clock& clock,
                        base::Random& random, const FsckOptions& options) {
  FsckReport report;
  const auto broken = [&](const Error& error) -> Result<FsckReport> {
    if (!is_lie(error)) return error;
    report.lies.push_back({"", "key-value store", "", error.message()});
    return std::move(report);
  };
  TRY_LET(const auto view, kv.view(ctx));
  // Every row of every room once: that reads and checks all blocks of the store.
  const auto all = view->scan("");
  while (true) {
    const auto row = all->next();
    if (!row) return broken(row.error());
    if (!*row) break;
    if (++report.rows % 100'000 == 0 && options.progress)
      options.progress("rows of the key-value store", report.rows, 0);
    TRY(ctx.check(clock));
  }
  detail::ListedOnce blocks(store);
  const auto nodes = tree::make_node_cache(32 << 20);
  bool found = false;
  const auto rows = view->scan(keys::kRepositories);
  while (true) {
    const auto row = rows->next();
    if (!row) return broken(row.error());
    if (!*row) break;
    const std::string name = keys::after(keys::kRepositories, (*row)->key);
    if (!options.repository.empty() && name != options.repository) continue;
    found = true;
    auto repository = decode_repository((*row)->row.value, (*row)->row.version);
    if (!repository) {
      report.lies.push_back({name, "repository", name, repository.error().message()});
      continue;
    }
    Examination examination(ctx, *view, blocks, clock, random, nodes, options, std::move(*repository), report);
    const auto done = examination.run();
    if (!done) {
      if (!is_lie(done.error())) return done.error();
      report.lies.push_back({name, "repository", name, "it could not be checked whole: " + done.error().message()});
    }
  }
  if (!found && !options.repository.empty())
    return Error(Code::kNotFound, "repository", "repository '" + options.repository + "' does not exist");
  return report;
}

}  // namespace tarn::versioning
