#pragma once
// A long history for the measures: written in bulk by the pack writer, opened by recovery.
#include <string>
#include <vector>

#include "engine/place.h"

namespace tarn::bench {

/// The object that only the oldest commit of the history touches.
inline constexpr const char* kNeedle = "once/only";

/// Makes a repository whose branch "main" has `commits` one-object commits in a line, and whose branch "side" left it
/// before the first of them, if it is not there. The packs hold everything that a commit of the engine writes: record,
/// change-set, nodes.
void prepare_history(const std::string& folder, uint64_t commits);

/// The ids of the commits with 10^1, 10^2, … and the greatest number of ancestors within the history, by that number.
std::vector<std::pair<uint64_t, versioning::CommitId>> history_marks(const std::string& folder);

inline std::string history_folder(const Options& o) { return o.folder + "/history"; }
inline uint64_t history_length(const Options& o) { return o.quick ? 20'000 : 1'000'000; }

}  // namespace tarn::bench
