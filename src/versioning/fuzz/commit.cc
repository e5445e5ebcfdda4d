// Records of commits, branches, repositories, tags, protection and staged rows. What can be read of a commit is written
// again as the same bytes but for where its root lies. Input: one byte that says which, then its bytes.
#include <cstdlib>

#include "versioning/records.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tarn::versioning;  // NOLINT
  if (size == 0) return 0;
  const std::string bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 7) {
    case 0:
      if (const auto stored = decode_commit(bytes)) {
        const auto again = decode_commit(encode_commit(stored->commit, stored->repository_id, stored->branch));
        if (!again || again->commit.id != stored->commit.id || again->branch != stored->branch) std::abort();
      }
      break;
    case 1:
      static_cast<void>(decode_links(bytes));
      break;
    case 2:
      static_cast<void>(decode_branch("main", bytes, 1));
      break;
    case 3:
      static_cast<void>(decode_repository(bytes, 1));
      break;
    case 4:
      static_cast<void>(decode_tag(bytes));
      break;
    case 5:
      static_cast<void>(decode_protection(bytes));
      break;
    default:
      static_cast<void>(decode_staged(bytes));
      break;
  }
  return 0;
}
