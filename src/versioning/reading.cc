// Reading: one path, a page of a listing, everything below a prefix. Head and staged rows come from one view.
#include "base/bytes.h"
#include "versioning/detail/engine_impl.h"

namespace tarn::versioning::detail {

Result<std::optional<tree::Entry>> EngineImpl::find(const Context& ctx, const Repository& repository,
                                                    const Resolved& at, std::string_view path) {
  const auto store = packs(repository);
  if (!at.branch) return tree::get(ctx, *store, at.commit.root, path);
  std::optional<Commit> head;
  {
    TRY_LET(const auto view, kv_.view(ctx));
    TRY_LET(const Branch branch, read_branch(*view, repository, at.branch->name));
    TRY_LET(const std::optional<kv::Row> row, view->get(keys::staged(repository.id, branch.id, path)));
    if (row && row->version > branch.committed_through) return decode_staged(row->value);
    if (branch.head != at.commit.id) {
      TRY_LET(head, load_commit(ctx, repository, branch.head));
    }
  }
  return tree::get(ctx, *store, head ? head->root : at.commit.root, path);
}

namespace {

/// The map of a commit with staged changes laid over it, in key order. Steps over stretches that are known to be void,
/// and remembers long ones that it had to walk.
class Overlay {
 public:
  Overlay(base::Clock& clock, std::unique_ptr<tree::Cursor> base, std::unique_ptr<StagedCursor> staged,
          Voids::Reader* voids)
      : clock_(clock), base_(std::move(base)), staged_(std::move(staged)), voids_(voids) {}

  Result<void> seek(const Context& ctx, const std::string& key) {
    hidden_ = 0;
    void_from_ = key;
    if (voids_)
      if (const auto end = voids_->end_around(key)) return go_to(ctx, *end);
    return go_to(ctx, key);
  }

  /// The next one, valid until the next call and free to be moved from; null at the end.
  Result<tree::Item*> next(const Context& ctx) {
    if (given_) item_.reset();
    given_ = false;
    while (true) {
      if (!item_ && !base_ended_) {
        TRY_LET(item_, base_->next(ctx));
        base_ended_ = !item_;
      }
      if (!row_ && !staged_ended_) {
        TRY_LET(row_, staged_->next());
        staged_ended_ = !row_;
      }
      if (row_ && (!item_ || row_->path <= item_->key)) {
        if (item_ && item_->key == row_->path) item_.reset();
        StagedRow row = std::move(*row_);
        row_.reset();
        if (!row.entry) {
          TRY(pass_hidden(ctx, std::move(row.path)));
          continue;
        }
        staged_item_ = tree::Item{std::move(row.path), std::move(*row.entry)};
        return show(staged_item_);
      }
      if (!item_) return nullptr;
      given_ = true;
      return show(*item_);
    }
  }

 private:
  static constexpr size_t kWorthLearning = 64;  ///< hidden rows in sequence

  Result<void> go_to(const Context& ctx, const std::string& key) {
    item_.reset();
    given_ = false;
    row_.reset();
    base_ended_ = false;
    staged_ended_ = !staged_;
    if (staged_) staged_->seek(key);
    return base_->seek(ctx, key);
  }

  tree::Item* show(tree::Item& item) {
    if (voids_) {
      hidden_ = 0;
      void_from_.assign(item.key).push_back('\0');
    }
    return &item;
  }

  Result<void> pass_hidden(const Context& ctx, std::string path) {
    if (++hidden_ % kWorthLearning != 0) return {};
    TRY(ctx.check(clock_));
    if (!voids_) return {};
    path.push_back('\0');
    voids_->learn(void_from_, path);
    const auto end = voids_->end_around(path);
    if (!end) return {};
    voids_->learn(void_from_, *end);
    return go_to(ctx, *end);
  }

  base::Clock& clock_;
  std::unique_ptr<tree::Cursor> base_;
  std::unique_ptr<StagedCursor> staged_;
  Voids::Reader* const voids_;
  std::string void_from_;  ///< since there, nothing was shown
  size_t hidden_ = 0;      ///< rows passed since then
  std::optional<tree::Item> item_;
  bool given_ = false;  ///< `item_` is with the caller
  tree::Item staged_item_;
  std::optional<StagedRow> row_;
  bool base_ended_ = false, staged_ended_ = false;
};

}  // namespace

constexpr size_t kPageReserved = 1'000, kCheckEvery = 64;

// A name (path or common prefix) is given when it is greater than `after`; a whole prefix costs one seek.
Result<Page<Listed>> EngineImpl::list(const Context& ctx, const Repository& repository, const Resolved& at,
                                      const ListQuery& query) {
  std::optional<Voids::Reader> voids;
  std::unique_ptr<kv::View> view;
  std::unique_ptr<StagedCursor> staged;
  Commit head = at.commit;
  if (at.branch) {
    voids.emplace(voids_, at.branch->id);
    TRY_LET(view, kv_.view(ctx));
    TRY_LET(const Branch branch, read_branch(*view, repository, at.branch->name));
    if (branch.head != head.id) {
      TRY_LET(head, load_commit(ctx, repository, branch.head));
    }
    if (branch.id != at.branch->id) voids.reset();  // made anew since the ref was resolved
    staged = std::make_unique<StagedCursor>(*view, repository.id, branch, query.prefix);
  }
  Overlay items(clock_, tree::cursor(packs(repository), head.root), std::move(staged), voids ? &*voids : nullptr);

  Page<Listed> page;
  std::string from = query.prefix;
  if (!query.after.empty() && query.after >= query.prefix) {
    from = query.after + '\0';
    if (!query.delimiter.empty() && query.after.starts_with(query.prefix)) {
      const size_t cut = query.after.find(query.delimiter, query.prefix.size());
      if (cut != std::string::npos) from = kv::prefix_end(query.after.substr(0, cut + query.delimiter.size()));
      if (from.empty()) return page;
    }
  }
  TRY(items.seek(ctx, from));
  page.items.reserve(std::min(query.amount, kPageReserved));
  for (size_t seen = 0;; ++seen) {
    if (seen % kCheckEvery == 0) TRY(ctx.check(clock_));
    TRY_LET(tree::Item* const item, items.next(ctx));
    if (!item || !item->key.starts_with(query.prefix) || page.items.size() == query.amount) {
      page.has_more = item && item->key.starts_with(query.prefix);
      if (!page.items.empty()) page.next_after = page.items.back().path;
      return page;
    }
    Listed& listed = page.items.emplace_back();
    const size_t cut =
        query.delimiter.empty() ? std::string::npos : item->key.find(query.delimiter, query.prefix.size());
    if (cut == std::string::npos) {
      listed.path = std::move(item->key);
      listed.entry = std::move(item->entry);
    } else {
      listed.path = item->key.substr(0, cut + query.delimiter.size());
      listed.is_prefix = true;
    }
    if (cut == std::string::npos) continue;
    const std::string behind = kv::prefix_end(listed.path);
    if (behind.empty()) {
      page.next_after = listed.path;
      return page;
    }
    TRY(items.seek(ctx, behind));
  }
}

Result<void> EngineImpl::walk(const Context& ctx, const Repository& repository, const Commit& at,
                              std::string_view prefix,
                              const std::function<Result<void>(const std::string&, const tree::Entry&)>& each) {
  const auto cursor = tree::cursor(packs(repository), at.root);
  TRY(cursor->seek(ctx, prefix));
  while (true) {
    TRY(ctx.check(clock_));
    TRY_LET(const std::optional<tree::Item> item, cursor->next(ctx));
    if (!item || !item->key.starts_with(prefix)) return {};
    TRY(each(item->key, item->entry));
  }
}

std::unique_ptr<tree::Cursor> EngineImpl::cursor(const Repository& repository, const Commit& at) {
  return tree::cursor(packs(repository), at.root);
}

// Domain "tarn.scope", then for each path in order: path and checksum text length-prefixed, size. Paths are whole, so
// that equal files at other places are another scope.
Result<std::string> EngineImpl::scope_digest(const Context& ctx, const Repository& repository, const Commit& at,
                                             std::string_view prefix) {
  base::Hasher hasher(base::Algorithm::kSha256);
  hasher.update(std::string_view("tarn.scope\0\x01", 12));
  TRY(walk(ctx, repository, at, prefix, [&](const std::string& path, const tree::Entry& entry) -> Result<void> {
    base::ByteWriter out;
    out.text(path);
    out.varint(entry.size);
    out.text(entry.etag.text());
    hasher.update(out.str());
    return {};
  }));
  return base::to_hex(hasher.finish());
}

Result<tree::Totals> EngineImpl::totals(const Context& ctx, const Repository& repository, const Commit& at,
                                        std::string_view prefix) {
  return tree::totals(ctx, *packs(repository), at.root, prefix);
}

}  // namespace tarn::versioning::detail
