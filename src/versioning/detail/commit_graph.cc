#include "versioning/detail/commit_graph.h"

#include <algorithm>
#include <cstring>
#include <queue>

#include "versioning/keys.h"
#include "versioning/records.h"

namespace tarn::versioning::detail {
namespace {

constexpr size_t kReadsBeforeScan = 1'000;  ///< rows that one question reads by themselves
constexpr size_t kAddedAtOnce = 1'000;      ///< commits that a scan adds under one lock
constexpr size_t kBlobBlock = 1u << 20, kFirstBlobBlock = 4u << 10;

uint64_t hash_of(const CommitId& id) {
  uint64_t hash;
  std::memcpy(&hash, id.digest().bytes().data(), sizeof hash);
  return hash;
}

uint32_t load_u32(const char* at) {
  uint32_t v;
  std::memcpy(&v, at, sizeof v);
  return v;
}

}  // namespace

/// What is taken of a commit.
struct CommitGraph::Links {
  std::string_view parents;  ///< 32 bytes each
  uint32_t generation = 0;
  base::WallMs date_ms = 0;
  std::string_view filter;
  size_t count() const { return parents.size() / 32; }
  CommitId parent(size_t i) const { return CommitId(base::Digest(parents.substr(i * 32, 32))); }
};

uint32_t CommitGraph::Node::more_parents() const { return load_u32(blob); }
CommitGraph::Index CommitGraph::Node::further(uint32_t i) const { return load_u32(blob + 4 + size_t{4} * i); }
std::string_view CommitGraph::Node::filter() const {
  const char* at = blob + 4 + size_t{4} * load_u32(blob);
  return {at + 4, load_u32(at)};
}

CommitGraph::CommitGraph(kv::Store& kv, base::Clock& clock, std::string repository_id, std::string name)
    : kv_(kv), clock_(clock), repository_id_(std::move(repository_id)), name_(std::move(name)) {}
CommitGraph::~CommitGraph() = default;

CommitGraph::Index CommitGraph::find_locked(const CommitId& id) const {
  if (table_.empty()) return kNone;
  const size_t mask = table_.size() - 1;
  for (size_t at = hash_of(id) & mask;; at = (at + 1) & mask) {
    if (table_[at] == kNone || node(table_[at]).id == id) return table_[at];
  }
}

void CommitGraph::grow_locked(size_t count) {
  size_t size = std::max<size_t>(table_.size(), 64);
  while (size * 3 < count * 4) size *= 2;
  if (size == table_.size()) return;
  memory_ += (size - table_.size()) * sizeof(Index);
  table_.assign(size, kNone);
  for (Index i = 0; i < count_; ++i) {
    size_t at = hash_of(node(i).id) & (size - 1);
    while (table_[at] != kNone) at = (at + 1) & (size - 1);
    table_[at] = i;
  }
}

CommitGraph::Index CommitGraph::number_locked(const CommitId& id) {
  if (const Index known = find_locked(id); known != kNone) return known;
  grow_locked(size_t{count_} + 1);
  const Index index = count_++;
  const uint64_t shifted = uint64_t{index} + kFirstChunk;
  if ((shifted & (shifted - 1)) == 0) {  // the first of a chunk
    const size_t chunk = static_cast<size_t>(63 - __builtin_clzll(shifted) - 8);
    const size_t bytes = (kFirstChunk << chunk) * sizeof(Node);
    // A line of the processor's cache each. Fresh pages of a big chunk cost nothing until they are written.
    memories_[chunk].reset(new char[bytes + 64]);
    const auto address = reinterpret_cast<uintptr_t>(memories_[chunk].get());
    chunks_[chunk] = reinterpret_cast<Node*>((address + 63) / 64 * 64);
  }
  memory_ += sizeof(Node);
  Node* made = new (&node(index)) Node;
  made->id = id;
  made->line = 0;
  size_t at = hash_of(id) & (table_.size() - 1);
  while (table_[at] != kNone) at = (at + 1) & (table_.size() - 1);
  table_[at] = index;
  return index;
}

char* CommitGraph::blob_locked(size_t size) {
  if (blob_size_ - blob_used_ < size) {
    blob_size_ = std::max(size, blobs_.size() < 8 ? kFirstBlobBlock << blobs_.size() : kBlobBlock);
    blob_used_ = 0;
    blobs_.emplace_back(new char[blob_size_]);
    memory_ += blob_size_;
  }
  char* at = blobs_.back().get() + blob_used_;
  blob_used_ += size;
  return at;
}

CommitGraph::Index CommitGraph::add_locked(const CommitId& id, const Links& links) {
  const Index index = number_locked(id);
  Node& made = node(index);
  if (made.line != 0) return index;
  const auto more = static_cast<uint32_t>(links.count() > 2 ? links.count() - 2 : 0);
  const auto filter_size = static_cast<uint32_t>(links.filter.size());
  char* blob = blob_locked(8 + size_t{4} * more + filter_size);
  std::memcpy(blob, &more, 4);
  for (uint32_t i = 0; i < more; ++i) {
    const Index parent = number_locked(links.parent(i + 2));
    std::memcpy(blob + 4 + size_t{4} * i, &parent, 4);
  }
  char* const behind = blob + 4 + size_t{4} * more;
  std::memcpy(behind, &filter_size, 4);
  links.filter.copy(behind + 4, filter_size);
  made.blob = blob;
  made.date_ms = links.date_ms;
  made.generation = links.generation;
  made.first = links.count() > 0 ? number_locked(links.parent(0)) : kNone;
  made.second = links.count() > 1 ? number_locked(links.parent(1)) : kNone;
  const bool in_line = links.count() == 1 && made.first + 1 == index;
  __atomic_store_n(&made.line, in_line ? node(made.first).line + 1 : 1, __ATOMIC_RELEASE);
  size_.fetch_add(1, std::memory_order_relaxed);
  return index;
}

void CommitGraph::add(const Commit& commit) {
  std::string parents;
  for (const CommitId& parent : commit.parents) parents.append(parent.digest().bytes());
  if (commit.generation > UINT32_MAX) return;
  Links links{parents, static_cast<uint32_t>(commit.generation), commit.date_ms, commit.filter};
  base::Lock lock(mutex_);
  add_locked(commit.id, links);
}

Result<void> CommitGraph::read(const Context& ctx, const CommitId& id, Index& index) {
  TRY_LET(const std::optional<kv::Row> row, kv_.get(ctx, keys::commit(repository_id_, id)));
  if (!row) return Error(Code::kNotFound, "commit", "commit " + id.hex() + " does not exist in " + name_);
  TRY_LET(const CommitLinks links, decode_links(row->value));
  if (links.generation > UINT32_MAX) return Error(Code::kCorrupt, "commit", "commit " + id.hex() + " is too deep");
  base::Lock lock(mutex_);
  index = add_locked(id, {links.parents, static_cast<uint32_t>(links.generation), links.date_ms, links.filter});
  return {};
}

Result<CommitGraph::Index> CommitGraph::Reader::find(const Context& ctx, const CommitId& id) {
  Index index = kNone;
  {
    base::Lock lock(graph_->mutex_);
    index = graph_->find_locked(id);
  }
  if (index != kNone && graph_->is_loaded(graph_->node(index))) return index;
  TRY(graph_->read(ctx, id, index));
  return index;
}

Result<const CommitGraph::Node*> CommitGraph::Reader::load(const Context& ctx, Index index) {
  const Node& found = graph_->node(index);
  if (graph_->is_loaded(found)) return &found;
  if (++reads_ == kReadsBeforeScan) {
    TRY(graph_->scan(ctx));
    if (graph_->is_loaded(found)) return &found;
  }
  TRY(ctx.check(graph_->clock_));
  TRY(graph_->read(ctx, found.id, index));
  return &found;
}

// Rows come in the order of their ids, which is none. They are numbered by generation, so that who walks down the
// history reads memory in one direction.
Result<void> CommitGraph::scan(const Context& ctx) {
  {
    base::Lock lock(mutex_);
    while (scanning_) {
      scanned_.wait_for(lock, std::chrono::milliseconds(50), [&] { return !scanning_; });
      TRY(ctx.check(clock_));
    }
    if (complete_) return {};
    scanning_ = true;
  }
  struct Turn {
    CommitGraph& graph;
    ~Turn() {
      base::Lock lock(graph.mutex_);
      graph.scanning_ = false;
      graph.scanned_.notify_all();
    }
  } turn{*this};

  struct Fresh {
    uint32_t generation, parents_size, filter_size;
    base::WallMs date_ms;
    uint64_t at;  ///< of its id, parents and filter in `bytes`
  };
  std::vector<Fresh> fresh;
  std::string bytes;
  const std::string prefix = keys::commits(repository_id_);
  const auto rows = kv_.scan(ctx, prefix);
  while (true) {
    if (fresh.size() % 1024 == 0) TRY(ctx.check(clock_));
    TRY_LET(const std::optional<kv::KeyRow> row, rows->next());
    if (!row) break;
    const auto id = CommitId::from_hex(std::string_view(row->key).substr(prefix.size()));
    const auto links = decode_links(row->row.value);
    // A damaged row is the trouble of who needs it: it is read by itself then.
    if (!id || !links || links->generation > UINT32_MAX) continue;
    fresh.push_back({static_cast<uint32_t>(links->generation), static_cast<uint32_t>(links->parents.size()),
                     static_cast<uint32_t>(links->filter.size()), links->date_ms, bytes.size()});
    bytes.append(id->digest().bytes()).append(links->parents).append(links->filter);
  }
  std::sort(fresh.begin(), fresh.end(), [](const Fresh& a, const Fresh& b) { return a.generation < b.generation; });
  const std::string_view all = bytes;
  for (size_t from = 0; from < fresh.size(); from += kAddedAtOnce) {
    base::Lock lock(mutex_);
    if (from == 0) grow_locked(count_ + fresh.size());
    for (size_t i = from; i < std::min(fresh.size(), from + kAddedAtOnce); ++i) {
      const Fresh& one = fresh[i];
      add_locked(CommitId(base::Digest(all.substr(one.at, 32))),
                 {all.substr(one.at + 32, one.parents_size), one.generation, one.date_ms,
                  all.substr(one.at + 32 + one.parents_size, one.filter_size)});
    }
  }
  base::Lock lock(mutex_);
  complete_ = true;
  return {};
}

namespace {

/// A byte for each commit that was met, in pages that exist once they are touched.
class Paint {
 public:
  uint8_t& operator[](CommitGraph::Index index) {
    const size_t page = index / kPage;
    if (page >= pages_.size()) pages_.resize(page + 1);
    if (!pages_[page]) pages_[page] = std::make_unique<uint8_t[]>(kPage);
    return pages_[page][index % kPage];
  }

 private:
  static constexpr size_t kPage = 4096;
  std::vector<std::unique_ptr<uint8_t[]>> pages_;
};

}  // namespace

// Paints both histories downwards, greatest generation first, so that a commit is looked at only after all its
// descendants. What is painted from both sides and lies under no other such commit is a best common ancestor. There can
// be no further one when all that waits and is not below one is painted from one side only.
Result<std::vector<CommitGraph::Index>> best_common_ancestors(const Context& ctx, base::Clock& clock,
                                                              CommitGraph::Reader& graph, CommitGraph::Index a,
                                                              CommitGraph::Index b) {
  using Index = CommitGraph::Index;
  enum : uint8_t { kA = 1, kB = 2, kBelow = 4, kMet = 8 };
  using Node = CommitGraph::Node;
  struct Waiting {
    uint32_t generation;
    Index index;
    const Node* node;
    bool operator<(const Waiting& other) const {
      return generation != other.generation ? generation < other.generation : index < other.index;
    }
  };
  std::priority_queue<Waiting> waiting;
  Paint paint;
  size_t open_a = 0, open_b = 0;  // waiting commits that are not below a common ancestor
  const auto mark = [&](Index index, uint8_t colours) -> Result<void> {
    uint8_t& painted = paint[index];
    const uint8_t before = painted;
    if ((before & colours) == colours) return {};
    if (!(before & kMet)) {
      graph.fetch_ahead(index);
      const Node* node = graph.loaded(index);
      if (node == nullptr) {
        TRY_LET(node, graph.load(ctx, index));
      }
      waiting.push({node->generation, index, node});
    }
    painted = before | colours | kMet;
    const auto open = [](uint8_t p, uint8_t side) { return (p & side) && !(p & kBelow); };
    open_a += static_cast<size_t>(open(painted, kA)) - static_cast<size_t>(open(before, kA));
    open_b += static_cast<size_t>(open(painted, kB)) - static_cast<size_t>(open(before, kB));
    return {};
  };
  std::vector<Index> best;
  TRY(mark(a, kA));
  TRY(mark(b, kB));
  for (size_t steps = 0; !waiting.empty() && open_a > 0 && open_b > 0; ++steps) {
    if (steps % 1024 == 0) TRY(ctx.check(clock));
    const Waiting at = waiting.top();
    waiting.pop();
    uint8_t colours = paint[at.index] & (kA | kB | kBelow);
    if (!(colours & kBelow)) {
      if (colours & kA) --open_a;
      if (colours & kB) --open_b;
      if (colours == (kA | kB)) {
        best.push_back(at.index);
        colours |= kBelow;
      }
    }
    Index next = at.node->first;
    if (at.node->line > 1 && !waiting.empty()) {
      // Nothing that waits can meet the line above its own generation: no need to stop at every commit of it.
      const uint32_t free = at.generation - waiting.top().generation;
      if (free > 1) next = at.index - std::min(at.node->line - 1, free);
    }
    if (next != at.node->first) {
      TRY(mark(next, colours));
    } else {
      TRY(at.node->each_parent([&](Index parent) { return mark(parent, colours); }));
    }
  }
  const auto node = [&](Index index) -> const Node& { return *graph.loaded(index); };
  std::sort(best.begin(), best.end(), [&](Index x, Index y) {
    const auto &l = node(x), &r = node(y);
    if (l.generation != r.generation) return l.generation > r.generation;
    return l.date_ms != r.date_ms ? l.date_ms > r.date_ms : l.id < r.id;
  });
  return best;
}

}  // namespace tarn::versioning::detail
