#pragma once
// A store whose names are listed once: for offline work, where a listing costs as much as the whole store.
#include <map>
#include <string>

#include "block/store.h"

namespace tarn::versioning::detail {

/// Passes everything on, and answers list() from what the first one saw. Objects' own bytes ("…/data/…") are left out.
/// Only while nobody else writes to the store. Memory: the names of packs and records.
class ListedOnce final : public block::Store {
 public:
  explicit ListedOnce(block::Store& inner) : inner_(inner) {}
  Result<block::Stored> put(const Context& ctx, const block::Name& name, block::ByteSource& source) override {
    return inner_.put(ctx, name, source);
  }
  using block::Store::put;
  Result<std::unique_ptr<block::ByteReader>> open(const Context& ctx, const block::Name& name, uint64_t offset,
                                                  std::optional<uint64_t> length) override {
    return inner_.open(ctx, name, offset, length);
  }
  Result<block::Info> stat(const Context& ctx, const block::Name& name) override { return inner_.stat(ctx, name); }
  Result<void> list(const Context& ctx, std::string_view prefix,
                    const std::function<Result<void>(const block::Name&, const block::Info&)>& each) override {
    if (!listed_) {
      TRY(inner_.list(ctx, "", [&](const block::Name& name, const block::Info& info) -> Result<void> {
        if (name.str().find("/data/") == std::string::npos) names_.emplace(name.str(), info.size);
        return {};
      }));
      listed_ = true;
    }
    for (auto it = names_.lower_bound(prefix); it != names_.end() && it->first.starts_with(prefix); ++it)
      TRY(each(block::Name(it->first), block::Info{it->second}));
    return {};
  }
  Result<void> remove(const Context& ctx, const block::Name& name) override { return inner_.remove(ctx, name); }
  Result<uint64_t> stored_bytes(const Context& ctx) override { return inner_.stored_bytes(ctx); }

 private:
  block::Store& inner_;
  bool listed_ = false;
  std::map<std::string, uint64_t, std::less<>> names_;
};

}  // namespace tarn::versioning::detail
