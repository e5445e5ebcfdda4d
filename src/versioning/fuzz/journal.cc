// Objects of the ref journal, with a check that is made to fit. What can be read is written again and read the same.
#include <cstdlib>

#include "base/hash.h"
#include "versioning/journal.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tarn::versioning;  // NOLINT
  std::string bytes(reinterpret_cast<const char*>(data), size);
  static_cast<void>(journal::decode(bytes));
  bytes += tarn::base::xxh3_128(bytes);
  const auto object = journal::decode(bytes);
  if (!object) return 0;
  for (const journal::Entry& entry : object->entries) {
    if (!entry.value) continue;
    static_cast<void>(journal::decode_branch_value(entry.name, *entry.value));
    static_cast<void>(journal::decode_tag_value(*entry.value));
  }
  const auto again = journal::decode(journal::encode(*object));
  if (!again || again->entries != object->entries || again->number != object->number) std::abort();
  return 0;
}
