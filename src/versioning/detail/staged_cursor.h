#pragma once
// Walks the staged changes of one branch in a view: only rows that no commit has taken yet.
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "kv/store.h"
#include "versioning/keys.h"
#include "versioning/records.h"

namespace tarn::versioning::detail {

struct StagedRow {
  std::string path;
  std::optional<tree::Entry> entry;  ///< nullopt: a removal
  kv::Sequence version = 0;
};

/// The view outlives it. Threads: one. An error is never the end.
class StagedCursor {
 public:
  StagedCursor(kv::View& view, std::string_view repository_id, const Branch& branch, std::string_view path_prefix = {},
               std::string_view from = {})
      : view_(view),
        rows_(keys::staging(repository_id, branch.id)),
        scope_(rows_ + std::string(path_prefix)),
        committed_through_(branch.committed_through) {
    seek(from);
  }

  /// The next next() gives the first change at or behind `path`.
  void seek(std::string_view path) {
    const std::string from = rows_ + std::string(path);
    iterator_ = view_.scan(scope_, from > scope_ ? from : scope_);
  }

  Result<std::optional<StagedRow>> next() {
    while (true) {
      TRY_LET(std::optional<kv::KeyRow> row, iterator_->next());
      if (!row) return std::optional<StagedRow>();
      if (row->row.version <= committed_through_) continue;
      StagedRow out;
      out.path = row->key.substr(rows_.size());
      TRY_LET(out.entry, decode_staged(row->row.value));
      out.version = row->row.version;
      return std::optional<StagedRow>(std::move(out));
    }
  }

 private:
  kv::View& view_;
  const std::string rows_, scope_;
  const kv::Sequence committed_through_;
  std::unique_ptr<kv::Iterator> iterator_;
};

}  // namespace tarn::versioning::detail
