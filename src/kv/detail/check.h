#pragma once
// Shared by the back ends: does a precondition hold, and what to say when it does not.
#include <optional>

#include "kv/store.h"

namespace tarn::kv::detail {

bool is_precondition(Batch::Kind kind);

/// `found` is the row's version at the batch's place in the apply order, nullopt when absent.
/// Errors: kConflict naming the key.
Result<void> check(const Batch::Step& step, std::optional<Sequence> found);

/// Bytes outside printable ASCII as \xNN: keys may hold binary parts.
std::string printable(std::string_view key);

}  // namespace tarn::kv::detail
