// The commit graph: log and merge base.
#include <queue>
#include <set>

#include "versioning/detail/engine_impl.h"

namespace tarn::versioning::detail {
namespace {

/// Newest date first; equal dates by id, descending.
struct Older {
  bool operator()(const Commit& a, const Commit& b) const {
    return a.date_ms != b.date_ms ? a.date_ms < b.date_ms : a.id < b.id;
  }
};

bool matches(const std::string& path, const LogQuery& query) {
  for (const std::string& object : query.objects)
    if (path == object) return true;
  for (const std::string& prefix : query.prefixes)
    if (path.starts_with(prefix)) return true;
  return false;
}

}  // namespace

// Against the first parent: by the change-set when the pack has one, else by the trees below the asked places.
Result<bool> EngineImpl::touches(const Context& ctx, const Repository& repository, const Commit& commit,
                                 const LogQuery& query) {
  const auto store = packs(repository);
  tree::Root before = tree::empty_root(repository.parameters);
  if (!commit.parents.empty()) {
    TRY_LET(const Commit parent, load_commit(ctx, repository, commit.parents[0]));
    before = parent.root;
  }
  if (before.id == commit.root.id) return false;
  for (const std::string& object : query.objects) {
    TRY_LET(const std::optional<tree::Entry> left, tree::get(ctx, *store, before, object));
    TRY_LET(const std::optional<tree::Entry> right, tree::get(ctx, *store, commit.root, object));
    if (left.has_value() != right.has_value()) return true;
    if (left && !tree::same_identity(*left, *right)) return true;
  }
  for (const std::string& prefix : query.prefixes) {
    const auto cursor = tree::diff(store, before, commit.root, prefix);
    TRY_LET(const std::optional<tree::Change> change, cursor->next(ctx));
    if (change && matches(change->key, query)) return true;
  }
  return false;
}

Result<Page<Commit>> EngineImpl::log(const Context& ctx, const Repository& repository, std::string_view ref,
                                     const LogQuery& query) {
  TRY_LET(const Resolved at, resolve(ctx, repository, ref));
  std::optional<CommitId> after, stop;
  if (!query.after.empty()) {
    TRY_LET(const Resolved resolved, resolve(ctx, repository, query.after));
    after = resolved.commit.id;
  }
  if (!query.stop_at.empty()) {
    TRY_LET(const Resolved resolved, resolve(ctx, repository, query.stop_at));
    stop = resolved.commit.id;
  }
  const bool filtered = !query.objects.empty() || !query.prefixes.empty();

  Page<Commit> page;
  std::priority_queue<Commit, std::vector<Commit>, Older> waiting;
  std::set<CommitId> seen{at.commit.id};
  waiting.push(at.commit);
  bool behind_after = !after;
  while (!waiting.empty()) {
    TRY(ctx.check(clock_));
    const Commit commit = waiting.top();
    waiting.pop();
    if (query.since_ms && commit.date_ms < *query.since_ms) continue;
    const bool last = stop && commit.id == *stop;
    bool wanted = behind_after;
    if (wanted && filtered) {
      TRY_LET(wanted, touches(ctx, repository, commit, query));
    }
    if (wanted) {
      if (page.items.size() == query.amount) {
        page.has_more = true;
        return page;
      }
      page.next_after = commit.id.hex();
      page.items.push_back(commit);
    }
    if (after && commit.id == *after) behind_after = true;
    if (last) return page;
    for (size_t i = 0; i < commit.parents.size() && (i == 0 || !query.first_parent); ++i) {
      if (!seen.insert(commit.parents[i]).second) continue;
      TRY_LET(Commit parent, load_commit(ctx, repository, commit.parents[i]));
      waiting.push(std::move(parent));
    }
  }
  return page;
}

// Paints both histories downwards, greatest generation first, so that a commit is looked at only after all its
// descendants. What is painted from both sides and lies under no other such commit is a best common ancestor; of
// several the one with the greatest generation, then the newest date, then the smallest id.
Result<CommitId> EngineImpl::merge_base(const Context& ctx, const Repository& repository, const CommitId& a,
                                        const CommitId& b) {
  if (a == b) {
    TRY(load_commit(ctx, repository, a));
    return a;
  }
  enum : uint8_t { kA = 1, kB = 2, kBelow = 4 };
  const auto later = [](const Commit& x, const Commit& y) {
    return x.generation != y.generation ? x.generation < y.generation : x.id < y.id;
  };
  std::priority_queue<Commit, std::vector<Commit>, decltype(later)> waiting(later);
  std::map<CommitId, uint8_t> paint;
  size_t open = 0;  // waiting commits that are not below a common ancestor
  const auto mark = [&](const CommitId& id, uint8_t colours) -> Result<void> {
    const auto [at, fresh] = paint.emplace(id, 0);
    const uint8_t before = at->second;
    at->second |= colours;
    if (fresh) {
      TRY_LET(Commit commit, load_commit(ctx, repository, id));
      waiting.push(std::move(commit));
    }
    if (fresh && !(at->second & kBelow)) ++open;
    if (!fresh && !(before & kBelow) && (at->second & kBelow)) --open;
    return {};
  };
  TRY(mark(a, kA));
  TRY(mark(b, kB));
  std::optional<Commit> best;
  while (!waiting.empty() && open > 0) {
    TRY(ctx.check(clock_));
    const Commit commit = waiting.top();
    waiting.pop();
    uint8_t colours = paint[commit.id];
    if (!(colours & kBelow)) --open;
    if ((colours & (kA | kB)) == (kA | kB) && !(colours & kBelow)) {
      const bool better =
          !best || commit.generation > best->generation ||
          (commit.generation == best->generation &&
           (commit.date_ms > best->date_ms || (commit.date_ms == best->date_ms && commit.id < best->id)));
      if (better) best = commit;
      colours |= kBelow;
    }
    for (const CommitId& parent : commit.parents) TRY(mark(parent, colours));
  }
  if (best) return best->id;
  return Error(Code::kNotFound, "merge_base", "the two commits have no common ancestor");
}

}  // namespace tarn::versioning::detail
