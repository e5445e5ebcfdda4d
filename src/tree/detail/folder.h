#pragma once
// Folding: what many small packs hold, written as one. docs/formats/pack.md#folded-pack.
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "tree/detail/frame.h"
#include "tree/detail/pack_file.h"
#include "tree/tree.h"

namespace tarn::tree::detail {

inline constexpr size_t kFoldRawMax = 48u << 20;   ///< bytes of nodes and records that one fold collects
inline constexpr size_t kBundleRawMax = 2u << 20;  ///< what a reader of one old node has to decompress at most
inline constexpr size_t kBundleFrom = 4;           ///< versions of a node that are worth a bundle
inline constexpr size_t kBasesTried = 12;          ///< versions of a leaf among which the next one looks for its base
inline constexpr size_t kChainMax = 60;            ///< versions between a leaf and a whole one; at most kVersionsMax

/// Collects packs in their order, then writes one. Threads: one. Pure: neither reads nor writes a store.
class Folder {
 public:
  /// Takes all of a pack. Errors: kCorrupt, kUnsupported; nothing was taken then.
  Result<void> add(std::string_view bytes, const std::string& pack_id);
  bool full() const { return raw_ >= kFoldRawMax; }
  const std::vector<std::string>& packs() const { return packs_; }
  /// The bytes of the folded pack. Errors: kTooLarge.
  Result<std::string> write(const std::string& pack_id, int zstd_level = kFoldLevel);

 private:
  struct Part {
    char list;  ///< as in FoldedFrame
    std::string id, body, hints;
    uint8_t level = 0;
    std::string first, last;  ///< keys of a node
    size_t order = 0;
  };
  static Result<void> describe(Part& part);
  void point_here(const std::string& pack_id);

  std::vector<std::string> packs_;
  std::vector<Part> nodes_, records_;
  std::unordered_map<std::string, size_t> known_;  ///< node ids
  size_t raw_ = 0;
};

}  // namespace tarn::tree::detail
