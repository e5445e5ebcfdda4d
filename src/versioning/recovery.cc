#include "versioning/recovery.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>

#include "kv/record.h"
#include "versioning/detail/listed_once.h"
#include "versioning/journal.h"
#include "versioning/keys.h"
#include "versioning/records.h"

namespace tarn::versioning {
namespace {

constexpr size_t kRowsPerBatch = 2'000;
constexpr std::string_view kRecord = "tarn/repository.json", kRefs = "refs/", kPacks = "packs/";

/// What an error stops: one thing, or everything.
bool stops_all(const Error& error) {
  switch (error.code()) {
    case Code::kCorrupt:
    case Code::kUnsupported:
    case Code::kNotFound:
    case Code::kInvalid:
      return false;
    default:
      return true;
  }
}

/// What stays in memory of a commit; the rest is read again from its row when it must be told.
struct Known {
  CommitId first;              ///< parent; zero: none
  std::vector<CommitId> more;  ///< parents
  bool reached = false, has_child = false;
  template <class Each>
  void each_parent(Each each) const {
    if (!first.is_zero()) each(first);
    for (const CommitId& parent : more) each(parent);
  }
};
using Commits = std::unordered_map<base::Digest, Known, base::DigestHash>;

/// What lies in the store, by the prefix of a repository.
struct Place {
  bool has_record = false;
  std::set<std::string> journals;  ///< ids of repositories
};

Result<std::map<std::string, Place>> find_places(const Context& ctx, block::Store& blocks) {
  std::map<std::string, Place> places;
  TRY(blocks.list(ctx, "", [&](const block::Name& name, const block::Info&) -> Result<void> {
    const std::string_view text = name.str();
    if (text.size() > kRecord.size() && text.ends_with(kRecord) && text[text.size() - kRecord.size() - 1] == '/') {
      places[std::string(text.substr(0, text.size() - kRecord.size()))].has_record = true;
      return {};
    }
    // "<prefix>refs/<id>/<number>", "<prefix>packs/<id>": the last of these words counts, a namespace may hold it too.
    const size_t refs = text.rfind("/refs/"), packs = text.rfind("/packs/");
    if (refs != std::string_view::npos && (packs == std::string_view::npos || refs > packs)) {
      const std::string_view rest = text.substr(refs + 1 + kRefs.size());
      const size_t slash = rest.find('/');
      if (slash != std::string_view::npos && slash > 0 && rest.find('/', slash + 1) == std::string_view::npos)
        places[std::string(text.substr(0, refs + 1))].journals.insert(std::string(rest.substr(0, slash)));
    } else if (packs != std::string_view::npos && text.find('/', packs + 1 + kPacks.size()) == std::string_view::npos) {
      places[std::string(text.substr(0, packs + 1))];
    }
    return {};
  }));
  return places;
}

/// One repository on its way back.
class Rebuild {
 public:
  Rebuild(const Context& ctx, kv::Store& into, block::Store& blocks, base::Clock& clock, base::Random& random,
          std::shared_ptr<tree::NodeCache> nodes, const Progress& progress, Repository repository,
          journal::State journal)
      : ctx_(ctx),
        into_(into),
        random_(random),
        progress_(progress),
        repository_(std::move(repository)),
        prefix_(block_prefix(repository_.storage_namespace)),
        journal_(std::move(journal)),
        packs_(tree::Packs::open(blocks, prefix_, std::move(nodes), clock, random)) {}

  Result<RecoveredRepository> run() {
    out_.name = repository_.name;
    out_.id = repository_.id;
    out_.storage_namespace = repository_.storage_namespace;
    out_.default_branch = repository_.default_branch;
    out_.journal_objects = journal_.objects;
    out_.refs_written_ms = journal_.written_ms;
    out_.losses = journal_.damage;
    TRY(read_commits());
    TRY(write_refs());
    TRY(write_repository());
    TRY(flush());
    TRY(list_unreached());
    return std::move(out_);
  }

 private:
  Result<void> flush() {
    if (batch_.empty()) return {};
    TRY(into_.apply(ctx_, batch_));
    batch_ = kv::Batch();
    return {};
  }
  Result<void> put(std::string key, std::string value) {
    batch_.put(std::move(key), std::move(value));
    return batch_.steps().size() < kRowsPerBatch ? Result<void>() : flush();
  }

  Result<void> read_commits() {
    TRY_LET(const auto packs, packs_->list(ctx_));
    out_.packs = packs.size();
    uint64_t done = 0;
    for (const tree::PackInfo& pack : packs) {
      if (progress_) progress_(fmt::format("{}: packs", repository_.name), done++, packs.size());
      const auto held = packs_->commits_of(ctx_, pack.id);
      if (!held) {
        if (stops_all(held.error())) return held.error();
        out_.losses.push_back(fmt::format("the commits of pack {}: {}", pack.id, held.error().message()));
        continue;
      }
      for (const tree::PackedCommit& packed : *held) TRY(take(pack.id, packed));
      if (pack.folded) TRY(relocate(pack.id));
    }
    for (const auto& [id, known] : commits_) {
      known.each_parent([&, of = id](const CommitId& parent) {
        const auto found = commits_.find(parent.digest());
        if (found != commits_.end())
          found->second.has_child = true;
        else
          out_.losses.push_back(
              fmt::format("commit {}: the past of {} is in no readable pack", parent.hex(), of.hex()));
      });
    }
    out_.commits = commits_.size();
    return {};
  }

  /// What refers to packs that were folded finds them at once; without these rows it would search all packs.
  Result<void> relocate(const std::string& folded) {
    const auto old = packs_->replaced_by(ctx_, folded);
    if (!old) return stops_all(old.error()) ? Result<void>(old.error()) : Result<void>();
    for (const std::string& pack : *old) TRY(put(keys::relocation(repository_.id, pack), "\x01" + folded));
    return {};
  }

  Result<void> take(const std::string& pack, const tree::PackedCommit& packed) {
    const auto stored = decode_commit(packed.record, CommitId(base::Digest(packed.id)));
    if (!stored) {
      out_.losses.push_back(
          fmt::format("commit {} of pack {}: {}", base::to_hex(packed.id), pack, stored.error().message()));
      return {};
    }
    if (stored->repository_id != repository_.id) return {};  // of a repository that had the place before
    const Commit& commit = stored->commit;
    const auto [it, added] = commits_.try_emplace(commit.id.digest());
    if (!added) return {};
    if (!commit.parents.empty()) {
      it->second.first = commit.parents.front();
      it->second.more.assign(commit.parents.begin() + 1, commit.parents.end());
    }
    return put(keys::commit(repository_.id, commit.id), packed.record);
  }

  bool has(const CommitId& id, std::string_view kind, const std::string& name) {
    if (commits_.contains(id.digest())) return true;
    out_.losses.push_back(fmt::format("{} '{}': its commit {} is in no readable pack", kind, name, id.hex()));
    return false;
  }

  Result<void> write_refs() {
    if (journal_.objects == 0 && !commits_.empty())
      out_.losses.push_back(
          "all branches and tags: there is no ref journal (the repository was made in the last second, "
          "or last used by a version without one)");
    for (auto& [name, branch] : journal_.branches) {
      if (!has(branch.head, "branch", name)) continue;
      if (branch.id.empty()) branch.id = random_.hex(8);
      TRY(put(keys::branch(repository_.id, name), encode_branch(branch)));
      TRY(put(keys::epoch(repository_.id, branch.id), encode_tag(branch.head)));
      ++out_.branches;
      reach(branch.head);
    }
    for (const auto& [name, commit] : journal_.tags) {
      if (!has(commit, "tag", name)) continue;
      TRY(put(keys::tag(repository_.id, name), encode_tag(commit)));
      ++out_.tags;
      reach(commit);
    }
    return {};
  }

  // No row says where the journal ends: the first start begins it anew with a snapshot of what is here now.
  Result<void> write_repository() {
    const std::string record = encode_repository(repository_);
    const std::string claim = kv::encode_record(Json::object({{"repository", repository_.id}, {"released", false}}));
    TRY(put(keys::repository(repository_.name), record));
    TRY(put(keys::alive(repository_.id), record));
    TRY(put(keys::protection(repository_.id), encode_protection(journal_.protection)));
    TRY(put(keys::namespace_claim(prefix_), claim));
    return put(keys::namespace_turn(), claim);
  }

  void reach(const CommitId& from) {
    std::vector<CommitId> open = {from};
    while (!open.empty()) {
      const auto found = commits_.find(open.back().digest());
      open.pop_back();
      if (found == commits_.end() || found->second.reached) continue;
      found->second.reached = true;
      found->second.each_parent([&](const CommitId& parent) { open.push_back(parent); });
    }
  }

  /// Whether going back along first parents leads to `head` before it meets another commit that a ref reaches.
  bool follows(const Known& start, const CommitId& head) const {
    const Known* at = &start;
    while (!at->first.is_zero()) {
      const auto parent = commits_.find(at->first.digest());
      if (parent == commits_.end()) return false;
      if (parent->first == head.digest()) return true;
      if (parent->second.reached) return false;
      at = &parent->second;
    }
    return false;
  }

  Result<void> list_unreached() {
    for (const auto& [id, known] : commits_) {
      if (known.reached) continue;
      TRY_LET(const std::optional<kv::Row> row, into_.get(ctx_, keys::commit(repository_.id, CommitId(id))));
      if (!row) return Error(Code::kCorrupt, "commit", "commit " + id.hex() + " was written and is not there");
      TRY_LET(StoredCommit stored, decode_commit(row->value, CommitId(id)));
      UnreachedCommit one = {stored.commit.id,
                             std::move(stored.branch),
                             stored.commit.generation,
                             stored.commit.date_ms,
                             std::move(stored.commit.committer),
                             std::move(stored.commit.message),
                             false,
                             false};
      one.tip = !known.has_child;
      const auto branch = journal_.branches.find(one.branch);
      one.follows_head = branch != journal_.branches.end() && follows(known, branch->second.head);
      out_.unreached.push_back(std::move(one));
    }
    std::sort(out_.unreached.begin(), out_.unreached.end(), [](const UnreachedCommit& a, const UnreachedCommit& b) {
      if (a.tip != b.tip) return a.tip;
      if (a.generation != b.generation) return a.generation > b.generation;
      return a.id < b.id;
    });
    return {};
  }

  const Context& ctx_;
  kv::Store& into_;
  base::Random& random_;
  const Progress& progress_;
  const Repository repository_;
  const std::string prefix_;
  journal::State journal_;
  const std::shared_ptr<tree::Packs> packs_;
  Commits commits_;
  kv::Batch batch_;
  RecoveredRepository out_;
};

/// The repository that a place holds now, of those that ever were there.
struct Holder {
  Repository repository;
  journal::State journal;
};

Result<std::optional<Holder>> holder_of(const Context& ctx, block::Store& blocks, const std::string& prefix,
                                        const Place& place, RecoveryReport& report) {
  std::optional<Repository> record;
  if (place.has_record) {
    TRY_LET(const block::Name name, block::make_name(prefix + std::string(kRecord)));
    const auto bytes = blocks.read(ctx, name, 0, std::nullopt);
    if (!bytes && stops_all(bytes.error())) return bytes.error();
    auto decoded = bytes ? decode_repository(kv::kJsonRecord + *bytes, 0) : Result<Repository>(bytes.error());
    if (decoded)
      record = std::move(*decoded);
    else
      report.losses.push_back(fmt::format("the record {}: {}", name.str(), decoded.error().message()));
  }
  std::set<std::string> ids = place.journals;
  if (record) ids.insert(record->id);
  std::vector<Holder> alive;
  for (const std::string& id : ids) {
    const std::string folder = journal::folder_of(prefix, id);
    TRY_LET(const auto numbers, journal::numbers_of(ctx, blocks, folder));
    TRY_LET(journal::State state, journal::read(ctx, blocks, folder, id, numbers));
    if (state.gone) {
      report.deleted.push_back(fmt::format("{} ({})", prefix, id));
      continue;
    }
    std::optional<Repository> repository = state.repository;
    if (!repository && record && record->id == id) repository = record;
    if (repository && repository->id == id && block_prefix(repository->storage_namespace) == prefix) {
      alive.push_back({std::move(*repository), std::move(state)});
      continue;
    }
    report.losses.push_back(
        fmt::format("repository {} at {}: neither its record nor its ref journal tells what it is; {}", id, prefix,
                    state.damage.empty() ? "" : state.damage.front()));
  }
  if (alive.empty()) return std::optional<Holder>();
  // More than one: a deletion that the journal does not know. The place belongs to the one that came last.
  std::sort(alive.begin(), alive.end(), [&](const Holder& a, const Holder& b) {
    const bool a_named = record && record->id == a.repository.id, b_named = record && record->id == b.repository.id;
    if (a_named != b_named) return b_named;
    return a.repository.created_ms < b.repository.created_ms;
  });
  for (size_t i = 0; i + 1 < alive.size(); ++i)
    report.losses.push_back(fmt::format("repository '{}' ({}): its place {} was taken by a later one",
                                        alive[i].repository.name, alive[i].repository.id, prefix));
  return std::optional<Holder>(std::move(alive.back()));
}

}  // namespace

bool RecoveryReport::whole() const {
  return losses.empty() &&
         std::all_of(repositories.begin(), repositories.end(), [](const auto& r) { return r.losses.empty(); });
}

Result<RecoveryReport> recover(const Context& ctx, kv::Store& into, block::Store& store, base::Clock& clock,
                               base::Random& random, const Progress& progress) {
  TRY_LET(const auto present, into.scan(ctx, "")->next());
  if (present) return Error(Code::kInvalid, "key-value store", "the store to recover into is not empty");
  detail::ListedOnce blocks(store);
  if (progress) progress("listing the object store", 0, 0);
  TRY_LET(const auto places, find_places(ctx, blocks));
  RecoveryReport report;
  std::map<std::string, Holder> by_name;
  for (const auto& [prefix, place] : places) {
    TRY_LET(auto holder, holder_of(ctx, blocks, prefix, place, report));
    if (!holder) {
      const bool explained = std::any_of(report.deleted.begin(), report.deleted.end(),
                                         [&](const std::string& text) { return text.starts_with(prefix + " ("); });
      if (!explained)
        report.losses.push_back(fmt::format(
            "packs at {}: they have neither a repository's record nor a ref journal, so nobody can say whose they are",
            prefix));
      continue;
    }
    const std::string name = holder->repository.name;
    const auto [it, added] = by_name.try_emplace(name, *holder);
    if (added) continue;
    const bool newer = holder->repository.created_ms > it->second.repository.created_ms;
    const Holder& loser = newer ? it->second : *holder;
    report.losses.push_back(
        fmt::format("repository '{}' at {}: a later one has its name", name, loser.repository.storage_namespace));
    if (newer) it->second = *holder;
  }
  const auto nodes = tree::make_node_cache(0);
  for (auto& [name, holder] : by_name) {
    Rebuild rebuild(ctx, into, blocks, clock, random, nodes, progress, std::move(holder.repository),
                    std::move(holder.journal));
    TRY_LET(RecoveredRepository done, rebuild.run());
    report.repositories.push_back(std::move(done));
  }
  return report;
}

}  // namespace tarn::versioning
