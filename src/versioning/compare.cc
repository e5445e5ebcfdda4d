// Comparison: what is staged, and what differs between two refs.
#include "versioning/detail/engine_impl.h"

namespace tarn::versioning::detail {
namespace {

DiffItem item_of(std::string path, std::optional<tree::Entry> left, std::optional<tree::Entry> right) {
  const auto type = !left ? DiffItem::Type::kAdded : (right ? DiffItem::Type::kChanged : DiffItem::Type::kRemoved);
  return {type, std::move(path), false, std::move(left), std::move(right)};
}

/// Gives items at or behind a key, again and again: what a page is cut from.
class Items {
 public:
  virtual ~Items() = default;
  virtual Result<void> seek(const std::string& from) = 0;
  virtual Result<std::optional<DiffItem>> next() = 0;
};

/// Collapses by delimiter and cuts a page; a whole prefix costs one seek.
Result<Page<DiffItem>> cut_page(Items& items, const ListQuery& query) {
  Page<DiffItem> page;
  std::string from = query.prefix;
  if (!query.after.empty() && query.after >= query.prefix) {
    from = query.after + '\0';
    if (!query.delimiter.empty() && query.after.starts_with(query.prefix)) {
      const size_t cut = query.after.find(query.delimiter, query.prefix.size());
      if (cut != std::string::npos) from = kv::prefix_end(query.after.substr(0, cut + query.delimiter.size()));
      if (from.empty()) return page;
    }
  }
  TRY(items.seek(from));
  while (true) {
    TRY_LET(std::optional<DiffItem> item, items.next());
    if (!item || !item->path.starts_with(query.prefix)) return page;
    if (page.items.size() == query.amount) {
      page.has_more = true;
      return page;
    }
    const size_t cut =
        query.delimiter.empty() ? std::string::npos : item->path.find(query.delimiter, query.prefix.size());
    if (cut != std::string::npos) {
      item->path.resize(cut + query.delimiter.size());
      *item = DiffItem{DiffItem::Type::kPrefixChanged, std::move(item->path), true, {}, {}};
    }
    page.next_after = item->path;
    page.items.push_back(std::move(*item));
    if (cut == std::string::npos) continue;
    const std::string behind = kv::prefix_end(page.next_after);
    if (behind.empty()) return page;
    TRY(items.seek(behind));
  }
}

/// Staged rows against a map.
class StagedItems final : public Items {
 public:
  StagedItems(const Context& ctx, std::shared_ptr<tree::Packs> packs, tree::Root root, StagedCursor rows)
      : ctx_(ctx), packs_(std::move(packs)), root_(std::move(root)), rows_(std::move(rows)) {}
  Result<void> seek(const std::string& from) override {
    rows_.seek(from);
    return {};
  }
  Result<std::optional<DiffItem>> next() override {
    while (true) {
      TRY_LET(std::optional<StagedRow> row, rows_.next());
      if (!row) return std::optional<DiffItem>();
      TRY_LET(std::optional<tree::Entry> base, tree::get(ctx_, *packs_, root_, row->path));
      if (!tree::same_identity(base, row->entry))
        return std::optional<DiffItem>(item_of(std::move(row->path), std::move(base), std::move(row->entry)));
    }
  }

 private:
  const Context& ctx_;
  std::shared_ptr<tree::Packs> packs_;
  const tree::Root root_;
  StagedCursor rows_;
};

// Change-sets are read whole for each page, at about a microsecond a change; the trees only where the page is.
constexpr size_t kCommitsInLine = 16;
constexpr uint64_t kChangeSetBytes = 256u << 10;  ///< some 2,500 changes

/// What two steps change in one; both in key order. What the second takes back is no change.
std::vector<tree::Change> followed_by(std::vector<tree::Change> first, std::vector<tree::Change> then) {
  std::vector<tree::Change> both;
  both.reserve(first.size() + then.size());
  auto a = first.begin(), b = then.begin();
  while (a != first.end() || b != then.end()) {
    if (b == then.end() || (a != first.end() && a->key < b->key)) {
      both.push_back(std::move(*a++));
    } else if (a == first.end() || b->key < a->key) {
      both.push_back(std::move(*b++));
    } else {
      if (!tree::same_identity(a->left, b->right)) {
        const auto type = !a->left   ? tree::ChangeType::kAdded
                          : b->right ? tree::ChangeType::kChanged
                                     : tree::ChangeType::kRemoved;
        both.push_back({std::move(a->key), type, std::move(a->left), std::move(b->right)});
      }
      ++a;
      ++b;
    }
  }
  return both;
}

/// A list of changes, in key order, below `prefix` from `from` on.
class ListedChanges final : public tree::ChangeCursor {
 public:
  ListedChanges(std::span<const tree::Change> changes, std::string prefix, const std::string& from)
      : changes_(changes), prefix_(std::move(prefix)) {
    const auto first =
        std::lower_bound(changes.begin(), changes.end(), std::max(prefix_, from),
                         [](const tree::Change& change, const std::string& key) { return change.key < key; });
    changes_ = changes.subspan(static_cast<size_t>(first - changes.begin()));
  }
  Result<std::optional<tree::Change>> next(const Context&) override {
    if (changes_.empty() || !changes_.front().key.starts_with(prefix_)) return std::optional<tree::Change>();
    tree::Change change = changes_.front();
    changes_ = changes_.subspan(1);
    return std::optional(std::move(change));
  }

 private:
  std::span<const tree::Change> changes_;
  const std::string prefix_;
};

/// Changes between two maps, from their change-set if it is `known`; with `rows`, the right one has staged changes laid
/// over it; with `other`, the changes are from a base to the right and a conflict is what `other` changed in another
/// way.
class TreeItems final : public Items {
 public:
  TreeItems(const Context& ctx, std::shared_ptr<tree::Packs> packs, tree::Root left, tree::Root right,
            std::string prefix, std::optional<std::vector<tree::Change>> known)
      : ctx_(ctx),
        packs_(std::move(packs)),
        left_(std::move(left)),
        right_(std::move(right)),
        prefix_(std::move(prefix)),
        known_(std::move(known)) {}
  void lay_over(StagedCursor rows) { rows_.emplace(std::move(rows)); }
  void compare_with(tree::Root other) { other_ = std::move(other); }

  Result<void> seek(const std::string& from) override {
    if (known_)
      cursor_ = std::make_unique<ListedChanges>(*known_, prefix_, from);
    else
      cursor_ = tree::diff(packs_, left_, right_, prefix_, from);
    change_.reset();
    row_.reset();
    ended_ = false;
    rows_ended_ = !rows_;
    if (rows_) rows_->seek(from);
    return {};
  }

  Result<std::optional<DiffItem>> next() override {
    while (true) {
      if (!change_ && !ended_) {
        TRY_LET(change_, cursor_->next(ctx_));
        ended_ = !change_;
      }
      if (!row_ && !rows_ended_) {
        TRY_LET(row_, rows_->next());
        rows_ended_ = !row_;
      }
      if (row_ && (!change_ || row_->path <= change_->key)) {
        if (change_ && change_->key == row_->path) change_.reset();
        StagedRow row = std::move(*row_);
        row_.reset();
        TRY_LET(std::optional<tree::Entry> left, tree::get(ctx_, *packs_, left_, row.path));
        if (tree::same_identity(left, row.entry)) continue;
        return std::optional<DiffItem>(item_of(std::move(row.path), std::move(left), std::move(row.entry)));
      }
      if (!change_) return std::optional<DiffItem>();
      tree::Change change = std::move(*change_);
      change_.reset();
      if (!other_)
        return std::optional<DiffItem>(item_of(std::move(change.key), std::move(change.left), std::move(change.right)));
      TRY_LET(std::optional<tree::Entry> mine, tree::get(ctx_, *packs_, *other_, change.key));
      if (tree::same_identity(mine, change.right)) continue;  // both sides did the same
      const bool conflict = !tree::same_identity(mine, change.left);
      DiffItem item = item_of(std::move(change.key), std::move(mine), std::move(change.right));
      if (conflict) item.type = DiffItem::Type::kConflict;
      return std::optional<DiffItem>(std::move(item));
    }
  }

 private:
  const Context& ctx_;
  std::shared_ptr<tree::Packs> packs_;
  const tree::Root left_, right_;
  const std::string prefix_;
  const std::optional<std::vector<tree::Change>> known_;
  std::optional<StagedCursor> rows_;
  std::optional<tree::Root> other_;
  std::unique_ptr<tree::ChangeCursor> cursor_;
  std::optional<tree::Change> change_;
  std::optional<StagedRow> row_;
  bool ended_ = false, rows_ended_ = true;
};

}  // namespace

Result<Page<DiffItem>> EngineImpl::uncommitted(const Context& ctx, const Repository& repository,
                                               std::string_view branch, const ListQuery& query) {
  TRY_LET(const auto view, kv_.view(ctx));
  TRY_LET(const Branch record, read_branch(*view, repository, branch));
  TRY_LET(const Commit head, load_commit(ctx, repository, record.head));
  StagedItems items(ctx, packs(repository), head.root, StagedCursor(*view, repository.id, record, query.prefix));
  return cut_page(items, query);
}

Result<std::optional<Commit>> EngineImpl::base_of(const Context& ctx, const Repository& repository, const Commit& a,
                                                  const Commit& b) {
  const auto ancestor = merge_base(ctx, repository, a.id, b.id);
  if (!ancestor && ancestor.error().code() == Code::kNotFound) return std::optional<Commit>();
  if (!ancestor) return ancestor.error();
  TRY_LET(Commit at, load_commit(ctx, repository, *ancestor));
  return std::optional(std::move(at));
}

Result<std::optional<std::vector<tree::Change>>> EngineImpl::changes_since(const Context& ctx,
                                                                           const Repository& repository,
                                                                           const Commit& left, const Commit& right) {
  const std::optional<std::vector<tree::Change>> none;
  std::vector<Commit> line = {right};
  while (line.back().id != left.id) {
    const Commit& at = line.back();
    if (line.size() > kCommitsInLine || at.parents.empty() || at.generation <= left.generation) return none;
    TRY_LET(Commit parent, load_commit(ctx, repository, at.parents.front()));
    line.push_back(std::move(parent));
  }
  // Of several commits only small ones, whose filter lies in their row: some 200 changes each.
  for (size_t i = 0; line.size() > 2 && i + 1 < line.size(); ++i)
    if (line[i].filter.empty() && line[i].root.id != line[i + 1].root.id) return none;
  const auto store = packs(repository);
  std::vector<tree::Change> all;
  for (size_t i = line.size() - 1; i > 0; --i) {
    const Commit& commit = line[i - 1];
    if (commit.root.id == line[i].root.id) continue;
    if (commit.pack.empty()) return none;
    auto set = store->change_set(ctx, commit.pack, commit.id.digest().bytes(), kChangeSetBytes);
    // A damaged or missing pack is fsck's to report: the trees say the same.
    if (!set && (set.error().code() == Code::kCorrupt || set.error().code() == Code::kNotFound)) return none;
    if (!set) return set.error();
    if (!*set) return none;
    all = all.empty() ? std::move(**set) : followed_by(std::move(all), std::move(**set));
  }
  return std::optional(std::move(all));
}

Result<Page<DiffItem>> EngineImpl::diff(const Context& ctx, const Repository& repository, std::string_view left_ref,
                                        std::string_view right_ref, DiffType type, const ListQuery& query) {
  TRY_LET(const Resolved left, resolve(ctx, repository, left_ref));
  TRY_LET(Resolved right, resolve(ctx, repository, right_ref));
  if (left_ref.ends_with('$') && left.branch)
    return Error(Code::kUnsupported, "ref", "only the right side of a two-dot diff may include uncommitted changes");
  const auto store = packs(repository);
  if (type == DiffType::kThreeDot) {
    TRY_LET(const auto base, base_of(ctx, repository, left.commit, right.commit));
    std::optional<std::vector<tree::Change>> known;
    if (base) {
      TRY_LET(known, changes_since(ctx, repository, *base, right.commit));
    }
    TreeItems items(ctx, store, base ? base->root : tree::empty_root(repository.parameters), right.commit.root,
                    query.prefix, std::move(known));
    items.compare_with(left.commit.root);
    return cut_page(items, query);
  }
  if (!right_ref.ends_with('$') || !right.branch) {
    TRY_LET(auto known, changes_since(ctx, repository, left.commit, right.commit));
    TreeItems items(ctx, store, left.commit.root, right.commit.root, query.prefix, std::move(known));
    return cut_page(items, query);
  }
  TRY_LET(const auto view, kv_.view(ctx));
  TRY_LET(const Branch record, read_branch(*view, repository, right.branch->name));
  TRY_LET(const Commit head, load_commit(ctx, repository, record.head));
  TRY_LET(auto known, changes_since(ctx, repository, left.commit, head));
  TreeItems items(ctx, store, left.commit.root, head.root, query.prefix, std::move(known));
  items.lay_over(StagedCursor(*view, repository.id, record, query.prefix));
  return cut_page(items, query);
}

// What the source changed since the base and the destination changed in another way.
Result<Page<tree::Conflict>> EngineImpl::conflicts(const Context& ctx, const Repository& repository,
                                                   std::string_view source_ref, std::string_view destination_ref,
                                                   const PageQuery& query) {
  TRY_LET(const Resolved source, resolve(ctx, repository, source_ref));
  TRY_LET(const Resolved destination, resolve(ctx, repository, destination_ref));
  TRY_LET(const auto base, base_of(ctx, repository, source.commit, destination.commit));
  const auto store = packs(repository);
  const auto changes =
      tree::diff(store, base ? base->root : tree::empty_root(repository.parameters), source.commit.root, query.prefix,
                 query.after.empty() ? std::string() : query.after + '\0');
  Page<tree::Conflict> page;
  while (true) {
    TRY(ctx.check(clock_));
    TRY_LET(std::optional<tree::Change> change, changes->next(ctx));
    if (!change) return page;
    TRY_LET(std::optional<tree::Entry> mine, tree::get(ctx, *store, destination.commit.root, change->key));
    if (tree::same_identity(mine, change->right) || tree::same_identity(mine, change->left)) continue;
    if (page.items.size() == query.amount) {
      page.has_more = true;
      return page;
    }
    page.next_after = change->key;
    page.items.push_back({std::move(change->key), std::move(change->left), std::move(change->right), std::move(mine)});
  }
}

Result<std::vector<tree::Change>> EngineImpl::changes(const Context& ctx, const Repository& left_repository,
                                                      const Commit& left, const Repository& right_repository,
                                                      const Commit& right, std::string_view prefix) {
  const auto cursor = left_repository.id == right_repository.id
                          ? tree::diff(packs(left_repository), left.root, right.root, prefix)
                          : tree::diff(packs(left_repository), left.root, packs(right_repository), right.root, prefix);
  std::vector<tree::Change> out;
  while (true) {
    TRY(ctx.check(clock_));
    TRY_LET(std::optional<tree::Change> change, cursor->next(ctx));
    if (!change) return out;
    out.push_back(std::move(*change));
  }
}

}  // namespace tarn::versioning::detail
