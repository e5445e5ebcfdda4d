#pragma once
// A long history for the measures: written in bulk by the pack writer, opened by recovery.
#include <string>
#include <vector>

#include "engine/place.h"
#include "versioning/testing/long_history.h"

namespace tarn::bench {

/// The object that only the second commit of the history touches.
inline constexpr const char* kNeedle = versioning::testing::kRareFile;

/// Makes a repository whose branch "main" has `commits` one-object commits in a line, and whose branch "side" left it
/// after the first of them, if it is not there (versioning/testing/long_history.h).
void prepare_history(const std::string& folder, uint64_t commits);

/// The commits number 10^1, 10^2, … of the line, by their numbers.
std::vector<std::pair<uint64_t, versioning::CommitId>> history_marks(const std::string& folder);

inline std::string history_folder(const Options& o) { return o.folder + "/history"; }
inline uint64_t history_length(const Options& o) { return o.quick ? 20'000 : 1'000'000; }

}  // namespace tarn::bench
