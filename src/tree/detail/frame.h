#pragma once
// The container of everything stored in a pack: docs/formats/pack.md.
#include <string>
#include <string_view>

#include "tree/tree.h"

namespace tarn::tree::detail {

inline constexpr size_t kFrameOverhead = 32;

/// zstd levels: of commits, where time counts, and of folding, where bytes do; beside others' work 12, which gives 4 %
/// more bytes in a fifth of the time (measured on the main job).
inline constexpr int kCommitLevel = 1, kFoldLevel = 19, kBackgroundFoldLevel = 12;

/// Appends a frame to `out`. @return the codec used: kNone when `codec` would not make it smaller.
/// Errors: kTooLarge (body and hints above 256 MiB).
Result<Codec> append_frame(std::string& out, std::string_view body, std::string_view hints, Codec codec,
                           int zstd_level = kCommitLevel);

struct Frame {
  std::string body, hints;
};
/// Checks and opens exactly one frame. Errors: kCorrupt, kUnsupported (version, codec).
Result<Frame> open_frame(std::string_view stored);

}  // namespace tarn::tree::detail
