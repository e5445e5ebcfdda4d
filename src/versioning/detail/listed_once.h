#pragma once
// A store whose names are listed once: for offline work, where a listing costs as much as the whole store.
#include <map>
#include <string>

#include "block/forwarding.h"

namespace tarn::versioning::detail {

/// Passes everything on, and answers list() from what the first one saw. Objects' own bytes ("…/data/…") are left out.
/// Only while nobody else writes to the store. Memory: the names of packs and records.
class ListedOnce final : public block::Forwarding {
 public:
  using Forwarding::Forwarding;
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

 private:
  bool listed_ = false;
  std::map<std::string, uint64_t, std::less<>> names_;
};

}  // namespace tarn::versioning::detail
