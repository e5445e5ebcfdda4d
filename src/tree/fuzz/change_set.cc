// Change-sets and filters. A change-set that can be read is written again and read the same; a filter may say anything
// but never reads outside. Input: one byte that says which, then its bytes.
#include <cstdlib>

#include "tree/change_filter.h"
#include "tree/detail/change_set.h"
#include "tree/fuzz/bytes.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tarn::tree;  // NOLINT
  fuzz::Input input(data, size);
  const uint8_t what = input.byte();
  const std::string_view bytes = input.rest();
  const std::string id(32, 'c');
  if (what % 3 == 0) {
    if (const auto changes = detail::decode_change_set(bytes, id)) {
      const auto again = detail::decode_change_set(detail::encode_change_set(id, *changes), id);
      if (!again || again->size() != changes->size()) std::abort();
    }
  } else if (what % 3 == 1) {
    static_cast<void>(detail::filter_may_contain(bytes, id, "b/"));
  } else {
    const uint64_t names[] = {change_filter_name("b/"), change_filter_name("a/b")};
    static_cast<void>(change_filter_may_contain(bytes, names));
  }
  return 0;
}
