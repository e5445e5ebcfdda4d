// Folding of packs: many small ones become one, without a reader noticing. docs/formats/pack.md#folded-pack.
#include <algorithm>
#include <atomic>
#include <unordered_set>

#include "base/executor.h"
#include "base/kill_point.h"
#include "base/log.h"
#include "versioning/detail/engine_impl.h"

namespace tarn::versioning::detail {
namespace {

constexpr size_t kRelocationsPerBatch = 1'000;
constexpr char kRelocationVersion = 1;
constexpr size_t kRemovers = 8;
constexpr uint64_t kSmallFolded = 1u << 20;  // bytes
constexpr size_t kRefoldFrom = 16;

}  // namespace

/// One fold of a repository at a time: two would write the same parts twice.
class EngineImpl::FoldTurn {
 public:
  enum class Wait { kNo, kYes };
  FoldTurn(EngineImpl& engine, std::string id, Wait wait) : engine_(engine), id_(std::move(id)) {
    base::Lock lock(engine_.mutex_);
    if (wait == Wait::kYes) engine_.turned_.wait(lock, [&] { return !engine_.folding_.contains(id_); });
    mine_ = engine_.folding_.insert(id_).second;
    if (mine_) engine_.unfolded_[id_] = 0;
  }
  ~FoldTurn() {
    if (!mine_) return;
    base::Lock lock(engine_.mutex_);
    engine_.folding_.erase(id_);
    engine_.turned_.notify_all();
  }
  FoldTurn(const FoldTurn&) = delete;
  FoldTurn& operator=(const FoldTurn&) = delete;
  bool mine() const { return mine_; }

 private:
  EngineImpl& engine_;
  const std::string id_;
  bool mine_ = false;
};

Result<std::optional<std::string>> EngineImpl::find_relocation(const Context& ctx, const std::string& repository_id,
                                                               const std::string& pack) {
  TRY_LET(const std::optional<kv::Row> row, kv_.get(ctx, keys::relocation(repository_id, pack)));
  if (!row) return std::optional<std::string>();
  if (row->value.size() < 2 || row->value[0] != kRelocationVersion)
    return Error(Code::kUnsupported, "relocation", "a relocation was written by a newer version");
  return std::optional(row->value.substr(1));
}

// Where the parts are is written first; only then the old packs go. A crash in between leaves both, and the next fold
// finds the old ones named by the new.
Result<void> EngineImpl::replace_packs(const Context& ctx, const Repository& repository,
                                       const std::vector<std::string>& old, const std::string& pack) {
  for (size_t from = 0; from < old.size(); from += kRelocationsPerBatch) {
    kv::Batch batch;
    batch.require_present(keys::alive(repository.id));
    for (size_t i = from; i < std::min(old.size(), from + kRelocationsPerBatch); ++i)
      batch.put(keys::relocation(repository.id, old[i]), std::string(1, kRelocationVersion) + pack);
    TRY(kv_.apply(ctx, batch));
  }
  KILL_POINT("versioning.fold.relocated");
  const auto store = packs(repository);
  std::atomic<size_t> next{0};
  std::atomic<bool> failed{false};
  {
    base::ThreadPool removers(std::min(old.size(), kRemovers));  // they share the store's syncs
    for (size_t i = 0; i < kRemovers; ++i)
      removers.submit([&] {
        for (size_t at = next++; at < old.size() && !failed; at = next++)
          if (const auto removed = store->remove(ctx, old[at]); !removed) {
            base::log(ctx, base::Level::kWarning, "a folded pack is not removed yet",
                      {{"pack", old[at]}, {"reason", removed.error().text()}});
            failed = true;  // the next fold goes on
          }
      });
  }
  KILL_POINT("versioning.fold.removed");
  if (failed) return Error(Code::kUnavailable, "pack", "some folded packs could not be removed: fold again later");
  return {};
}

Result<FoldReport> EngineImpl::fold_packs(const Context& ctx, const Repository& repository) {
  FoldTurn turn(*this, repository.id, FoldTurn::Wait::kYes);
  TRY_LET(FoldReport report, fold(ctx, repository, 2, tree::Packs::Effort::kThorough));
  TRY(journal_.condense(ctx, repository));
  TRY_LET(report.reclaimed, blocks_.compact(ctx));
  return report;
}

// Loose packs always; folded ones that are still small when there are `refold_from` of them, so that their number stays
// within that for each 16 MiB of history.
Result<FoldReport> EngineImpl::fold(const Context& ctx, const Repository& repository, size_t refold_from,
                                    tree::Packs::Effort effort) {
  TRY(require_alive(ctx, repository));
  const auto store = packs(repository);
  FoldReport report;
  TRY_LET(const std::vector<tree::PackInfo> all, store->list(ctx));
  std::unordered_set<std::string> loose;  // to be folded
  std::vector<std::string> refolded;
  std::unordered_set<std::string> there;
  report.packs_before = all.size();
  for (const tree::PackInfo& pack : all) {
    report.bytes_before += pack.size;
    there.insert(pack.id);
    if (!pack.folded) loose.insert(pack.id);
    if (pack.folded && pack.size < kSmallFolded) refolded.push_back(pack.id);
  }
  report.packs_after = report.packs_before;
  report.bytes_after = report.bytes_before;
  const auto drop = [&](const std::vector<std::string>& old, const std::string& pack) -> Result<void> {
    TRY(replace_packs(ctx, repository, old, pack));
    for (const std::string& name : old) loose.erase(name);
    report.packs_after -= old.size();
    for (const tree::PackInfo& info : all)
      if (std::find(old.begin(), old.end(), info.id) != old.end()) report.bytes_after -= info.size;
    return {};
  };
  for (const tree::PackInfo& pack : all) {  // what a crash kept back
    if (!pack.folded) continue;
    TRY_LET(std::vector<std::string> old, store->replaced_by(ctx, pack.id));
    std::erase_if(old, [&](const std::string& name) { return !there.contains(name); });
    if (!old.empty()) TRY(drop(old, pack.id));
    std::erase_if(refolded,
                  [&](const std::string& name) { return std::find(old.begin(), old.end(), name) != old.end(); });
  }
  if (refolded.size() + (loose.empty() ? 0 : 1) >= refold_from) loose.insert(refolded.begin(), refolded.end());
  while (true) {
    std::vector<std::string> rest;
    for (const tree::PackInfo& pack : all)
      if (loose.contains(pack.id)) rest.push_back(pack.id);
    if (rest.size() < 2) break;
    TRY_LET(const tree::Folded folded, store->fold(ctx, rest, effort));
    if (folded.pack.empty()) break;
    ++report.packs_after;
    report.bytes_after += folded.bytes_after;
    TRY(drop(folded.replaced, folded.pack));
  }
  return report;
}

void EngineImpl::count_pack(const Repository& repository) {
  if (fold_from_ == 0) return;
  {
    base::Lock lock(mutex_);
    if (++unfolded_[repository.id] < fold_from_ || folding_.contains(repository.id)) return;
  }
  (void)background_->submit([this, repository] {
    if (closing_.load()) return;
    FoldTurn turn(*this, repository.id, FoldTurn::Wait::kNo);
    if (!turn.mine()) return;
    const auto report = fold(Context(), repository, kRefoldFrom, tree::Packs::Effort::kBackground);
    if (report) (void)blocks_.compact(Context());
    if (!report && report.error().code() != Code::kNotFound)
      base::log(base::Level::kWarning, "folding packs stopped; it is tried again after more commits",
                {{"repository", repository.name}, {"error", report.error().text()}});
  });
}

}  // namespace tarn::versioning::detail
