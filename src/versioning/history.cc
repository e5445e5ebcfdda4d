// The commit graph: log and merge base.
#include <algorithm>

#include "base/bytes.h"
#include "tree/change_filter.h"
#include "versioning/detail/engine_impl.h"

namespace tarn::versioning::detail {
namespace {

constexpr size_t kStepsBetweenChecks = 256;
constexpr uint64_t kUsesBetweenCounts = 64;  ///< of graphs, until their memory is counted

bool matches(const std::string& path, const LogQuery& query) {
  for (const std::string& object : query.objects)
    if (path == object) return true;
  for (const std::string& prefix : query.prefixes)
    if (path.starts_with(prefix)) return true;
  return false;
}

/// What the filters of commits are asked for.
struct Asked {
  std::vector<uint64_t> names;
  bool anything = false;  ///< a prefix without a directory: a filter cannot know
  bool may_be_in(std::string_view filter) const { return anything || tree::change_filter_may_contain(filter, names); }
};

/// Filters know keys and whole directories: of another prefix they know the longest directory that it lies in.
Asked asked_of(const LogQuery& query) {
  Asked asked;
  for (const std::string& object : query.objects) asked.names.push_back(tree::change_filter_name(object));
  for (const std::string& prefix : query.prefixes) {
    const size_t slash = prefix.rfind('/');
    if (slash == std::string::npos)
      asked.anything = true;
    else
      asked.names.push_back(tree::change_filter_name(std::string_view(prefix).substr(0, slash + 1)));
  }
  return asked;
}

/// What the order and the choice of a log depend on.
std::string key_of(const Repository& repository, const CommitId& from, const std::optional<CommitId>& stop,
                   const LogQuery& query) {
  base::ByteWriter key;
  key.text(repository.id);
  key.raw(from.digest().bytes());
  key.raw(stop.value_or(CommitId()).digest().bytes());
  key.u8(query.first_parent ? 1 : 0);
  key.u8(query.since_ms ? 1 : 0);
  key.varint_signed(query.since_ms.value_or(0));
  key.varint(query.objects.size());
  for (const std::string& object : query.objects) key.text(object);
  for (const std::string& prefix : query.prefixes) key.text(prefix);
  return key.take();
}

}  // namespace

// Against the first parent, by the trees below the asked places.
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
    if (!tree::same_identity(left, right)) return true;
  }
  for (const std::string& prefix : query.prefixes) {
    const auto cursor = tree::diff(store, before, commit.root, prefix);
    TRY_LET(const std::optional<tree::Change> change, cursor->next(ctx));
    if (change && matches(change->key, query)) return true;
  }
  return false;
}

// Walk -> filters in memory -> trees of what they let through -> commits of the page. A page begins where the one
// before it ended when that is still known; else the walk is gone again up to `after`, in memory.
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
  const Asked asked = asked_of(query);
  const std::string key = key_of(repository, at.commit.id, stop, query);
  const auto key_at = [&](const CommitId& id) { return key + std::string(id.digest().bytes()); };

  std::optional<LogPlaces::Place> place;
  if (after) place = log_places_.take(key_at(*after));
  const bool resumed = place.has_value();
  if (!resumed) {
    const auto graph = commit_graph(repository);
    CommitGraph::Reader reader(graph);
    TRY_LET(const CommitGraph::Index from, reader.find(ctx, at.commit.id));
    place.emplace(LogWalk(graph, {query.first_parent, query.since_ms}), CommitGraph::kNone);
    TRY(place->walk.start(ctx, from));
    if (after && !stop && !query.since_ms) {
      TRY_LET(const CommitGraph::Index target, reader.find(ctx, *after));
      TRY(place->walk.skip_towards(ctx, target));
    }
  }
  LogWalk& walk = place->walk;

  Page<Commit> page;
  bool behind_after = !after || resumed;
  CommitId last;
  const auto take = [&](CommitGraph::Index index) -> Result<bool> {  // whether the page goes on
    if (page.items.size() == query.amount) {
      page.has_more = true;
      place->found = index;
      return false;
    }
    TRY_LET(Commit commit, load_commit(ctx, repository, walk.node(index).id));
    last = commit.id;
    page.next_after = last.hex();
    page.items.push_back(std::move(commit));
    return true;
  };
  bool goes_on = true;
  if (resumed) {
    TRY_LET(goes_on, take(place->found));
    if (goes_on && stop && last == *stop) return page;
  }
  for (size_t steps = 0; goes_on; ++steps) {
    if (steps % kStepsBetweenChecks == 0) TRY(ctx.check(clock_));
    TRY_LET(const CommitGraph::Index index, walk.next(ctx));
    if (index == CommitGraph::kNone) return page;
    const CommitGraph::Node& node = walk.node(index);
    bool wanted = behind_after;
    if (wanted && filtered) {
      wanted = asked.may_be_in(node.filter());
      if (wanted) {
        TRY_LET(const Commit commit, load_commit(ctx, repository, node.id));
        TRY_LET(wanted, touches(ctx, repository, commit, query));
      }
    }
    if (wanted) {
      TRY_LET(goes_on, take(index));
    }
    if (after && node.id == *after) behind_after = true;
    if (goes_on && stop && node.id == *stop) return page;
  }
  log_places_.put(key_at(page.items.empty() ? after.value_or(CommitId()) : last), std::move(*place));
  return page;
}

Result<std::vector<CommitId>> EngineImpl::best_common_ancestors(const Context& ctx, const Repository& repository,
                                                                const CommitId& a, const CommitId& b) {
  CommitGraph::Reader graph(commit_graph(repository));
  TRY_LET(const CommitGraph::Index left, graph.find(ctx, a));
  TRY_LET(const CommitGraph::Index right, graph.find(ctx, b));
  TRY_LET(const auto best, detail::best_common_ancestors(ctx, clock_, graph, left, right));
  std::vector<CommitId> ids;
  for (const CommitGraph::Index index : best) ids.push_back(graph.loaded(index)->id);
  return ids;
}

Result<CommitId> EngineImpl::merge_base(const Context& ctx, const Repository& repository, const CommitId& a,
                                        const CommitId& b) {
  TRY_LET(const auto best, best_common_ancestors(ctx, repository, a, b));
  if (!best.empty()) return best.front();
  return Error(Code::kNotFound, "merge_base", "the two commits have no common ancestor");
}

std::shared_ptr<CommitGraph> EngineImpl::commit_graph(const Repository& repository) {
  base::Lock lock(mutex_);
  auto& found = graphs_[repository.id];
  if (!found.graph) found.graph = std::make_shared<CommitGraph>(kv_, clock_, repository.id, repository.name);
  found.used = ++graph_uses_;
  if (found.used % kUsesBetweenCounts != 0) return found.graph;
  // Beyond the limit the graphs that were not used for the longest time go; a question under way keeps its own.
  size_t memory = 0;
  for (const auto& [id, one] : graphs_) memory += one.graph->memory();
  while (memory > kGraphBytesMax && graphs_.size() > 1) {
    const auto oldest = std::min_element(graphs_.begin(), graphs_.end(),
                                         [](const auto& l, const auto& r) { return l.second.used < r.second.used; });
    memory -= oldest->second.graph->memory();
    graphs_.erase(oldest);
    log_places_.clear();
  }
  return graphs_[repository.id].graph;
}

// Commits whose row is durable: what asks for them next need not read it.
void EngineImpl::know(const Repository& repository, const Commit& commit) {
  std::shared_ptr<CommitGraph> graph;
  auto shared = std::make_shared<const Commit>(commit);
  {
    base::Lock lock(mutex_);
    cache_commit(repository.id, std::move(shared));
    if (const auto found = graphs_.find(repository.id); found != graphs_.end()) graph = found->second.graph;
  }
  if (graph) graph->add(commit);
}

}  // namespace tarn::versioning::detail
